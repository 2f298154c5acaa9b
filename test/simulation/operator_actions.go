package simulation

import (
	"slices"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// userPatience is how long a person waits before they look for the job of a request at Dafty: longer than one may be
// on its way.
const userPatience = 2 * time.Minute

// askUser are the reasons whose message has commands for a person to run.
var askUser = []string{
	v1alpha1.ReasonSubmissionUnknown,
	v1alpha1.ReasonInsufficientCredits, v1alpha1.ReasonSubscriptionRequired, v1alpha1.ReasonUsageLimitExceeded, v1alpha1.ReasonWaitingForConcurrency,
}

// answerMessages does what the messages of requests in doubt ask for: looks for the job at Dafty, and says which it is, or that
// there is none. The caller holds the lock.
func (e *env) answerMessages() {
	now := time.Now().Add(e.clockOff)
	for _, job := range e.invariants.objects() {
		submission, reason := job.Status.Submission, readyOf(job).Reason
		if !job.Status.InDoubt() || !slices.Contains(askUser, reason) {
			continue
		}
		sent := submission.StartedAt // the repeats that are refused come each minute
		if reason == v1alpha1.ReasonSubmissionUnknown {
			if sent = submission.SentAt; !e.invariants.unrepeatable(job) {
				continue // the operator can find it out by itself, and must
			}
		}
		if now.Sub(sent.Time) < userPatience {
			continue
		}
		annotation, value := v1alpha1.ResubmitAnnotation, submission.IdempotencyKey
		for _, entry := range e.sim.Ledger() {
			if entry.IdempotencyKey == submission.IdempotencyKey && !slices.Contains(job.Status.FailedJobIDs, entry.JobID) {
				annotation, value = v1alpha1.JobAnnotation, lifecycle.Annotation(job, entry.JobID)
			}
		}
		if job.Annotations[annotation] == value {
			continue
		}
		e.trace.add("person", "annotates %s: %s=%s", job.Name, annotation, value)
		e.api.tamper(job.Name, func(job *v1alpha1.DaftyJob) {
			if job.Annotations == nil {
				job.Annotations = map[string]string{}
			}
			job.Annotations[annotation] = value
		})
	}
}
