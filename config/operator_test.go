package config_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/internal/test/installtest"
	"dafty.ai/dafty-operator/internal/test/kubetest"
	"dafty.ai/dafty-operator/internal/test/operatortest"
	"dafty.ai/dafty-operator/internal/test/sourcetree"
	"dafty.ai/dafty-operator/internal/test/subprocess"
)

// process is the operator, run as its Deployment says: outside of a Pod, but with a token of its service account.
type process struct {
	t               *testing.T
	cmd             *exec.Cmd
	log             *operatortest.Log
	ended           chan error
	probes, metrics string
}

func buildOperator(t *testing.T) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "manager")
	if err := sourcetree.BuildOperator(t.Context(), installtest.Root(t), program, "test"); err != nil {
		t.Fatal(err)
	}
	return program
}

func startOperator(t *testing.T, program string, env *kubetest.Env, daftyURL string, more ...string) *process {
	t.Helper()
	var d appsv1.Deployment
	if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: deployment}, &d); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, log: &operatortest.Log{}, ended: make(chan error, 1), probes: operatortest.FreeAddress(t), metrics: operatortest.FreeAddress(t)}
	args := []string{"--kubeconfig", accountKubeconfig(t, env), "--leader-election-namespace", namespace}
	for _, arg := range d.Spec.Template.Spec.Containers[0].Args {
		arg = strings.Replace(arg, "=:8081", "="+p.probes, 1)
		args = append(args, strings.Replace(arg, "=:8443", "="+p.metrics, 1))
	}
	p.cmd = exec.Command(program, append(args, more...)...)
	p.cmd.Env = append(os.Environ(), "DAFTY_URL="+daftyURL)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = subprocess.WithParent(syscall.SIGKILL)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has ended by now, unless the test failed
		if t.Failed() {
			t.Logf("the operator's log:\n%s", p.log)
		}
	})
	return p
}

// stop ends it as the kubelet does.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Error(err)
	}
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Errorf("it ended with %v", err)
		}
	case <-time.After(60 * time.Second):
		p.t.Error("it didn't end within its grace period")
	}
}

// accountKubeconfig makes a kubeconfig with a token of the operator's service account.
func accountKubeconfig(t *testing.T, env *kubetest.Env) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(env.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSpace(env.MustKubectl(t, "create", "token", account, "-n", namespace))
	config.AuthInfos[config.Contexts[config.CurrentContext].AuthInfo] = &clientcmdapi.AuthInfo{Token: token}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	return file
}

func eventually(t *testing.T, timeout time.Duration, holds func() bool) bool {
	t.Helper()
	for deadline := time.Now().Add(timeout); ; time.Sleep(100 * time.Millisecond) {
		if holds() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}

// samples are the manifests of a folder of config/samples.
func samples(t *testing.T, name string) string {
	t.Helper()
	return installtest.Kustomize(t, "config/samples/"+name)
}
