package simulation

import (
	"slices"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// tamperScenarios are the scenarios in which somebody takes away what the operator goes by, and those in which it asks a
// user.
func tamperScenarios() []scenario {
	// found has a user answer for the request that everybody has lost track of: its answer was lost, with a crash,
	// and the key it was sent with is gone.
	found := func(f fault) func(*env) {
		return func(e *env) {
			e.injectFault(f)
			e.create(image)
			e.advance(5 * time.Second)
			e.do(func() {
				e.api.putSecret(keyTwo)
				for _, p := range e.processes {
					p.crash("while the answer is awaited")
				}
			})
			e.advance(2*time.Minute + userPatience)
			e.do(e.answerMessages)
			e.advance(time.Minute)
		}
	}
	return []scenario{
		{"the status is lost while queued", true, func(e *env) { e.create(image); e.advance(queued); e.do(e.loseStatusOfOne); e.advance(time.Minute) }},
		{"the status is lost while processing", true, func(e *env) {
			e.create(image)
			e.advance(queued)
			e.do(e.startAll)
			e.advance(7 * time.Second)
			e.do(e.loseStatusOfOne)
			e.advance(time.Minute)
		}},
		{"the status is lost after the end", false, func(e *env) { e.create(image); e.advance(20 * time.Second); e.do(e.loseStatusOfOne) }},
		{"the status is lost, and it is deleted", true, func(e *env) {
			e.create(image)
			e.advance(queued)
			e.do(e.loseStatusOfOne)
			e.advance(50 * time.Millisecond)
			e.do(e.deleteOne)
		}},
		{"restored from a backup without status", true, func(e *env) {
			e.create(image)
			e.advance(queued)
			e.do(func() {
				if backup := e.api.get("one"); backup != nil {
					e.trace.add("user", "restores one, without status")
					e.api.vanish("one")
					e.api.createFrom(backup, true)
				}
			})
			e.advance(time.Minute)
		}},
		{"orphaned, and re-created with its annotation", true, func(e *env) {
			e.create(orphan)
			e.advance(queued)
			e.do(e.deleteOne)
			e.advance(time.Minute)
			e.do(func() {
				if e.api.get("one") == nil {
					e.trace.add("user", "creates one again, with the annotations that it had")
					e.api.createFrom(e.api.lastOf("one"), false)
				}
			})
			e.advance(time.Minute)
			e.do(e.cancelOne)
		}},
		{"the finalizer is taken off, and it is deleted later", true, finalizerTakenOff},
		{"the annotation is taken off, and the status is lost later", true, func(e *env) {
			e.create(image)
			e.advance(queued)
			e.do(func() { e.api.takeAnnotationOff("one") })
			e.advance(time.Minute)
			e.do(e.expectHeld)
			e.do(e.loseStatusOfOne)
		}},
		{"the status is lost of what was released", false, lostAfterRelease},
		{"an older operator has left its finalizer", false, finalizerLeft},
		{"a refusal is repeated whose cause is gone", false, refusalRemembered},
		{"a user finds the job", true, found(hangAfter)},
		{"a user finds that there is none", false, found(hang)},
	}
}

// lostAfterRelease loses the status of a job that has ended and was released, and deletes it.
func lostAfterRelease(e *env) {
	e.create(image)
	e.advance(time.Minute)
	e.do(e.loseStatusOfOne)
	e.advance(3 * time.Second)
	e.do(e.deleteOne)
}

// finalizerLeft has a job that ended an hour ago keep its finalizer, as an older operator left it.
func finalizerLeft(e *env) {
	e.create(image)
	e.advance(time.Minute)
	e.do(func() {
		if e.api.get("one") == nil {
			return
		}
		e.trace.add("user", "puts the finalizer back on one, which ended an hour ago")
		e.api.tamper("one", func(job *v1alpha1.DaftyJob) {
			job.Finalizers = []string{v1alpha1.CancelFinalizer}
			if job.Status.FinishedAt != nil {
				job.Status.FinishedAt.Time = job.Status.FinishedAt.Add(-time.Hour)
			}
		})
	})
	e.advance(time.Minute)
}

// finalizerTakenOff takes the finalizer off a running job, and deletes it later.
func finalizerTakenOff(e *env) {
	e.create(image)
	e.advance(queued)
	e.do(func() { e.api.takeFinalizerOff("one") })
	e.advance(time.Minute)
	e.do(e.expectHeld)
	e.do(e.deleteOne)
}

// expectHeld checks that the operator, which has had the time, has put back what was taken off.
func (e *env) expectHeld() {
	job := e.api.get("one")
	if job == nil {
		e.invariants.violated("stuck: one is gone")
		return
	}
	if !slices.Contains(job.Finalizers, v1alpha1.CancelFinalizer) || lifecycle.Annotated(job) != job.Status.JobID {
		e.invariants.violated("left running: if one goes or its status is lost, nobody cancels its job: finalizers %q, annotation %q",
			job.Finalizers, lifecycle.Annotated(job))
	}
}

// refusalRemembered loses the answer of a request that is refused, and makes Dafty repeat the refusal when its cause is gone.
func refusalRemembered(e *env) {
	v := e.variants
	v.RefusedKey = daftysim.RefusedKeySame
	e.sim.SetVariants(v)
	e.sim.SetCredits(acme, 0)
	e.injectFault(hangAfter)
	e.create(image)
	e.advance(2 * time.Minute)
	e.sim.SetCredits(acme, daftysim.DefaultCredits)
	e.advance(userPatience)
	e.do(e.answerMessages)
	e.advance(time.Minute)
}

// loseStatusOfOne does nothing before the annotation is there, without which nothing is promised.
func (e *env) loseStatusOfOne() {
	if job := e.api.get("one"); job != nil && lifecycle.Annotated(job) != "" {
		e.trace.add("user", "empties the status of one")
		e.api.loseStatus("one")
	}
}
