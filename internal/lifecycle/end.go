package lifecycle

import (
	"encoding/json"
	"fmt"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

func (d *decider) completed(job *dafty.Job) Decision {
	result := jobResult(job.Result)
	words := describeResult(result)
	if raw, err := json.Marshal(result); err != nil || len(raw) > maxResult {
		result, words = nil, "Dafty completed the job; its result is too long to keep here, look for it at Dafty"
	}
	d.status.Result, d.status.Error = result, nil
	v := current(v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted, words)
	if d.cancelWanted() || d.status.Phase == v1alpha1.PhaseCancelling {
		v.reason, v.message = v1alpha1.ReasonCompletedBeforeCancel, "the job completed before the cancel reached it, and is paid for: "+words
	}
	decision := d.finish(v)
	if d.deleting() {
		return decision // and nothing is for anybody to use
	}
	return d.afterwards(decision)
}

// failed ends a job that reads failed, which a cancelled one does too: it was cancelled if
// a cancel was on its way.
func (d *decider) failed(job *dafty.Job) Decision {
	// A cancel that was sent may be known only here: the API server can refuse to have it written, and its store can be set back.
	// Of one whose status is lost nothing else is left than that it was called off.
	sent := d.Known.Cancelled != "" || d.stopWanted() && (d.Known.CancelSent || d.Known.Cancel != nil && d.Known.Cancel.Done && d.Known.Cancel.Err == nil)
	emptied := d.Job.Status.Phase == "" && d.Job.Status.Submission == nil && d.cancelWanted()
	shared := d.stopWanted() && d.Known.CancelledElsewhere
	if d.status.Phase == v1alpha1.PhaseCancelling || sent || emptied || shared {
		if !d.cancelWanted() && d.Known.Cancelled != CancelForUser {
			words := "the job took longer than spec.activeDeadlineSeconds allowed when its cancel began" // it may have been changed since
			if d.overdue() {
				words = d.describeOverdue()
			}
			return d.finish(failed(v1alpha1.ReasonDeadlineExceeded, words+"; job "+job.Id+" is cancelled at Dafty"))
		}
		return d.finish(current(v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelled, "job "+job.Id+" is cancelled at Dafty"))
	}
	d.status.Error = &v1alpha1.JobError{Message: "Dafty gave no reason"}
	if job.Error != nil {
		d.status.Error.Code = string(job.Error.Code)
		if job.Error.Message != "" {
			d.status.Error.Message = job.Error.Message
		}
	}
	reason, message := d.failure()
	if job.Type == dafty.StyleExtract {
		reason = v1alpha1.ReasonExtractionFailed
	}
	limit := d.backoffLimit()
	switch {
	case d.Known.CancelledElsewhere:
		// It is called off, and not to be paid for once more.
		return d.finish(failed(reason, "job "+job.Id+" was cancelled at Dafty through another DaftyJob that shares it"))
	case limit == 0 || d.Job.Spec.AdoptJobID != "" || d.stopWanted():
		return d.finish(failed(reason, message))
	case d.status.Attempts > limit:
		return d.finish(failed(reason, fmt.Sprintf("%s; that was attempt %d of %d", message, d.status.Attempts, limit+1)))
	}
	return d.retry()
}

// failure returns why the last attempt failed.
func (d *decider) failure() (reason, message string) {
	reason, message = v1alpha1.ReasonGenerationFailed, "the last attempt failed"
	err := d.status.Error
	if err != nil {
		message = "Dafty could not make it: " + err.Message
	}
	if d.Job.Spec.StyleExtract != nil || err != nil && err.Code == string(dafty.EXTRACTIONFAILED) {
		reason = v1alpha1.ReasonExtractionFailed
	}
	return reason, message
}
