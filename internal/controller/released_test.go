package controller_test

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/controller"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// eventuallyReleased waits until a DaftyJob that has ended is without its finalizer.
func (w *world) eventuallyReleased(name string) *v1alpha1.DaftyJob {
	w.t.Helper()
	return w.sees(name, func(job *v1alpha1.DaftyJob) bool {
		return job.Status.Phase.Final() && !slices.Contains(job.Finalizers, v1alpha1.CancelFinalizer)
	})
}

// What has ended, however it did, is deleted without an operator.
func TestWhatHasEndedNeedsNoOperator(t *testing.T) {
	w := newWorld(t, daftysim.Options{Manual: true})
	ends := map[string]v1alpha1.Phase{"completed": v1alpha1.PhaseCompleted, "failed": v1alpha1.PhaseFailed, "cancelled": v1alpha1.PhaseCancelled}
	for name := range ends {
		w.apply(name, aLogo)
		w.eventually(name, v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
	}
	w.apply("never-sent", `{desiredState: Suspended, imageGenerate: {prompt: A logo}}`)
	w.eventually("never-sent", v1alpha1.PhasePending, v1alpha1.ReasonSuspended)
	w.cancel("never-sent")
	w.Expect(w.sim.Finish(w.submitted("completed"), daftysim.Succeed)).To(Succeed())
	w.Expect(w.sim.Finish(w.submitted("failed"), daftysim.Fail)).To(Succeed())
	w.cancel("cancelled")
	ends["never-sent"] = v1alpha1.PhaseCancelled
	for name, phase := range ends {
		w.Expect(w.eventuallyReleased(name).Status.Phase).To(Equal(phase))
	}
	w.stop()
	for name := range ends {
		w.MustKubectl(t, "delete", "daftyjob", name, "--timeout=10s")
	}
	w.wantCharges(3)
}

// Finalizers that a build before this one has left on what ended long ago go, one by one, and nothing else comes of it.
func TestFinalizersLeftByAnOlderOperatorGo(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	const jobs = 12
	for i := range jobs {
		w.apply(fmt.Sprintf("job-%d", i), aLogo)
	}
	ended := make([]*v1alpha1.DaftyJob, jobs)
	for i := range jobs {
		ended[i] = w.eventuallyReleased(fmt.Sprintf("job-%d", i))
	}
	w.stop()
	for i := range jobs {
		w.MustKubectl(t, "patch", "daftyjob", ended[i].Name, "--type=merge", "-p", `{"metadata":{"finalizers":["dafty.ai/cancel"]}}`)
		w.sees(ended[i].Name, func(job *v1alpha1.DaftyJob) bool { return len(job.Finalizers) > 0 })
	}
	calls := len(w.sim.Requests())
	w.extra = func(r *controller.Reconciler) { r.Clock = hourLater{} }
	w.startOperator()
	for i := range jobs {
		w.Expect(w.eventuallyReleased(ended[i].Name).Status).To(Equal(ended[i].Status))
	}
	for _, request := range w.sim.Requests()[calls:] {
		w.Expect(request.Operation).NotTo(BeElementOf(daftysim.GenerateImage, daftysim.CancelJob))
	}
	w.wantCharges(jobs)
}

// hourLater is the clock of an hour later.
type hourLater struct{ clock.RealClock }

func (hourLater) Now() time.Time { return time.Now().Add(time.Hour) }

func (hourLater) Since(t time.Time) time.Duration { return hourLater{}.Now().Sub(t) }

// An API server that refuses to have it taken off what has ended is asked once, and no more for an hour; what is told of the end stands.
func TestTheReleaseOfWhatHasEndedIsRefused(t *testing.T) {
	w := newWorld(t, daftysim.Options{Manual: true})
	var tries atomic.Int32
	w.meddle(&meddled{metadata: func(job *v1alpha1.DaftyJob) error {
		if job.Name != "job" || len(job.Finalizers) > 0 {
			return nil
		}
		tries.Add(1)
		return apierrors.NewBadRequest(policyWords)
	}})
	w.apply("job", aLogo)
	w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
	w.Expect(w.sim.Finish(w.submitted("job"), daftysim.Succeed)).To(Succeed())
	w.Eventually(tries.Load).WithTimeout(patience).Should(BeEquivalentTo(1), "it is tried")
	w.MustKubectl(t, "annotate", "daftyjob", "job", "example.com/touched=x") // which brings it back
	w.apply("other", aLogo)
	w.eventually("other", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
	w.Expect(w.sim.Finish(w.submitted("other"), daftysim.Succeed)).To(Succeed())
	w.eventuallyReleased("other")
	job := w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.Expect(job.Finalizers).To(ConsistOf(v1alpha1.CancelFinalizer))
	w.Expect(tries.Load()).To(BeEquivalentTo(1), "it isn't tried again soon")
	w.Expect(w.notes(v1alpha1.ReasonWriteRefused)).To(BeEmpty(), "nobody waits for it")
	w.delete("job")
	w.Eventually(func() []string { return w.notes(v1alpha1.ReasonWriteRefused) }).WithTimeout(patience).Should(ConsistOf(ContainSubstring("the deletion can't end")))
	w.stop()
	w.extra = nil
	w.startOperator()
	w.eventuallyGone(patience, "job")
}
