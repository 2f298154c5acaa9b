package lifecycle

import (
	"fmt"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// startBy returns until when the job may be submitted, zero where there is no such limit, or none any more: Dafty has taken an
// attempt, or may have.
func (d *decider) startBy() time.Time {
	seconds := d.Job.Spec.StartingDeadlineSeconds
	if started := !d.neverSubmitted() || d.status.SubmittedAt != nil || len(d.status.FailedJobIDs) > 0; seconds == nil || started {
		return time.Time{}
	}
	return d.Job.CreationTimestamp.Add(time.Duration(*seconds) * time.Second)
}

func (d *decider) tooLateToStart() bool {
	due := d.startBy()
	return !due.IsZero() && !d.Now.Before(due)
}

// neverStarted ends a job that wasn't submitted in time.
func (d *decider) neverStarted() Decision {
	message := fmt.Sprintf("not submitted within the %d seconds of spec.startingDeadlineSeconds, which count from its creation",
		*d.Job.Spec.StartingDeadlineSeconds)
	if ready := d.ready(); ready != nil && d.status.Phase == v1alpha1.PhasePending {
		message += " (it waited: " + ready.Reason + ")"
	}
	paid := "; nothing was submitted or paid for"
	if d.status.Attempts > 0 {
		paid = "; the request before that made no job, as the annotation " + v1alpha1.ResubmitAnnotation + " says"
	}
	return d.finish(failed(v1alpha1.ReasonDeadlineExceeded,
		message+paid+". If it is still wanted, create it again under a new name, with a longer deadline or none"))
}
