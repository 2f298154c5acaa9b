package simulation

import (
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// options returns the options of a scenario's env.
func (s scenario) options(variants daftysim.Variants) options {
	return options{seed: 1, replicas: 1, variants: variants, pending: 4 * time.Second, processing: 5 * time.Second, manual: s.manual, creating: time.Second}
}

// injectFault makes every call to Dafty fail in this way for 10 s.
func (e *env) injectFault(f fault) {
	e.do(func() { e.daftyFaults = faults{kinds: []fault{f}, odds: 8, until: time.Now().Add(10 * time.Second)} })
}

// create creates the Secret and the object.
func (e *env) create(job func() *v1alpha1.DaftyJob) {
	e.do(func() {
		e.api.putSecret(keyOne)
		e.trace.add("user", "creates one")
		e.api.create(job())
	})
}

func (e *env) setDesiredStateOfOne(state v1alpha1.DesiredState) {
	if e.api.get("one") == nil {
		return
	}
	e.trace.add("user", "wants one to be %s", state)
	e.api.change("one", func(job *v1alpha1.DaftyJob) { job.Spec.DesiredState = state })
}

func (e *env) cancelOne() { e.setDesiredStateOfOne(v1alpha1.DesiredCancelled) }

func (e *env) deleteOne() {
	e.trace.add("user", "deletes one")
	e.api.delete("one")
}

// startAll makes Dafty begin with every job.
func (e *env) startAll() {
	for _, entry := range e.sim.Running() {
		e.trace.add("env", "job %s starts", shortID(entry.JobID))
		_ = e.sim.Start(entry.JobID) // it may have
	}
}

// raceOne makes the job process, and its next cancel meet its end.
func (e *env) raceOne() {
	e.advance(queued)
	e.do(func() {
		e.startAll()
		for _, entry := range e.sim.Running() {
			_ = e.sim.RaceCancel(entry.JobID) // it may have ended
		}
	})
}
