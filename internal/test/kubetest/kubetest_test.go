package kubetest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// The test binary is also a process that dies with a control plane running.
const envDie = "KUBETEST_TEST_DIE"

func TestMain(m *testing.M) {
	if how := os.Getenv(envDie); how != "" {
		die(how)
	}
	kubetest.Main(m, kubetest.Options{ControllerManager: true, Audit: true})
}

const widgets = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.kubetest.example.com}
spec:
  group: kubetest.example.com
  names: {kind: Widget, plural: widgets, singular: widget, listKind: WidgetList}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

func TestEachTestHasANamespaceOfItsOwnThatKubectlUses(t *testing.T) {
	one, two := kubetest.Start(t), kubetest.Start(t)
	if one.Namespace == two.Namespace {
		t.Fatal("both got", one.Namespace)
	}
	one.MustApply(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mine}\n")
	if got, want := one.MustKubectl(t, "get", "configmap", "mine", "-o", "jsonpath={.metadata.namespace}"), one.Namespace; got != want {
		t.Errorf("made in %q; want %q", got, want)
	}
	if err := one.Client.Get(t.Context(), client.ObjectKey{Namespace: one.Namespace, Name: "mine"}, &corev1.ConfigMap{}); err != nil {
		t.Errorf("the client doesn't see what kubectl made: %v", err)
	}
	_, stderr, err := two.Kubectl(t, "get", "configmap", "mine")
	if err == nil || !strings.Contains(stderr, "NotFound") {
		t.Errorf("another test's namespace: %v, stderr %q; want NotFound", err, stderr)
	}
}

func TestDeletedNamespaceGoesWithAllInIt(t *testing.T) {
	env := kubetest.Start(t)
	env.MustApply(t, widgets)
	env.MustKubectl(t, "wait", "--for=condition=Established", "crd/widgets.kubetest.example.com")
	env.MustApply(t, "apiVersion: kubetest.example.com/v1\nkind: Widget\nmetadata: {name: mine}\n")
	env.MustKubectl(t, "delete", "namespace", env.Namespace, "--wait", "--timeout=60s")
	if err := env.Client.Get(t.Context(), client.ObjectKey{Name: env.Namespace}, &corev1.Namespace{}); !apierrors.IsNotFound(err) {
		t.Errorf("namespace after its deletion: %v", err)
	}
}

func TestOwnedObjectsAreGarbageCollected(t *testing.T) {
	env := kubetest.Start(t)
	owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace, Name: "owner"}}
	if err := env.Client.Create(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	owned := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace, Name: "owned",
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}}}}
	if err := errors.Join(env.Client.Create(t.Context(), owned), env.Client.Delete(t.Context(), owner)); err != nil {
		t.Fatal(err)
	}
	env.MustKubectl(t, "wait", "--for=delete", "configmap/owned", "--timeout=60s")
}

func TestUsersHaveNoRightsOfTheirOwn(t *testing.T) {
	env := kubetest.Start(t)
	config, err := env.AddUser("somebody")
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: kubetest.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.List(t.Context(), &corev1.SecretList{}, client.InNamespace(env.Namespace)); !apierrors.IsForbidden(err) {
		t.Errorf("listing Secrets: %v; want Forbidden", err)
	}
}

func TestAuditEventsHaveEveryAnsweredRequest(t *testing.T) {
	env := kubetest.Start(t)
	if err := env.Client.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace, Name: "credentials"}, StringData: map[string]string{"apiKey": "sesame"},
	}); err != nil {
		t.Fatal(err)
	}
	events, err := env.AuditEvents()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.ObjectRef != nil && e.ObjectRef.Namespace == env.Namespace && e.ObjectRef.Resource == "secrets" && e.Verb == "create" {
			if e.RequestObject != nil || e.ResponseObject != nil {
				t.Error("a Secret's content is in the audit log")
			}
			return
		}
	}
	t.Errorf("no creation of the Secret among %d events", len(events))
}

func TestStopTwice(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	cp, err := kubetest.New(t.Context(), kubetest.Options{CRDs: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(cp.Kubeconfig)
	for range 2 {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	}
	wantNothingLeft(t, dir)
	wantEmpty(t, tmp)
}

func TestLogsAreKeptWhereAskedFor(t *testing.T) {
	logs := t.TempDir()
	cp, err := kubetest.New(t.Context(), kubetest.Options{CRDs: []string{}, LogDir: logs})
	if err != nil {
		t.Fatal(err)
	}
	if err := cp.Stop(); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"etcd.log", "kube-apiserver.log"} {
		if info, err := os.Stat(filepath.Join(logs, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

func TestFailedStartSaysWhyAndLeavesNothing(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	_, err := kubetest.New(t.Context(), kubetest.Options{APIServerFlags: map[string]string{"no-such-flag": "1"}, StartTimeout: 10 * time.Second})
	if err == nil || !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("error %v doesn't have kube-apiserver's own words", err)
	}
	wantEmpty(t, tmp)
}

func TestCancelledStartLeavesNothing(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	start := time.Now()
	_, err := kubetest.New(ctx, kubetest.Options{CRDs: []string{}})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 20*time.Second {
		t.Errorf("error %v after %s", err, time.Since(start))
	}
	wantEmpty(t, tmp)
}

// die starts a control plane, prints its folder, and ends as a broken or interrupted test does.
func die(how string) {
	cp, err := kubetest.New(context.Background(), kubetest.Options{CRDs: []string{}, ControllerManager: true})
	if err != nil {
		panic(err)
	}
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		panic(err)
	}
	if sleep, err = cp.Guard("sleep", sleep); err != nil {
		panic(err)
	}
	if err := exec.CommandContext(context.Background(), sleep, "600").Start(); err != nil {
		panic(err)
	}
	fmt.Println(filepath.Dir(cp.Kubeconfig))
	switch how {
	case "panic":
		go panic("a test broke")
	case "exit":
		os.Exit(3)
	}
	select {} // until killed
}

func TestNothingIsLeftWhenTheTestBinaryDies(t *testing.T) {
	for how, kill := range map[string]os.Signal{"panic": nil, "exit": nil, "interrupt": os.Interrupt, "kill": os.Kill} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), envDie+"="+how, "GOTRACEBACK=none")
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 4096)
			n, err := stdout.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			if kill != nil {
				if err := cmd.Process.Signal(kill); err != nil {
					t.Fatal(err)
				}
			}
			if err := cmd.Wait(); err == nil {
				t.Error("it ended well; the test wants it to die")
			}
			wantNothingLeft(t, strings.TrimSpace(string(buf[:n])))
		})
	}
}

// wantNothingLeft waits for the folder to be gone, and for the programs that worked in it.
func wantNothingLeft(t *testing.T, dir string) {
	t.Helper()
	if !strings.Contains(dir, "dafty-kubetest-") {
		t.Fatalf("%q isn't a control plane's folder", dir)
	}
	wantNone(t, func() []string {
		left := processesOf(t, dir)
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			left = append(left, fmt.Sprintf("%s (%v)", dir, err))
		}
		return left
	})
}

// wantEmpty waits for nothing to be in the folder, and for the programs that worked in it to be gone.
func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	wantNone(t, func() []string {
		left := processesOf(t, dir)
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			left = append(left, e.Name())
		}
		return left
	})
}

// wantNone looks until nothing is left: a process that was killed is listed until the system has got round to ending it.
func wantNone(t *testing.T, look func() []string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		left := look()
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left:\n%s", strings.Join(left, "\n"))
		}
	}
}

// processesOf lists all with dir on the command line.
func processesOf(t *testing.T, dir string) []string {
	t.Helper()
	list, err := exec.CommandContext(t.Context(), "ps", "-e", "-o", "pid=,args=").Output()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(list)) {
		if strings.Contains(line, dir) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}
