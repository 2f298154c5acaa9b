// Package e2e is what the suites have in common that run a tool of somebody else's, such as Argo CD or Flux, beside the built operator: a control
// plane, a simulated Dafty, a Git repository, and the tool's page of the documentation, whose examples they use.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/docstest"
	"dafty.ai/dafty-operator/internal/test/gobuild"
	"dafty.ai/dafty-operator/internal/test/kubetest"
	"dafty.ai/dafty-operator/internal/test/operatortest"
	"dafty.ai/dafty-operator/internal/test/sourcetree"
)

const (
	// Patience is for what takes seconds, on a busy machine.
	Patience = 2 * time.Minute
	// pollInterval is the time between two polls.
	pollInterval = 250 * time.Millisecond
)

// World is all that runs beside the tool: a Kubernetes, a Dafty, the operator and a Git repository.
type World struct {
	*testing.T
	// suite is the test that all of it ends with, and T a step of that.
	suite *testing.T

	// Root is the folder of the checkout, and Dir of what is made here.
	Root, Dir string

	ControlPlane *kubetest.ControlPlane
	Client       client.WithWatch
	Dafty        *daftysim.Server
	// Operator is the one that was started by New.
	Operator *operatortest.Process
	Repo     *Repository
	Docs     *docstest.Page

	operator string // its program
	accounts []string
	logs     *[]string
}

// Options of a [World].
type Options struct {
	// Page is the name of the tool's page.
	Page string
	// Accounts are the names of Dafty's accounts. The API key of each is [APIKey].
	Accounts []string
	// Folders are made in the world's own.
	Folders []string
	// Failed is what kubectl shows of a test that has failed.
	Failed [][]string
}

// APIKey returns the API key of an account.
func APIKey(account string) string { return "key-of-" + account }

// New starts a world without its tool. All of it ends with the test.
func New(t *testing.T, opts Options) World {
	t.Helper()
	root, err := sourcetree.Root()
	if err != nil {
		t.Fatal(err)
	}
	w := World{
		T: t, suite: t, Root: root, Dir: t.TempDir(),
		Docs: docstest.ReadPage(t, filepath.Join(root, "docs", opts.Page)), accounts: opts.Accounts, logs: new([]string),
	}
	for _, dir := range append([]string{"logs", "bin"}, opts.Folders...) {
		if err := os.Mkdir(filepath.Join(w.Dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if w.ControlPlane, err = kubetest.New(t.Context(), kubetest.Options{ControllerManager: true, Audit: true, LogDir: filepath.Join(w.Dir, "logs")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.ControlPlane.Stop(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { w.logFailure(opts.Failed) }) // before all ends
	if w.Client, err = w.ControlPlane.Client(); err != nil {
		t.Fatal(err)
	}
	w.startDafty()
	w.operator = filepath.Join(w.Dir, "bin", "manager")
	if err := gobuild.Operator(t.Context(), root, w.operator); err != nil {
		t.Fatal(err)
	}
	w.Operator = w.StartOperator()
	w.Repo = newRepository(t, filepath.Join(w.Dir, "git"))
	return w
}

// In returns the world for a subtest.
func (w World) In(t *testing.T) World {
	w.T, w.Repo.T, w.Docs.T = t, t, t
	return w
}

// startDafty has videos between two frames that never end, so that there is time to cancel them; a cancel takes two seconds, which shows who waits for it.
func (w *World) startDafty() {
	opts := daftysim.Options{
		Variants: daftysim.Variants{AfterCancel: daftysim.AfterCancelLater}, CancelSettles: 2 * time.Second,
		StrictRequests: true, PendingFor: daftysim.Fixed(200 * time.Millisecond),
		ProcessingFor: daftysim.PerOperation(map[daftysim.Operation]time.Duration{daftysim.VideoFrames: 24 * time.Hour}, 2*time.Second),
	}
	for _, account := range w.accounts {
		opts.Accounts = append(opts.Accounts, daftysim.Account{Name: account, APIKeys: []string{APIKey(account)}})
	}
	w.Dafty = daftysim.Serve(daftysim.New(opts))
	w.Cleanup(w.Dafty.Close)
}

// StartOperator starts the operator, and returns once it works.
func (w *World) StartOperator() *operatortest.Process {
	w.Helper()
	var keys []string
	for _, account := range w.accounts {
		keys = append(keys, APIKey(account))
	}
	operator := operatortest.Run(w.suite, operatortest.Config{
		Program: w.operator, LogFile: w.logFile("operator"), APIKeys: keys,
		Args: []string{"--kubeconfig=" + w.ControlPlane.Kubeconfig, "--dafty-url=" + w.Dafty.URL, "--metrics-bind-address=0", "--health-probe-bind-address=0"},
	})
	ctx, cancel := context.WithTimeoutCause(w.Context(), Patience, fmt.Errorf("not within %s", Patience))
	defer cancel()
	if err := operator.WaitWorking(ctx); err != nil {
		w.Fatal(err)
	}
	return operator
}

// Start runs a program that ends with the test, and keeps its log.
func (w *World) Start(name, program string, env []string, args ...string) {
	w.Helper()
	guarded, err := w.ControlPlane.Guard(name, program)
	if err != nil {
		w.Fatal(err)
	}
	log, err := os.Create(w.newLog(name))
	if err != nil {
		w.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), guarded, args...) // the guard ends it
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

// StartProcess runs a program that ends with the test at the latest, and keeps its log.
func (w *World) StartProcess(name, program string, env []string, args ...string) *operatortest.Process {
	w.Helper()
	process, err := operatortest.Start(operatortest.Config{Name: name, Program: program, LogFile: w.newLog(name), Env: env, Args: args})
	if err != nil {
		w.Fatal(err)
	}
	w.suite.Cleanup(func() {
		if err := process.Kill(); err != nil {
			w.suite.Error(err)
		}
	})
	return process
}

func (w *World) logFile(name string) string { return filepath.Join(w.Dir, "logs", name+".log") }

// newLog returns the file for the log of a program, whose end is shown if the test fails.
func (w *World) newLog(name string) string {
	if !slices.Contains(*w.logs, name) {
		*w.logs = append(*w.logs, name)
	}
	return w.logFile(name)
}

// LogOf returns the log of a program.
func (w *World) LogOf(name string) string { return w.Read(w.logFile(name)) }

// logFailure prints what kubectl shows and the end of each log, if the test has failed. The logs are kept in the folder E2E_LOGS.
func (w *World) logFailure(show [][]string) {
	if !w.Failed() {
		return
	}
	if keep := os.Getenv("E2E_LOGS"); keep != "" {
		keep = filepath.Join(keep, time.Now().Format("20060102-150405"))
		w.Logf("all logs are in %s (%v)", keep, os.CopyFS(keep, os.DirFS(filepath.Join(w.Dir, "logs"))))
	}
	for _, args := range append(show, []string{"get", "daftyassets,daftyjobs", "--all-namespaces", "--output=wide"}) {
		output, err := w.TryKubectl(context.Background(), args...)
		w.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	for _, name := range *w.logs {
		lines := strings.Split(strings.TrimSpace(w.LogOf(name)), "\n")
		w.Logf("the end of the log of %s:\n%s", name, strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
}

// Read returns what is in a file.
func (w *World) Read(file string) string {
	w.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		w.Fatal(err)
	}
	return string(content)
}

// Eventually polls until the expectations hold.
func (w *World) Eventually(what string, holds func(gomega.Gomega)) {
	w.Helper()
	gomega.NewWithT(w.T).Eventually(holds).WithTimeout(Patience).WithPolling(pollInterval).WithContext(w.Context()).
		Should(gomega.Succeed(), what)
}

// Replace replaces what can't be here as it is in the documentation, and has to be there.
func (w *World) Replace(text string, oldnew ...string) string {
	w.Helper()
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(text, oldnew[i]) {
			w.Fatalf("there is no %q in\n%s", oldnew[i], text)
		}
	}
	return strings.NewReplacer(oldnew...).Replace(text)
}

// Sh runs a command of /bin/sh in a folder.
func (w *World) Sh(dir, command string, env ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(w.Context(), Patience, fmt.Errorf("it took longer than %s", Patience))
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-ec", command)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	output, err := cmd.CombinedOutput()
	if err != nil {
		err = errors.Join(err, context.Cause(ctx))
	}
	return string(output), err
}
