package simulation

import (
	"strings"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// checkReason holds an end against Dafty's books.
func (inv *invariants) checkReason(job *v1alpha1.DaftyJob) {
	entry, known := inv.env.sim.Job(job.Status.JobID)
	reason := endOf(job)
	untrue := func(why string) { inv.violated("false: %s is %s: %s", job.Name, describe(job), why) }
	switch reason {
	case v1alpha1.ReasonCompleted, v1alpha1.ReasonCompletedBeforeCancel:
		if !known || entry.Status != daftysim.StatusCompleted {
			untrue("at Dafty it is " + entry.Status)
		}
	case v1alpha1.ReasonGenerationFailed, v1alpha1.ReasonExtractionFailed, v1alpha1.ReasonCancelled:
		between := reason == v1alpha1.ReasonCancelled && job.Status.JobID == "" && len(job.Status.FailedJobIDs) > 0
		if !between && (!known || entry.Status != daftysim.StatusFailed) {
			untrue("at Dafty it is " + entry.Status)
		}
		// Dafty shows a cancelled job as a failed one. That it was cancelled was only in the status.
		shared := strings.HasPrefix(entry.IdempotencyKey, sharedKeys) // it may have been cancelled for another
		if reason != v1alpha1.ReasonCancelled && entry.Cancelled && !shared && !inv.lostStatus[job.UID] && !inv.unrecorded(job) && entry.Key != 0 {
			untrue("it was cancelled")
		}
	case v1alpha1.ReasonDeadlineExceeded:
		if job.Status.JobID == "" && len(job.Status.FailedJobIDs) == 0 {
			inv.checkStartingDeadline(job, untrue)
			break
		}
		if known && entry.Status != daftysim.StatusFailed || !known && len(job.Status.FailedJobIDs) == 0 {
			untrue("at Dafty it is " + entry.Status)
		}
		if due := inv.deadline(job); time.Now().Before(due.Add(-maxSkew)) && !inv.env.clocksJumped {
			untrue("its deadline is " + due.String())
		}
	case v1alpha1.ReasonDependencyFailed:
		inv.checkDependencyFailed(job, untrue)
	case v1alpha1.ReasonInvalidReference:
	case v1alpha1.ReasonJobNotFound:
		if known && !inv.mayBeForgotten(entry) {
			untrue("Dafty has it as " + entry.Status)
		}
	case v1alpha1.ReasonInvalidRequest, v1alpha1.ReasonCancelledBeforeSubmission:
		// Whether nothing was made shows at the end: a request may still be on its way.
	default:
		untrue("nothing ends so")
	}
}

// deadline is when a job's deadline is over, far off where it has none.
func (inv *invariants) deadline(job *v1alpha1.DaftyJob) time.Time {
	seconds, from := job.Spec.ActiveDeadlineSeconds, job.Status.SubmittedAt
	if seconds == nil || from == nil {
		return time.Now().Add(forever)
	}
	return from.Add(time.Duration(*seconds) * time.Second)
}

// checkDependencyFailed checks that something a job refers to has failed or is gone.
func (inv *invariants) checkDependencyFailed(job *v1alpha1.DaftyJob, untrue func(string)) {
	for _, name := range lifecycle.DependsOn(&job.Spec) {
		other := inv.env.api.get(name)
		seen := lifecycle.SeenUID(job, name)
		if other == nil || seen != "" && other.UID != seen && !inv.knownFromBackup(job, seen) ||
			other.Status.Phase == v1alpha1.PhaseFailed || other.Status.Phase == v1alpha1.PhaseCancelled {
			return
		}
	}
	untrue("nothing that it refers to has failed")
}
