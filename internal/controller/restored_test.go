package controller_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// restore replaces DaftyJobs by new ones with the same spec, annotations and status, as a backup does that has status.
func (w *world) restore(names ...string) {
	w.t.Helper()
	var backups []*v1alpha1.DaftyJob
	for _, name := range names {
		job, err := w.get(name)
		w.Expect(err).NotTo(HaveOccurred())
		backups = append(backups, job.DeepCopy())
		job.Finalizers = nil // the cluster of before is lost, and nobody cancels anything
		w.Expect(w.Client.Update(w.t.Context(), job)).To(Succeed())
		w.Expect(w.Client.Delete(w.t.Context(), job)).To(Succeed())
		w.eventuallyGone(patience, name)
	}
	for _, backup := range backups {
		job := &v1alpha1.DaftyJob{
			ObjectMeta: metav1.ObjectMeta{Namespace: backup.Namespace, Name: backup.Name, Annotations: backup.Annotations},
			Spec:       backup.Spec,
		}
		w.Expect(w.Client.Create(w.t.Context(), job)).To(Succeed())
		job.Status = backup.Status
		w.Expect(w.Client.Status().Update(w.t.Context(), job)).To(Succeed())
	}
}

// What waits is restored with its status: it waits for what is there now.
func TestChainRestoredWithStatus(t *testing.T) {
	w := newWorldWithoutSecret(t, daftysim.Options{})
	w.apply("hero", aLogo)
	w.apply("poster", `{imageUpscale: {image: {jobRef: {name: hero}}, resolution: 4K}}`)
	w.eventually("hero", v1alpha1.PhasePending, v1alpha1.ReasonWaitingForCredentials)
	waits := w.eventually("poster", v1alpha1.PhasePending, v1alpha1.ReasonWaitingForDependency)
	w.Expect(waits.Status.UID).To(Equal(waits.UID))
	w.Expect(waits.Status.Inputs[0].UID).NotTo(BeEmpty())
	w.stop() // as before a restore
	w.restore("hero", "poster")
	w.startOperator()
	hero, err := w.get("hero")
	w.Expect(err).NotTo(HaveOccurred())
	w.sees("poster", func(job *v1alpha1.DaftyJob) bool {
		return job.Status.UID == job.UID && len(job.Status.Inputs) == 1 && job.Status.Inputs[0].UID == hero.UID
	})
	w.putSecret(apiKey)
	w.eventually("hero", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.eventually("poster", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.wantCharges(2)
}

// A request in doubt is restored with its status: it is repeated with its own key, and paid for once.
func TestDoubtRestoredWithStatus(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.sim.Inject(daftysim.Fault{Operation: daftysim.GenerateImage, Kind: daftysim.FaultHang, Effect: true})
	w.apply("job", aLogo)
	w.eventuallyAsked(daftysim.GenerateImage)
	w.stop()
	before, err := w.get("job")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(before.Status.InDoubt()).To(BeTrue())
	w.restore("job")
	w.startOperator()
	job := w.eventuallyWithin(longPatience, "job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.Expect(job.UID).NotTo(Equal(before.UID))
	w.Expect(job.Status.Submission.IdempotencyKey).To(Equal(string(before.UID) + "-1"))
	w.Expect(job.Status.UID).To(Equal(job.UID))
	w.wantCharges(1)
	w.Expect(w.eventReasons()).NotTo(ContainElement(v1alpha1.ReasonSubmissionUnknown))
}

// The texts of errors that differ only in the id of a trace are written once.
func TestTraceIDs(t *testing.T) {
	w := newWorld(t, daftysim.Options{Manual: true})
	const looks = 4
	for i := range looks {
		w.sim.Inject(daftysim.Fault{Operation: daftysim.GetJob, Status: 503, Code: "UPSTREAM", Message: fmt.Sprintf("upstream failed, trace 5f0c4c3e-8b1d-4e43-9d9c-%012x", i)})
	}
	w.apply("job", aLogo)
	job := w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonAPIUnavailable)
	w.Eventually(func() int { return w.requests(daftysim.GetJob) }).WithTimeout(patience).Should(BeNumerically(">", looks))
	w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
	texts := map[string]bool{}
	w.mu.Lock()
	for _, seen := range w.seen[job.UID] {
		if message := ready(seen).Message; strings.Contains(message, "trace") {
			texts[message] = true
		}
	}
	w.mu.Unlock()
	w.Expect(texts).To(HaveLen(1))
}

// The annotation of the first attempt is in Git: whoever applies it again, and the operator, don't overwrite each other for ever.
func TestAnnotationInGit(t *testing.T) {
	w := newWorld(t, daftysim.Options{Manual: true})
	w.apply("hero", `{backoffLimit: 1, imageGenerate: {prompt: A logo}}`)
	w.eventually("hero", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
	first := w.submitted("hero")
	annotation := func() string {
		job, err := w.get("hero")
		w.Expect(err).NotTo(HaveOccurred())
		return job.Annotations[v1alpha1.JobAnnotation]
	}
	name := w.Namespace + "/hero:"
	w.Eventually(annotation).WithTimeout(patience).Should(Equal(name + first))
	w.Expect(w.sim.Finish(first, daftysim.Fail)).To(Succeed())
	w.sees("hero", func(job *v1alpha1.DaftyJob) bool { return job.Status.JobID != "" && job.Status.JobID != first })
	second := w.submitted("hero")
	w.Eventually(annotation).WithTimeout(patience).Should(Equal(name+second), "the operator's own is brought up to date")

	apply := func() {
		w.MustKubectl(t, "annotate", "--overwrite", "--field-manager=gitops", "daftyjob", "hero", v1alpha1.JobAnnotation+"="+name+first)
	}
	stays := func() { w.Consistently(annotation).WithTimeout(3 * time.Second).Should(Equal(name + first)) }
	apply()
	stays()
	for range 5 {
		apply()
	}
	stays()
	w.restartOperator()
	w.Eventually(annotation).WithTimeout(patience).Should(Equal(name+second), "once more after a restart")
	apply()
	stays()
	w.Expect(w.sim.Finish(second, daftysim.Succeed)).To(Succeed())
	w.eventually("hero", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.wantCharges(2)
}
