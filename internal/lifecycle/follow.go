package lifecycle

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

// follow tells how a known job stands, and brings it to the end that is wanted.
func (d *decider) follow() Decision {
	job := d.Known.Job
	if job != nil && !strings.EqualFold(job.Id, d.status.JobID) {
		job = nil
	}
	if job != nil {
		d.observe(job)
		switch job.Status {
		case dafty.Completed:
			return d.completed(job)
		case dafty.Failed:
			return d.failed(job)
		}
	}
	if trouble := d.Known.Trouble; d.jobNotFound() && !d.foreignKey(trouble) && !d.justCreated() && !d.unverifiedID() {
		d.status.Error = jobError(trouble.Err)
		return d.finish(failed(v1alpha1.ReasonJobNotFound, fmt.Sprintf("Dafty doesn't know job %s; whether it made anything can only be seen at Dafty", d.status.JobID)))
	}

	now, credentials := d.underway(job), d.Known.Credentials
	cancels := d.stopWanted() && (credentials.Secret != "" || credentials.LastUsed != "")
	switch {
	case cancels:
		// It waits for nothing, as each second may be paid for.
		return d.cancel(now)
	case d.deleting():
	case !d.finalizer():
		return d.setStatus(now, AddFinalizer, 0)
	case !d.stopWanted() && d.annotationWanted():
		return d.setStatus(now, Annotate, 0)
	}
	if credentials.Secret == "" {
		return d.setStatus(inProgress(now.phase, v1alpha1.ReasonWaitingForCredentials,
			credentials.Problem+"; job "+d.status.JobID+" goes on at Dafty meanwhile"+d.describeDeletion()), Rest, d.credentialsPoll())
	}
	if now.stalled {
		return d.setStatus(now, Follow, d.credentialsPoll())
	}
	return d.setStatus(now, Follow, 0)
}

// observe records what Dafty says of a job whatever its state.
func (d *decider) observe(job *dafty.Job) {
	if !knownType(job.Type) && job.Type != "" {
		// The operation's own type stands, as Dafty may report a resize as an edit; one that is
		// new is shown as it came.
		d.status.JobType = string(job.Type)
	}
	if unread := job.CreatedAt.IsZero() && job.Status != dafty.Completed && job.Status != dafty.Failed; d.status.SubmittedAt == nil && !unread {
		created := metav1.NewTime(job.CreatedAt)
		if year := created.UTC().Year(); year < 2000 || year > 9999 {
			// None, or one that no status could hold.
			created = metav1.NewTime(d.Now)
		}
		d.status.SubmittedAt = &created
	}
	if job.Status == dafty.Processing && d.status.StartedAt == nil {
		started := metav1.NewTime(d.Now)
		d.status.StartedAt = &started
	}
}

// underway tells how a job that hasn't ended stands. It never goes back: what was
// processing isn't queued again because an old answer says so.
func (d *decider) underway(job *dafty.Job) verdict {
	phase := d.status.Phase
	if phase == "" || phase == v1alpha1.PhasePending {
		phase = v1alpha1.PhaseSubmitting
	}
	message := "asking Dafty how job " + d.status.JobID + " stands"
	if ready := d.ready(); ready != nil && ready.Reason == string(phase) && phase != v1alpha1.PhaseSubmitting {
		// A process that has just begun knows no better. Thousands of jobs would be written twice for nothing.
		message = ready.Message
	}
	if job != nil {
		message = fmt.Sprintf("Dafty reports job %s as %q, which this version of the operator doesn't know; it is followed on", job.Id, job.Status)
		switch job.Status {
		case dafty.Pending:
			if phase == v1alpha1.PhaseSubmitting {
				phase = v1alpha1.PhaseQueued
			}
			message = "job " + job.Id + " waits at Dafty for its turn"
		case dafty.Processing:
			if phase != v1alpha1.PhaseCancelling {
				phase = v1alpha1.PhaseProcessing
			}
			message = "Dafty works on job " + job.Id
		}
	}
	if phase == v1alpha1.PhaseCancelling {
		message = "cancelling job " + d.status.JobID + " at Dafty"
	}
	switch trouble := d.Known.Trouble; {
	case d.jobNotFound() && (d.submittedKey() == "" || d.unverifiedID()):
		return stalled(phase, v1alpha1.ReasonCredentialsRejected, fmt.Sprintf(
			"Dafty doesn't know job %s, which is from %s, under the API key in %s. If that key is of another account than the job, put the right one there; if it is the right one, %s%s",
			d.status.JobID, d.describeOrigin(), d.describeSecret(), d.describeAbsence(), d.describeDeletion()))
	case d.jobNotFound() && d.foreignKey(trouble):
		return stalled(phase, v1alpha1.ReasonCredentialsRejected, fmt.Sprintf(
			"Dafty doesn't know job %s under the API key in %s, which isn't the one it was submitted with; put that one back%s",
			d.status.JobID, d.describeSecret(), d.describeDeletion()))
	case trouble != nil && telling(trouble):
		return callFailed(phase, trouble.Err.Kind, trouble.Err.Error()+"; job "+d.status.JobID+" goes on at Dafty meanwhile"+d.describeDeletion(), d.describeSecret())
	}
	return inProgress(phase, string(phase), message)
}

// describeOrigin say where the id of a job comes from that this object didn't submit.
func (d *decider) describeOrigin() string {
	if d.Job.Spec.AdoptJobID != "" {
		return "spec.adoptJobID"
	}
	return "the annotation " + v1alpha1.JobAnnotation
}

// describeAbsence say what else than another account's key may be wrong with such an id.
func (d *decider) describeAbsence() string {
	if d.Job.Spec.AdoptJobID != "" {
		return "Dafty has forgotten the job, and this DaftyJob can be deleted"
	}
	return "the id is wrong and can be corrected in the annotation, or Dafty has forgotten the job, and this DaftyJob can be deleted"
}

// telling says whether a trouble is worth the user's attention: a wait for the next minute's calls isn't.
func telling(trouble *Trouble) bool {
	return trouble.Err.Kind != dafty.KindRateLimit && repeated(trouble.Failures)
}

// cancel has the job cancelled, and the cancel confirmed by a look at the job. Once it is on its way the finalizer is seen to.
func (d *decider) cancel(now verdict) Decision {
	// On record before the request leaves: from here on a job that reads failed was cancelled.
	now.phase = v1alpha1.PhaseCancelling
	if now.reconciling && now.reason != v1alpha1.ReasonAPIUnavailable {
		now = inProgress(v1alpha1.PhaseCancelling, v1alpha1.ReasonCancelling, "cancelling job "+d.status.JobID+" at Dafty")
	}
	watching := Follow
	if !d.finalizer() {
		watching = AddFinalizer // which follows the job too
	}
	call := d.Known.Cancel
	switch {
	case call == nil:
		return d.setStatus(now, Cancel, recancelAfter)
	case !call.Done && !call.Sent && d.deleting() && !d.Now.Before(d.deadline()):
		return d.setStatus(inProgress(v1alpha1.PhaseCancelling, v1alpha1.ReasonWaitingForRateLimit,
			"the API key's calls for this minute are used up; the cancel of job "+d.status.JobID+" leaves in its turn, and the deletion waits for it"), watching, recancelAfter)
	case !call.Done:
		return d.setStatus(now, watching, recancelAfter)
	}
	wait := recancelAfter
	if err := call.Err; err != nil {
		// It may have ended by itself: the look that follows tells. If not, cancel once more.
		wait = max(min(Backoff(time.Second, call.Failures, maxBackoff), recancelAfter), err.RetryAfter)
		switch err.Kind {
		case dafty.KindNotFound, dafty.KindConflict, dafty.KindInvalid:
		default:
			if odd(err.Kind, call.Failures) {
				break
			}
			now = callFailed(v1alpha1.PhaseCancelling, err.Kind, "the cancel of job "+d.status.JobID+" failed and is tried again: "+err.Error()+d.describeDeletion(), d.describeSecret())
		}
	}
	if left := call.At.Add(wait).Sub(d.Now); left > 0 {
		return d.setStatus(now, watching, min(left, credentialsPoll))
	}
	return d.setStatus(now, Cancel, recancelAfter)
}

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
	decision.Store = d.storeWanted()
	return d.afterwards(decision)
}

// failed ends a job that reads failed, which a cancelled one does too: it was cancelled if
// a cancel was on its way.
func (d *decider) failed(job *dafty.Job) Decision {
	// A cancel that was sent may stand here alone: the API server can refuse to have it written, and its store can be set back.
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

// retry prepares another attempt.
func (d *decider) retry() Decision {
	next := metav1.NewTime(d.Now.Add(Backoff(retryAfter, len(d.status.FailedJobIDs)+1, maxRetryAfter))).Rfc3339Copy()
	d.status.FailedJobIDs = append(d.status.FailedJobIDs, d.status.JobID)
	if since := d.submittedSince(); !since.IsZero() {
		// For the deadline: when the request was sent is forgotten with it.
		d.status.SubmittedAt = &metav1.Time{Time: since}
	}
	d.status.JobID, d.status.Submission, d.status.NextAttemptAt = "", nil, &next
	meta.RemoveStatusCondition(&d.status.Conditions, v1alpha1.ConditionSubmitted)
	return d.setStatus(d.backingOff(), Rest, next.Sub(d.Now))
}

// failure is why the last attempt failed.
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

func (d *decider) backoffLimit() int32 {
	if limit := d.Job.Spec.BackoffLimit; limit != nil {
		return *limit
	}
	return 0
}

func (d *decider) backingOff() verdict {
	_, message := d.failure()
	return inProgress(v1alpha1.PhasePending, v1alpha1.ReasonBackingOff, fmt.Sprintf("%s; it is tried again at %s, as attempt %d of %d",
		message, d.status.NextAttemptAt.UTC().Format(time.RFC3339), d.status.Attempts+1, d.backoffLimit()+1))
}

// jobNotFound says whether Dafty denies the job: more than once, as one look proves nothing. An id that a person has written
// may be one that it doesn't even read.
func (d *decider) jobNotFound() bool {
	trouble := d.Known.Trouble
	return trouble != nil && trouble.Failures >= notFoundLooks &&
		(trouble.Err.Kind == dafty.KindNotFound || trouble.Err.Kind == dafty.KindInvalid && d.unverifiedID())
}

// justCreated says that the job was made moments ago, and a part of Dafty may not have heard of it yet.
func (d *decider) justCreated() bool {
	made := d.status.SubmittedAt
	return made != nil && d.Now.Sub(made.Time) < unheardOf
}

// foreignKey says whether the key that met the trouble may be of another account than the one
// that made the job, where every job is absent.
func (d *decider) foreignKey(trouble *Trouble) bool {
	credentials := d.Known.Credentials
	return trouble.Credentials != d.submittedKey() && (credentials.LastUsedUnverified || trouble.Credentials != credentials.LastUsed)
}

// submittedKey is the hash of the key that the job was made with, empty where that isn't on record.
func (d *decider) submittedKey() string {
	if made := d.status.Submission; made != nil {
		return made.CredentialsHash
	}
	return ""
}

// describeSecret names the Secret and the key in it, for a message.
func (d *decider) describeSecret() string {
	ref := d.Job.Spec.CredentialsSecretRef
	return fmt.Sprintf("key %q of Secret %q", ref.Key, ref.Name)
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
