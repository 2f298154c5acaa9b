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
	// patience is for what takes seconds, on a machine that has much else to do.
	patience = 2 * time.Minute
	// look is the time between two looks.
	look = 250 * time.Millisecond
	// argoNamespace is where Argo CD and its Applications live.
	argoNamespace = "argocd"
)

// world is all that runs: a Kubernetes, a Dafty, the operator, Argo CD and a Git repository.
type world struct {
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

func newWorld(t *testing.T) *world {
	root, err := sourcetree.Root()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, root: root, dir: t.TempDir(), docs: readPage(t, filepath.Join(root, "docs", "argocd.md"))}
	for _, dir := range []string{"logs", "bin", "home", "tmp", "tls", "ssh", "gpg", "gpg-source", "plugins", "redis"} {
		if err := os.Mkdir(filepath.Join(w.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if w.cp, err = kubetest.New(t.Context(), kubetest.Options{ControllerManager: true, Audit: true, LogDir: filepath.Join(w.dir, "logs")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(w.lastWords) // before all ends
	if w.client, err = w.cp.Client(); err != nil {
		t.Fatal(err)
	}
	w.startDafty()
	w.startOperator()
	w.repo = newRepository(t, filepath.Join(w.dir, "git"))
	w.startArgoCD()
	return w
}

// startDafty has an account for each Application, which is also its name and part of its key. Clips between two frames are
// never ready, so whoever makes one has time to cancel it; that takes two seconds, which shows who waits for it.
func (w *world) startDafty() {
	opts := daftysim.Options{
		Variants: daftysim.Variants{AfterCancel: daftysim.AfterCancelLater}, CancelSettles: 2 * time.Second,
		StrictRequests: true, PendingFor: daftysim.Fixed(200 * time.Millisecond),
		ProcessingFor: daftysim.PerOperation(map[daftysim.Operation]time.Duration{daftysim.VideoFrames: 24 * time.Hour}, 2*time.Second),
	}
	for _, app := range applications {
		opts.Accounts = append(opts.Accounts, daftysim.Account{Name: app, APIKeys: []string{apiKey(app)}})
	}
	w.dafty = daftysim.Serve(daftysim.New(opts))
	w.Cleanup(w.dafty.Close)
}

func apiKey(app string) string { return "key-of-" + app }

func (w *world) startOperator() {
	program := filepath.Join(w.dir, "bin", "manager")
	if err := gobuild.Operator(w.Context(), w.root, program); err != nil {
		w.Fatal(err)
	}
	var keys []string
	for _, app := range applications {
		keys = append(keys, apiKey(app))
	}
	w.logs = append(w.logs, "operator")
	operator := operatortest.Run(w, operatortest.Config{
		Program: program, LogFile: w.logFile("operator"), APIKeys: keys,
		Args: []string{"--kubeconfig=" + w.cp.Kubeconfig, "--dafty-url=" + w.dafty.URL, "--metrics-bind-address=0", "--health-probe-bind-address=0"},
	})
	ctx, cancel := context.WithTimeoutCause(w.Context(), patience, fmt.Errorf("not within %s", patience))
	defer cancel()
	if err := operator.WaitWorking(ctx); err != nil {
		w.Fatal(err)
	}
}

// startArgoCD installs what Argo CD installs, and runs its programs as processes beside the API server.
func (w *world) startArgoCD() {
	w.kubectl("create", "namespace", argoNamespace)
	manifests := w.relative(filepath.Join(built.Source, "manifests"))
	w.kubectl("apply", "--server-side", "--filename", w.kustomization("crds", "resources: ["+manifests+"/crds]"))
	w.kubectl("apply", "--namespace", argoNamespace, "--filename", w.kustomization("settings", "resources: ["+manifests+"/base/config]"))

	// The image of Argo CD has these on PATH too.
	for name, program := range map[string]string{
		"argocd": built.ArgoCD, "kustomize": built.Kustomize, "helm": installtest.HelmProgram(w), "kubectl": w.cp.Asset("kubectl"),
		"git-verify-wrapper.sh": w.script("git-verify-wrapper.sh"),
	} {
		if err := os.Symlink(program, filepath.Join(w.dir, "bin", name)); err != nil {
			w.Fatal(err)
		}
	}
	redis, repoServer := operatortest.FreeAddress(w), operatortest.FreeAddress(w)
	w.argoAddress = operatortest.FreeAddress(w)
	program, err := exec.LookPath("redis-server")
	if err != nil {
		w.Fatal(err)
	}
	w.start("redis-server", program, nil, "--port", port(redis), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--dir", filepath.Join(w.dir, "redis"), "--set-proc-title", "no")
	w.listens(redis)

	logging := []string{"--logformat=text", "--loglevel=info"}
	w.start("argocd-repo-server", built.ArgoCD, w.argoEnv(), append(logging, "--redis="+redis, "--client-ca-path=",
		"--address=127.0.0.1", "--port="+port(repoServer), "--metrics-address=127.0.0.1", "--metrics-port="+port(operatortest.FreeAddress(w)))...)
	w.listens(repoServer)
	w.start("argocd-server", built.ArgoCD, w.argoEnv(), append(logging, "--redis="+redis, "--repo-server="+repoServer,
		"--kubeconfig="+w.cp.Kubeconfig, "--namespace="+argoNamespace, "--insecure",
		"--address=127.0.0.1", "--port="+port(w.argoAddress), "--metrics-address=127.0.0.1", "--metrics-port="+port(operatortest.FreeAddress(w)))...)
	w.healthy(w.argoAddress)
	metrics := operatortest.FreeAddress(w)
	w.start("argocd-application-controller", built.ArgoCD, w.argoEnv(), append(logging, "--redis="+redis, "--repo-server="+repoServer,
		"--kubeconfig="+w.cp.Kubeconfig, "--namespace="+argoNamespace, "--metrics-port="+port(metrics))...)
	w.healthy(metrics)
}

// script is one of Argo CD's, made executable: the go command keeps a module's files as they aren't.
func (w *world) script(name string) string {
	path := filepath.Join(w.dir, "home", name)
	if err := os.WriteFile(path, []byte(w.read(filepath.Join(built.Source, "hack", name))), 0o700); err != nil {
		w.Fatal(err)
	}
	return path
}

// argoEnv has folders that are nobody else's, as two of them may run on one machine.
func (w *world) argoEnv() []string {
	in := func(dir string) string { return filepath.Join(w.dir, dir) }
	return []string{
		"HOME=" + in("home"), "TMPDIR=" + in("tmp"), "PATH=" + in("bin") + ":" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1",
		"KUBECONFIG=" + w.cp.Kubeconfig, "ARGOCD_FAKE_IN_CLUSTER=true", // the cluster that it runs in is that of KUBECONFIG
		"ARGOCD_TLS_DATA_PATH=" + in("tls"), "ARGOCD_SSH_DATA_PATH=" + in("ssh"), "ARGOCD_PLUGINSOCKFILEPATH=" + in("plugins"),
		"ARGOCD_GPG_ENABLED=false", "ARGOCD_GNUPGHOME=" + in("gpg"), "ARGOCD_GPG_DATA_PATH=" + in("gpg-source"),
	}
}

// start runs a program that ends with the test, and keeps what it says.
func (w *world) start(name, program string, env []string, args ...string) {
	guarded, err := w.cp.Guard(name, program)
	if err != nil {
		w.Fatal(err)
	}
	log, err := os.Create(w.logFile(name))
	if err != nil {
		w.Fatal(err)
	}
	w.logs = append(w.logs, name)
	cmd := exec.Command(guarded, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		w.Fatalf("starting %s: %v", name, err)
	}
	go func() {
		_ = cmd.Wait() // its log tells why
		_ = log.Close()
	}()
}

func (w *world) logFile(name string) string { return filepath.Join(w.dir, "logs", name+".log") }

func (w *world) log(name string) string { return w.read(w.logFile(name)) }

func (w *world) read(file string) string {
	w.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		w.Fatal(err)
	}
	return string(content)
}

// lastWords shows what there is to see of a failure: the Applications and the DaftyJobs, and the end of each log. All of them are
// kept where E2E_LOGS says.
func (w *world) lastWords() {
	if !w.Failed() {
		return
	}
	if keep := os.Getenv("E2E_LOGS"); keep != "" {
		keep = filepath.Join(keep, time.Now().Format("20060102-150405"))
		w.Logf("all logs are in %s (%v)", keep, os.CopyFS(keep, os.DirFS(filepath.Join(w.dir, "logs"))))
	}
	for _, args := range [][]string{{"get", "applications", "--all-namespaces", "--output=yaml"}, {"get", "daftyjobs", "--all-namespaces", "--output=wide"}} {
		output, err := w.tryKubectl(context.Background(), args...)
		w.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	for _, name := range w.logs {
		lines := strings.Split(strings.TrimSpace(w.log(name)), "\n")
		w.Logf("the end of the log of %s:\n%s", name, strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
}

// within waits for what has to come, and tells what of it didn't.
func (w *world) within(what string, holds func(Gomega)) {
	w.Helper()
	NewWithT(w.T).Eventually(holds).WithTimeout(patience).WithPolling(look).WithContext(w.Context()).Should(Succeed(), what)
}

func port(address string) string { return address[strings.LastIndex(address, ":")+1:] }

func (w *world) listens(address string) {
	w.Helper()
	w.within("something listens at "+address, func(g Gomega) {
		conn, err := (&net.Dialer{}).DialContext(w.Context(), "tcp", address)
		g.Expect(err).NotTo(HaveOccurred())
		_ = conn.Close()
	})
}

func (w *world) healthy(address string) {
	w.Helper()
	w.within("healthz at "+address, func(g Gomega) {
		request, err := http.NewRequestWithContext(w.Context(), http.MethodGet, "http://"+address+"/healthz", http.NoBody)
		g.Expect(err).NotTo(HaveOccurred())
		answer, err := http.DefaultClient.Do(request)
		g.Expect(err).NotTo(HaveOccurred())
		_ = answer.Body.Close()
		g.Expect(answer.StatusCode).To(Equal(http.StatusOK))
	})
}

// relative is a folder as kustomize wants it, from those that kustomization makes.
func (w *world) relative(folder string) string {
	path, err := filepath.Rel(filepath.Join(w.dir, "kustomization"), folder)
	if err != nil {
		w.Fatal(err)
	}
	return path
}

// kustomization builds one, and gives the file with what it builds.
func (w *world) kustomization(name, content string) string {
	dir := filepath.Join(w.dir, "kustomization")
	file := filepath.Join(w.dir, name+".yaml")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(content), 0o600); err != nil {
		w.Fatal(err)
	}
	cmd := exec.CommandContext(w.Context(), built.Kustomize, "build", dir, "--output", file)
	if output, err := cmd.CombinedOutput(); err != nil {
		w.Fatalf("kustomize build: %v\n%s\n%s", err, output, content)
	}
	return file
}

func (w *world) tryKubectl(ctx context.Context, args ...string) (string, error) {
	var output bytes.Buffer
	cmd := w.cp.KubectlCommand(ctx, args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	return output.String(), err
}

func (w *world) kubectl(args ...string) string {
	w.Helper()
	output, err := w.tryKubectl(w.Context(), args...)
	if err != nil {
		w.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return output
}

// shell runs a command of a user who stands at the top of the checkout, and is logged in to Kubernetes and to Argo CD.
func (w *world) shell(command string) {
	w.Helper()
	if output, err := w.tryShell(w.root, command); err != nil {
		w.Fatalf("%s\n%v\n%s", command, err, output)
	}
}

// tryShell runs a command of a user who stands elsewhere, or one that may fail.
func (w *world) tryShell(dir, command string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(w.Context(), patience, fmt.Errorf("it took longer than %s", patience))
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-ec", command)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), w.argoEnv()...)
	cmd.Env = append(cmd.Env, "ARGOCD_SERVER="+w.argoAddress, "ARGOCD_OPTS=--plaintext --config "+strconv.Quote(w.cliConfig()),
		"DAFTY_API_KEY="+apiKey(campaign), "GIT_TOKEN=token")
	output, err := cmd.CombinedOutput()
	if err != nil {
		err = errors.Join(err, context.Cause(ctx))
	}
	return string(output), err
}

// cliConfig is where argocd login keeps what it got.
func (w *world) cliConfig() string { return filepath.Join(w.dir, "home", "argocd") }
