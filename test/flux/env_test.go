//go:build e2e

package flux

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"dafty.ai/dafty-operator/internal/test/e2e"
	"dafty.ai/dafty-operator/internal/test/operatortest"
)

const (
	// fluxNamespace is where Flux and its objects live.
	fluxNamespace = "flux-system"
	// source is the GitRepository of the documentation.
	source = "marketing"
)

// env is all that runs.
type env struct {
	e2e.World
	*state
}

// state is what the steps share.
type state struct {
	kustomizeController *operatortest.Process
	metrics             string // its address
	url                 string // of the repository
	commit              string // what was pushed and isn't applied
	// Commands of the documentation.
	suspendAsset, cancelJob, suspendJob string
	// manifest is the documentation's Kustomization of DaftyAssets, which the tests' own are made from.
	manifest string
}

// newEnv has an account at Dafty, a namespace and a Secret with the API key for each Kustomization.
func newEnv(t *testing.T) *env {
	e := &env{World: e2e.New(t, e2e.Options{
		Page: "flux.md", Accounts: accounts, Folders: []string{"storage", "tmp"},
		Failed: [][]string{{"get", "kustomizations", "--all-namespaces"}, {"get", "gitrepositories", "--all-namespaces", "--output=yaml"}},
	}), state: &state{}}
	e.url = e.Repo.Serve()
	for _, account := range accounts {
		e.Kubectl("create", "namespace", account)
		if account != shop { // its Secret is in Git
			e.Kubectl("create", "secret", "generic", "dafty-credentials", "--namespace", account, "--from-literal=apiKey="+e2e.APIKey(account))
		}
	}
	e.Kubectl("create", "namespace", fluxNamespace)
	for _, dir := range built.Sources {
		e.Kubectl("apply", "--server-side", "--filename", filepath.Join(dir, "config", "crd", "bases"))
	}
	e.Kubectl("wait", "--for=condition=Established", "--timeout="+e2e.Patience.String(),
		"crd/kustomizations.kustomize.toolkit.fluxcd.io", "crd/gitrepositories.source.toolkit.fluxcd.io")
	e.startSourceController()
	return e
}

// fluxEnv returns variables that name a folder of the test's own, as several may run on one machine.
func (e *env) fluxEnv() []string {
	return []string{"KUBECONFIG=" + e.ControlPlane.Kubeconfig, "RUNTIME_NAMESPACE=" + fluxNamespace, "TMPDIR=" + filepath.Join(e.Dir, "tmp")}
}

// startSourceController serves what it has fetched on this machine alone.
func (e *env) startSourceController() {
	artifacts, health := operatortest.FreeAddress(e), operatortest.FreeAddress(e)
	e.StartProcess(sourceController, built.path(sourceController), e.fluxEnv(), "--watch-all-namespaces", "--metrics-addr=0",
		"--health-addr="+health, "--storage-path="+filepath.Join(e.Dir, "storage"), "--storage-addr="+artifacts, "--storage-adv-addr="+artifacts)
	e.Healthy(health)
	e.Listens(artifacts)
}

// startKustomizeController starts it with the arguments of its own Deployment, and others. It doesn't need to be elected, as nobody else is there, and
// looks every second for what a Kustomization depends on.
func (e *env) startKustomizeController(args ...string) {
	e.Helper()
	if e.kustomizeController != nil {
		if err := e.kustomizeController.Kill(); err != nil {
			e.Fatal(err)
		}
	}
	health := operatortest.FreeAddress(e)
	e.metrics = operatortest.FreeAddress(e)
	e.kustomizeController = e.StartProcess(kustomizeController, built.path(kustomizeController), e.fluxEnv(),
		append(args, "--enable-leader-election=false", "--requeue-dependency=1s", "--health-addr="+health, "--metrics-addr="+e.metrics)...)
	e.Healthy(health)
}

// metric returns the value of a metric of kustomize-controller's; series is its name with its labels.
func (e *env) metric(series string) string {
	_, all := operatortest.Get(e, "http://"+e.metrics+"/metrics", "")
	for line := range strings.Lines(all) {
		if value, found := strings.CutPrefix(line, series+" "); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// kustomization has the fields of a Kustomization that the tests check.
type kustomization struct {
	Metadata struct{ DeletionTimestamp string }
	Status   struct {
		Conditions             []metav1.Condition
		LastAppliedRevision    string
		LastAttemptedRevision  string
		LastHandledReconcileAt string
	}
}

func (e *env) kustomization(name string) (kustomization, error) {
	object := &unstructured.Unstructured{}
	object.SetAPIVersion("kustomize.toolkit.fluxcd.io/v1")
	object.SetKind("Kustomization")
	if err := e.Client.Get(e.Context(), client.ObjectKey{Namespace: fluxNamespace, Name: name}, object); err != nil {
		return kustomization{}, err
	}
	content, err := object.MarshalJSON()
	if err != nil {
		return kustomization{}, err
	}
	var read kustomization
	return read, json.Unmarshal(content, &read)
}

// change is a change of a Kustomization's manifest.
type change func(spec map[string]any)

// set sets a field of the spec; nil takes it away.
func set(field string, value any) change {
	return func(spec map[string]any) {
		if value == nil {
			delete(spec, field)
		} else {
			spec[field] = value
		}
	}
}

// create creates a Kustomization: the documentation's, with another name, folder and namespace, on its own, and with changes.
func (e *env) create(name string, changes ...change) {
	e.Helper()
	object := map[string]any{}
	if err := yaml.Unmarshal([]byte(e.manifest), &object); err != nil {
		e.Fatal(err)
	}
	metadata, spec := object["metadata"].(map[string]any), object["spec"].(map[string]any)
	for _, field := range []string{"path", "targetNamespace", "dependsOn", "healthChecks", "deletionPolicy", "commonMetadata"} {
		if spec[field] == nil {
			e.Fatalf("the Kustomization of the documentation has no %s", field)
		}
	}
	metadata["name"], spec["path"], spec["targetNamespace"] = name, "./"+name, name
	for _, change := range append([]change{set("dependsOn", nil), set("healthChecks", nil)}, changes...) {
		change(spec)
	}
	if err := e.Client.Create(e.Context(), &unstructured.Unstructured{Object: object}); err != nil {
		e.Fatalf("creating the Kustomization %s: %v", name, err)
	}
}

// push commits what was written, has Flux fetch it, as a webhook does, and returns the revision once it is there.
func (e *env) push(message string) string {
	e.Helper()
	commit := e.Repo.Commit(message)
	e.fetch(commit)
	return commit
}

// revert takes back the last commit, as git revert does, and pushes.
func (e *env) revert() string {
	e.Helper()
	e.Repo.Git("revert", "--no-edit", "HEAD")
	return e.push("A revert, pushed")
}

// requestedAt is an annotation that has Flux act now: flux reconcile sets it.
func requestedAt() string {
	return "reconcile.fluxcd.io/requestedAt=" + time.Now().Format(time.RFC3339Nano)
}

func (e *env) fetch(commit string) {
	e.Helper()
	e.Kubectl("annotate", "--overwrite", "gitrepository", source, "--namespace", fluxNamespace, requestedAt())
	e.Eventually("the source has the commit", func(g Gomega) {
		revision := e.Kubectl("get", "gitrepository", source, "--namespace", fluxNamespace, "--output", "jsonpath={.status.artifact.revision}")
		g.Expect(revision).To(HaveSuffix(commit))
	})
}

// reconcile has Flux apply a Kustomization again, as at its next interval, and returns once it has.
func (e *env) reconcile(name string) {
	e.Helper()
	request := requestedAt()
	e.Kubectl("annotate", "--overwrite", "kustomization", name, "--namespace", fluxNamespace, request)
	_, at, _ := strings.Cut(request, "=")
	e.Eventually(name+" is reconciled", func(g Gomega) {
		read, err := e.kustomization(name)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(read.Status.LastHandledReconcileAt).To(Equal(at))
	})
}

func ready(of kustomization) metav1.Condition {
	i := slices.IndexFunc(of.Status.Conditions, func(c metav1.Condition) bool { return c.Type == "Ready" })
	if i < 0 {
		return metav1.Condition{}
	}
	return of.Status.Conditions[i]
}

func isReconciling(c metav1.Condition) bool { return c.Type == "Reconciling" }

// waitForReady waits until a Kustomization is ready at a commit.
func (e *env) waitForReady(name, commit string) {
	e.Helper()
	e.Eventually(name+" is ready", func(g Gomega) {
		read, err := e.kustomization(name)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(ready(read).Status).To(Equal(metav1.ConditionTrue), "%+v", read.Status)
		g.Expect(read.Status.LastAppliedRevision).To(HaveSuffix(commit))
	})
}

// waitForFailure waits until a Kustomization isn't ready, for a reason, with a text in its message.
func (e *env) waitForFailure(name, reason, message string) {
	e.Helper()
	e.Eventually(name+" isn't ready", func(g Gomega) {
		read, err := e.kustomization(name)
		g.Expect(err).NotTo(HaveOccurred())
		condition := ready(read)
		g.Expect([]string{string(condition.Status), condition.Reason}).To(Equal([]string{"False", reason}), "%+v", read.Status)
		g.Expect(condition.Message).To(ContainSubstring(message))
	})
}

// waitForGone waits until a Kustomization doesn't exist any more.
func (e *env) waitForGone(name string) {
	e.Helper()
	object := &unstructured.Unstructured{}
	object.SetAPIVersion("kustomize.toolkit.fluxcd.io/v1")
	object.SetKind("Kustomization")
	e.WaitForDeletion(object, fluxNamespace, name)
}

// apply applies a manifest of the documentation.
func (e *env) apply(manifest string) {
	e.Helper()
	file := filepath.Join(e.Dir, "manifest.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		e.Fatal(err)
	}
	e.Kubectl("apply", "--filename", file)
}

// shell runs commands of the documentation at the top of the checkout.
func (e *env) shell(command string) {
	e.Helper()
	path := filepath.Join(e.Dir, "bin")
	if _, err := os.Lstat(filepath.Join(path, "kubectl")); err != nil {
		if err := os.Symlink(e.ControlPlane.Asset("kubectl"), filepath.Join(path, "kubectl")); err != nil {
			e.Fatal(err)
		}
	}
	if output, err := e.Sh(e.Root, command, "KUBECONFIG="+e.ControlPlane.Kubeconfig, "PATH="+path+":"+os.Getenv("PATH")); err != nil {
		e.Fatalf("%s\n%v\n%s", command, err, output)
	}
}
