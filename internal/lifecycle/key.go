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

// userKey is the key of an attempt, but for refusals.
func userKey(job *v1alpha1.DaftyJob, attempt int32) string {
	return fmt.Sprintf("%s-%d", cmp.Or(job.Spec.IdempotencyKey, string(job.UID)), attempt)
}

// freshKey is the key of an attempt after so many refusals.
func freshKey(job *v1alpha1.DaftyJob, attempt, refusals int32) string {
	return fmt.Sprintf("%s.%d", userKey(job, attempt), refusals)
}

// idempotencyKey is that of the next request of an attempt. It is derived from the object alone, or given in it, so that
// whoever repeats the request uses the same.
func idempotencyKey(job *v1alpha1.DaftyJob, attempt, refusals int32) string {
	if refusals == 0 || job.Spec.IdempotencyKey != "" {
		return userKey(job, attempt)
	}
	return freshKey(job, attempt, refusals)
}

// countsRefusal says whether Dafty may remember a refusal. A user's key is refused for good with an API key that isn't
// valid, and another API key knows nothing of it.
func countsRefusal(job *v1alpha1.DaftyJob, err *dafty.CallError) bool {
	return !err.Unsent && (job.Spec.IdempotencyKey == "" || err.Kind != dafty.KindUnauthorized)
}

// refusedTwice says whether the user's key met a refusal that may be one that Dafty merely remembers.
func refusedTwice(job *v1alpha1.DaftyJob, last *v1alpha1.Submission, err *dafty.CallError) bool {
	return job.Spec.IdempotencyKey != "" && last.Refusals > 0 && countsRefusal(job, err) && last.IdempotencyKey == userKey(job, last.Attempt)
}

// mayFollowAtOnce says whether a request may be sent right after one that was refused. Where it may not, the user's key
// is tried again later.
func (d *decider) mayFollowAtOnce(last *v1alpha1.Submission) bool {
	return d.Known.Hold == nil && !d.isSuspended() && !d.tooLateToStart() &&
		d.Known.Credentials.Secret == last.CredentialsHash
}
