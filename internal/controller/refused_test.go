package controller_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/controller"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// policyWords are what a policy of these tests says.
const policyWords = "each DaftyJob needs a label team"

// policy refuses the updates of some resources in the test's namespace.
const policy = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: %[1]s}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules: [{apiGroups: [dafty.ai], apiVersions: [v1alpha1], operations: [UPDATE], resources: [%[2]s]}]
  validations: [{expression: "false", message: ` + policyWords + `}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: %[1]s}
spec: {policyName: %[1]s, validationActions: [Deny], matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}}}
`

// webhook is one that isn't there, and without which nothing is to be written.
const webhook = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: %[1]s}
webhooks:
- name: down.example.com
  clientConfig: {url: "https://127.0.0.1:1/"}
  failurePolicy: Fail
  sideEffects: None
  timeoutSeconds: 1
  admissionReviewVersions: [v1]
  rules: [{apiGroups: [dafty.ai], apiVersions: [v1alpha1], operations: [UPDATE], resources: [%[2]s]}]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}
`

// mutator changes what can't be changed, so that any update of an older object is refused.
const mutator = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: %[1]s}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    resourceRules: [{apiGroups: [dafty.ai], apiVersions: [v1alpha1], operations: [CREATE, UPDATE], resources: [%[2]s]}]
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration: {expression: "Object{spec: Object.spec{imageGenerate: Object.spec.imageGenerate{quality: 'low'}}}"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: %[1]s}
spec: {policyName: %[1]s, matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}}}
`

// refuse has the API server refuse updates of these resources, once it does, until lift. probe is a DaftyJob, or a DaftyAsset where
// these are of DaftyAssets.
func (w *world) refuse(manifest, probe, resources string) (lift func()) {
	w.t.Helper()
	manifest = fmt.Sprintf(manifest, w.Namespace, resources)
	w.MustApply(w.t, manifest)
	kinds := []string{}
	for _, document := range strings.Split(manifest, "\nkind: ")[1:] {
		kind, _, _ := strings.Cut(document, "\n")
		kinds = append(kinds, strings.ToLower(kind)+"/"+w.Namespace)
	}
	lift = func() { w.MustKubectl(w.t, append([]string{"delete", "--wait=false"}, kinds...)...) }
	args := []string{"patch", "daftyjob", probe, "--type", "merge", "--dry-run=server", "-p", `{"metadata":{"annotations":{"example.com/probe":"x"}}}`}
	if strings.Contains(resources, "/status") {
		args = append(args[:len(args)-1], `{"status":{"jobType":"probe"}}`, "--subresource=status")
	}
	if resources == "daftyassets/status" {
		args[1], args[len(args)-2] = "daftyasset", `{"status":{"resultConfigMapVersion":"probe"}}`
	}
	w.Eventually(func() error {
		_, _, err := w.Kubectl(w.t, args...)
		return err
	}).WithTimeout(patience).Should(HaveOccurred(), "the API server takes note of a policy within seconds")
	return lift
}

// notes returns the Warning events with a reason.
func (w *world) notes(reason string) (notes []string) {
	for _, event := range w.events() {
		if event.Reason == reason && event.Type == "Warning" {
			notes = append(notes, event.Note)
		}
	}
	return notes
}

// patientDeletions has the operator wait for so long with a deletion.
func (w *world) patientDeletions(timeout time.Duration) {
	w.t.Helper()
	w.stop()
	w.extra = func(r *controller.Reconciler) { r.DeletionTimeout = timeout }
	w.startOperator()
}

// Whatever refuses the operator's writes, and for however long: a job that is called off is cancelled at once, and is never
// given up. That the writes are refused is told.
func TestCancelWhileWritesAreRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		manifest, resources, reason, says string
		how                               string
	}{
		"all by a policy, by delete":              {policy, "daftyjobs, daftyjobs/status", v1alpha1.ReasonWriteRefused, policyWords, "by delete"},
		"status by a policy, by delete":           {policy, "daftyjobs/status", "", "", "by delete"},
		"status by a policy, by spec":             {policy, "daftyjobs/status", v1alpha1.ReasonWriteRefused, policyWords, "by spec"},
		"all by a webhook that is down":           {webhook, "daftyjobs, daftyjobs/status", v1alpha1.ReasonWriteFailed, "down.example.com", "by delete"},
		"status by a webhook that is down":        {webhook, "daftyjobs/status", v1alpha1.ReasonWriteFailed, "down.example.com", "by spec"},
		"metadata by a policy, while it is going": {policy, "daftyjobs", v1alpha1.ReasonWriteRefused, policyWords, "by delete"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{Manual: true})
			w.patientDeletions(5 * time.Second)
			w.apply("job", aLogo)
			w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
			id := w.submitted("job")
			lift := w.refuse(tc.manifest, "job", tc.resources)
			w.callOff(tc.how, "job")
			w.Eventually(func() bool { entry, _ := w.sim.Job(id); return entry.Cancelled }).WithTimeout(patience).Should(BeTrue())
			if tc.reason == "" {
				w.eventuallyGone(patience, "job") // nothing keeps it
				lift()
			} else {
				w.Eventually(func() []string { return w.notes(tc.reason) }).WithTimeout(patience).Should(ContainElement(ContainSubstring(tc.says)))
				lift()
				w.wantCalledOff(tc.how, "job", v1alpha1.ReasonCancelled)
			}
			w.Expect(w.eventReasons()).NotTo(ContainElement(v1alpha1.EventCancelAbandoned))
			w.wantCharges(1)
		})
	}
}

// A new object whose finalizer is refused says so, and goes on soon after.
func TestTheFinalizerIsRefused(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.apply("probe", `{desiredState: Suspended, imageGenerate: {prompt: A logo}}`)
	w.eventually("probe", v1alpha1.PhasePending, v1alpha1.ReasonSuspended)
	lift := w.refuse(policy, "probe", "daftyjobs")
	w.apply("job", aLogo)
	job := w.eventually("job", v1alpha1.PhasePending, v1alpha1.ReasonWriteRefused)
	w.Expect(ready(job).Message).To(And(ContainSubstring(policyWords), ContainSubstring("finalizer dafty.ai/cancel can't be added")))
	w.Eventually(func() []string { return w.notes(v1alpha1.ReasonWriteRefused) }).WithTimeout(patience).Should(ConsistOf(ContainSubstring(policyWords)))
	w.Expect(w.requests(daftysim.GenerateImage)).To(BeZero())
	lift()
	w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.wantCharges(1)
	w.Expect(w.notes(v1alpha1.ReasonWriteRefused)).To(HaveLen(1), "it is told once")
}

// A running job whose annotation is refused goes on, says so, and ends as it would.
func TestTheAnnotationIsRefused(t *testing.T) {
	w := newWorld(t, daftysim.Options{Manual: true})
	w.apply("job", aLogo)
	w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
	w.MustKubectl(t, "annotate", "daftyjob", "job", "example.com/before=x")
	var refusing atomic.Bool
	refusing.Store(true)
	w.meddle(&meddled{metadata: func(*v1alpha1.DaftyJob) error {
		if refusing.Load() {
			return apierrors.NewBadRequest(policyWords)
		}
		return nil
	}})
	w.MustKubectl(t, "annotate", "daftyjob", "job", v1alpha1.JobAnnotation+"-")
	job := w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonWriteFailed)
	w.Expect(ready(job).Message).To(ContainSubstring(policyWords))
	w.Eventually(func() []string { return w.notes(v1alpha1.ReasonWriteRefused) }).WithTimeout(patience).Should(ConsistOf(ContainSubstring("annotation dafty.ai/job")))
	refusing.Store(false)
	w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
	w.Expect(w.sim.Finish(w.submitted("job"), daftysim.Succeed)).To(Succeed())
	w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
}

// An object that can't be let go says so in place of Ready, and goes soon after.
func TestTheReleaseIsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ manifest, says string }{
		"by a validating policy": {policy, policyWords},
		"by a mutating policy":   {mutator, "the request can't be changed"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{Manual: true})
			w.apply("job", aLogo)
			w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
			id := w.submitted("job")
			lift := w.refuse(tc.manifest, "job", "daftyjobs")
			w.delete("job")
			job := w.eventually("job", v1alpha1.PhaseCancelled, v1alpha1.ReasonWriteRefused)
			w.Expect(ready(job).Status).To(BeEquivalentTo("False"))
			w.Expect(ready(job).Message).To(ContainSubstring(tc.says))
			entry, _ := w.sim.Job(id)
			w.Expect(entry.Cancelled).To(BeTrue())
			w.Eventually(func() []string { return w.notes(v1alpha1.ReasonWriteRefused) }).WithTimeout(patience).Should(ConsistOf(ContainSubstring("the deletion can't end")))
			lift()
			w.eventuallyGone(patience, "job")
		})
	}
}

// An API server that answers each write with a conflict, or none with anything, and one whose Secrets can't be read: the
// cancel leaves.
func TestCancelWhateverTheAPIServerAnswers(t *testing.T) {
	t.Parallel()
	conflict := apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("daftyjobs").GroupResource(), "job", errors.New("no"))
	for name, refused := range map[string]struct{ write, read error }{
		"conflicts":                  {write: conflict},
		"no answer":                  {write: errors.New("connection refused")},
		"unavailable":                {write: apierrors.NewServiceUnavailable("no")},
		"a Secret that isn't read":   {read: errors.New("connection refused")},
		"neither, and it is a panic": {write: apierrors.NewInternalError(errors.New("panic")), read: errors.New("connection refused")},
	} {
		for _, how := range howCancelled {
			t.Run(name+"/"+how, func(t *testing.T) {
				w := newWorld(t, daftysim.Options{Manual: true})
				var on atomic.Bool
				w.meddle(&meddled{
					status: func(*v1alpha1.DaftyJob) error {
						if on.Load() {
							return refused.write
						}
						return nil
					},
					read: func(types.NamespacedName) error {
						if on.Load() {
							return refused.read
						}
						return nil
					},
				})
				w.apply("job", aLogo)
				w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
				id := w.submitted("job")
				on.Store(true)
				w.callOff(how, "job")
				w.Eventually(func() bool { entry, _ := w.sim.Job(id); return entry.Cancelled }).WithTimeout(patience).Should(BeTrue())
				on.Store(false)
				w.wantCalledOff(how, "job", v1alpha1.ReasonCancelled)
			})
		}
	}
}
