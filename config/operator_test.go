package config_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/internal/test/installtest"
	"dafty.ai/dafty-operator/internal/test/kubetest"
	"dafty.ai/dafty-operator/internal/test/operatortest"
)

// operator is the operator run as in its Deployment: outside of a Pod, but with a token of its service account.
type operator struct {
	*operatortest.Process
	probes, metrics string // addresses
}

func startOperator(t *testing.T, env *kubetest.Env, daftyURL string, more ...string) *operator {
	t.Helper()
	return startOperatorIn(t, env, []string{"DAFTY_URL=" + daftyURL}, more...)
}

// startOperatorIn is startOperator with more in its environment.
func startOperatorIn(t *testing.T, env *kubetest.Env, environ []string, more ...string) *operator {
	t.Helper()
	var d appsv1.Deployment
	if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: deployment}, &d); err != nil {
		t.Fatal(err)
	}
	p := &operator{probes: operatortest.FreeAddress(t), metrics: operatortest.FreeAddress(t)}
	args := []string{"--kubeconfig", accountKubeconfig(t, env), "--leader-election-namespace", namespace}
	args = append(args, operatortest.PodArgs(d.Spec.Template.Spec.Containers[0].Args, p.probes, p.metrics)...)
	p.Process = operatortest.Run(t, operatortest.Config{
		Program: operatortest.Program(t), Args: append(args, more...), Env: environ, APIKeys: []string{apiKey},
	})
	return p
}

// stop ends the process as the kubelet does.
func (p *operator) stop(t *testing.T) {
	t.Helper()
	if err := p.Stop(gracePeriod); err != nil {
		t.Error(err)
	}
}

// gracePeriod is the Deployment's.
const gracePeriod = 60 * time.Second

// accountKubeconfig returns a kubeconfig with a token of the operator's service account.
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

// samples returns the manifests of a folder of config/samples.
func samples(t *testing.T, name string) string {
	t.Helper()
	return installtest.Kustomize(t, "config/samples/"+name)
}
