package main

import (
	"fmt"
	"strings"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/operatortest"
)

// expectation is how a sample should end.
type expectation struct {
	phase  v1alpha1.Phase
	reason string
	// deleted is set if the DaftyJob is to be deleted; phase and reason don't count then.
	deleted bool
	// pictures is how many it makes.
	pictures int
	// cancelled is set if the job is cancelled at Dafty.
	cancelled bool
}

var expectations = map[string]expectation{
	"brand-style":        completed(0),
	"spring-hero":        completed(2),
	"spring-hero-shoe":   completed(1),
	"spring-banner":      completed(1),
	"spring-shop-window": completed(1),
	"spring-teaser":      completed(1),
	"spring-opener":      completed(1),
	"spring-tote":        completed(1),
	"summer-hero":        completed(1), // suspended, and released
	"competitor-parody":  {phase: v1alpha1.PhaseFailed, reason: v1alpha1.ReasonGenerationFailed},
	"autumn-clip":        {phase: v1alpha1.PhaseCancelled, reason: v1alpha1.ReasonCancelled, cancelled: true},
	"winter-draft":       {deleted: true, cancelled: true},
	"launch-style":       completed(0),
	"launch-hero":        completed(2),
	"launch-poster":      completed(1),
	"launch-clip":        completed(1),
}

func completed(pictures int) expectation {
	return expectation{phase: v1alpha1.PhaseCompleted, reason: v1alpha1.ReasonCompleted, pictures: pictures}
}

// problems returns how a sample and its job at Dafty differ from what is expected.
func (e expectation) problems(job jobState, charged []daftysim.Entry) []string {
	if job.DaftyJob == nil {
		return []string{"it was never there"}
	}
	var found []string
	problem := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	row := rowOf(job)
	switch {
	case e.deleted != row.gone:
		problem("it is %s; it should be deleted", describe(job))
	case !e.deleted && (row.phase != string(e.phase) || row.reason != e.reason):
		problem("it is %s; it should be %s, %s", describe(job), e.phase, e.reason)
	}
	if n := len(picturesOf(job)); n != e.pictures {
		problem("it made %d pictures, not %d", n, e.pictures)
	}
	if len(charged) != 1 {
		problem("Dafty made %d jobs for it, and each was paid for; there should be 1", len(charged))
	}
	for _, entry := range charged {
		switch {
		case !entry.Terminal():
			problem("job %s still runs at Dafty", entry.JobID)
		case entry.Cancelled != e.cancelled:
			problem("job %s ended at Dafty with cancelled=%t; it should be %t", entry.JobID, entry.Cancelled, e.cancelled)
		}
	}
	return found
}

// entriesOf returns the entries of a DaftyJob in the ledger: their idempotency keys begin with its UID.
func entriesOf(job jobState, ledger []daftysim.Entry) []daftysim.Entry {
	var found []daftysim.Entry
	for _, entry := range ledger {
		if job.DaftyJob != nil && strings.HasPrefix(entry.IdempotencyKey, string(job.UID)+"-") {
			found = append(found, entry)
		}
	}
	return found
}

// problems returns how the samples differ from what is expected.
func (e *environment) problems() []string {
	var found []string
	jobs, ledger := e.jobs.all(), e.sim.Ledger()
	charged := 0
	for _, name := range e.samples.names() {
		entries := entriesOf(jobs[name], ledger)
		charged += len(entries)
		for _, problem := range expectations[name].problems(jobs[name], entries) {
			found = append(found, name+": "+problem)
		}
	}
	found = append(found, e.assets.problems...)
	for _, part := range []*stages{&e.assets.stages, &e.sharing.stages} {
		ofPart, chargedInIt := part.problems(ledger)
		found = append(found, ofPart...)
		charged += chargedInIt
	}
	if charged != len(ledger) {
		found = append(found, fmt.Sprintf("Dafty made %d jobs that belong to no sample", len(ledger)-charged))
	}
	if key, form := operatortest.FindKey(e.operator.Log.String(), e.samples.apiKey, e.sharing.apiKey()); key != "" {
		found = append(found, "the API key is in the operator's log, "+form)
	}
	for _, violation := range e.sim.Violations() {
		found = append(found, "the contract was broken: "+violation)
	}
	return found
}
