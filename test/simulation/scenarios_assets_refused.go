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
	return scenarios
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
