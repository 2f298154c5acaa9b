//go:build e2e

package argocd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/gobuild"
	"dafty.ai/dafty-operator/internal/test/installtest"
	"dafty.ai/dafty-operator/internal/test/kubetest"
	"dafty.ai/dafty-operator/internal/test/operatortest"
	"dafty.ai/dafty-operator/internal/test/sourcetree"
)

const (
	// patience is for what takes seconds, on a busy machine.
	patience = 2 * time.Minute
	// pollInterval is the time between two polls.
	pollInterval = 250 * time.Millisecond
	// argoNamespace is where Argo CD and its Applications live.
	argoNamespace = "argocd"
)

// env is all that runs: a Kubernetes, a Dafty, the operator, Argo CD and a Git repository.
type env struct {
	*testing.T
	root   string // of the checkout
	dir    string // of what is made here
	cp     *kubetest.ControlPlane
	client client.WithWatch
	dafty  *daftysim.Server
	repo   *repository
	docs   *page

	argoAddress string // of Argo CD's API
	logs        []string
}

func newEnv(t *testing.T) *env {
	root, err := sourcetree.Root()
	if err != nil {
		t.Fatal(err)
	}
	e := &env{T: t, root: root, dir: t.TempDir(), docs: readPage(t, filepath.Join(root, "docs", "argocd.md"))}
	for _, dir := range []string{"logs", "bin", "home", "tmp", "tls", "ssh", "gpg", "gpg-source", "plugins", "redis"} {
		if err := os.Mkdir(filepath.Join(e.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if e.cp, err = kubetest.New(t.Context(), kubetest.Options{ControllerManager: true, Audit: true, LogDir: filepath.Join(e.dir, "logs")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(e.logFailure) // before all ends
	if e.client, err = e.cp.Client(); err != nil {
		t.Fatal(err)
	}
	e.startDafty()
	e.startOperator()
	e.repo = newRepository(t, filepath.Join(e.dir, "git"))
	e.startArgoCD()
	return e
}

// startDafty has an account for each Application, with its name. Videos between two frames never end, so that there is time to cancel them; a cancel
// takes two seconds, which shows who waits for it.
func (e *env) startDafty() {
	opts := daftysim.Options{
		Variants: daftysim.Variants{AfterCancel: daftysim.AfterCancelLater}, CancelSettles: 2 * time.Second,
		StrictRequests: true, PendingFor: daftysim.Fixed(200 * time.Millisecond),
		ProcessingFor: daftysim.PerOperation(map[daftysim.Operation]time.Duration{daftysim.VideoFrames: 24 * time.Hour}, 2*time.Second),
	}
	for _, app := range applications {
		opts.Accounts = append(opts.Accounts, daftysim.Account{Name: app, APIKeys: []string{apiKey(app)}})
	}
	e.dafty = daftysim.Serve(daftysim.New(opts))
	e.Cleanup(e.dafty.Close)
}

func apiKey(app string) string { return "key-of-" + app }

func (e *env) startOperator() {
	program := filepath.Join(e.dir, "bin", "manager")
	if err := gobuild.Operator(e.Context(), e.root, program); err != nil {
		e.Fatal(err)
	}
	var keys []string
	for _, app := range applications {
		keys = append(keys, apiKey(app))
	}
	operator := operatortest.Run(e, operatortest.Config{
		Program: program, LogFile: e.logFile("operator"), APIKeys: keys,
		Args: []string{"--kubeconfig=" + e.cp.Kubeconfig, "--dafty-url=" + e.dafty.URL, "--metrics-bind-address=0", "--health-probe-bind-address=0"},
	})
	ctx, cancel := context.WithTimeoutCause(e.Context(), patience, fmt.Errorf("not within %s", patience))
	defer cancel()
	if err := operator.WaitWorking(ctx); err != nil {
		e.Fatal(err)
	}
}

// startArgoCD applies Argo CD's manifests, and runs its programs as processes.
func (e *env) startArgoCD() {
	e.kubectl("create", "namespace", argoNamespace)
	manifests := e.relative(filepath.Join(built.Source, "manifests"))
	e.kubectl("apply", "--server-side", "--filename", e.kustomization("crds", "resources: ["+manifests+"/crds]"))
	e.kubectl("apply", "--namespace", argoNamespace, "--filename", e.kustomization("settings", "resources: ["+manifests+"/base/config]"))

	// The image of Argo CD has these on PATH too.
	for name, program := range map[string]string{
		"argocd": built.ArgoCD, "kustomize": built.Kustomize, "helm": installtest.HelmProgram(e), "kubectl": e.cp.Asset("kubectl"),
		"git-verify-wrapper.sh": e.script("git-verify-wrapper.sh"),
	} {
		if err := os.Symlink(program, filepath.Join(e.dir, "bin", name)); err != nil {
			e.Fatal(err)
		}
	}
	redis, repoServer := operatortest.FreeAddress(e), operatortest.FreeAddress(e)
	e.argoAddress = operatortest.FreeAddress(e)
	program, err := exec.LookPath("redis-server")
	if err != nil {
		e.Fatal(err)
	}
	e.start("redis-server", program, nil, "--port", port(redis), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--dir", filepath.Join(e.dir, "redis"), "--set-proc-title", "no")
	e.listens(redis)

	logging := []string{"--logformat=text", "--loglevel=info"}
	e.start("argocd-repo-server", built.ArgoCD, e.argoEnv(), append(logging, "--redis="+redis, "--client-ca-path=",
		"--address=127.0.0.1", "--port="+port(repoServer), "--metrics-address=127.0.0.1", "--metrics-port="+port(operatortest.FreeAddress(e)))...)
	e.listens(repoServer)
	e.start("argocd-server", built.ArgoCD, e.argoEnv(), append(logging, "--redis="+redis, "--repo-server="+repoServer,
		"--kubeconfig="+e.cp.Kubeconfig, "--namespace="+argoNamespace, "--insecure",
		"--address=127.0.0.1", "--port="+port(e.argoAddress), "--metrics-address=127.0.0.1", "--metrics-port="+port(operatortest.FreeAddress(e)))...)
	e.healthy(e.argoAddress)
	metrics := operatortest.FreeAddress(e)
	e.start("argocd-application-controller", built.ArgoCD, e.argoEnv(), append(logging, "--redis="+redis, "--repo-server="+repoServer,
		"--kubeconfig="+e.cp.Kubeconfig, "--namespace="+argoNamespace, "--metrics-port="+port(metrics))...)
	e.healthy(metrics)
}

// script returns a copy of a script of Argo CD's that is executable, as files of a module aren't.
func (e *env) script(name string) string {
	path := filepath.Join(e.dir, "home", name)
	if err := os.WriteFile(path, []byte(e.read(filepath.Join(built.Source, "hack", name))), 0o700); err != nil {
		e.Fatal(err)
	}
	return path
}

// argoEnv returns variables that name folders of the test's own, as several may run on one machine.
func (e *env) argoEnv() []string {
	in := func(dir string) string { return filepath.Join(e.dir, dir) }
	return []string{
		"HOME=" + in("home"), "TMPDIR=" + in("tmp"), "PATH=" + in("bin") + ":" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1",
		"KUBECONFIG=" + e.cp.Kubeconfig, "ARGOCD_FAKE_IN_CLUSTER=true", // the cluster that it runs in is that of KUBECONFIG
		"ARGOCD_TLS_DATA_PATH=" + in("tls"), "ARGOCD_SSH_DATA_PATH=" + in("ssh"), "ARGOCD_PLUGINSOCKFILEPATH=" + in("plugins"),
		"ARGOCD_GPG_ENABLED=false", "ARGOCD_GNUPGHOME=" + in("gpg"), "ARGOCD_GPG_DATA_PATH=" + in("gpg-source"),
	}
}

// start runs a program that ends with the test, and keeps its log.
func (e *env) start(name, program string, env []string, args ...string) {
	guarded, err := e.cp.Guard(name, program)
	if err != nil {
		e.Fatal(err)
	}
	log, err := os.Create(e.logFile(name))
	if err != nil {
		e.Fatal(err)
	}
	e.logs = append(e.logs, name)
	cmd := exec.Command(guarded, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		e.Fatalf("starting %s: %v", name, err)
	}
	go func() {
		_ = cmd.Wait() // its log tells why
		_ = log.Close()
	}()
}

func (e *env) logFile(name string) string { return filepath.Join(e.dir, "logs", name+".log") }

func (e *env) log(name string) string { return e.read(e.logFile(name)) }

func (e *env) read(file string) string {
	e.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		e.Fatal(err)
	}
	return string(content)
}

// logFailure prints the Applications, the DaftyJobs and the end of each log, if the test has failed. The logs are kept in the folder
// E2E_LOGS.
func (e *env) logFailure() {
	if !e.Failed() {
		return
	}
	if keep := os.Getenv("E2E_LOGS"); keep != "" {
		keep = filepath.Join(keep, time.Now().Format("20060102-150405"))
		e.Logf("all logs are in %s (%v)", keep, os.CopyFS(keep, os.DirFS(filepath.Join(e.dir, "logs"))))
	}
	for _, args := range [][]string{{"get", "applications", "--all-namespaces", "--output=yaml"}, {"get", "daftyassets,daftyjobs", "--all-namespaces", "--output=wide"}} {
		output, err := e.tryKubectl(context.Background(), args...)
		e.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	for _, name := range e.logs {
		lines := strings.Split(strings.TrimSpace(e.log(name)), "\n")
		e.Logf("the end of the log of %s:\n%s", name, strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
}

// eventually polls until the expectations hold.
func (e *env) eventually(what string, holds func(Gomega)) {
	e.Helper()
	NewWithT(e.T).Eventually(holds).WithTimeout(patience).WithPolling(pollInterval).WithContext(e.Context()).Should(Succeed(), what)
}

func port(address string) string { return address[strings.LastIndex(address, ":")+1:] }

func (e *env) listens(address string) {
	e.Helper()
	e.eventually("something listens at "+address, func(g Gomega) {
		conn, err := (&net.Dialer{}).DialContext(e.Context(), "tcp", address)
		g.Expect(err).NotTo(HaveOccurred())
		_ = conn.Close()
	})
}

func (e *env) healthy(address string) {
	e.Helper()
	e.eventually("healthz at "+address, func(g Gomega) {
		request, err := http.NewRequestWithContext(e.Context(), http.MethodGet, "http://"+address+"/healthz", http.NoBody)
		g.Expect(err).NotTo(HaveOccurred())
		answer, err := http.DefaultClient.Do(request)
		g.Expect(err).NotTo(HaveOccurred())
		_ = answer.Body.Close()
		g.Expect(answer.StatusCode).To(Equal(http.StatusOK))
	})
}

// relative returns the path of a folder relative to the one that kustomization writes, as kustomize needs it.
func (e *env) relative(folder string) string {
	path, err := filepath.Rel(filepath.Join(e.dir, "kustomization"), folder)
	if err != nil {
		e.Fatal(err)
	}
	return path
}

// kustomization builds a kustomization, and returns the file with the result.
func (e *env) kustomization(name, content string) string {
	dir := filepath.Join(e.dir, "kustomization")
	file := filepath.Join(e.dir, name+".yaml")
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

func (e *env) tryKubectl(ctx context.Context, args ...string) (string, error) {
	var output bytes.Buffer
	cmd := e.cp.KubectlCommand(ctx, args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	return output.String(), err
}

func (e *env) kubectl(args ...string) string {
	e.Helper()
	output, err := e.tryKubectl(e.Context(), args...)
	if err != nil {
		e.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return output
}

// shell runs a command at the top of the checkout, as a user who is logged in to Kubernetes and Argo CD.
func (e *env) shell(command string) {
	e.Helper()
	if output, err := e.tryShell(e.root, command); err != nil {
		e.Fatalf("%s\n%v\n%s", command, err, output)
	}
}

// tryShell runs a command in another folder, or one that may fail.
func (e *env) tryShell(dir, command string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(e.Context(), patience, fmt.Errorf("it took longer than %s", patience))
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-ec", command)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), e.argoEnv()...)
	cmd.Env = append(cmd.Env, "ARGOCD_SERVER="+e.argoAddress, "ARGOCD_OPTS=--plaintext --config "+strconv.Quote(e.cliConfig()),
		"DAFTY_API_KEY="+apiKey(campaign), "GIT_TOKEN=token")
	output, err := cmd.CombinedOutput()
	if err != nil {
		err = errors.Join(err, context.Cause(ctx))
	}
	return string(output), err
}

// cliConfig returns the file of argocd login.
func (e *env) cliConfig() string { return filepath.Join(e.dir, "home", "argocd") }
