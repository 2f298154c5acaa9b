package lifecycle_test

import (
	"time"

	. "dafty.ai/dafty-operator/api/v1alpha1" //nolint:revive // The tables are made of its words.
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// oddAnswers are told once they repeat, and what they answered is asked again before.
func oddAnswers() []row {
	badKey := refusal(dafty.KindUnauthorized)
	page := &dafty.CallError{Kind: dafty.KindUnauthorized, Status: 401, Message: "Dafty answered 401 Unauthorized without saying why"}
	processing := newJob(taken(PhaseProcessing))
	follows := then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, step: lifecycle.Follow{}}
	cancels := then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Follow{}, after: time.Second}
	asksAgain := then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: "which shows whether it does", step: lifecycle.Rest{}, after: time.Second, also: cleared(1)}
	inTrouble := newJob(sent, says(PhaseSubmitting, ReasonInsufficientCredits))

	rows := []row{
		{
			name: "a request whose key is refused once is sent again", given: newJob(sent), known: with(keyA, once(badKey, 0)), when: time.Second, then: asksAgain,
		},
		{
			name: "a proxy's page in answer to a request", given: newJob(sent), known: with(keyA, once(page, 0)), when: time.Second, then: asksAgain,
		},
		{
			name: "and waits until then", given: newJob(refusedBefore(1), says(PhaseSubmitting, ReasonSubmitting)), known: with(keyA, asksAgainUntil(2*time.Second)),
			then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: "which shows whether it does", step: lifecycle.Rest{}, after: 2 * time.Second},
		},
		{
			name: "what was wrong before is told on", given: inTrouble, known: with(keyA, once(badKey, 0)), when: time.Second,
			then: then{phase: PhasePending, way: stalled, reason: ReasonInsufficientCredits, step: lifecycle.Rest{}, after: time.Second, also: cleared(1)},
		},
		{
			name: "called off meanwhile", given: newJob(sent, desired(DesiredCancelled)), known: with(keyA, once(badKey, 0)), when: time.Second,
			then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelledBeforeSubmission, step: lifecycle.Rest{}, event: "Normal CancelledBeforeSubmission", also: cleared(1)},
		},
		{
			name: "a repeat whose key is refused once is repeated soon", given: newJob(repeated(time.Minute), says(PhaseSubmitting, ReasonSubmitting)), known: with(keyA, once(badKey, time.Minute)), when: 61 * time.Second,
			then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Rest{}, after: 4 * time.Second, also: records(firstKey, 1, 0, 0, time.Minute, keyA)},
		},
		{
			name: "and then it is", given: newJob(repeated(time.Minute), says(PhaseSubmitting, ReasonSubmitting)), known: with(keyA, once(badKey, time.Minute)), when: 65 * time.Second,
			then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: records(firstKey, 1, 0, 0, 65*time.Second, keyA)},
		},
		{
			name: "a rotated key that is refused once is still the one to repeat with", given: newJob(repeated(time.Minute), says(PhaseSubmitting, ReasonSubmitting)), known: with(keyB, held(keyA), once(badKey, time.Minute)), when: 65 * time.Second,
			then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: records(firstKey, 1, 0, 0, 65*time.Second, keyA)},
		},
	}
	for _, kind := range []dafty.Kind{
		dafty.KindUnauthorized, dafty.KindInsufficientCredits, dafty.KindSubscriptionRequired, dafty.KindNotFound, dafty.KindInvalid, dafty.KindConflict,
		dafty.KindUsageLimit, dafty.KindConcurrency, dafty.KindRateLimit, dafty.KindUnavailable,
	} {
		rows = append(rows, row{
			name: "one look that meets " + string(kind), given: processing, known: with(keyA, looked(daftys(dafty.Processing)), trouble(refusal(kind), 1, keyA)), when: time.Minute, then: follows,
		})
	}
	for _, kind := range []dafty.Kind{dafty.KindUnauthorized, dafty.KindInsufficientCredits, dafty.KindSubscriptionRequired} {
		rows = append(rows, row{
			name: "one cancel that meets " + string(kind), given: newJob(taken(PhaseCancelling), desired(DesiredCancelled)), known: with(keyA, cancelDone(0, refusal(kind), 1)), then: cancels,
		}, row{
			name: "one upload that meets " + string(kind), given: video, gathered: reading(picture),
			known: with(keyA, upload(lifecycle.Upload{Done: true, Err: refusal(kind), Failures: 1, RetryAt: t0.Add(time.Second)})),
			then:  uploading(inProgress, ReasonUploading, "uploading ConfigMap brand", 5*time.Second),
		})
	}
	return rows
}

// asksAgainUntil has a second try wait.
func asksAgainUntil(until time.Duration) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) {
		known.Block = &lifecycle.Block{Kind: dafty.KindUnauthorized, Message: "Dafty said so", Once: true, Until: t0.Add(until)}
	}
}
