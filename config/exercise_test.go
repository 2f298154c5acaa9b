package config_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// patience is for what takes the operator moments, on a slow machine.
const patience = 90 * time.Second

// newDafty returns a Dafty with one account, whose upscales and resizes never end by themselves, and whose videos get their thumbnails late.
func newDafty(t *testing.T) *daftysim.Server {
	t.Helper()
	sim := daftysim.Serve(daftysim.New(daftysim.Options{
		Accounts:   []daftysim.Account{{Name: "acme", APIKeys: []string{apiKey}, Images: []daftysim.Image{{ID: ownImage}}}},
		PendingFor: daftysim.Fixed(50 * time.Millisecond),
		ProcessingFor: daftysim.PerOperation(map[daftysim.Operation]time.Duration{
			daftysim.UpscaleImage: time.Hour, daftysim.ResizeImage: time.Hour,
		}, 100*time.Millisecond),
		ThumbnailAfter: 3 * time.Second,
	}))
	t.Cleanup(sim.Close)
	return sim
}

const (
	apiKey   = "dk_test_2f6d1c"
	ownImage = "0d5c6b1e-3f2a-4b7c-9a10-1c2d3e4f5a6b"
)

// exerciseOperator creates, changes and deletes DaftyJobs in a namespace so that the operator uses all its rights.
func exerciseOperator(t *testing.T, env *kubetest.Env, sim *daftysim.Server, ns string) {
	t.Helper()
	apply := func(name, spec string) {
		t.Helper()
		env.MustApply(t, fmt.Sprintf("apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: %s}\nspec: %s\n", name, spec), "-n", ns)
	}
	wait := func(what string, args ...string) {
		t.Helper()
		args = append([]string{"wait", "-n", ns, "--timeout=" + patience.String(), "--for=" + what}, args...)
		if _, stderr, err := env.Kubectl(t, args...); err != nil {
			t.Fatalf("%s\n%s", stderr, env.MustKubectl(t, "get", "daftyjobs", "-n", ns, "-o", "yaml"))
		}
	}
	env.MustKubectl(t, "create", "secret", "generic", "dafty-credentials", "-n", ns, "--from-literal=apiKey="+apiKey)

	// A chain of jobs, an image in a ConfigMap, a result in another: written, and again when the thumbnail is there.
	env.MustApply(t, samples(t, "campaign"), "-n", ns)
	env.MustKubectl(t, "delete", "daftyjob", "launch-poster", "-n", ns, "--timeout="+patience.String()) // it would never end
	wait("condition=Complete", "daftyjob/launch-clip")
	wait("jsonpath={.data.video_thumbnail_url}", "configmap/launch-clip")

	const running = `{imageUpscale: {image: {id: ` + ownImage + `}, resolution: 4K}}`
	for name, spec := range map[string]string{
		"cancelled": running,
		"deleted":   running,
		"abandoned": `{imageResize: {image: {id: ` + ownImage + `}, aspectRatio: "16:9", resolution: 2K}}`,
		"short":     `{imageGenerate: {prompt: A logo}, ttlSecondsAfterFinished: 1}`,
		"failing":   `{imageGenerate: {prompt: "A logo [fail]"}}`,
	} {
		apply(name, spec)
	}
	wait("condition=Failed", "daftyjob/failing")
	wait("delete", "daftyjob/short")
	wait("jsonpath={.status.phase}=Processing", "daftyjob/cancelled", "daftyjob/deleted", "daftyjob/abandoned")
	env.MustKubectl(t, "patch", "daftyjob", "cancelled", "-n", ns, "--type=merge", "-p", `{"spec":{"desiredState":"Cancelled"}}`)
	wait("condition=Cancelled", "daftyjob/cancelled")
	env.MustKubectl(t, "delete", "daftyjob", "deleted", "-n", ns, "--timeout="+patience.String())

	// One that Dafty doesn't cancel, and whose finalizer the API server keeps, for a while: the operator tries again, and emits one event
	// that it gave up. A repeated event would be a series, which needs the right to patch it.
	sim.Inject(daftysim.Fault{
		Operation: daftysim.CancelJob, Count: daftysim.Forever,
		Status: http.StatusInternalServerError, Code: "INTERNAL_ERROR", Message: "down",
	})
	env.MustApply(t, holdFinalizers)
	policyWorks(t, env, ns)
	before := len(audited(t, env))
	env.MustKubectl(t, "delete", "daftyjob", "abandoned", "-n", ns, "--wait=false")
	triedAgain := func() bool {
		refused := 0
		for _, event := range audited(t, env)[before:] {
			if event.Verb == "patch" && event.ObjectRef.Name == "abandoned" && event.ResponseStatus.Code == http.StatusUnprocessableEntity {
				refused++
			}
		}
		return refused >= 2
	}
	if !eventually(t, patience, triedAgain) {
		t.Errorf("the finalizer's removal wasn't tried again:\n%s", env.MustKubectl(t, "get", "daftyjob", "abandoned", "-n", ns, "-o", "yaml"))
	}
	told := func() bool {
		events := &eventsv1.EventList{}
		if err := env.Client.List(t.Context(), events, client.InNamespace(ns)); err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(events.Items, func(event eventsv1.Event) bool { return event.Reason == "CancelAbandoned" })
	}
	if !eventually(t, patience, told) {
		t.Error("no event says that the cancel was given up")
	}
	env.MustKubectl(t, "delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", "hold-finalizers")
	wait("delete", "daftyjob/abandoned")
	sim.ClearFaults()

	exerciseAssets(t, env, sim, ns, wait)
	exerciseAccounts(t, env, ns, wait)

	// As before an uninstall.
	apply("running", running)
	wait("jsonpath={.status.phase}=Processing", "daftyjob/running")
	env.MustKubectl(t, "delete", "daftyjobs", "--all", "-n", ns, "--timeout="+patience.String())
	for _, job := range sim.Running() {
		if job.Operation != daftysim.ResizeImage { // the abandoned one
			t.Errorf("a %s runs on", job.Operation)
		}
	}
	for _, violation := range sim.Violations() {
		t.Errorf("Dafty's contract was broken: %s", violation)
	}
}

// holdFinalizers refuses to remove the finalizers of deleted DaftyJobs.
const holdFinalizers = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: hold-finalizers}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {apiGroups: [dafty.ai], apiVersions: ["*"], resources: [daftyjobs], operations: [UPDATE]}
  validations:
  - expression: "!has(oldObject.metadata.deletionTimestamp) || has(object.metadata.finalizers)"
    message: held
  - expression: "!('probe' in object.metadata.?labels.orValue({}))"
    message: it is at work
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: hold-finalizers}
spec: {policyName: hold-finalizers, validationActions: [Deny]}
`

// policyWorks waits until the API server enforces the policy above.
func policyWorks(t *testing.T, env *kubetest.Env, ns string) {
	t.Helper()
	probe := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"probe":"1"}}}`))
	refused := func() bool {
		job := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "cancelled"}}
		err := env.Client.Patch(t.Context(), job, probe, client.DryRunAll)
		return err != nil && strings.Contains(err.Error(), "it is at work")
	}
	if !eventually(t, patience, refused) {
		t.Fatal("the policy has no effect")
	}
}
