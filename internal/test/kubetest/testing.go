package kubetest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// shared is the control plane of this test binary. It is started by the first test that wants it, so that others can run
// without.
var shared struct {
	sync.Mutex
	opts *Options
	cp   *ControlPlane
	err  error
}

// Main runs the tests of a package and ends their control plane afterwards. Call it from TestMain.
func Main(m *testing.M, opts Options) {
	shared.opts = &opts
	code := m.Run()
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, "kubetest: stopping the control plane:", err)
		code = max(code, 1)
	}
	for _, end := range atEnd.funcs {
		if err := end(); err != nil {
			fmt.Fprintln(os.Stderr, "kubetest:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// atEnd is what Main does in the end.
var atEnd struct {
	sync.Mutex
	funcs []func() error
}

// AtEnd has [Main] call a function once the tests have run, for what they share.
func AtEnd(end func() error) {
	atEnd.Lock()
	defer atEnd.Unlock()
	atEnd.funcs = append(atEnd.funcs, end)
}

func stopShared() error {
	shared.Lock()
	defer shared.Unlock()
	if shared.cp == nil {
		return nil
	}
	return shared.cp.Stop()
}

// Env is what a test gets: the package's control plane and a namespace of its own.
type Env struct {
	*ControlPlane
	// Namespace exists, and is nobody else's. It is left behind, for a look with a debugger; the whole control plane
	// goes in the end.
	Namespace string
	// Client isn't cached and may touch everything.
	Client client.WithWatch
	// Kubeconfig has Namespace as its default one, as a user's would.
	Kubeconfig string
}

// Start returns the package's control plane, which it starts at the first call, with a new namespace in it.
func Start(t testing.TB) *Env {
	t.Helper()
	return sharedControlPlane(t).Env(t)
}

// Env is Start on a control plane of the test's own.
func (cp *ControlPlane) Env(t testing.TB) *Env {
	t.Helper()
	c, err := cp.Client()
	if err != nil {
		t.Fatal(err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: namespacePrefix(t.Name())}}
	if err := c.Create(t.Context(), ns); err != nil {
		t.Fatalf("creating a namespace: %v", err)
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := writeKubeconfig(cp.Kubeconfig, kubeconfig, ns.Name); err != nil {
		t.Fatal(err)
	}
	return &Env{ControlPlane: cp, Namespace: ns.Name, Client: c, Kubeconfig: kubeconfig}
}

func sharedControlPlane(t testing.TB) *ControlPlane {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.opts == nil {
		t.Fatal("kubetest.Start needs, in this package: func TestMain(m *testing.M) { kubetest.Main(m, kubetest.Options{}) }")
	}
	if shared.cp == nil && shared.err == nil {
		shared.cp, shared.err = New(context.Background(), *shared.opts)
	}
	if shared.err != nil {
		t.Fatalf("no control plane: %v", shared.err)
	}
	return shared.cp
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// namespacePrefix makes a test's name fit for a namespace, whose name has 63 characters at most, 5 of them generated.
func namespacePrefix(test string) string {
	prefix := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(test), "-"), "-")
	return strings.TrimRight(prefix[:min(len(prefix), 57)], "-") + "-"
}

func writeKubeconfig(from, to, namespace string) error {
	config, err := clientcmd.LoadFromFile(from)
	if err != nil {
		return err
	}
	config.Contexts[config.CurrentContext].Namespace = namespace
	return clientcmd.WriteToFile(*config, to)
}

// Kubectl runs the real kubectl as an administrator whose default namespace is the test's. err says how it ended; what it
// wrote is returned in any case.
func (e *Env) Kubectl(t testing.TB, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	return e.run(t, "", args)
}

// Apply runs kubectl apply on the given manifests.
func (e *Env) Apply(t testing.TB, manifests string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	return e.run(t, manifests, append([]string{"apply", "-f", "-"}, args...))
}

// MustKubectl is Kubectl for what has to work: it returns stdout, or ends the test with what kubectl said.
func (e *Env) MustKubectl(t testing.TB, args ...string) string {
	t.Helper()
	return e.must(t, "", args)
}

// MustApply is Apply for what has to work.
func (e *Env) MustApply(t testing.TB, manifests string, args ...string) string {
	t.Helper()
	return e.must(t, manifests, append([]string{"apply", "-f", "-"}, args...))
}

func (e *Env) must(t testing.TB, stdin string, args []string) string {
	t.Helper()
	stdout, stderr, err := e.run(t, stdin, args)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s%s", strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout
}

func (e *Env) run(t testing.TB, stdin string, args []string) (string, string, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := e.KubectlCommand(t.Context(), args...)
	cmd.Env = append(cmd.Env, "KUBECONFIG="+e.Kubeconfig) // the last one counts
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	return stdout.String(), stderr.String(), err
}
