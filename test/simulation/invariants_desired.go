package simulation

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// checkDesiredState holds what the operator writes against what was asked for when it decided: nothing is sent that isn't wanted, and
// what is on record stays.
func (inv *invariants) checkDesiredState(was, job *v1alpha1.DaftyJob) {
	if was.Status.CancelRequestedAt != nil && job.Status.CancelRequestedAt == nil {
		inv.violated("false: the cancel of %s is forgotten", job.Name)
	}
	for _, condition := range job.Status.Conditions {
		if condition.ObservedGeneration != job.Status.ObservedGeneration {
			inv.violated("false: %s of %s is of generation %d, and its status of %d",
				condition.Type, job.Name, condition.ObservedGeneration, job.Status.ObservedGeneration)
		}
	}
	if !was.Status.Phase.Final() && endOf(job) == v1alpha1.ReasonCompleted && job.Status.Phase.Final() && cancelRequested(was) {
		inv.violated("false: %s is %s, and was called off", job.Name, describe(job))
	}
	if s := job.Status.Submission; s != nil && s.IdempotencyKey != "" && !inv.sentKeys[s.IdempotencyKey] {
		inv.sentKeys[s.IdempotencyKey] = true
		inv.checkFirstRequest(was)
		inv.checkPayment(was, s.IdempotencyKey)
	}
}

// cancelRequested reports whether a job is to be cancelled, by its spec or by what is on record of an earlier one.
func cancelRequested(job *v1alpha1.DaftyJob) bool {
	return job.Spec.DesiredState == v1alpha1.DesiredCancelled || job.Status.CancelRequestedAt != nil
}

// isSuspended reports whether a job was suspended by its spec, and not released since: silence releases nothing.
func isSuspended(job *v1alpha1.DaftyJob) bool {
	return job.Spec.DesiredState == v1alpha1.DesiredSuspended || job.Spec.DesiredState == "" && job.Status.SuspendedAt != nil
}

// checkFirstRequest checks an object as it was when a request for it is first sent.
func (inv *invariants) checkFirstRequest(job *v1alpha1.DaftyJob) {
	switch seconds := job.Spec.StartingDeadlineSeconds; {
	case cancelRequested(job):
		inv.violated("paid unasked: %s was called off, and is submitted", job.Name)
	case isSuspended(job):
		inv.violated("paid unasked: %s is held back, and is submitted", job.Name)
	case seconds != nil && !maybeSubmitted(job) && time.Since(startingDeadline(job)) > maxSkew &&
		!inv.env.clocksJumped && !inv.env.lastPause.covers(startingDeadline(job)):
		inv.violated("paid unasked: %s is submitted %s after its starting deadline", job.Name, time.Since(startingDeadline(job)))
	}
}

// pausePeriod is the last pause of any process.
type pausePeriod struct{ from, to time.Time }

// covers reports whether a process that was awake at a time, and then paused, has gone on only now: what it writes was decided
// in time, and can't be stopped any more.
func (o pausePeriod) covers(at time.Time) bool {
	const wakes = 10 * time.Second // until the write that it was about to make has its effect
	return o.from.Before(at.Add(maxSkew)) && time.Since(o.to) < wakes
}

// startingDeadline is the starting deadline of a job that has one.
func startingDeadline(job *v1alpha1.DaftyJob) time.Time {
	return job.CreationTimestamp.Add(time.Duration(*job.Spec.StartingDeadlineSeconds) * time.Second)
}

// maybeSubmitted reports whether Dafty may have taken the job, or has.
func maybeSubmitted(job *v1alpha1.DaftyJob) bool {
	status := &job.Status
	return status.JobID != "" || status.InDoubt() || status.SubmittedAt != nil || len(status.FailedJobIDs) > 0 || lifecycle.Annotated(job) != ""
}

// shouldHaveStarted reports whether a job still waits although its starting deadline is long over.
func (inv *invariants) shouldHaveStarted(job *v1alpha1.DaftyJob) bool {
	return job.Spec.StartingDeadlineSeconds != nil && !maybeSubmitted(job) && time.Since(startingDeadline(job)) > time.Minute
}

// checkStartingDeadline holds the end of a job that wasn't submitted in time against the clock.
func (inv *invariants) checkStartingDeadline(job *v1alpha1.DaftyJob, untrue func(string)) {
	if job.Spec.StartingDeadlineSeconds == nil {
		untrue("it has no starting deadline")
	} else if time.Since(startingDeadline(job)) < -maxSkew && !inv.env.clocksJumped {
		untrue("its starting deadline is " + startingDeadline(job).String())
	}
}

// checkAlreadyCancelled checks that AlreadyCancelled is the reason of the cancelled objects that ask for something else, and of no others.
func (inv *invariants) checkAlreadyCancelled() {
	for _, job := range inv.objects() {
		already := readyOf(job).Reason == v1alpha1.ReasonAlreadyCancelled
		if job.Status.Phase == v1alpha1.PhaseCancelled && job.DeletionTimestamp == nil && already != (job.Spec.DesiredState != v1alpha1.DesiredCancelled) {
			inv.violated("false: %s is %s, and is to be %q", job.Name, describe(job), job.Spec.DesiredState)
		}
	}
}

// endOf is the reason for which a job ended, whatever its spec asks for since.
func endOf(job *v1alpha1.DaftyJob) string {
	reason := readyOf(job).Reason
	if c := meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionCancelled); reason == v1alpha1.ReasonAlreadyCancelled && c != nil {
		return c.Reason
	}
	return reason
}
