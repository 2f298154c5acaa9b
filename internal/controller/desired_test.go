package controller_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// takeOver does what Flux's kustomize-controller does before it applies: it makes the fields that kubectl has set its own, so
// that its apply drops those that Git doesn't have.
func (w *world) takeOver(name string) {
	w.t.Helper()
	job, err := w.get(name)
	w.Expect(err).NotTo(HaveOccurred())
	base := job.DeepCopy()
	for i := range job.ManagedFields {
		if fields := &job.ManagedFields[i]; fields.Subresource == "" && strings.HasPrefix(fields.Manager, "kubectl") {
			fields.Manager, fields.Operation = "kustomize-controller", metav1.ManagedFieldsOperationApply
		}
	}
	w.Expect(w.Client.Patch(w.t.Context(), job, client.MergeFrom(base))).To(Succeed())
	_, stderr, err := w.applyAsFlux(name)
	w.Expect(err).NotTo(HaveOccurred(), stderr)
}

func (w *world) applyAsFlux(name string) (stdout, stderr string, err error) {
	return w.Apply(w.t, manifest(name, aLogo), "--server-side", "--force-conflicts", "--field-manager=kustomize-controller")
}

// replace has kubectl put a manifest in the place of what is there.
func (w *world) replace(name string) {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "job.yaml")
	w.Expect(os.WriteFile(file, []byte(manifest(name, aLogo)), 0o600)).To(Succeed())
	w.MustKubectl(w.t, "replace", "-f", file)
}

func (w *world) desire(name, state string) {
	w.t.Helper()
	w.MustKubectl(w.t, "patch", "daftyjob", name, "--type", "merge", "-p", `{"spec":{"desiredState":"`+state+`"}}`)
}

// tools are those that put a manifest that is silent about desiredState in the place of what kubectl has set.
var tools = map[string]struct{ create, again func(*world) }{
	"Flux": {
		create: func(w *world) {
			_, stderr, err := w.applyAsFlux("job")
			w.Expect(err).NotTo(HaveOccurred(), stderr)
		},
		again: func(w *world) { w.takeOver("job") },
	},
	"kubectl replace": {
		create: func(w *world) { w.MustApply(w.t, manifest("job", aLogo)) },
		again:  func(w *world) { w.replace("job") },
	},
	"kubectl apply --force": {
		create: func(w *world) { w.MustApply(w.t, manifest("job", aLogo)) },
		again: func(w *world) {
			// It has nothing to change, and asks for nothing else.
			_, stderr, err := w.Apply(w.t, manifest("job", aLogo), "--force", "--timeout=60s")
			w.Expect(err).NotTo(HaveOccurred(), stderr)
			w.desire("job", "Completed")
			w.MustKubectl(w.t, "patch", "daftyjob", "job", "--type", "json", "-p", `[{"op":"remove","path":"/spec/desiredState"}]`)
		},
	},
}

// What a person has cancelled stays cancelled, whatever a tool puts back that knows nothing of it: it isn't refused, nothing
// is deleted, and nothing is paid for again.
func TestACancelStands(t *testing.T) {
	t.Parallel()
	for name, tool := range tools {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{Manual: true})
			tool.create(w)
			w.Expect(w.sim.Start(w.submitted("job"))).To(Succeed())
			uid := w.eventually("job", v1alpha1.PhaseProcessing, v1alpha1.ReasonProcessing).UID
			w.cancel("job")
			before := w.eventually("job", v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelled)
			tool.again(w)
			job := w.eventually("job", v1alpha1.PhaseCancelled, v1alpha1.ReasonAlreadyCancelled)
			w.Expect(job.UID).To(Equal(uid))
			// A tool that takes two steps may have put Completed there first.
			w.Eventually(func() string {
				job, _ = w.watched("job")
				return ready(job).Message
			}).WithTimeout(patience).Should(ContainSubstring("spec.desiredState is absent"))
			w.Expect(job.Spec.DesiredState).To(BeEmpty())
			w.Expect(job.Status.CancelRequestedAt).NotTo(BeNil())
			w.Expect(ready(job).Status).To(Equal(metav1.ConditionFalse))
			w.Expect(meta.IsStatusConditionTrue(job.Status.Conditions, v1alpha1.ConditionStalled)).To(BeTrue())
			is, was := meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionCancelled), meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionCancelled)
			w.Expect(is.LastTransitionTime).To(Equal(was.LastTransitionTime))
			w.Expect(is.Reason).To(Equal(v1alpha1.ReasonCancelled))

			// The manifest agrees, and doesn't again.
			w.desire("job", "Cancelled")
			w.eventually("job", v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelled)
			w.desire("job", "Suspended")
			job = w.eventually("job", v1alpha1.PhaseCancelled, v1alpha1.ReasonAlreadyCancelled)
			w.Expect(ready(job).Message).To(ContainSubstring("asks for Suspended"))
			w.restartOperator()
			w.desire("job", "Completed")
			w.Eventually(func() string { job, _ := w.watched("job"); return ready(job).Message }).WithTimeout(patience).Should(ContainSubstring("asks for Completed"))
			w.wantCharges(1)
		})
	}
}

// A manifest that says Completed takes no cancel back either, and kubectl apply --force has no refusal to answer by deleting.
func TestACancelStandsAgainstForce(t *testing.T) {
	w := newWorld(t, daftysim.Options{Manual: true})
	wanted := manifest("job", `{desiredState: Completed, imageGenerate: {prompt: A logo}}`)
	w.MustApply(t, wanted)
	uid := w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued).UID
	w.cancel("job")
	w.eventually("job", v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelled)
	for _, flags := range [][]string{{}, {"--force", "--timeout=60s"}, {"--server-side", "--force-conflicts"}} {
		_, stderr, err := w.Apply(t, wanted, flags...)
		w.Expect(err).NotTo(HaveOccurred(), stderr)
	}
	w.Expect(w.eventually("job", v1alpha1.PhaseCancelled, v1alpha1.ReasonAlreadyCancelled).UID).To(Equal(uid))
	w.wantCharges(1)
}

// A cancel that is taken back before anything came of it: while there is no key to cancel with, and while it is still in doubt
// whether Dafty has the job.
func TestACancelIsOnRecordFirst(t *testing.T) {
	t.Parallel()
	t.Run("without a key", func(t *testing.T) {
		w := newWorldWithoutSecret(t, daftysim.Options{Manual: true})
		w.apply("job", `{desiredState: Suspended, imageGenerate: {prompt: A logo}}`)
		w.eventually("job", v1alpha1.PhasePending, v1alpha1.ReasonSuspended)
		w.cancel("job")
		w.sees("job", func(job *v1alpha1.DaftyJob) bool { return job.Status.CancelRequestedAt != nil })
		w.desire("job", "Completed")
		w.putSecret(apiKey)
		w.eventually("job", v1alpha1.PhaseCancelled, v1alpha1.ReasonAlreadyCancelled)
		w.wantCharges(0)
	})
	t.Run("in doubt", func(t *testing.T) {
		w := newWorld(t, daftysim.Options{Manual: true})
		w.sim.Inject(daftysim.Fault{Operation: daftysim.GenerateImage, Kind: daftysim.FaultResetAfter})
		w.apply("job", aLogo)
		w.sees("job", func(job *v1alpha1.DaftyJob) bool { return job.Status.InDoubt() })
		w.cancel("job")
		w.sees("job", func(job *v1alpha1.DaftyJob) bool {
			return job.Status.InDoubt() && job.Status.CancelRequestedAt != nil
		})
		w.replace("job")
		w.eventuallyWithin(longPatience, "job", v1alpha1.PhaseCancelled, v1alpha1.ReasonAlreadyCancelled)
		w.Expect(w.sim.Running()).To(BeEmpty())
		w.wantCharges(1)
	})
}

// What a person has suspended isn't released by a tool that knows nothing of it: nothing is paid for by silence.
func TestASuspensionStands(t *testing.T) {
	t.Parallel()
	for name, tool := range tools {
		t.Run(name, func(t *testing.T) {
			w := newWorldWithoutSecret(t, daftysim.Options{})
			tool.create(w)
			w.eventually("job", v1alpha1.PhasePending, v1alpha1.ReasonWaitingForCredentials)
			w.desire("job", "Suspended")
			w.eventually("job", v1alpha1.PhasePending, v1alpha1.ReasonSuspended)
			if name == "kubectl apply --force" {
				// A word that is explicit releases it.
				_, stderr, err := w.Apply(t, manifest("job", aLogo), "--force", "--timeout=60s")
				w.Expect(err).NotTo(HaveOccurred(), stderr)
				w.MustKubectl(t, "patch", "daftyjob", "job", "--type", "json", "-p", `[{"op":"remove","path":"/spec/desiredState"}]`)
			} else {
				tool.again(w)
			}
			w.Eventually(func() string { job, _ := w.watched("job"); return ready(job).Message }).WithTimeout(patience).
				Should(ContainSubstring(`kubectl patch -n ` + w.Namespace + ` daftyjob job --type merge`))
			w.restartOperator()
			w.putSecret(apiKey)
			w.Consistently(func() (v1alpha1.Phase, error) { job, err := w.get("job"); return job.Status.Phase, err }).
				WithTimeout(8 * time.Second).Should(Equal(v1alpha1.PhasePending)) // longer than a Secret is looked for
			w.wantCharges(0)
			w.desire("job", "Completed")
			job := w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
			w.Expect(job.Status.SuspendedAt).To(BeNil())
			w.wantCharges(1)
		})
	}
}

// After the end, a change of the spec raises the generation: whoever waits for a condition sees that it still holds.
func TestWaitingAfterTheEnd(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.apply("completed", `{resultConfigMap: result, imageGenerate: {prompt: A logo}}`)
	w.apply("failed", `{imageGenerate: {prompt: "`+daftysim.DefaultFailWord+`"}}`)
	w.apply("cancelled", `{desiredState: Cancelled, imageGenerate: {prompt: A logo}}`)
	w.eventually("completed", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.eventually("failed", v1alpha1.PhaseFailed, v1alpha1.ReasonGenerationFailed)
	w.eventually("cancelled", v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelledBeforeSubmission)
	conditions := map[string][]string{
		"completed": {"Complete", "Ready", "Submitted", "ResultStored"},
		"failed":    {"Failed", "Submitted", "Stalled", "Ready=False"},
		"cancelled": {"Cancelled", "Ready"},
	}
	waitAfter := func(patch string) {
		for name, conditions := range conditions {
			before, err := w.get(name)
			w.Expect(err).NotTo(HaveOccurred())
			w.MustKubectl(t, "patch", "daftyjob", name, "--type", "merge", "-p", patch)
			for _, condition := range conditions {
				w.MustKubectl(t, "wait", "--for=condition="+condition, "daftyjob/"+name, "--timeout=30s")
			}
			after, err := w.get(name)
			w.Expect(err).NotTo(HaveOccurred())
			w.Expect(after.Status.ObservedGeneration).To(Equal(after.Generation))
			for _, is := range after.Status.Conditions {
				was := meta.FindStatusCondition(before.Status.Conditions, is.Type)
				w.Expect(is.ObservedGeneration).To(Equal(after.Generation), is.Type)
				w.Expect(is.LastTransitionTime).To(Equal(was.LastTransitionTime), is.Type)
			}
		}
	}
	waitAfter(`{"spec":{"ttlSecondsAfterFinished":86400}}`)
	waitAfter(`{"spec":{"resultConfigMap":"elsewhere"}}`)
	conditions["completed"] = []string{"Complete", "Ready", "Submitted"} // no ConfigMap, no ResultStored
	waitAfter(`{"spec":{"resultConfigMap":null}}`)
	completed, err := w.get("completed")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(meta.FindStatusCondition(completed.Status.Conditions, v1alpha1.ConditionResultStored)).To(BeNil())
}

// A job that can't be submitted in time fails, and isn't paid for when it could be.
func TestStartingDeadline(t *testing.T) {
	w := newWorldWithoutSecret(t, daftysim.Options{})
	w.apply("job", `{startingDeadlineSeconds: 5, imageGenerate: {prompt: A logo}}`)
	w.apply("held", `{startingDeadlineSeconds: 5, desiredState: Suspended, imageGenerate: {prompt: A logo}}`)
	w.passes("job", v1alpha1.PhasePending, v1alpha1.ReasonWaitingForCredentials)
	job := w.eventually("job", v1alpha1.PhaseFailed, v1alpha1.ReasonDeadlineExceeded)
	w.Expect(ready(job).Message).To(ContainSubstring("(it waited: WaitingForCredentials); nothing was submitted or paid for"))
	w.eventually("held", v1alpha1.PhaseFailed, v1alpha1.ReasonDeadlineExceeded)
	w.putSecret(apiKey)
	w.desire("held", "Completed")
	w.Eventually(func() (int64, error) { job, err := w.watched("held"); return job.Status.ObservedGeneration, err }).WithTimeout(patience).Should(Equal(int64(2)))
	w.wantCharges(0)
}

// Orphan, set when the cancel has left, takes nothing back and says nothing else.
func TestOrphanAfterTheCancel(t *testing.T) {
	w := newWorld(t, daftysim.Options{
		PendingFor: daftysim.Fixed(time.Hour), CancelSettles: 5 * time.Second, Variants: daftysim.Variants{AfterCancel: daftysim.AfterCancelLater},
	})
	w.apply("job", aLogo)
	w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
	w.delete("job")
	w.passes("job", v1alpha1.PhaseCancelling, v1alpha1.ReasonCancelling)
	w.MustKubectl(t, "patch", "daftyjob", "job", "--type", "merge", "-p", `{"spec":{"deletionPolicy":"Orphan"}}`)
	w.sees("job", func(job *v1alpha1.DaftyJob) bool {
		return job.Status.Phase == v1alpha1.PhaseCancelled && job.Spec.DeletionPolicy == v1alpha1.DeletionOrphan
	})
	w.eventuallyGone(patience, "job")
	w.Expect(w.sim.Running()).To(BeEmpty())
	w.Expect(w.eventReasons()).NotTo(ContainElement(v1alpha1.EventJobOrphaned))
}

// Where the API server's store is set back, what this process has cancelled reads as cancelled.
func TestACancelThatTheStoreForgot(t *testing.T) {
	w := newWorld(t, daftysim.Options{Manual: true})
	w.apply("job", `{backoffLimit: 2, imageGenerate: {prompt: A logo}}`)
	w.submitted("job")
	before := w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
	w.cancel("job")
	w.eventually("job", v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelled)
	w.setBack = true
	w.MustKubectl(t, "patch", "daftyjob", "job", "--type", "merge", "-p", `{"spec":{"desiredState":null}}`)
	w.eventually("job", v1alpha1.PhaseCancelled, v1alpha1.ReasonAlreadyCancelled)
	status, err := json.Marshal(before.Status)
	w.Expect(err).NotTo(HaveOccurred())
	w.MustKubectl(t, "patch", "daftyjob", "job", "--subresource=status", "--type", "json", "-p", `[{"op":"replace","path":"/status","value":`+string(status)+`}]`)
	w.sees("job", func(job *v1alpha1.DaftyJob) bool {
		return job.Status.Phase == v1alpha1.PhaseQueued && job.Generation > before.Generation
	})
	job := w.eventually("job", v1alpha1.PhaseCancelled, v1alpha1.ReasonAlreadyCancelled)
	w.Expect(job.Status.FailedJobIDs).To(BeEmpty())
	w.wantCharges(1)
}
