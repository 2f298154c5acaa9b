package lifecycle

import (
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

// cancel has the job cancelled, and the cancel confirmed by a look at the job. Once it is on its way the finalizer is seen to.
func (d *decider) cancel(now verdict) Decision {
	// On record before the request leaves: from here on a job that reads failed was cancelled.
	now.phase = v1alpha1.PhaseCancelling
	if now.reconciling && now.reason != v1alpha1.ReasonAPIUnavailable {
		now = inProgress(v1alpha1.PhaseCancelling, v1alpha1.ReasonCancelling, "cancelling job "+d.status.JobID+" at Dafty")
	}
	var watching Step = Follow{}
	if !d.finalizer() {
		watching = AddFinalizer{} // which follows the job too
	}
	call := d.Known.Cancel
	switch {
	case call == nil:
		return d.setStatus(now, Cancel{}, recancelAfter)
	case !call.Done && !call.Sent && d.deleting() && !d.Now.Before(d.deadline()):
		return d.setStatus(inProgress(v1alpha1.PhaseCancelling, v1alpha1.ReasonWaitingForRateLimit,
			"the API key's calls for this minute are used up; the cancel of job "+d.status.JobID+" leaves in its turn, and the deletion waits for it"),
			watching, recancelAfter)
	case !call.Done:
		return d.setStatus(now, watching, recancelAfter)
	}
	wait := recancelAfter
	if err := call.Err; err != nil {
		// It may have ended by itself: the look that follows tells. If not, cancel once more.
		wait = max(min(dafty.Backoff(time.Second, call.Failures, maxBackoff), recancelAfter), err.RetryAfter)
		if MeaningOf(err.Kind).Blocks != BlocksJob && !odd(err.Kind, call.Failures) {
			now = callFailed(v1alpha1.PhaseCancelling, err.Kind, "the cancel of job "+d.status.JobID+" failed and is tried again: "+err.Error()+d.describeDeletion(),
				d.describeSecret())
		}
	}
	if left := call.At.Add(wait).Sub(d.Now); left > 0 {
		return d.setStatus(now, watching, min(left, credentialsPoll))
	}
	return d.setStatus(now, Cancel{}, recancelAfter)
}

// describeDeletion says until when a deletion waits.
func (d *decider) describeDeletion() string {
	if !d.deleting() {
		return ""
	}
	if !d.Now.Before(d.deadline()) {
		return "; the deletion waits until a cancel was tried"
	}
	return "; the deletion waits for it until " + d.deadline().UTC().Format(time.RFC3339)
}
