package simulation

import (
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// restoreOne restores the object that a scenario is about.
func (e *env) restoreOne() {
	if backup := e.api.get("one"); backup != nil {
		e.trace.add("user", "restores one, with its status")
		e.api.restore(backup)
	}
}

// restoredScenarios are the scenarios of objects that come back with their status.
func restoredScenarios() []scenario {
	return []scenario{
		{"restored with its status while the job runs", true, func(e *env) {
			e.create(image)
			e.advance(queued)
			e.do(e.restoreOne)
			e.advance(time.Minute)
		}},
		{"restored with its status, and deleted", true, func(e *env) {
			e.create(image)
			e.advance(queued)
			e.do(e.restoreOne)
			e.advance(5 * time.Second)
			e.do(e.deleteOne)
			e.advance(time.Minute)
		}},
		{"restored with its status in doubt", false, restoredInDoubt},
		{"a chain is restored with its status", false, restoredChain},
	}
}

// restoredInDoubt loses the answer to a request, and restores the object.
func restoredInDoubt(e *env) {
	e.injectFault(hangAfter)
	e.create(image)
	e.advance(20 * time.Second)
	e.do(e.restoreOne)
	e.advance(3 * time.Minute)
}

// restoredChain restores two objects that wait: one for the Secret, the other for the first.
func restoredChain(e *env) {
	e.do(func() {
		e.api.create(image())
		poster := image()
		poster.Name = "two"
		poster.Spec.ImageGenerate = nil
		poster.Spec.ImageUpscale = &v1alpha1.ImageUpscale{Image: v1alpha1.ImageTarget{JobRef: &v1alpha1.JobReference{Name: "one"}}}
		e.api.create(poster)
	})
	e.advance(5 * time.Second)
	e.do(func() {
		for _, name := range []string{"one", "two"} {
			e.trace.add("user", "restores %s, with its status", name)
			e.api.restore(e.api.get(name))
		}
	})
	e.advance(10 * time.Second)
	e.do(func() { e.api.putSecret(keyOne) })
	e.advance(time.Minute)
}
