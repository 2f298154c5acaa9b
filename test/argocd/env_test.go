//go:build e2e

package argocd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"dafty.ai/dafty-operator/internal/test/e2e"
	"dafty.ai/dafty-operator/internal/test/installtest"
	"dafty.ai/dafty-operator/internal/test/operatortest"
)

// argoNamespace is where Argo CD and its Applications live.
const argoNamespace = "argocd"

// in returns all of it for a subtest.
func (e *env) in(t *testing.T) *env { return &env{World: e.In(t), argoAddress: e.argoAddress} }

// env is all that runs.
type env struct {
	e2e.World
	argoAddress string // of Argo CD's API
}

// newEnv has an account at Dafty for each of these, with its name.
func newEnv(t *testing.T, accounts []string) *env {
	e := &env{World: e2e.New(t, e2e.Options{
		Page: "argocd.md", Accounts: accounts, Folders: []string{"home", "tmp", "tls", "ssh", "gpg", "gpg-source", "plugins", "redis"},
		Failed: [][]string{{"get", "applications", "--all-namespaces", "--output=yaml"}},
	})}
	e.startArgoCD()
	return e
}

// startArgoCD applies Argo CD's manifests, and runs its programs as processes.
func (e *env) startArgoCD() {
	e.Kubectl("create", "namespace", argoNamespace)
	manifests := e.relative(filepath.Join(built.Source, "manifests"))
	e.Kubectl("apply", "--server-side", "--filename", e.kustomization("crds", "resources: ["+manifests+"/crds]"))
	e.Kubectl("apply", "--namespace", argoNamespace, "--filename", e.kustomization("settings", "resources: ["+manifests+"/base/config]"))

	// The image of Argo CD has these on PATH too.
	for name, program := range map[string]string{
		"argocd": built.ArgoCD, "kustomize": built.Kustomize, "helm": installtest.HelmProgram(e), "kubectl": e.ControlPlane.Asset("kubectl"),
		"git-verify-wrapper.sh": e.script("git-verify-wrapper.sh"),
	} {
		if err := os.Symlink(program, filepath.Join(e.Dir, "bin", name)); err != nil {
			e.Fatal(err)
		}
	}
	redis, repoServer := operatortest.FreeAddress(e), operatortest.FreeAddress(e)
	e.argoAddress = operatortest.FreeAddress(e)
	program, err := exec.LookPath("redis-server")
	if err != nil {
		e.Fatal(err)
	}
	e.Start("redis-server", program, nil, "--port", e2e.Port(redis), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--dir", filepath.Join(e.Dir, "redis"), "--set-proc-title", "no")
	e.Listens(redis)

	logging := []string{"--logformat=text", "--loglevel=info"}
	e.Start("argocd-repo-server", built.ArgoCD, e.argoEnv(), append(logging, "--redis="+redis, "--client-ca-path=",
		"--address=127.0.0.1", "--port="+e2e.Port(repoServer), "--metrics-address=127.0.0.1", "--metrics-port="+e2e.Port(operatortest.FreeAddress(e)))...)
	e.Listens(repoServer)
	e.Start("argocd-server", built.ArgoCD, e.argoEnv(), append(logging, "--redis="+redis, "--repo-server="+repoServer,
		"--kubeconfig="+e.ControlPlane.Kubeconfig, "--namespace="+argoNamespace, "--insecure",
		"--address=127.0.0.1", "--port="+e2e.Port(e.argoAddress), "--metrics-address=127.0.0.1", "--metrics-port="+e2e.Port(operatortest.FreeAddress(e)))...)
	e.Healthy(e.argoAddress)
	metrics := operatortest.FreeAddress(e)
	e.Start("argocd-application-controller", built.ArgoCD, e.argoEnv(), append(logging, "--redis="+redis, "--repo-server="+repoServer,
		"--kubeconfig="+e.ControlPlane.Kubeconfig, "--namespace="+argoNamespace, "--metrics-port="+e2e.Port(metrics))...)
	e.Healthy(metrics)
}

// script returns a copy of a script of Argo CD's that is executable, as files of a module aren't.
func (e *env) script(name string) string {
	path := filepath.Join(e.Dir, "home", name)
	if err := os.WriteFile(path, []byte(e.Read(filepath.Join(built.Source, "hack", name))), 0o700); err != nil {
		e.Fatal(err)
	}
	return path
}

// argoEnv returns variables that name folders of the test's own, as several may run on one machine.
func (e *env) argoEnv() []string {
	in := func(dir string) string { return filepath.Join(e.Dir, dir) }
	return []string{
		"HOME=" + in("home"), "TMPDIR=" + in("tmp"), "PATH=" + in("bin") + ":" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1",
		"KUBECONFIG=" + e.ControlPlane.Kubeconfig, "ARGOCD_FAKE_IN_CLUSTER=true", // the cluster that it runs in is that of KUBECONFIG
		"ARGOCD_TLS_DATA_PATH=" + in("tls"), "ARGOCD_SSH_DATA_PATH=" + in("ssh"), "ARGOCD_PLUGINSOCKFILEPATH=" + in("plugins"),
		"ARGOCD_GPG_ENABLED=false", "ARGOCD_GNUPGHOME=" + in("gpg"), "ARGOCD_GPG_DATA_PATH=" + in("gpg-source"),
	}
}

// relative returns the path of a folder relative to the one that kustomization writes, as kustomize needs it.
func (e *env) relative(folder string) string {
	path, err := filepath.Rel(filepath.Join(e.Dir, "kustomization"), folder)
	if err != nil {
		e.Fatal(err)
	}
	return path
}

// kustomization builds a kustomization, and returns the file with the result.
func (e *env) kustomization(name, content string) string {
	dir := filepath.Join(e.Dir, "kustomization")
	file := filepath.Join(e.Dir, name+".yaml")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		e.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(content), 0o600); err != nil {
		e.Fatal(err)
	}
	cmd := exec.CommandContext(e.Context(), built.Kustomize, "build", dir, "--output", file)
	if output, err := cmd.CombinedOutput(); err != nil {
		e.Fatalf("kustomize build: %v\n%s\n%s", err, output, content)
	}
	return file
}

// shell runs a command at the top of the checkout, as a user who is logged in to Kubernetes and Argo CD.
func (e *env) shell(command string) {
	e.Helper()
	if output, err := e.tryShell(e.Root, command); err != nil {
		e.Fatalf("%s\n%v\n%s", command, err, output)
	}
}

// tryShell runs a command in another folder, or one that may fail.
func (e *env) tryShell(dir, command string) (string, error) {
	return e.Sh(dir, command, append(e.argoEnv(), "ARGOCD_SERVER="+e.argoAddress, "ARGOCD_OPTS=--plaintext --config "+strconv.Quote(e.cliConfig()),
		"DAFTY_API_KEY="+e2e.APIKey(campaign), "GIT_TOKEN=token")...)
}

// cliConfig returns the file of argocd login.
func (e *env) cliConfig() string { return filepath.Join(e.Dir, "home", "argocd") }
