package simulation

import (
	"net/http"
	"slices"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// refusedScenarios are the scenarios in which a job is cancelled, or is to begin, while the API server refuses writes.
func refusedScenarios() []scenario {
	var list []scenario
	for _, refusal := range []struct {
		name  string
		kinds []string
		code  int
	}{
		{"status by a policy", []string{statusWrites}, http.StatusUnprocessableEntity},
		{"status by a webhook that is down", []string{statusWrites}, http.StatusInternalServerError},
		{"status by a webhook's conflicts", []string{statusWrites}, http.StatusConflict},
		{"all by a policy", []string{statusWrites, metadataWrites}, http.StatusUnprocessableEntity},
		{"all without an answer", []string{statusWrites, metadataWrites}, 0},
		{"metadata by a policy", []string{metadataWrites}, http.StatusUnprocessableEntity},
		{"metadata by a webhook that is down", []string{metadataWrites}, http.StatusServiceUnavailable},
	} {
		refused := refusedWrites{kinds: refusal.kinds, code: refusal.code}
		list = append(list,
			scenario{"cancel while the API server refuses " + refusal.name, true, func(e *env) { cancelledWhileRefused(e, refused, e.cancelOne) }},
			scenario{"delete while the API server refuses " + refusal.name, true, func(e *env) { cancelledWhileRefused(e, refused, e.deleteOne) }},
		)
	}
	return append(list,
		scenario{"deleted in doubt while the API server refuses status", true, func(e *env) {
			e.injectFault(hangAfter)
			e.create(image)
			e.advance(5 * time.Second)
			e.do(func() {
				e.refuse(refusedWrites{kinds: []string{statusWrites}, code: http.StatusUnprocessableEntity}, deletionTimeout+2*time.Minute)
				e.deleteOne()
			})
			e.advance(deletionTimeout + 4*time.Minute)
		}},
		scenario{"the finalizer can't be added", false, finalizerRefused},
		scenario{"the end can't be written for long", false, endRefused},
	)
}

// cancelledWhileRefused cancels a running job while writes are refused, for longer than a deletion waits.
func cancelledWhileRefused(e *env, refused refusedWrites, callOff func()) {
	e.create(image)
	e.advance(queued)
	e.do(func() {
		e.refuse(refused, deletionTimeout+3*time.Minute)
		callOff()
	})
	e.advance(3 * time.Minute)
	e.do(e.expectStopped)
	e.advance(deletionTimeout + 2*time.Minute)
}

// expectStopped checks that no unwanted job runs, when it has had time to be cancelled. Of a request in doubt nobody knows the job:
// to repeat it takes a record, or two of them could be on their way at once.
func (e *env) expectStopped() {
	if slices.ContainsFunc(e.invariants.objects(), func(job *v1alpha1.DaftyJob) bool { return job.Status.InDoubt() }) {
		return
	}
	for _, what := range e.invariants.unwantedJobs() {
		e.invariants.violated("left running: %s, while writes are refused", what)
	}
}

// finalizerRefused makes a policy refuse the finalizer of a new object for a while.
func finalizerRefused(e *env) {
	e.do(func() {
		e.refuse(refusedWrites{kinds: []string{metadataWrites}, code: http.StatusUnprocessableEntity}, 4*time.Minute)
	})
	e.create(image)
	e.advance(3 * time.Minute)
	e.do(func() {
		if job := e.api.get("one"); job != nil && readyOf(job).Reason != v1alpha1.ReasonWriteRefused {
			e.invariants.violated("stuck: one doesn't say that its finalizer is refused: %s", describe(job))
		}
	})
	e.advance(2 * time.Minute)
}

// endRefused refuses the end of a job for long: once it is taken, it must be written soon.
func endRefused(e *env) {
	e.create(image)
	e.advance(queued)
	e.do(func() {
		e.refuse(refusedWrites{kinds: []string{statusWrites}, code: http.StatusInternalServerError}, 10*time.Minute)
	})
	e.advance(10*time.Minute + 80*time.Second)
	e.do(func() {
		if job := e.api.get("one"); job != nil && !job.Status.Phase.Final() && len(e.invariants.objects()) > 0 {
			e.invariants.violated("stuck: one is %s, more than a minute after writes were taken again", describe(job))
		}
	})
}
