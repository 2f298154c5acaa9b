package simulation

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// toolApplies has a tool put its manifest in the place of what users have set, as Flux and kubectl replace do. Mostly it is
// silent about desiredState.
func toolApplies(e *env, p picker) {
	e.apply(p.job(), pick(&p, "", "", "", v1alpha1.DesiredCompleted))
}

// apply has a tool put back what its manifest says of desiredState.
func (e *env) apply(name string, state v1alpha1.DesiredState) {
	if job := e.api.get(name); job == nil || job.Spec.DesiredState == state {
		return
	}
	e.trace.add("tool", "applies %s, with desiredState %q", name, state)
	e.api.change(name, func(job *v1alpha1.DaftyJob) { job.Spec.DesiredState = state })
}

// setOrphan has a user change the policy when the object may be on its way out already.
func setOrphan(e *env, p picker) { e.orphan(p.job()) }

func (e *env) orphan(name string) {
	if job := e.api.get(name); job == nil || job.Spec.DeletionPolicy == v1alpha1.DeletionOrphan {
		return
	}
	e.trace.add("user", "sets deletionPolicy Orphan on %s", name)
	e.api.change(name, func(job *v1alpha1.DaftyJob) { job.Spec.DeletionPolicy = v1alpha1.DeletionOrphan })
}

// checkDesiredState holds what the operator writes against what was asked for when it decided: nothing is sent that isn't wanted, and
// what is on record stays.
func (inv *invariants) checkDesiredState(was, job *v1alpha1.DaftyJob) {
	if was.Status.CancelRequestedAt != nil && job.Status.CancelRequestedAt == nil {
		inv.violated("false: the cancel of %s is forgotten", job.Name)
	}
	for _, condition := range job.Status.Conditions {
		if condition.ObservedGeneration != job.Status.ObservedGeneration {
			inv.violated("false: %s of %s is of generation %d, and its status of %d", condition.Type, job.Name, condition.ObservedGeneration, job.Status.ObservedGeneration)
		}
	}
	if !was.Status.Phase.Final() && endOf(job) == v1alpha1.ReasonCompleted && job.Status.Phase.Final() && cancelRequested(was) {
		inv.violated("false: %s is %s, and was called off", job.Name, describe(job))
	}
	if s := job.Status.Submission; s != nil && s.IdempotencyKey != "" && !inv.sentKeys[s.IdempotencyKey] {
		inv.sentKeys[s.IdempotencyKey] = true
		inv.checkFirstRequest(was)
	}
}

// cancelRequested says whether a job is to be cancelled, by its spec or by what is on record of an earlier one.
func cancelRequested(job *v1alpha1.DaftyJob) bool {
	return job.Spec.DesiredState == v1alpha1.DesiredCancelled || job.Status.CancelRequestedAt != nil
}

// isSuspended says whether a job was suspended by its spec, and not released since: silence releases nothing.
func isSuspended(job *v1alpha1.DaftyJob) bool {
	return job.Spec.DesiredState == v1alpha1.DesiredSuspended || job.Spec.DesiredState == "" && job.Status.SuspendedAt != nil
}

// checkFirstRequest is asked of an object as it was when a request for it is sent for the first time.
func (inv *invariants) checkFirstRequest(job *v1alpha1.DaftyJob) {
	switch seconds := job.Spec.StartingDeadlineSeconds; {
	case cancelRequested(job):
		inv.violated("paid unasked: %s was called off, and is submitted", job.Name)
	case isSuspended(job):
		inv.violated("paid unasked: %s is held back, and is submitted", job.Name)
	case seconds != nil && !maybeSubmitted(job) && time.Since(startingDeadline(job)) > maxSkew && !inv.env.clocksJumped && !inv.env.lastPause.covers(startingDeadline(job)):
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

// maybeSubmitted says whether Dafty may have taken the job, or has.
func maybeSubmitted(job *v1alpha1.DaftyJob) bool {
	status := &job.Status
	return status.JobID != "" || status.InDoubt() || status.SubmittedAt != nil || len(status.FailedJobIDs) > 0 || lifecycle.Annotated(job) != ""
}

// shouldHaveStarted says whether a job waits on although its starting deadline is long over.
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

// checkAlreadyCancelled holds at the end what is told of the objects that are cancelled against what they ask for by now.
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

// toolTakesBack has a tool that is silent apply its manifest.
func (e *env) toolTakesBack() { e.apply("one", "") }

// takenBackScenarios are scenarios in which a tool takes back what a person has set.
func takenBackScenarios() []scenario {
	list := []scenario{
		{"a suspension is taken back by silence", true, suspensionTakenBack},
		{"a suspension is taken back by silence, between attempts", true, func(e *env) {
			e.create(func() *v1alpha1.DaftyJob {
				job := impossible()
				job.Spec.BackoffLimit = new(int32(1))
				return job
			})
			e.advance(queued)
			e.do(func() { e.setDesiredStateOfOne(v1alpha1.DesiredSuspended) })
			e.advance(2 * time.Second)
			e.do(func() {
				e.toolTakesBack()
				e.startAll()
			})
			e.advance(time.Minute)
		}},
		{"the starting deadline comes before the Secret", false, func(e *env) {
			e.do(func() {
				job := image()
				job.Spec.StartingDeadlineSeconds = new(int64(20))
				e.trace.add("user", "creates one")
				e.api.create(job)
			})
			e.advance(19 * time.Second)
			e.do(func() { e.api.putSecret(keyOne) })
			e.advance(time.Minute)
		}},
		{"a deletion is orphaned too late", true, orphanedLate},
	}
	for _, state := range []v1alpha1.DesiredState{"", v1alpha1.DesiredCompleted, v1alpha1.DesiredSuspended} {
		name := string(state)
		if name == "" {
			name = "silence"
		}
		list = append(list,
			scenario{"a cancel is taken back in doubt by " + name, true, func(e *env) { e.cancelThenIn(state, true) }},
			scenario{"a cancel is taken back under way by " + name, true, func(e *env) { e.cancelThenIn(state, false) }},
		)
	}
	return list
}

// cancelThenIn has a cancel taken back by a tool, a moment after it was asked for.
func (e *env) cancelThenIn(state v1alpha1.DesiredState, doubt bool) {
	if doubt {
		e.injectFault(hangAfter)
	}
	e.create(image)
	e.advance(queued)
	e.do(e.cancelOne)
	e.advance(time.Second)
	e.do(func() { e.apply("one", state) })
	e.advance(2 * time.Minute)
}

// cancelTakenBack has a cancel taken back while it is in doubt whether Dafty has the job.
func cancelTakenBack(e *env) { e.cancelThenIn("", true) }

// suspensionTakenBack has a suspension taken back by silence before there is an API key.
func suspensionTakenBack(e *env) {
	e.do(func() { e.api.create(suspended()) })
	e.advance(2 * time.Second)
	e.do(e.toolTakesBack)
	e.advance(2 * time.Second)
	e.do(func() { e.api.putSecret(keyOne) })
	e.advance(2 * time.Minute)
}

// orphanedLate has the policy changed when the cancel of a deletion has left, and the operator crashed before its end.
func orphanedLate(e *env) {
	v := e.variants
	v.AfterCancel = daftysim.AfterCancelLater
	e.sim.SetVariants(v)
	e.create(image)
	e.advance(queued)
	e.do(e.deleteOne)
	e.advance(time.Second)
	e.do(func() {
		if e.leader != nil {
			e.leader.crash("while it cancels")
		}
		e.orphan("one")
	})
	e.advance(2 * time.Minute)
}
