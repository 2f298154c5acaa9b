package simulation

import (
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// toolTakesBack applies the manifest of a tool, without desiredState.
func (e *env) toolTakesBack() { e.apply("one", "") }

// takenBackScenarios are scenarios in which a tool takes back what a user has set.
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

// cancelThenIn cancels a job, and takes the cancel back by a tool a moment later.
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

// cancelTakenBack takes a cancel back while it is in doubt whether Dafty has the job.
func cancelTakenBack(e *env) { e.cancelThenIn("", true) }

// suspensionTakenBack takes a suspension back by silence before there is an API key.
func suspensionTakenBack(e *env) {
	e.do(func() { e.api.create(suspended()) })
	e.advance(2 * time.Second)
	e.do(e.toolTakesBack)
	e.advance(2 * time.Second)
	e.do(func() { e.api.putSecret(keyOne) })
	e.advance(2 * time.Minute)
}

// orphanedLate changes the policy when the cancel of a deletion has left, and crashes the operator before its end.
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
