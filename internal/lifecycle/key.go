package lifecycle

import (
	"cmp"
	"fmt"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

// A refused request made no job, but Dafty may answer its key with the same refusal for as long as it remembers the key,
// although the cause is gone. So the next request has a fresh one.
//
// That won't do for a key of the user's own, by which an object that is created again is to find the first one's job: that
// job must be made under a key that the second object sends too. So the user's key is always tried first; only where
// Dafty refuses it a second time is a fresh one sent, and at once after it: if the refusal was true, the fresh one meets the
// same, and if it was merely remembered, the second object is led the same way.
//
// A request that names an image in another form (see forms.go) has a key of its own, the user's key too: the second object
// meets the same refusals in the same order.

// userKey returns the key of an attempt, but for refusals.
func (d *decider) userKey(attempt int32) string {
	return fmt.Sprintf("%s-%d%s", cmp.Or(d.Job.Spec.IdempotencyKey, string(d.Job.UID)), attempt, formKey(&d.Job.Spec, d.status.Inputs))
}

// freshKey returns the key of an attempt after so many refusals.
func (d *decider) freshKey(attempt, refusals int32) string {
	return fmt.Sprintf("%s.%d", d.userKey(attempt), refusals)
}

// idempotencyKey returns the key of the next request of an attempt. It is derived from nothing but the object, or stands in it, so that
// whoever repeats the request uses the same.
func (d *decider) idempotencyKey(attempt, refusals int32) string {
	if refusals == 0 || d.Job.Spec.IdempotencyKey != "" {
		return d.userKey(attempt)
	}
	return d.freshKey(attempt, refusals)
}

// countsRefusal reports whether Dafty may remember a refusal. A user's key is refused for good with an API key that isn't
// valid, and another API key knows nothing of it.
func countsRefusal(job *v1alpha1.DaftyJob, err *dafty.CallError) bool {
	return !err.Unsent && (job.Spec.IdempotencyKey == "" || err.Kind != dafty.KindUnauthorized)
}

// refusedTwice reports whether the user's key met a refusal that may be one that Dafty merely remembers.
func (d *decider) refusedTwice(last *v1alpha1.Submission, err *dafty.CallError) bool {
	return d.Job.Spec.IdempotencyKey != "" && last.Refusals > 0 && countsRefusal(d.Job, err) && last.IdempotencyKey == d.userKey(last.Attempt)
}

// keyTaken reports whether an answer may mean that Dafty knows the idempotency key from a request with another body, which
// may have made a job. A key that was derived from the object is of one body only, unless somebody took the inputs of a
// request in doubt out of status: at its first sending a 422 is a refusal like any other.
func (d *decider) keyTaken(err *dafty.CallError) bool {
	submission := d.status.Submission
	first := submission.StartedAt.Equal(submission.SentAt)
	return err.KeyMayBeTaken() && !(err.Kind == dafty.KindInvalid && !err.NamesKey() && first && d.Job.Spec.IdempotencyKey == "")
}

// takenVerdict returns the verdict on a request whose key Dafty may know from another. It is repeated, as a 409 may pass: the first request
// with the key may still be worked on, which needs nobody.
func (d *decider) takenVerdict(err *dafty.CallError) verdict {
	if err.Kind == dafty.KindConflict && d.Known.Submission.Failures < 2 && d.Job.Spec.IdempotencyKey == "" {
		return callFailed(v1alpha1.PhaseSubmitting, err.Kind, err.Error()+"; the request is repeated with the same idempotency key, which makes no second job",
			d.describeSecret())
	}
	return stalled(v1alpha1.PhaseSubmitting, v1alpha1.ReasonSubmissionUnknown, fmt.Sprintf(
		"Dafty refuses idempotency key %s: %s. It may know it from another request, which may have made a job and be paid for. %s",
		d.status.Submission.IdempotencyKey, err.Error(), d.recoveryCommands()))
}

// wasTaken reports whether that was the last answer to the request in doubt: its repeats don't take back what was said.
func (d *decider) wasTaken() bool {
	call := d.Known.Submission
	return call != nil && call.Err != nil && d.status.InDoubt() && call.Record.IdempotencyKey == d.status.Submission.IdempotencyKey && d.keyTaken(call.Err)
}

// mayFollowAtOnce reports whether a request may be sent right after one that was refused. Where it may not, the user's key
// is tried again later.
func (d *decider) mayFollowAtOnce(last *v1alpha1.Submission) bool {
	return d.Known.Block == nil && !d.isSuspended() && !d.tooLateToStart() &&
		d.Known.Credentials.Secret == last.CredentialsHash
}
