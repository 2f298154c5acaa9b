package simulation

import (
	"net/http"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// refusedAssetScenarios are the scenarios in which the status of a DaftyAsset can't be written.
func refusedAssetScenarios() (scenarios []assetScenario) {
	for _, refusal := range []struct {
		by   string
		code int
	}{
		{"a policy", http.StatusUnprocessableEntity},
		{"a webhook that is down", http.StatusInternalServerError},
		{"a webhook's conflicts", http.StatusConflict},
	} {
		scenarios = append(scenarios, assetScenario{scenario{"a change that is overtaken while status is refused by " + refusal.by, true, func(e *env) {
			overtakenWhileRefused(e, refusal.code)
		}}, 2})
	}
	return append(scenarios, assetScenario{scenario{"a DaftyJob that is cancelled before it is on record", false, cancelledUnrecorded}, 1})
}

// overtakenWhileRefused overtakes a change whose job runs, while the status of the DaftyAsset can't be written.
func overtakenWhileRefused(e *env, code int) {
	e.createNow("hero", picture("a mountain"))
	e.advance(queued)
	e.do(func() {
		e.refuse(refusedWrites{kinds: []string{statusWrites}, object: "asset hero", code: code}, 5*time.Minute)
		e.editNow("hero", picture("a lake"))
	})
	e.advance(3 * time.Minute)
	e.do(func() {
		for _, entry := range e.sim.Running() {
			if job := e.invariants.holderOf(entry); job != nil && !job.Status.InDoubt() {
				e.invariants.violated("left running: job %s of %s, which is overtaken, while writes are refused", shortID(entry.JobID), job.Name)
			}
		}
	})
	e.advance(3 * time.Minute)
}

// cancelledUnrecorded has a person cancel a DaftyJob that isn't on record, as that can't be written: it comes on record before it can
// end, and nothing is paid for it.
func cancelledUnrecorded(e *env) {
	e.createHero(picture("a mountain"))
	name := ""
	e.do(func() {
		e.refuse(refusedWrites{kinds: []string{statusWrites}, object: "asset hero", code: http.StatusUnprocessableEntity}, 5*time.Minute)
		e.editNow("hero", picture("a lake"))
	})
	unrecorded := func() bool {
		for _, job := range e.invariants.objects() {
			if !job.Status.Phase.Final() && e.invariants.unrecordedByAsset(job) {
				name = job.Name
			}
		}
		return name != ""
	}
	e.advanceUntil(4*time.Minute, unrecorded)
	if name == "" {
		e.do(func() {
			e.invariants.violated("stuck: DaftyAsset hero makes no DaftyJob while its status can't be written")
		})
		return
	}
	e.do(func() {
		e.refuse(refusedWrites{kinds: []string{statusWrites}, object: name, code: http.StatusUnprocessableEntity}, 8*time.Minute)
		e.trace.add("user", "cancels %s", name)
		e.api.change(name, func(job *v1alpha1.DaftyJob) { job.Spec.DesiredState = v1alpha1.DesiredCancelled })
	})
	e.advance(7 * time.Minute)
	e.do(func() {
		if job := e.api.get(name); e.invariants.unrecordedByAsset(job) || job.Status.Phase.Final() {
			e.invariants.violated("stuck: %s, which was cancelled, isn't on record: %s", name, describe(job))
		}
	})
	e.advance(3 * time.Minute)
	e.do(func() {
		if reason := assetReady(e.api.asset("hero")).Reason; reason != v1alpha1.ReasonCancelledBeforeSubmission {
			e.invariants.violated("false: DaftyAsset hero says %s of a DaftyJob that was cancelled", reason)
		}
	})
}
