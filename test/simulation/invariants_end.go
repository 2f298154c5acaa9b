package simulation

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// checkStopped runs when all has had time to stop.
func (inv *invariants) checkStopped() {
	for _, what := range inv.unwantedJobs() {
		inv.violated("left running: %s", what)
	}
	for _, what := range inv.pendingDeletions() {
		inv.violated("stuck: %s", what)
	}
	followers := map[string]string{}
	for _, job := range inv.objects() {
		if id := job.Spec.AdoptJobID; id != "" && job.Status.JobID != "" && !job.Status.Phase.Final() {
			if other := followers[id]; other != "" {
				inv.violated("false: %s and %s both follow job %s", other, job.Name, shortID(id))
			}
			followers[id] = job.Name
		}
		running := !job.Status.Phase.Final() && (job.Status.JobID != "" || job.Status.InDoubt())
		if running && !slices.Contains(job.Finalizers, v1alpha1.CancelFinalizer) {
			inv.violated("left running: should %s be deleted, nobody would cancel it: it has no finalizer", job.Name)
		}
	}
}

// checkEnd runs at the very end.
func (inv *invariants) checkEnd() {
	inv.checkNoRefusals()
	for _, what := range append(inv.unfinished(), inv.unfinishedAssets()...) {
		inv.violated("stuck: %s", what)
	}
	for _, what := range inv.unreleased() {
		inv.violated("stuck: %s", what)
	}
	inv.checkResults()
	inv.checkAssetsEnd()
	inv.checkAccountsEnd()
	inv.checkAlreadyCancelled()
	for _, violation := range inv.env.sim.Violations() {
		inv.violated("contract: %s", violation)
	}
	paid, attempts := map[string]int{}, map[types.UID]int{}
	for _, entry := range inv.env.sim.Ledger() {
		if entry.Key == 0 {
			continue // a user made it
		}
		if inv.superseded[entry.IdempotencyKey] {
			if paid[entry.IdempotencyKey]++; paid[entry.IdempotencyKey] == 2 {
				inv.violated("paid twice: %s, restored", entry.IdempotencyKey)
			}
			continue // see noteSuperseded
		}
		job := inv.latest[inv.owner(entry)]
		// One that lost its status counts its attempts from the start, from the failed one that its annotation names.
		restarted := job != nil && ptr.Deref(job.Spec.BackoffLimit, 0) > 0 && inv.lostStatus[job.UID]
		// What was refused is tried again as UID-ATTEMPT.N.
		attempt, _, _ := strings.Cut(strings.TrimPrefix(entry.IdempotencyKey, ownKeys), ".")
		shared := strings.HasPrefix(attempt, sharedKeys) // which Dafty forgets after a day
		if paid[attempt]++; paid[attempt] == 2 && !restarted && !shared {
			inv.violated("paid twice: %s", attempt)
		}
		if job == nil || shared {
			continue
		}
		tries := int(ptr.Deref(job.Spec.BackoffLimit, 0)) + 1
		if attempts[job.UID]++; attempts[job.UID] > tries && !inv.lostStatus[job.UID] {
			inv.violated("paid twice: %s was made %d times, of %d that it may be", job.Name, attempts[job.UID], tries)
		}
		if tries > 1 && entry.Status == daftysim.StatusFailed && !entry.Cancelled {
			continue // it was tried again
		}
		if tries > 1 && entry.Cancelled && inv.lostStatus[job.UID] && job.Status.JobID != "" && lifecycle.Annotated(job) == job.Status.JobID {
			continue // a job that is called off isn't annotated any more, and the attempt before it was picked up
		}
		if id, is := inv.inheritedJobs[job.UID]; is && !inv.mayRetry(job, id) {
			inv.violated("paid twice: %s came with job %s, and Dafty made %s for it", job.Name, shortID(id), shortID(entry.JobID))
		}
		if heir := inv.latest[inv.inheritedKeys[entry.IdempotencyKey]]; heir != nil {
			inv.checkNotSubmitted(heir, entry) // what the first one said was true until the other came
		} else {
			inv.checkNotSubmitted(job, entry)
		}
		if id := job.Status.JobID; id != "" && id != entry.JobID {
			inv.violated("paid twice: %s is about job %s, and Dafty made %s for it", job.Name, shortID(id), shortID(entry.JobID))
		}
	}
}

// checkReleased finds fault with the operator taking the finalizer off what may still run.
func (inv *invariants) checkReleased(was, job *v1alpha1.DaftyJob) {
	released := slices.Contains(was.Finalizers, v1alpha1.CancelFinalizer) && !slices.Contains(job.Finalizers, v1alpha1.CancelFinalizer)
	if released && job.DeletionTimestamp == nil && !was.Status.Phase.Final() {
		inv.violated("left running: should %s be deleted, nobody would cancel it: its finalizer is taken off: %s", job.Name, describe(was))
	}
}

// unreleased are the objects that have ended and couldn't be deleted without an operator. What the API server has refused is tried again an
// hour later.
func (inv *invariants) unreleased() (found []string) {
	for _, job := range inv.objects() {
		refused, is := inv.releaseRefused[job.UID]
		waits := is && time.Since(refused) < time.Hour+time.Minute
		if job.Status.Phase.Final() && job.DeletionTimestamp == nil && slices.Contains(job.Finalizers, v1alpha1.CancelFinalizer) && !waits {
			found = append(found, job.Name+" has ended, and can't be deleted without an operator: "+describe(job))
		}
	}
	return found
}

// checkNotSubmitted finds fault with an object that says that no job was made for it, though one was.
func (inv *invariants) checkNotSubmitted(job *v1alpha1.DaftyJob, entry daftysim.Entry) {
	if job.Status.Phase == v1alpha1.PhaseFailed && endOf(job) == v1alpha1.ReasonDeadlineExceeded && job.Status.JobID == "" && len(job.Status.FailedJobIDs) == 0 {
		inv.violated("false: %s is %s before its submission, but Dafty made job %s for it", job.Name, describe(job), shortID(entry.JobID))
	}
	if inv.deniedPickUp(job) {
		return
	}
	switch endOf(job) {
	case v1alpha1.ReasonInvalidRequest, v1alpha1.ReasonCancelledBeforeSubmission, v1alpha1.ReasonDependencyFailed, v1alpha1.ReasonInvalidReference:
		inv.violated("false: %s is %s, but Dafty made job %s for it", job.Name, describe(job), shortID(entry.JobID))
	}
}

// mayRetry reports whether a job has failed, and may be tried again.
func (inv *invariants) mayRetry(job *v1alpha1.DaftyJob, id string) bool {
	entry, known := inv.env.sim.Job(id)
	return known && entry.Status == daftysim.StatusFailed && ptr.Deref(job.Spec.BackoffLimit, 0) > 0
}
