// Package config_test installs what the folders here hold on a real API server.
package config_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/internal/kubetest"
	"dafty.ai/dafty-operator/internal/sourcetree"
)

const (
	namespace  = "dafty-operator-system"
	deployment = "dafty-operator-controller-manager"
	account    = "dafty-operator-controller-manager"
	podLabel   = "control-plane=controller-manager"
)

// The CRD isn't there beforehand: installing it is part of what is tested.
func TestMain(m *testing.M) {
	kubetest.Main(m, kubetest.Options{CRDs: []string{}, ControllerManager: true})
}

// kustomize builds a folder with the pinned kustomize, as make does.
func kustomize(t *testing.T, dir string) string {
	t.Helper()
	root, err := sourcetree.Root()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile=hack/tools/go.mod", "kustomize", "build", dir)
	cmd.Dir = root
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("kustomize build %s: %v\n%s", dir, err, stderr.String())
	}
	return stdout.String()
}

// One after the other, from install to uninstall: they are about the one installation a cluster has.
func TestInstallation(t *testing.T) {
	env := kubetest.Start(t)
	manifests := kustomize(t, "config/default")

	env.MustApply(t, manifests, "--server-side")
	if t.Run("CRD is established", func(t *testing.T) {
		env.MustKubectl(t, "wait", "--for=condition=Established", "crd/daftyjobs.dafty.ai", "--timeout=30s")
	}); t.Failed() {
		return
	}
	t.Run("applying it again changes nothing", func(t *testing.T) { appliesWithoutChange(t, env, manifests) })
	t.Run("its Pod is let in where only restricted ones are", func(t *testing.T) { podIsRestricted(t, env) })
	t.Run("it may do what it needs and no more", func(t *testing.T) { operatorRights(t, env) })
	t.Run("people's roles have DaftyJobs in them", func(t *testing.T) { peoplesRights(t, env) })
	t.Run("it runs with these flags and these rights", func(t *testing.T) { operatorRuns(t, env) })
	t.Run("the network policy is valid", func(t *testing.T) {
		policy := kustomize(t, "config/network-policy")
		env.MustApply(t, strings.ReplaceAll(policy, "namespace: system", "namespace: "+namespace), "--dry-run=server")
	})
	t.Run("it goes again", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "install.yaml")
		if err := os.WriteFile(file, []byte(manifests), 0o600); err != nil {
			t.Fatal(err)
		}
		env.MustKubectl(t, "delete", "-f", file, "--timeout=90s")
	})
}

func appliesWithoutChange(t *testing.T, env *kubetest.Env, manifests string) {
	before := env.MustKubectl(t, "get", "deployment,configmap,service", "-n", namespace, "-o", "jsonpath={range .items[*]}{.metadata.name} {.metadata.generation} {end}")
	env.MustApply(t, manifests, "--server-side")
	after := env.MustKubectl(t, "get", "deployment,configmap,service", "-n", namespace, "-o", "jsonpath={range .items[*]}{.metadata.name} {.metadata.generation} {end}")
	if before != after {
		t.Errorf("before %s\nafter %s", before, after)
	}
}

func podIsRestricted(t *testing.T, env *kubetest.Env) {
	// The ReplicaSet's controller makes the Pod, and admission has its say; no node will run it.
	if _, stderr, err := env.Kubectl(t, "wait", "--for=create", "pod", "-l", podLabel, "-n", namespace, "--timeout=60s"); err != nil {
		t.Fatalf("%v %s\n%s", err, stderr, env.MustKubectl(t, "get", "events", "-n", namespace))
	}
	// And admission is really on.
	const bad = "apiVersion: v1\nkind: Pod\nmetadata: {name: bad, namespace: " + namespace + "}\nspec: {containers: [{name: bad, image: bad}]}\n"
	if _, stderr, err := env.Apply(t, bad); err == nil || !strings.Contains(stderr, `violates PodSecurity "restricted`) {
		t.Errorf("a Pod that isn't restricted: %v, %s", err, stderr)
	}
}

func operatorRights(t *testing.T, env *kubetest.Env) {
	as := "system:serviceaccount:" + namespace + ":" + account
	for _, right := range []struct {
		may  bool
		args string
	}{
		{true, "list daftyjobs --all-namespaces"},
		{true, "watch daftyjobs --all-namespaces"},
		{true, "patch daftyjobs --all-namespaces"},
		{true, "patch daftyjobs --subresource=status --all-namespaces"},
		{true, "delete daftyjobs --all-namespaces"},
		{true, "get secrets --all-namespaces"},
		{true, "get configmaps --all-namespaces"},
		{true, "create configmaps --all-namespaces"},
		{true, "patch configmaps --all-namespaces"},
		{true, "create events.events.k8s.io --all-namespaces"},
		{true, "create leases -n " + namespace},
		{true, "create tokenreviews"},
		{false, "list secrets --all-namespaces"},
		{false, "watch secrets --all-namespaces"},
		{false, "create secrets --all-namespaces"},
		{false, "update secrets --all-namespaces"},
		{false, "create daftyjobs --all-namespaces"},
		{false, "deletecollection daftyjobs --all-namespaces"},
		{false, "list configmaps --all-namespaces"},
		{false, "watch configmaps --all-namespaces"},
		{false, "delete configmaps --all-namespaces"},
		{false, "create pods --all-namespaces"},
		{false, "create leases -n default"},
	} {
		args := append([]string{"auth", "can-i", "--as", as}, strings.Fields(right.args)...)
		if stdout, stderr, _ := env.Kubectl(t, args...); strings.TrimSpace(stdout) != yesNo(right.may) {
			t.Errorf("%s: %s%s; want %s", right.args, stdout, stderr, yesNo(right.may))
		}
	}
}

func peoplesRights(t *testing.T, env *kubetest.Env) {
	for role, rights := range map[string]map[string]bool{
		"view":  {"list daftyjobs": true, "create daftyjobs": false, "patch daftyjobs --subresource=status": false},
		"edit":  {"list daftyjobs": true, "create daftyjobs": true, "delete daftyjobs": true, "patch daftyjobs --subresource=status": false},
		"admin": {"list daftyjobs": true, "create daftyjobs": true, "deletecollection daftyjobs": true, "patch daftyjobs --subresource=status": false},
	} {
		user := role + "-person"
		env.MustKubectl(t, "create", "rolebinding", user, "--clusterrole", role, "--user", user)
		for args, may := range rights {
			can := func() bool {
				stdout, _, _ := env.Kubectl(t, append([]string{"auth", "can-i", "--as", user}, strings.Fields(args)...)...)
				return strings.TrimSpace(stdout) == yesNo(may)
			}
			// Roles are aggregated by a controller, some time after they are applied.
			if !eventually(t, 15*time.Second, can) {
				t.Errorf("%s: %s isn't %s", role, args, yesNo(may))
			}
		}
	}
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// operatorRuns starts the operator as its Deployment does, outside of a Pod but with a token of its service account: the
// flags exist, the rights are enough to become leader and to fill the caches, and metrics are guarded.
func operatorRuns(t *testing.T, env *kubetest.Env) {
	root, err := sourcetree.Root()
	if err != nil {
		t.Fatal(err)
	}
	manager := filepath.Join(t.TempDir(), "manager")
	if out, err := command(t, root, "go", "build", "-o", manager, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}

	var d appsv1.Deployment
	if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: deployment}, &d); err != nil {
		t.Fatal(err)
	}
	probes, metrics := freeAddress(t), freeAddress(t)
	args := []string{"--kubeconfig", accountKubeconfig(t, env), "--leader-election-namespace", namespace}
	for _, arg := range d.Spec.Template.Spec.Containers[0].Args {
		arg = strings.Replace(arg, "=:8081", "="+probes, 1)
		args = append(args, strings.Replace(arg, "=:8443", "="+metrics, 1))
	}
	cmd := command(t, root, manager, args...)
	cmd.Env = append(os.Environ(), "DAFTY_URL=http://127.0.0.1:1/api/v1") // nobody is there, and no job is either
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	leads := func() bool {
		stdout, _, _ := env.Kubectl(t, "get", "leases", "-n", namespace, "-o", "jsonpath={.items[*].spec.holderIdentity}")
		return stdout != ""
	}
	// The operator's own metrics are a way to see that its workers started, so that its caches are full.
	works := func() bool {
		status, body := get(t, "https://"+metrics+"/metrics", env.MustKubectl(t, "create", "token", "scraper", "-n", namespace))
		return status == http.StatusOK && strings.Contains(body, "controller_runtime_max_concurrent_reconciles{")
	}
	env.MustKubectl(t, "create", "serviceaccount", "scraper", "-n", namespace)
	env.MustKubectl(t, "create", "clusterrolebinding", "scraper", "--clusterrole=dafty-operator-metrics-reader", "--serviceaccount="+namespace+":scraper")
	for what, holds := range map[string]func() bool{
		"it is ready":                      func() bool { status, _ := get(t, "http://"+probes+"/readyz", ""); return status == http.StatusOK },
		"it leads":                         leads,
		"a scraper with the role may read": works,
	} {
		if !eventually(t, 60*time.Second, holds) {
			t.Errorf("not so: %s", what)
		}
	}
	if status, _ := get(t, "https://"+metrics+"/metrics", ""); status != http.StatusUnauthorized && status != http.StatusForbidden {
		t.Errorf("metrics for anybody: status %d", status)
	}

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
	if strings.Contains(log.String(), "forbidden") {
		t.Error("it wanted to do what it may not")
	}
	if t.Failed() {
		t.Logf("its log:\n%s", log.String())
	}
	env.MustKubectl(t, "delete", "clusterrolebinding", "scraper")
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

func command(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	return cmd
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// get returns status 0 where there is no answer.
func get(t *testing.T, url, token string) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token = strings.TrimSpace(token); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := c.Do(req)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = resp.Body.Close() }()
	content, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(content)
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

// Both ways of config/argocd/kustomization.yaml: neither may lose the settings that an Argo CD has.
func TestArgoCDSetting(t *testing.T) {
	const existing = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, labels: {app.kubernetes.io/part-of: argocd}}\ndata: {url: https://argocd.example.com}\n"
	root, err := sourcetree.Root()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"url": "https://argocd.example.com"}
	for key, file := range map[string]string{
		"resource.customizations.health.dafty.ai_DaftyJob":  "resource_customizations/dafty.ai/DaftyJob/health.lua",
		"resource.customizations.actions.dafty.ai_DaftyJob": "actions.yaml",
	} {
		content, err := os.ReadFile(filepath.Join("argocd", file))
		if err != nil {
			t.Fatal(err)
		}
		want[key] = string(content)
	}
	env := kubetest.Start(t)
	env.MustKubectl(t, "create", "namespace", "argocd")
	check := func(t *testing.T) {
		t.Helper()
		cm := &corev1.ConfigMap{}
		if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: "argocd", Name: "argocd-cm"}, cm); err != nil {
			t.Fatal(err)
		}
		if cm.Labels["app.kubernetes.io/part-of"] != "argocd" || !maps.Equal(cm.Data, want) {
			t.Errorf("got %+v", cm)
		}
	}

	t.Run("as a component", func(t *testing.T) {
		// kustomize takes folders by relative paths alone.
		dir := t.TempDir()
		component, err := filepath.Rel(dir, filepath.Join(root, "config", "argocd"))
		if err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string]string{
			"argocd.yaml":        existing,
			"kustomization.yaml": fmt.Sprintf("namespace: argocd\nresources: [argocd.yaml]\ncomponents: [%s]\n", component),
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		env.MustApply(t, kustomize(t, dir))
		check(t)
		env.MustKubectl(t, "delete", "configmap", "argocd-cm", "--namespace=argocd")
	})
	t.Run("added to what is there", func(t *testing.T) {
		env.MustApply(t, existing, "--namespace=argocd")
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", commentedCommand(t, "argocd/kustomization.yaml"))
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "KUBECONFIG="+env.Kubeconfig, "PATH="+filepath.Dir(env.Asset("kubectl"))+":"+os.Getenv("PATH"))
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		check(t)
	})
}

// commentedCommand is the one command in a file's comment, set in by more than the text around it.
func commentedCommand(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	command := ""
	for line := range strings.Lines(string(content)) {
		if code, ok := strings.CutPrefix(line, "#   "); ok {
			command += code
		}
	}
	if !strings.HasPrefix(command, "kubectl ") {
		t.Fatalf("%s has no command in a comment, but %q", file, command)
	}
	return command
}

func TestServiceMonitorFindsTheMetricsService(t *testing.T) {
	monitor := kustomize(t, "config/prometheus")
	service := kustomize(t, "config/manager")
	for _, want := range []string{"port: https", "control-plane: controller-manager"} {
		if !strings.Contains(monitor, want) {
			t.Errorf("the monitor has no %q", want)
		}
	}
	if !strings.Contains(service, "name: https\n    port: 8443") {
		t.Errorf("the service has no port named https:\n%s", service)
	}
}
