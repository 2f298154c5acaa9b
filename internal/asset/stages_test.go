package asset_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/asset"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/test/argolua"
	"dafty.ai/dafty-operator/internal/test/docstest"
)

// customizations has what Argo CD is taught of DaftyAssets. The objects that its own tests there read are written by TestStages.
const customizations = "../../config/argocd/resource_customizations/dafty.ai/DaftyAsset"

// stages are what a DaftyAsset goes through, as GitOps tools see it, with the name of its file.
var stages = []struct {
	file, told string
	play       func(*env)
}{
	{"created", "it was just created", func(*env) {}},
	{"progressing", "the first result is being made", func(e *env) { e.reconcile() }},
	{"completed", "its result is there", func(e *env) { e.run() }},
	{"changed", "the spec was just changed", func(e *env) { e.run(); e.prompt("B") }},
	{"changing", "a change is being made", func(e *env) { e.run(); e.prompt("B"); e.reconcile() }},
	{"reverted", "a change was reverted", func(e *env) { e.run(); e.prompt("B"); e.run(); e.prompt("A"); e.reconcile() }},
	{"outdated", "what it refers to has a newer result", outdated},
	{"waiting-for-dependency", "what it refers to isn't there, or isn't Ready", func(e *env) { e.refer(0); e.reconcile() }},
	{"waiting-for-credentials", "its DaftyJob waits for what comes by itself, or for a Secret", func(e *env) {
		e.run()
		e.prompt("B")
		e.reconcile()
		e.tell(metav1.ConditionUnknown, v1alpha1.ReasonWaitingForCredentials, `there is no Secret "dafty-credentials"`, false)
	}},
	{"account-suspended", "its DaftyJob waits until its DaftyAccount is resumed", func(e *env) {
		e.run()
		e.prompt("B")
		e.reconcile()
		e.tell(metav1.ConditionFalse, v1alpha1.ReasonAccountSuspended, `DaftyAccount "agency" is suspended`, false)
	}},
	{"credentials-rejected", "its DaftyJob waits for somebody", func(e *env) {
		e.run()
		e.prompt("B")
		e.reconcile()
		e.tell(metav1.ConditionFalse, v1alpha1.ReasonCredentialsRejected, `Dafty rejects the API key of Secret "dafty-credentials"`, true)
	}},
	{"failed", "a change has failed", func(e *env) {
		e.run()
		e.prompt("B")
		e.reconcile()
		e.submit()
		e.end(e.made("B"), v1alpha1.PhaseFailed, v1alpha1.ReasonGenerationFailed)
		e.reconcile()
	}},
	{"failed-at-first", "the first result has failed", func(e *env) {
		e.reconcile()
		e.submit()
		e.end(e.made("A"), v1alpha1.PhaseFailed, v1alpha1.ReasonGenerationFailed)
		e.reconcile()
	}},
	{"cancelled", "somebody has cancelled its DaftyJob", func(e *env) {
		e.run()
		e.prompt("B")
		e.reconcile()
		e.submit()
		e.end(e.made("B"), v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelled)
		e.reconcile()
	}},
	{"job-deleted", "somebody has deleted the DaftyJob that was making it", func(e *env) {
		e.run()
		e.prompt("B")
		e.reconcile()
		e.remove(e.made("B").Name)
		e.reconcile()
	}},
	{"job-name-taken", "another's DaftyJob has the name", func(e *env) {
		e.run()
		e.prompt("B")
		e.reconcile()
		e.made("B").OwnerReferences = nil
		e.asset.Status.Pending = nil
		e.reconcile()
	}},
	{"dependency-cycle", "it refers to itself by way of others", func(e *env) {
		e.refer(0)
		e.cycle = lifecycle.DescribeCycle([]lifecycle.Node{lifecycle.AssetNode("hero"), lifecycle.AssetNode("brand"), lifecycle.AssetNode("hero")})
		e.reconcile()
	}},
	{"invalid-reference", "what it refers to has no such result", func(e *env) {
		e.refer(3)
		e.setUpstream("an-upstream-job")
		e.reconcile()
	}},
	{"write-failed", "a write fails, and is repeated", func(e *env) {
		e.known.Uncreated = &asset.Uncreated{Message: "etcdserver: request timed out"}
		e.reconcile()
	}},
	{"write-refused", "the API server refuses a write", func(e *env) {
		e.known.Uncreated = &asset.Uncreated{Message: "exceeded quota: jobs", Lasting: true}
		e.reconcile()
	}},
	{"suspended", "a change is held back by `spec.suspend`", func(e *env) { suspend(e); e.prompt("B"); e.reconcile() }},
	{"suspended-and-completed", "`spec.suspend` is true, and nothing is held back", suspend},
	{"waiting-for-approval", "a change waits to be approved", func(e *env) { manual(e); e.prompt("B"); e.reconcile() }},
	{"being-deleted", "it is being deleted", func(e *env) {
		e.run()
		e.asset.DeletionTimestamp, e.asset.Finalizers = ptr.To(metav1.NewTime(e.now)), []string{metav1.FinalizerDeleteDependents}
		e.reconcile()
	}},
}

func suspend(e *env) {
	e.run()
	e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.Suspend = true })
	e.reconcile()
}

func manual(e *env) {
	e.run()
	e.edit(func(spec *v1alpha1.DaftyAssetSpec) { spec.ChangePolicy = v1alpha1.ChangeManual })
	e.reconcile()
}

func outdated(e *env) {
	e.refer(0)
	e.setUpstream("an-upstream-job")
	e.run()
	e.setUpstream("another-upstream-job")
	e.reconcile()
}

// refer has the asset refer to an image of another one.
func (e *env) refer(index int32) {
	e.edit(func(spec *v1alpha1.DaftyAssetSpec) {
		reference := v1alpha1.ImageReference{AssetRef: &v1alpha1.AssetReference{Name: "brand", Index: index}}
		spec.Template.Spec.ImageGenerate.References = []v1alpha1.ImageReference{reference}
	})
}

// setUpstream has that other one be Ready, with a job's result.
func (e *env) setUpstream(jobID string) {
	url := "https://example.com/" + jobID + ".png"
	up := &v1alpha1.DaftyAsset{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "brand", Generation: 1}}
	up.Status.ObservedGeneration = 1
	up.Status.Current = &v1alpha1.AssetResult{JobName: "brand-0123456789", Hash: "0123456789", JobID: jobID,
		Result: &v1alpha1.JobResult{Primary: url, Images: []v1alpha1.Image{{ID: "image-of-" + jobID, URL: url}}}}
	meta.SetStatusCondition(&up.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonCompleted})
	e.upstream["brand"] = up
}

// tell has the DaftyJob that is pending wait for a reason.
func (e *env) tell(ready metav1.ConditionStatus, reason, message string, stalled bool) {
	job := e.made("B")
	condition(job, ready, reason, message)
	if stalled {
		meta.SetStatusCondition(&job.Status.Conditions, metav1.Condition{
			Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: reason, Message: message,
		})
	}
	e.reconcile()
}

// TestStages has each stage come about, and holds what GitOps tools make of it against the page about DaftyAssets, and the objects
// that the tests of Argo CD's scripts read against it. With UPDATE_DOCS=1, as make docs runs it, it mends both.
func TestStages(t *testing.T) {
	var rows []string
	for _, stage := range stages {
		e := newEnv(t)
		stage.play(e)
		object := e.object()
		docstest.Object(t, filepath.Join(customizations, "testdata", stage.file+".yaml"), object)
		reason := ""
		if ready := e.ready(); ready.Reason != "" && e.asset.Status.ObservedGeneration == e.asset.Generation && e.asset.DeletionTimestamp == nil {
			reason = "`" + ready.Reason + "`"
		}
		result, err := kstatus.Compute(&unstructured.Unstructured{Object: object})
		if err != nil {
			t.Fatal(err)
		}
		health := argoHealth(t, object)
		rows = append(rows, fmt.Sprintf("| %s | %s | `%s` | %s |", stage.told, reason, result.Status, health))
		checkResultStays(t, e, stage.file)
	}
	docstest.Table(t, "../../docs/assets.md", "| stage | reason | kstatus | Argo CD |", rows)
}

// checkResultStays checks that what is Degraded, and has a result, says that this stays in use.
func checkResultStays(t *testing.T, e *env, stage string) {
	t.Helper()
	available := meta.IsStatusConditionTrue(e.asset.Status.Conditions, v1alpha1.ConditionAvailable)
	if available != (e.asset.Status.Current != nil) {
		t.Errorf("%s: Available is %t", stage, available)
	}
	stalled := meta.FindStatusCondition(e.asset.Status.Conditions, v1alpha1.ConditionStalled)
	if stalled != nil && available != strings.HasPrefix(stalled.Message, fmt.Sprintf("the result of DaftyJob %q stays in use; ", currentName(e))) {
		t.Errorf("%s: Available is %t, and Stalled says %q", stage, available, stalled.Message)
	}
}

func currentName(e *env) string {
	if c := e.asset.Status.Current; c != nil {
		return c.JobName
	}
	return ""
}

// TestObjectsOfActions holds the objects that the actions of Argo CD must make against the stages.
func TestObjectsOfActions(t *testing.T) {
	approved := newEnv(t)
	manual(approved)
	approved.prompt("B")
	approved.reconcile()
	approved.asset.Annotations[v1alpha1.ApprovedAnnotation] = approved.asset.Status.Pending.Hash
	docstest.Object(t, filepath.Join(customizations, "actions/testdata/approved.yaml"), approved.object())

	regenerated := newEnv(t)
	regenerated.run()
	regenerated.asset.Spec.Revision = "2026-05-04T09:30:00Z"
	docstest.Object(t, filepath.Join(customizations, "actions/testdata/regenerated.yaml"), regenerated.object())

	suspended := newEnv(t)
	suspended.run()
	suspended.asset.Spec.Suspend = true
	docstest.Object(t, filepath.Join(customizations, "actions/testdata/suspended.yaml"), suspended.object())

	resumed := newEnv(t)
	suspend(resumed)
	resumed.prompt("B")
	resumed.reconcile()
	resumed.asset.Spec.Suspend = false
	object := resumed.object()
	if err := unstructured.SetNestedField(object, false, "spec", "suspend"); err != nil {
		t.Fatal(err)
	}
	docstest.Object(t, filepath.Join(customizations, "actions/testdata/resumed.yaml"), object)
}

// object returns the asset as the API server has it.
func (e *env) object() map[string]any {
	e.t.Helper()
	copied := e.asset.DeepCopy()
	copied.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(asset.Kind))
	content, err := json.Marshal(copied)
	if err != nil {
		e.t.Fatal(err)
	}
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(content); err != nil {
		e.t.Fatal(err)
	}
	return object.Object
}

// argoHealth returns the health that Argo CD shows of an asset.
func argoHealth(t *testing.T, object map[string]any) string {
	t.Helper()
	script, err := os.ReadFile(filepath.Join(customizations, "health.lua"))
	if err != nil {
		t.Fatal(err)
	}
	content, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	var read map[string]any
	if err := json.Unmarshal(content, &read); err != nil {
		t.Fatal(err)
	}
	return argolua.Run(t, string(script), read).RawGetString("status").String()
}
