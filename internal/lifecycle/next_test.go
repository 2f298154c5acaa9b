package lifecycle_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"

	. "dafty.ai/dafty-operator/api/v1alpha1" //nolint:revive // The tables are made of its words.
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// row is one decision: given an object and what is known of it, when it is so late, then
// this is written and done.
type row struct {
	name  string
	given *DaftyJob
	known lifecycle.Known
	when  time.Duration
	then  then
	// gathered is what was read of what the object refers to.
	gathered lifecycle.References
}

func (r row) input() lifecycle.Snapshot {
	return lifecycle.Snapshot{Job: r.given, Known: r.known, References: r.gathered, Now: t0.Add(r.when), DeletionTimeout: deletionTimeout}
}

// then is what a row expects. An empty reason means that status says nothing, an empty event
// that there is none; says is a part of the Ready condition's or, where there is none, the
// event's message.
type then struct {
	phase  Phase
	way    string
	reason string
	says   string
	step   lifecycle.Step
	after  time.Duration
	event  string
	also   func(*testing.T, lifecycle.Decision)
	// stores reports whether the result is stored first. The rest is of the decision after it, where that succeeded.
	stores bool
}

var rows = slices.Concat(beforeSubmission, submission, doubt, picking, following, cancels, deletions, ends, kindRows(),
	dependencies, assetReferences, ofAssets, searches, files, lostInputs, otherForms, takenKeys, retries, deadlines, adoptions, keys, kept, released, thumbnails, results,
	accounts, cancelsStand, suspensionsStand, startingDeadlines, lateOrphans, oddAnswers(), restores)

func TestNext(t *testing.T) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			in := row.input()
			got := decide(t, in)
			if lifecycle.Is[lifecycle.StoreResult](got.Step) != row.then.stores {
				t.Fatalf("step %s", got.Step)
			}
			if row.then.stores {
				in.Known.Stored = &written
				got = decide(t, in)
			}

			way, _ := standing(&got.Status)
			reason, message, event := "", "", eventOf(got)
			if ready := meta.FindStatusCondition(got.Status.Conditions, ConditionReady); ready != nil {
				reason, message = ready.Reason, ready.Message
			}
			if got.Event != nil {
				message += "\n" + got.Event.Message
			}
			want := row.then
			if got.Status.Phase != want.phase || way != want.way || reason != want.reason {
				t.Errorf("status is %s, %s, %s; want %s, %s, %s", got.Status.Phase, way, reason, want.phase, want.way, want.reason)
			}
			if !reflect.DeepEqual(got.Step, want.step) || got.After != want.after || event != want.event {
				t.Errorf("then %s, after %s, event %q; want %s, after %s, event %q", got.Step, got.After, event, want.step, want.after, want.event)
			}
			if !strings.Contains(message, want.says) {
				t.Errorf("message %q; want %q in it", message, want.says)
			}
			if want.also != nil {
				want.also(t, got)
			}
		})
	}
}

// eventOf returns the type and the reason of a decision's event.
func eventOf(decision lifecycle.Decision) string {
	switch event := decision.Event; {
	case event == nil:
		return ""
	case event.Warning:
		return "Warning " + event.Reason
	default:
		return "Normal " + event.Reason
	}
}

// records checks the submission on record.
func records(key string, attempt, refusals int32, startedAt, sentAt time.Duration, hash string) func(*testing.T, lifecycle.Decision) {
	return func(t *testing.T, got lifecycle.Decision) {
		t.Helper()
		want := Submission{Attempt: attempt, IdempotencyKey: key, Refusals: refusals, StartedAt: at(startedAt), SentAt: at(sentAt), CredentialsHash: hash}
		if is := got.Status.Submission; asJSON(is) != asJSON(want) {
			t.Errorf("submission is %s, want %s", asJSON(is), asJSON(want))
		}
		if got.Status.Attempts != attempt {
			t.Errorf("attempts is %d", got.Status.Attempts)
		}
	}
}

// cleared checks that no request is on its way, and how many were refused.
func cleared(refusals int32) func(*testing.T, lifecycle.Decision) {
	return func(t *testing.T, got lifecycle.Decision) {
		t.Helper()
		want := Submission{Attempt: 1, Refusals: refusals}
		if is := got.Status.Submission; asJSON(is) != asJSON(want) || got.Status.Attempts != 0 {
			t.Errorf("submission is %s after %d attempts, want %s", asJSON(is), got.Status.Attempts, asJSON(want))
		}
	}
}

func hasError(code, message string) func(*testing.T, lifecycle.Decision) {
	return func(t *testing.T, got lifecycle.Decision) {
		t.Helper()
		if e := got.Status.Error; e == nil || e.Code != code || e.Message != message {
			t.Errorf("error is %s", asJSON(e))
		}
	}
}

func hasID(t *testing.T, got lifecycle.Decision) {
	t.Helper()
	if got.Status.JobID != jobID {
		t.Errorf("job id is %q", got.Status.JobID)
	}
}

// Nothing is submitted yet.
var beforeSubmission = []row{
	{
		name: "nothing is submitted before the finalizer stands", given: newJob(noFinalizer), known: with(keyA),
		then: then{way: unseen, step: lifecycle.AddFinalizer{}},
	},
	{
		name: "no Secret", given: newJob(), known: with(""),
		then: then{phase: PhasePending, way: inProgress, reason: ReasonWaitingForCredentials, says: `Secret "dafty-credentials" isn't there`,
			step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning WaitingForCredentials"},
	},
	{
		name: "still no Secret", given: newJob(says(PhasePending, ReasonWaitingForCredentials)), known: with(""),
		then: then{phase: PhasePending, way: inProgress, reason: ReasonWaitingForCredentials, step: lifecycle.Rest{}, after: 5 * time.Second},
	},
	{
		name: "no Secret for eight minutes: it is looked for less often", given: newJob(says(PhasePending, ReasonWaitingForCredentials)), known: with(""), when: 7 * time.Minute,
		then: then{phase: PhasePending, way: inProgress, reason: ReasonWaitingForCredentials, step: lifecycle.Rest{}, after: 30 * time.Second},
	},
	{
		name: "no Secret for a day: each minute", given: newJob(says(PhasePending, ReasonWaitingForCredentials)), known: with(""), when: 24 * time.Hour,
		then: then{phase: PhasePending, way: inProgress, reason: ReasonWaitingForCredentials, step: lifecycle.Rest{}, after: time.Minute},
	},
	{
		name: "a key that was used before and is in no Secret makes no new job", given: newJob(refusedBefore(1)), known: with("", held(keyA)),
		then: then{phase: PhasePending, way: inProgress, reason: ReasonWaitingForCredentials, step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning WaitingForCredentials"},
	},
	{
		name: "suspended", given: newJob(desired(DesiredSuspended)), known: with(keyA),
		then: then{phase: PhasePending, way: suspended, reason: ReasonSuspended, says: "set spec.desiredState to Completed", step: lifecycle.Rest{}, event: "Normal Suspended"},
	},
	{
		name: "suspended while it waited", given: newJob(refusedBefore(1), desired(DesiredSuspended)), known: with(keyA),
		then: then{phase: PhasePending, way: suspended, reason: ReasonSuspended, step: lifecycle.Rest{}, event: "Normal Suspended"},
	},
	{
		name: "released", given: newJob(desired(DesiredCompleted), says(PhasePending, ReasonSuspended)), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second},
	},
	{
		name: "cancelled before anything", given: newJob(noFinalizer, desired(DesiredCancelled)), known: with(""),
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelledBeforeSubmission, says: "nothing was paid",
			step: lifecycle.Rest{}, event: "Normal CancelledBeforeSubmission"},
	},
	{
		name: "cancelled while it waited", given: newJob(refusedBefore(2), desired(DesiredCancelled)), known: with(keyA),
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelledBeforeSubmission, step: lifecycle.Rest{}, event: "Normal CancelledBeforeSubmission"},
	},
	{
		name: "an operation of a newer version waits for it", given: newJob(noOperation), known: with(keyA),
		then: then{phase: PhasePending, way: stalled, reason: ReasonInvalidRequest, says: "upgrade the operator", step: lifecycle.Rest{}, event: "Warning InvalidRequest"},
	},
	{
		name: "held back without a time", given: newJob(), known: with(keyA, func(k *lifecycle.Known) { k.Block = &lifecycle.Block{Kind: dafty.KindRateLimit} }),
		then: then{phase: PhasePending, way: inProgress, reason: ReasonWaitingForRateLimit, step: lifecycle.Rest{}, after: time.Second, event: "Normal WaitingForRateLimit"},
	},
}

// A request is let go, and answered.
var submission = []row{
	{
		name: "the first attempt is on record before it leaves", given: newJob(), known: with(keyA), when: 500 * time.Millisecond,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second,
			also: records(firstKey, 1, 0, 0, 0, keyA)},
	},
	{
		name: "a fresh key after a refusal, for the same attempt", given: newJob(refusedBefore(2)), known: with(keyB), when: time.Minute,
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonInsufficientCredits, says: "so it was", step: lifecycle.Submit{}, after: 45 * time.Second,
			also: records(firstKey+".2", 1, 2, time.Minute, time.Minute, keyB)},
	},
	{
		name: "the answer isn't there yet", given: newJob(sent), known: with(keyA, posting), when: 10 * time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Rest{}, after: 45 * time.Second},
	},
	{
		name: "Dafty took it", given: newJob(sent), known: with(keyA, answered(daftys(dafty.Pending))), when: 2 * time.Second,
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Annotate{}, event: "Normal Queued", also: hasID},
	},
	{
		name: "Dafty took it, and another job was known before", given: newJob(sent), when: 2 * time.Second,
		known: with(keyA, answered(daftys(dafty.Processing)), looked(&dafty.Job{Id: otherID, Status: dafty.Completed})),
		then:  then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, step: lifecycle.Annotate{}, event: "Normal Processing", also: hasID},
	},
	{
		name: "Dafty took it, and a look has since told more", given: newJob(sent), when: 2 * time.Second,
		known: with(keyA, answered(daftys(dafty.Pending)), looked(daftys(dafty.Processing))),
		then:  then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, step: lifecycle.Annotate{}, event: "Normal Processing", also: hasID},
	},
	{
		name: "a repeated key answers with a job that has ended", given: newJob(sent), known: with(keyA, answered(daftys(dafty.Completed))), when: time.Minute,
		then: then{phase: PhaseCompleted, way: current, reason: ReasonCompleted, says: "a-style", step: lifecycle.Rest{}, event: "Normal Completed", also: hasID},
	},
	{
		name: "it surely never left: the same key again", given: newJob(sent), known: with(keyA, failing(unsent, 1, 0)), when: time.Second,
		then: then{phase: PhasePending, way: inProgress, reason: ReasonAPIUnavailable, says: "can't be reached", step: lifecycle.Rest{}, after: time.Second,
			event: "Warning APIUnavailable", also: cleared(0)},
	},
	{
		name: "refused while it was being cancelled", given: newJob(sent, desired(DesiredCancelled)), known: with(keyA, failing(refusal(dafty.KindInvalid), 1, 0)), when: time.Second,
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelledBeforeSubmission, step: lifecycle.Rest{}, event: "Normal CancelledBeforeSubmission", also: cleared(1)},
	},
	{
		name: "Dafty's 400 ends it, with Dafty's words", given: newJob(sent), known: with(keyA, failing(refusal(dafty.KindInvalid), 1, 0)), when: time.Second,
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonInvalidRequest, says: "under a new name", step: lifecycle.Rest{}, event: "Warning InvalidRequest",
			also: func(t *testing.T, got lifecycle.Decision) {
				hasError("VALIDATION_ERROR", "Dafty said so")(t, got)
				if details := got.Status.Error.Details; details == nil || string(details.Raw) != `{"prompt":"too odd"}` {
					t.Errorf("details are %s", asJSON(details))
				}
			}},
	},
}

// What became of a request isn't known.
var doubt = []row{
	{
		name: "after a restart, not yet 45 s", given: newJob(sent), known: with(keyA), when: 44 * time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Rest{}, after: time.Second},
	},
	{
		name: "somebody took its times out of status: the longest wait, and the shortest memory", given: newJob(sent, withoutTimes), known: with(keyA), when: time.Hour,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Rest{}, after: 45 * time.Second,
			also: records(firstKey, 1, 0, -time.Hour, time.Hour, keyA)},
	},
	{
		name: "after a restart, what was wrong stays told", given: newJob(sent, says(PhaseSubmitting, ReasonAPIUnavailable)), known: with(keyA), when: 44 * time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonAPIUnavailable, says: "so it was", step: lifecycle.Rest{}, after: time.Second},
	},
	{
		name: "after a restart, in a phase that came before", given: newJob(sent, says(PhasePending, ReasonSuspended)), known: with(keyA), when: 40 * time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: "makes no second job", step: lifecycle.Rest{}, after: 5 * time.Second, event: "Normal Submitting"},
	},
	{
		name: "after a restart, 45 s: repeated under the same key", given: newJob(sent), known: with(keyA), when: 45 * time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: "repeating the request", step: lifecycle.Submit{}, after: 45 * time.Second,
			also: records(firstKey, 1, 0, 0, 45*time.Second, keyA)},
	},
	{
		name: "a call of an older key says nothing", given: newJob(sent), when: 45 * time.Second,
		known: with(keyA, answered(daftys(dafty.Pending)), func(k *lifecycle.Known) { k.Submission.Record.IdempotencyKey = "older" }),
		then:  then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: records(firstKey, 1, 0, 0, 45*time.Second, keyA)},
	},
	{
		name: "a call that another process has repeated since says nothing", given: newJob(repeated(time.Minute)), when: 61 * time.Second,
		known: with(keyA, failing(refusal(dafty.KindInsufficientCredits), 1, 0)),
		then:  then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Rest{}, after: 44 * time.Second},
	},
	{
		name: "a repeat that never left says nothing about the request before it", given: newJob(repeated(time.Minute)), when: 61 * time.Second,
		known: with(keyA, failing(unsent, 1, time.Minute)),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonAPIUnavailable, says: "the same idempotency key", step: lifecycle.Rest{}, after: 44 * time.Second,
			event: "Warning APIUnavailable", also: records(firstKey, 1, 0, 0, time.Minute, keyA)},
	},
	{
		name: "nor when it is to be cancelled", given: newJob(repeated(time.Minute), desired(DesiredCancelled)), when: 61 * time.Second,
		known: with(keyA, failing(unsent, 1, time.Minute)),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonAPIUnavailable, step: lifecycle.Rest{}, after: 44 * time.Second,
			event: "Warning APIUnavailable", also: records(firstKey, 1, 0, 0, time.Minute, keyA)},
	},
	{
		name: "somebody took the finalizer off", given: newJob(sent, noFinalizer), known: with(keyA), when: time.Hour,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.AddFinalizer{}},
	},
	{
		name: "no answer: 45 s", given: newJob(sent), known: with(keyA, failing(noAnswer, 1, 0)), when: 30 * time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonAPIUnavailable, says: "the same idempotency key", step: lifecycle.Rest{}, after: 15 * time.Second, event: "Warning APIUnavailable"},
	},
	{
		name: "a proxy's 502: 45 s", given: newJob(sent), known: with(keyA, failing(proxyError, 1, 0)), when: 30 * time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonAPIUnavailable, step: lifecycle.Rest{}, after: 15 * time.Second, event: "Warning APIUnavailable"},
	},
	{
		name: "Dafty's own 500: 5 s", given: newJob(sent), known: with(keyA, failing(internalError, 1, 0)), when: time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonAPIUnavailable, says: "INTERNAL_ERROR", step: lifecycle.Rest{}, after: 4 * time.Second, event: "Warning APIUnavailable"},
	},
	{
		name: "Dafty's own 500: repeated, and what is wrong stays told", given: newJob(sent, says(PhaseSubmitting, ReasonAPIUnavailable)),
		known: with(keyA, failing(internalError, 1, 0)), when: 5 * time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonAPIUnavailable, says: "so it was", step: lifecycle.Submit{}, after: 45 * time.Second,
			also: records(firstKey, 1, 0, 0, 5*time.Second, keyA)},
	},
	{
		name: "Dafty's own 500 again and again: backed off, to 5 minutes at most", given: newJob(sent), known: with(keyA, failing(internalError, 30, 0)), when: time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonAPIUnavailable, step: lifecycle.Rest{}, after: 299 * time.Second, event: "Warning APIUnavailable"},
	},
	{
		name: "the same with a cancel waiting: 45 s at most", given: newJob(sent, desired(DesiredCancelled)), known: with(keyA, failing(internalError, 30, 0)), when: time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonAPIUnavailable, step: lifecycle.Rest{}, after: 44 * time.Second, event: "Warning APIUnavailable"},
	},
	{
		name: "Retry-After is heeded", given: newJob(sent), known: with(keyA, failing(retryAfter(internalError, 90*time.Second), 1, 0)), when: time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonAPIUnavailable, step: lifecycle.Rest{}, after: 89 * time.Second, event: "Warning APIUnavailable"},
	},
	{
		name: "a repeat waits for its share of the rate limit", given: newJob(sent), known: with(keyA, hold(dafty.KindRateLimit, 70*time.Second)), when: time.Minute,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonWaitingForRateLimit, step: lifecycle.Rest{}, after: 10 * time.Second, event: "Normal WaitingForRateLimit",
			also: records(firstKey, 1, 0, 0, 0, keyA)},
	},
	{
		name: "suspension comes too late", given: newJob(sent, desired(DesiredSuspended)), known: with(keyA), when: time.Minute,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: records(firstKey, 1, 0, 0, time.Minute, keyA)},
	},
	{
		name: "a cancel first learns the job's id", given: newJob(sent, desired(DesiredCancelled)), known: with(keyA), when: time.Minute,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: records(firstKey, 1, 0, 0, time.Minute, keyA)},
	},
	{
		name: "a cancel has learnt the job's id, and doesn't wait for the annotation", given: newJob(sent, desired(DesiredCancelled)), known: with(keyA, answered(daftys(dafty.Pending))), when: time.Second,
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling", also: hasID},
	},
	{
		name: "within 23 h it is repeated", given: newJob(sent), known: with(keyA), when: 23*time.Hour - time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second,
			also: records(firstKey, 1, 0, 0, 23*time.Hour-time.Second, keyA)},
	},
	{
		name: "after 23 h never again, however new the last repeat", given: newJob(repeated(23*time.Hour - time.Minute)), known: with(keyA), when: 23 * time.Hour,
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonSubmissionUnknown, says: "kubectl annotate --overwrite -n shop daftyjob hero dafty.ai/job=shop/hero:ID",
			step: lifecycle.Rest{}, after: 5 * time.Minute, event: "Warning SubmissionUnknown"},
	},
	{
		name: "unknown, and the user has found the job", given: newJob(sent, says(PhaseSubmitting, ReasonSubmissionUnknown), note(ownNote)), known: with(keyA), when: 24 * time.Hour,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: "asking Dafty how job", step: lifecycle.Follow{}, event: "Normal Submitting", also: hasID},
	},
	{
		name: "unknown, and the user has found that there is none: the next attempt, with a key of its own", given: newJob(sent, says(PhaseSubmitting, ReasonSubmissionUnknown), resubmit(firstKey)), known: with(keyA), when: 24 * time.Hour,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second,
			also: records(secondKey, 2, 0, 24*time.Hour, 24*time.Hour, keyA)},
	},
	{
		name: "unknown under a key that is gone, and the user has found that there is none", given: newJob(sent, says(PhaseSubmitting, ReasonSubmissionUnknown), resubmit(firstKey)), known: with(keyB), when: time.Hour,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second,
			also: records(secondKey, 2, 0, time.Hour, time.Hour, keyB)},
	},
	{
		name: "unknown, and the user speaks of another request", given: newJob(sent, says(PhaseSubmitting, ReasonSubmissionUnknown), resubmit(secondKey)), known: with(keyA), when: 24 * time.Hour,
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonSubmissionUnknown, says: "kubectl annotate --overwrite -n shop daftyjob hero dafty.ai/resubmit=" + firstKey,
			step: lifecycle.Rest{}, after: 5 * time.Minute},
	},
	{
		name: "in doubt, and Dafty can still tell: nobody needs to say it", given: newJob(sent, resubmit(firstKey)), known: with(keyA), when: 23*time.Hour - time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second,
			also: records(firstKey, 1, 0, 0, 23*time.Hour-time.Second, keyA)},
	},
	{
		name: "in doubt, and its repeats are refused: a way out is named", given: newJob(repeated(time.Minute)), when: 62 * time.Second,
		known: with(keyA, failing(refusal(dafty.KindInsufficientCredits), 2, time.Minute)),
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonInsufficientCredits, step: lifecycle.Rest{}, after: 43 * time.Second, event: "Warning InsufficientCredits",
			says: "have a new one made with: kubectl annotate --overwrite -n shop daftyjob hero dafty.ai/resubmit=" + firstKey,
			also: records(firstKey, 1, 0, 0, time.Minute, keyA)},
	},
	{
		name: "in doubt, its repeats are refused, and the user has found the job", given: newJob(repeated(time.Minute), note(ownNote)), when: 62 * time.Second,
		known: with(keyA, failing(refusal(dafty.KindUsageLimit), 2, time.Minute)),
		then:  then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: "asking Dafty how job", step: lifecycle.Follow{}, also: hasID},
	},
	{
		name: "in doubt, its repeats are refused, the user has found the job, and it is deleted", given: newJob(repeated(time.Minute), note(ownNote), deleted(time.Minute)), when: 62 * time.Second,
		known: with(keyA, failing(refusal(dafty.KindConcurrency), 2, time.Minute)),
		then:  then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling", also: hasID},
	},
	{
		name: "in doubt, its repeats are refused, and the user has found that there is none: not before the repeat has surely passed", when: 62 * time.Second,
		given: newJob(repeated(time.Minute), resubmit(firstKey)), known: with(keyA, failing(refusal(dafty.KindInsufficientCredits), 9, time.Minute)),
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonInsufficientCredits, step: lifecycle.Rest{}, after: 43 * time.Second, event: "Warning InsufficientCredits",
			also: records(firstKey, 1, 0, 0, time.Minute, keyA)},
	},
	{
		name: "in doubt, its repeats are refused, and the user has found that there is none: the next attempt", when: 105 * time.Second,
		given: newJob(repeated(time.Minute), resubmit(firstKey)), known: with(keyA, failing(refusal(dafty.KindInsufficientCredits), 9, time.Minute)),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second,
			also: records(secondKey, 2, 0, 105*time.Second, 105*time.Second, keyA)},
	},
	{
		name: "unknown, found that there is none, and not wanted any more", given: newJob(sent, says(PhaseSubmitting, ReasonSubmissionUnknown), resubmit(firstKey), desired(DesiredCancelled)), known: with(keyA), when: 24 * time.Hour,
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelledBeforeSubmission, step: lifecycle.Rest{}, event: "Normal CancelledBeforeSubmission"},
	},
	{
		name: "unknown, found that there is none, and deleted", given: newJob(sent, says(PhaseSubmitting, ReasonSubmissionUnknown), resubmit(firstKey), deleted(24*time.Hour)), known: with(keyA), when: 24 * time.Hour,
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonSubmissionUnknown, step: lifecycle.RemoveFinalizer{}},
	},
	{
		name: "unknown because the clock was wrong, and it is right again", given: newJob(sent, says(PhaseSubmitting, ReasonSubmissionUnknown)), known: with(keyA), when: time.Minute,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: records(firstKey, 1, 0, 0, time.Minute, keyA)},
	},
	{
		name: "another process sent the same at the same second by its clock: its answer isn't known here", given: newJob(sent, elsewhere), when: time.Second,
		known: with(keyA, failing(refusal(dafty.KindInvalid), 1, 0)),
		then:  then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Rest{}, after: 44 * time.Second},
	},
	{
		name: "the record of a request was taken out of status while it is on its way: none is sent beside it", given: newJob(), known: with(keyA, posting),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: "on its way", step: lifecycle.Rest{}, after: 45 * time.Second, event: "Normal Submitting", also: records(firstKey, 1, 0, 0, 0, keyA)},
	},
	{
		name: "the same, and it is deleted: not let go", given: newJob(deleted(0)), known: with(keyA, posting), when: time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: "on its way", step: lifecycle.Rest{}, after: 45 * time.Second, event: "Normal Submitting"},
	},
	{
		name: "the same, and it is cancelled: not said to be", given: newJob(desired(DesiredCancelled)), known: with(keyA, posting), when: time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: "on its way", step: lifecycle.Rest{}, after: 45 * time.Second, event: "Normal Submitting"},
	},
	{
		name: "the record of a request was taken out of status before its answer was written: the answer counts", given: newJob(deleted(0)), known: with(keyA, answered(daftys(dafty.Pending))), when: time.Second,
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling", also: hasID},
	},
	{
		name: "status was emptied and the finalizer taken off: what says nothing isn't about a generation", given: newJob(noFinalizer), known: with(keyA, answered(daftys(dafty.Pending))), when: time.Second,
		then: then{way: unseen, step: lifecycle.AddFinalizer{}, also: func(t *testing.T, got lifecycle.Decision) {
			if got.Status.ObservedGeneration != -1 || got.Status.Submission == nil {
				t.Errorf("status is %s", asJSON(got.Status))
			}
		}},
	},
	{
		name: "the clock went back: as old as the object at most, and a POST may be on its way", given: newJob(sent), known: with(keyA), when: -30 * time.Minute,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Rest{}, after: 45 * time.Second,
			also: records(firstKey, 1, 0, -time.Hour, -30*time.Minute, keyA)},
	},
	{
		name: "the clock went back while the request failed", given: newJob(sent), known: with(keyA, failing(noAnswer, 1, 0)), when: -30 * time.Minute,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonAPIUnavailable, step: lifecycle.Rest{}, after: 45 * time.Second, event: "Warning APIUnavailable",
			also: records(firstKey, 1, 0, -time.Hour, -30*time.Minute, keyA)},
	},
	{
		name: "the clock went back, and the answer is there", given: newJob(sent), known: with(keyA, answered(daftys(dafty.Pending))), when: -30 * time.Minute,
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Annotate{}, event: "Normal Queued", also: hasID},
	},
	{
		name: "another leader's clock is a little ahead", given: newJob(sent), known: with(keyA), when: -15 * time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Rest{}, after: time.Minute, also: records(firstKey, 1, 0, 0, 0, keyA)},
	},
	{
		name: "the key was rotated, and the old one is in memory", given: newJob(sent), known: with(keyB, held(keyA)), when: time.Minute,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: records(firstKey, 1, 0, 0, time.Minute, keyA)},
	},
	{
		name: "the key was rotated, and the old one is nowhere", given: newJob(sent), known: with(keyB), when: time.Minute,
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonSubmissionUnknown, says: "paid for twice", step: lifecycle.Rest{}, after: 5 * time.Second,
			event: "Warning SubmissionUnknown", also: records(firstKey, 1, 0, 0, 0, keyA)},
	},
	{
		name: "the key was rotated, and the old one is revoked: no valid key is asked for, as one is there", given: newJob(repeated(time.Minute)), when: 61 * time.Second,
		known: with(keyB, held(keyA), failing(refusal(dafty.KindUnauthorized), 2, time.Minute)),
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonSubmissionUnknown, says: "is no longer accepted", step: lifecycle.Rest{}, after: 5 * time.Second,
			event: "Warning SubmissionUnknown", also: records(firstKey, 1, 0, 0, time.Minute, keyA)},
	},
	{
		name: "the old key was put back", given: newJob(sent, says(PhaseSubmitting, ReasonSubmissionUnknown)), known: with(keyA), when: time.Hour,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: records(firstKey, 1, 0, 0, time.Hour, keyA)},
	},
	{
		name: "the Secret went, and its key is in memory", given: newJob(sent), known: with("", held(keyA)), when: time.Minute,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: records(firstKey, 1, 0, 0, time.Minute, keyA)},
	},
	{
		name: "the Secret went, and its key is nowhere", given: newJob(sent), known: with(""), when: time.Minute,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonWaitingForCredentials, says: "which the API key it was sent with will tell", step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning WaitingForCredentials"},
	},
}

// The annotation names the job, and status has nothing.
var picking = []row{
	{
		name: "the job of the annotation is picked up, not paid for again", given: newJob(note(ownNote)), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: "found job " + jobID + " in the annotation", step: lifecycle.Follow{},
			event: "Normal Submitting", also: func(t *testing.T, got lifecycle.Decision) {
				hasID(t, got)
				if got.Status.Attempts != 1 || got.Status.Submission != nil {
					t.Errorf("attempts %d, submission %v", got.Status.Attempts, got.Status.Submission)
				}
			}},
	},
	{
		name: "picked up without a finalizer", given: newJob(note(ownNote), noFinalizer), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.AddFinalizer{}, event: "Normal Submitting", also: hasID},
	},
	{
		name: "picked up without a Secret", given: newJob(note(ownNote)), known: with(""),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonWaitingForCredentials, step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning WaitingForCredentials", also: hasID},
	},
	{
		name: "picked up though suspended", given: newJob(note(ownNote), desired(DesiredSuspended)), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Follow{}, event: "Normal Submitting", also: hasID},
	},
	{
		name: "picked up to be cancelled", given: newJob(note(ownNote), desired(DesiredCancelled)), known: with(keyA),
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling", also: hasID},
	},
	{
		name: "status was emptied, and it had been called off", given: newJob(note(ownNote), desired(DesiredCancelled)), known: with(keyA, looked(daftys(dafty.Failed))),
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelled, step: lifecycle.Rest{}, event: "Normal Cancelled"},
	},
	{
		name: "it failed, and is called off before that is told", given: newJob(taken(PhaseProcessing), desired(DesiredCancelled)), known: with(keyA, looked(daftys(dafty.Failed))),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonGenerationFailed, step: lifecycle.Rest{}, event: "Warning GenerationFailed"},
	},
	{
		name: "picked up to be cancelled, without a finalizer: the cancel waits for nothing", given: newJob(note(ownNote), noFinalizer, desired(DesiredCancelled)), known: with(keyA),
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling", also: hasID},
	},
	{
		name: "and the finalizer is seen to once it is on its way", given: newJob(taken(PhaseCancelling), noFinalizer, desired(DesiredCancelled)), known: with(keyA, cancelling),
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.AddFinalizer{}, after: 30 * time.Second},
	},
	{
		name: "or where there is no key to cancel with", given: newJob(note(ownNote), noFinalizer, desired(DesiredCancelled)), known: with(""),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.AddFinalizer{}, event: "Normal Submitting", also: hasID},
	},
	{
		name: "picked up to be deleted", given: newJob(note(ownNote), deleted(0)), known: with(keyA),
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling", also: hasID},
	},
	{
		name: "picked up, of an operation of a newer version", given: newJob(note(ownNote), noOperation), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Follow{}, event: "Normal Submitting", also: hasID},
	},
	{
		name: "an annotation that was given while the job waited", given: newJob(refusedBefore(1), note(ownNote)), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Follow{}, event: "Normal Submitting", also: hasID},
	},
	{
		name: "a request in doubt knows better than the annotation", given: newJob(sent, note(namespace+"/"+name+":"+otherID)), known: with(keyA, answered(daftys(dafty.Pending))), when: time.Second,
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Annotate{}, event: "Normal Queued", also: hasID},
	},
	{
		name: "a copy under another name makes a job of its own", given: newJob(note("shop/other:" + otherID)), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: records(firstKey, 1, 0, 0, 0, keyA)},
	},
	{
		name: "a copy in another namespace makes a job of its own", given: newJob(note("test/hero:" + otherID)), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second},
	},
	{
		name: "an annotation without an id names no job", given: newJob(note(namespace + "/" + name + ":")), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second},
	},
}

// Dafty has the job.
var following = []row{
	{
		name: "the id is written into the annotation", given: newJob(taken(PhaseQueued), note("shop/other:"+otherID)), known: with(keyA),
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Annotate{}},
	},
	{
		name: "an annotation that was edited is put right", given: newJob(taken(PhaseQueued), note(namespace+"/"+name+":"+otherID)), known: with(keyA),
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Annotate{}, also: hasID},
	},
	{
		name: "a finalizer that was taken off is put back", given: newJob(taken(PhaseQueued), noFinalizer), known: with(keyA),
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.AddFinalizer{}},
	},
	{
		name: "after a restart", given: newJob(taken(PhaseProcessing)), known: with(keyA), when: time.Hour,
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, says: "so it was", step: lifecycle.Follow{}},
	},
	{
		name: "queued", given: newJob(taken(PhaseSubmitting)), known: with(keyA, looked(daftys(dafty.Pending))),
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Follow{}, event: "Normal Queued"},
	},
	{
		name: "processing", given: newJob(taken(PhaseQueued)), known: with(keyA, looked(daftys(dafty.Processing))), when: 7 * time.Second,
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, step: lifecycle.Follow{}, event: "Normal Processing",
			also: func(t *testing.T, got lifecycle.Decision) {
				if !got.Status.StartedAt.Equal(at(7*time.Second)) || !got.Status.SubmittedAt.Equal(at(time.Second)) {
					t.Errorf("startedAt %v, submittedAt %v", got.Status.StartedAt, got.Status.SubmittedAt)
				}
			}},
	},
	{
		name: "processing never goes back to queued", given: newJob(taken(PhaseProcessing)), known: with(keyA, looked(daftys(dafty.Pending))),
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, step: lifecycle.Follow{}},
	},
	{
		name: "suspension has no effect once submitted", given: newJob(taken(PhaseQueued), desired(DesiredSuspended)), known: with(keyA, looked(daftys(dafty.Pending))),
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Follow{}},
	},
	{
		name: "an unknown status is shown, and followed on", given: newJob(taken(PhaseQueued)), known: with(keyA, looked(daftys("in_review"))),
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, says: `"in_review"`, step: lifecycle.Follow{}},
	},
	{
		name: "an unknown type is shown", given: newJob(taken(PhaseQueued)), known: with(keyA, looked(&dafty.Job{Id: jobID, Status: dafty.Pending, Type: "image.dream"})),
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Follow{}, also: func(t *testing.T, got lifecycle.Decision) {
			if got.Status.JobType != "image.dream" {
				t.Errorf("type is %q", got.Status.JobType)
			}
		}},
	},
	{
		name: "a type that Dafty reports otherwise stays the operation's", given: newJob(taken(PhaseQueued)), known: with(keyA, looked(&dafty.Job{Id: jobID, Status: dafty.Pending, Type: dafty.ImageEdit})),
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Follow{}, also: func(t *testing.T, got lifecycle.Decision) {
			if got.Status.JobType != "image.generate" {
				t.Errorf("type is %q", got.Status.JobType)
			}
		}},
	},
	{
		name: "news about another job is none", given: newJob(taken(PhaseQueued)), known: with(keyA, looked(&dafty.Job{Id: otherID, Status: dafty.Completed})),
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Follow{}},
	},
	{
		name: "an id in capitals is the same", given: newJob(taken(PhaseQueued)), known: with(keyA, looked(&dafty.Job{Id: strings.ToUpper(jobID), Status: dafty.Processing})),
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, step: lifecycle.Follow{}, event: "Normal Processing", also: hasID},
	},
	{
		name: "one look that fails isn't worth telling", given: newJob(taken(PhaseProcessing)), known: with(keyA, looked(daftys(dafty.Processing)), trouble(noAnswer, 1, keyA)),
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, step: lifecycle.Follow{}},
	},
	{
		name: "two are; the job goes on", given: newJob(taken(PhaseProcessing)), known: with(keyA, looked(daftys(dafty.Processing)), trouble(noAnswer, 2, keyA)),
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonAPIUnavailable, says: "goes on at Dafty meanwhile", step: lifecycle.Follow{}, event: "Warning APIUnavailable"},
	},
	{
		name: "Dafty answers again", given: newJob(taken(PhaseProcessing), says(PhaseProcessing, ReasonAPIUnavailable)), known: with(keyA, looked(daftys(dafty.Processing))),
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, step: lifecycle.Follow{}, event: "Normal Processing"},
	},
	{
		name: "the Secret went while the job runs", given: newJob(taken(PhaseQueued)), known: with("", held(keyA), looked(daftys(dafty.Processing))),
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonWaitingForCredentials, says: "goes on at Dafty meanwhile", step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning WaitingForCredentials"},
	},
	{
		name: "the Secret went, and the job has completed", given: newJob(taken(PhaseProcessing)), known: with("", looked(daftys(dafty.Completed))),
		then: then{phase: PhaseCompleted, way: current, reason: ReasonCompleted, step: lifecycle.Rest{}, event: "Normal Completed"},
	},
	{
		name: "one 404 can be a replica that hasn't heard of it", given: newJob(taken(PhaseQueued)), known: with(keyA, trouble(refusal(dafty.KindNotFound), 1, keyA)),
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Follow{}},
	},
	{
		name: "two are the end, and never a new submission", given: newJob(taken(PhaseQueued)), known: with(keyA, trouble(refusal(dafty.KindNotFound), 2, keyA)), when: 31 * time.Second,
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonJobNotFound, step: lifecycle.Rest{}, event: "Warning JobNotFound", also: hasError("NOT_FOUND", "Dafty said so")},
	},
	{
		name: "moments after it was made they prove nothing", given: newJob(taken(PhaseQueued)), known: with(keyA, trouble(refusal(dafty.KindNotFound), 9, keyA)), when: 30 * time.Second,
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonAPIUnavailable, says: "goes on at Dafty meanwhile", step: lifecycle.Follow{}, event: "Warning APIUnavailable"},
	},
	{
		name: "a 404 under another account's key proves nothing", given: newJob(taken(PhaseQueued)), known: with(keyB, trouble(refusal(dafty.KindNotFound), 9, keyB)),
		then: then{phase: PhaseQueued, way: stalled, reason: ReasonCredentialsRejected, says: "isn't the one it was submitted with", step: lifecycle.Follow{}, after: 5 * time.Second, event: "Warning CredentialsRejected"},
	},
	{
		name: "a 404 under a new key that has seen the job is the end", given: newJob(taken(PhaseQueued)), known: with(keyB, held(keyB), trouble(refusal(dafty.KindNotFound), 2, keyB)), when: time.Minute,
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonJobNotFound, step: lifecycle.Rest{}, event: "Warning JobNotFound"},
	},
	{
		name: "a 404 under a key that was in the Secret before, and never used, proves nothing", given: newJob(taken(PhaseCancelling), desired(DesiredCancelled)), known: with("", held(keyB), untried, trouble(refusal(dafty.KindNotFound), 2, keyB)), when: time.Minute,
		then: then{phase: PhaseCancelling, way: stalled, reason: ReasonCredentialsRejected, says: "isn't the one it was submitted with", step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Warning CredentialsRejected"},
	},
	{
		name: "a job that was picked up isn't there: whether the key is the right one isn't on record", given: newJob(note(ownNote), func(job *DaftyJob) { job.Status.JobID = jobID }, says(PhaseSubmitting, ReasonSubmitting)),
		known: with(keyA, trouble(refusal(dafty.KindNotFound), 2, keyA)),
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonCredentialsRejected, says: "If that key is of another account than the job", step: lifecycle.Follow{}, after: 5 * time.Second,
			event: "Warning CredentialsRejected"},
	},
	{
		name: "a job that was picked up, and seen with this key, isn't there any more", given: newJob(note(ownNote), func(job *DaftyJob) { job.Status.JobID, job.Status.SubmittedAt = jobID, at(0) }, says(PhaseQueued, ReasonQueued)),
		known: with(keyA, held(keyA), trouble(refusal(dafty.KindNotFound), 2, keyA)), when: time.Minute,
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonJobNotFound, step: lifecycle.Rest{}, event: "Warning JobNotFound"},
	},
	{
		name: "a request in doubt was said to have made a job that isn't there: the id may be wrong", given: newJob(sent, note(ownNote), func(job *DaftyJob) { job.Status.JobID = jobID }),
		known: with(keyA, held(keyA), trouble(refusal(dafty.KindNotFound), 9, keyA)), when: time.Hour,
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonCredentialsRejected, says: "the id is wrong and can be corrected in the annotation", step: lifecycle.Follow{}, after: 5 * time.Second,
			event: "Warning CredentialsRejected"},
	},
	{
		name: "or one that Dafty can't read", given: newJob(sent, note(ownNote), func(job *DaftyJob) { job.Status.JobID = jobID }),
		known: with(keyA, held(keyA), trouble(refusal(dafty.KindInvalid), 2, keyA)), when: time.Hour,
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonCredentialsRejected, says: "the id is wrong and can be corrected in the annotation", step: lifecycle.Follow{}, after: 5 * time.Second,
			event: "Warning CredentialsRejected"},
	},
	{
		name: "and is corrected", given: newJob(sent, note(ownNote), func(job *DaftyJob) { job.Status.JobID = otherID }),
		known: with(keyA, held(keyA), trouble(refusal(dafty.KindNotFound), 9, keyA)), when: time.Hour,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: "asking Dafty how job " + jobID, step: lifecycle.Follow{}, also: hasID},
	},
	{
		name: "what Dafty has shown isn't changed by an annotation", given: newJob(taken(PhaseQueued), note(namespace+"/"+name+":"+otherID)), known: with(keyA),
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Annotate{}, also: hasID},
	},
	{
		name: "the placeholder of the command is no id", given: newJob(sent, note(namespace+"/"+name+":ID")), known: with(keyB), when: time.Minute,
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonSubmissionUnknown, says: "is no longer in key", step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning SubmissionUnknown"},
	},
	{
		name: "completed", given: newJob(taken(PhaseProcessing)), known: with(keyA, looked(daftys(dafty.Completed)), trouble(noAnswer, 3, keyA)), when: 41 * time.Second,
		then: then{phase: PhaseCompleted, way: current, reason: ReasonCompleted, step: lifecycle.Rest{}, event: "Normal Completed", also: func(t *testing.T, got lifecycle.Decision) {
			if got.Status.Result == nil || got.Status.Result.Primary != "a-style" || got.Status.Duration != "40s" || !got.Status.FinishedAt.Equal(at(41*time.Second)) {
				t.Errorf("status is %s", asJSON(got.Status))
			}
		}},
	},
	{
		name: "completed with a result that no object can hold", given: newJob(taken(PhaseProcessing)), known: with(keyA, looked(hugeResult)),
		then: then{phase: PhaseCompleted, way: current, reason: ReasonCompleted, says: "look for it at Dafty", step: lifecycle.Rest{}, event: "Normal Completed", also: func(t *testing.T, got lifecycle.Decision) {
			if got.Status.Result != nil {
				t.Error("it is there")
			}
		}},
	},
	{
		name: "a date that no object can hold", given: newJob(sent), when: 2 * time.Second, known: with(keyA, answered(&dafty.Job{Id: jobID, Status: dafty.Pending,
			CreatedAt: time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -5*60*60))})),
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Annotate{}, event: "Normal Queued", also: func(t *testing.T, got lifecycle.Decision) {
			if !got.Status.SubmittedAt.Equal(at(2 * time.Second)) {
				t.Errorf("submittedAt is %v", got.Status.SubmittedAt)
			}
		}},
	},
	{
		name: "completed without a word of the result", given: newJob(taken(PhaseProcessing)), known: with(keyA, looked(&dafty.Job{Id: jobID, Status: dafty.Completed})),
		then: then{phase: PhaseCompleted, way: current, reason: ReasonCompleted, says: "names no result", step: lifecycle.Rest{}, event: "Normal Completed"},
	},
	{
		name: "failed", given: newJob(taken(PhaseProcessing)), known: with(keyA, looked(failedAs(dafty.GENERATIONFAILED, "too odd"))),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonGenerationFailed, says: "too odd", step: lifecycle.Rest{}, event: "Warning GenerationFailed", also: hasError("GENERATION_FAILED", "too odd")},
	},
	{
		name: "a message that is too long is cut", given: newJob(taken(PhaseProcessing)), known: with(keyA, looked(failedAs(dafty.GENERATIONFAILED, strings.Repeat("ä", 40_000)))),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonGenerationFailed, says: "ä…", step: lifecycle.Rest{}, event: "Warning GenerationFailed", also: func(t *testing.T, got lifecycle.Decision) {
			if n := utf8.RuneCountInString(meta.FindStatusCondition(got.Status.Conditions, ConditionReady).Message); n != 32768 {
				t.Errorf("the message has %d characters", n)
			}
		}},
	},
	{
		name: "details that are too long are left out", given: newJob(sent), when: time.Second,
		known: with(keyA, failing(&dafty.CallError{Kind: dafty.KindInvalid, Status: 400, Message: "no", Details: map[string]any{"prompt": strings.Repeat("a", 20_000)}}, 1, 0)),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonInvalidRequest, step: lifecycle.Rest{}, event: "Warning InvalidRequest", also: func(t *testing.T, got lifecycle.Decision) {
			if got.Status.Error.Details != nil {
				t.Error("they are there")
			}
		}},
	},
	{
		name: "failed without a reason", given: newJob(taken(PhaseProcessing)), known: with(keyA, looked(daftys(dafty.Failed))),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonGenerationFailed, step: lifecycle.Rest{}, event: "Warning GenerationFailed", also: hasError("", "Dafty gave no reason")},
	},
	{
		name: "failed with a code alone", given: newJob(taken(PhaseProcessing), style), known: with(keyA, looked(failedAs(dafty.EXTRACTIONFAILED, ""))),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonExtractionFailed, step: lifecycle.Rest{}, event: "Warning ExtractionFailed", also: hasError("EXTRACTION_FAILED", "Dafty gave no reason")},
	},
	{
		name: "cancelled at Dafty by somebody else reads failed", given: newJob(taken(PhaseQueued), desired(DesiredCancelled)), known: with(keyA, looked(daftys(dafty.Failed))),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonGenerationFailed, step: lifecycle.Rest{}, event: "Warning GenerationFailed"},
	},
}

// The spec asks for a cancel.
var cancels = []row{
	{
		name: "cancel before the first look", given: newJob(taken(PhaseSubmitting), desired(DesiredCancelled)), known: with(keyA),
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling"},
	},
	{
		name: "cancel while queued", given: newJob(taken(PhaseQueued), desired(DesiredCancelled)), known: with(keyA, looked(daftys(dafty.Pending))),
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling"},
	},
	{
		name: "cancel while processing", given: newJob(taken(PhaseProcessing), desired(DesiredCancelled)), known: with(keyA, looked(daftys(dafty.Processing))),
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling"},
	},
	{
		name: "cancel in an unknown status", given: newJob(taken(PhaseQueued), desired(DesiredCancelled)), known: with(keyA, looked(daftys("in_review"))),
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling"},
	},
	{
		name: "cancel while the key isn't accepted", given: newJob(taken(PhaseProcessing), desired(DesiredCancelled)), known: with(keyA, trouble(refusal(dafty.KindUnauthorized), 2, keyA)),
		then: then{phase: PhaseCancelling, way: stalled, reason: ReasonCredentialsRejected, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Warning CredentialsRejected"},
	},
	{
		name: "cancel under another account's key", given: newJob(taken(PhaseProcessing), desired(DesiredCancelled)), known: with(keyB, trouble(refusal(dafty.KindNotFound), 2, keyB)),
		then: then{phase: PhaseCancelling, way: stalled, reason: ReasonCredentialsRejected, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Warning CredentialsRejected"},
	},
	{
		name: "a cancel after a restart is sent again", given: newJob(taken(PhaseCancelling), desired(DesiredCancelled)), known: with(keyA),
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second},
	},
	{
		name: "the cancel is on its way", given: newJob(taken(PhaseCancelling), desired(DesiredCancelled)), known: with(keyA, cancelling),
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Follow{}, after: 30 * time.Second},
	},
	{
		name: "accepted, but the job still runs", given: newJob(taken(PhaseCancelling), desired(DesiredCancelled)), known: with(keyA, cancelDone(0, nil, 0), looked(daftys(dafty.Processing))), when: 2 * time.Second,
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Follow{}, after: 5 * time.Second},
	},
	{
		name: "accepted 30 s ago, and the job still runs", given: newJob(taken(PhaseCancelling), desired(DesiredCancelled)), known: with(keyA, cancelDone(0, nil, 0), looked(daftys(dafty.Processing))), when: 30 * time.Second,
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second},
	},
	{
		name: "confirmed", given: newJob(taken(PhaseCancelling), desired(DesiredCancelled)), known: with(keyA, cancelDone(0, nil, 0), looked(daftys(dafty.Failed))),
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelled, step: lifecycle.Rest{}, event: "Normal Cancelled", also: func(t *testing.T, got lifecycle.Decision) {
			if got.Status.Error != nil {
				t.Errorf("error is %s", asJSON(got.Status.Error))
			}
		}},
	},
	{
		name: "confirmed with an error of Dafty's", given: newJob(taken(PhaseCancelling), desired(DesiredCancelled)), known: with(keyA, looked(failedAs(dafty.GENERATIONFAILED, "cancelled"))),
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelled, step: lifecycle.Rest{}, event: "Normal Cancelled"},
	},
	{
		name: "it completed first", given: newJob(taken(PhaseCancelling), desired(DesiredCancelled)), known: with(keyA, cancelDone(0, refusal(dafty.KindConflict), 1), looked(daftys(dafty.Completed))),
		then: then{phase: PhaseCompleted, way: current, reason: ReasonCompletedBeforeCancel, says: "is paid for", step: lifecycle.Rest{}, event: "Normal CompletedBeforeCancel"},
	},
	{
		name: "a cancel that failed is tried again, first soon", given: newJob(taken(PhaseCancelling), desired(DesiredCancelled)), known: with(keyA, cancelDone(0, noAnswer, 3)), when: time.Second,
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonAPIUnavailable, says: "the cancel of job", step: lifecycle.Follow{}, after: 3 * time.Second, event: "Warning APIUnavailable"},
	},
	{
		name: "and never later than 30 s", given: newJob(taken(PhaseCancelling), desired(DesiredCancelled)), known: with(keyA, cancelDone(0, noAnswer, 30)), when: 30 * time.Second,
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonAPIUnavailable, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Warning APIUnavailable"},
	},
	{
		name: "Retry-After of a cancel is heeded", given: newJob(taken(PhaseCancelling), desired(DesiredCancelled)), known: with(keyA, cancelDone(0, retryAfter(refusal(dafty.KindRateLimit), 40*time.Second), 1)), when: 38 * time.Second,
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonWaitingForRateLimit, step: lifecycle.Follow{}, after: 2 * time.Second, event: "Normal WaitingForRateLimit"},
	},
	{
		name: "the Secret went: its key in memory still cancels", given: newJob(taken(PhaseProcessing), desired(DesiredCancelled)), known: with("", held(keyA)),
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling"},
	},
	{
		name: "the Secret went while the job was being cancelled", given: newJob(taken(PhaseCancelling), desired(DesiredCancelled)), known: with("", looked(daftys(dafty.Processing))),
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonWaitingForCredentials, step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning WaitingForCredentials"},
	},
	{
		name: "the Secret went: nothing can cancel", given: newJob(taken(PhaseProcessing), desired(DesiredCancelled)), known: with(""),
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonWaitingForCredentials, step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning WaitingForCredentials"},
	},
}

// The DaftyJob is deleted.
var deletions = []row{
	{
		name: "deleted before anything", given: newJob(deleted(0)), known: with(""),
		then: then{way: unseen, step: lifecycle.RemoveFinalizer{}},
	},
	{
		name: "deleted while it waited", given: newJob(refusedBefore(1), deleted(0)), known: with(keyA),
		then: then{phase: PhasePending, way: stalled, reason: ReasonInsufficientCredits, step: lifecycle.RemoveFinalizer{}},
	},
	{
		name: "deleted while suspended", given: newJob(desired(DesiredSuspended), deleted(0)), known: with(keyA),
		then: then{way: unseen, step: lifecycle.RemoveFinalizer{}},
	},
	{
		name: "deleted without the finalizer: somebody else's keeps it", given: newJob(taken(PhaseQueued), noFinalizer, deleted(0)), known: with(keyA),
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Rest{}},
	},
	{
		name: "deleted after its end", given: newJob(taken(PhaseCompleted), deleted(0)), known: with(""),
		then: then{phase: PhaseCompleted, way: current, reason: ReasonCompleted, step: lifecycle.RemoveFinalizer{}},
	},
	{
		name: "deleted while it runs: cancelled first", given: newJob(taken(PhaseProcessing), deleted(0)), known: with(keyA, looked(daftys(dafty.Processing))),
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling"},
	},
	{
		name: "deleted, and the annotation was taken off: nothing else is written", given: newJob(taken(PhaseProcessing), note(""), deleted(0)), known: with(keyA),
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling"},
	},
	{
		name: "deleted, and the cancel is confirmed", given: newJob(taken(PhaseCancelling), deleted(0)), known: with(keyA, looked(daftys(dafty.Failed))),
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelled, step: lifecycle.Rest{}, after: deletionTimeout, event: "Normal Cancelled"},
	},
	{
		name: "deleted, and it completed first", given: newJob(taken(PhaseCancelling), deleted(0)), known: with(keyA, looked(daftys(dafty.Completed))),
		then: then{phase: PhaseCompleted, way: current, reason: ReasonCompletedBeforeCancel, step: lifecycle.Rest{}, after: deletionTimeout, event: "Normal CompletedBeforeCancel"},
	},
	{
		name: "deleted with policy Orphan: it runs on", given: newJob(taken(PhaseProcessing), orphan, deleted(0)), known: with(""),
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, says: "job " + jobID + " runs on at Dafty", step: lifecycle.RemoveFinalizer{}, event: "Normal JobOrphaned"},
	},
	{
		name: "called off and deleted with policy Orphan: cancelled first", given: newJob(taken(PhaseProcessing), orphan, desired(DesiredCancelled), deleted(0)), known: with(keyA),
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling"},
	},
	{
		name: "past its deadline and deleted with policy Orphan: cancelled first", given: newJob(taken(PhaseProcessing), orphan, deadline(60), deleted(70*time.Second)), known: with(keyA), when: 71 * time.Second,
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling"},
	},
	{
		name: "called off with a request in doubt, and deleted with policy Orphan: its job is found first", given: newJob(sent, orphan, desired(DesiredCancelled), deleted(0)), known: with(keyA), when: 45 * time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: records(firstKey, 1, 0, 0, 45*time.Second, keyA)},
	},
	{
		name: "called off and deleted with policy Orphan, and it can't be cancelled", given: newJob(taken(PhaseCancelling), orphan, desired(DesiredCancelled), deleted(0)), known: with(""), when: deletionTimeout,
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, says: "may still run and cost", step: lifecycle.RemoveFinalizer{Abandoned: true}, event: "Warning CancelAbandoned"},
	},
	{
		name: "Orphan, with a request in doubt", given: newJob(sent, orphan, deleted(0)), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: "idempotency key " + firstKey, step: lifecycle.RemoveFinalizer{}, event: "Normal JobOrphaned"},
	},
	{
		name: "Orphan, with nothing but an annotation", given: newJob(note(ownNote), orphan, deleted(0)), known: with(keyA),
		then: then{way: unseen, says: "job " + jobID, step: lifecycle.RemoveFinalizer{}, event: "Normal JobOrphaned"},
	},
	{
		name: "Orphan, after its end", given: newJob(taken(PhaseFailed), orphan, deleted(0)), known: with(keyA),
		then: then{phase: PhaseFailed, way: stalled, reason: "Failed", step: lifecycle.RemoveFinalizer{}},
	},
	{
		name: "deleted with a request in doubt: it is waited out", given: newJob(sent, deleted(time.Second)), known: with(keyA), when: 5 * time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Rest{}, after: 40 * time.Second},
	},
	{
		name: "deleted with a request in doubt: repeated to learn the id", given: newJob(sent, deleted(time.Second)), known: with(keyA), when: 45 * time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: records(firstKey, 1, 0, 0, 45*time.Second, keyA)},
	},
	{
		name: "deleted with a request on its way, which is refused", given: newJob(sent, deleted(time.Second)), known: with(keyA, failing(refusal(dafty.KindInsufficientCredits), 1, 0)), when: 5 * time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.RemoveFinalizer{}},
	},
	{
		name: "deleted without a key: told, until the timeout", given: newJob(taken(PhaseProcessing), deleted(0)), known: with(""), when: time.Minute,
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonWaitingForCredentials, says: "the deletion waits for it until 2026-03-01T12:05:00Z", step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning WaitingForCredentials"},
	},
	{
		name: "no wait is longer than the timeout leaves", given: newJob(taken(PhaseProcessing), deleted(0)), known: with(""), when: 299 * time.Second,
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonWaitingForCredentials, step: lifecycle.Rest{}, after: time.Second, event: "Warning WaitingForCredentials"},
	},
	{
		name: "the timeout lets it go, and says so", given: newJob(taken(PhaseCancelling), deleted(0)), known: with("", cancelDone(0, noAnswer, 3)), when: 5 * time.Minute,
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, says: "job " + jobID + " may still run and cost", step: lifecycle.RemoveFinalizer{Abandoned: true}, event: "Warning CancelAbandoned"},
	},
	{
		name: "the timeout, with a request in doubt", given: newJob(sent, deleted(0)), known: with(keyB), when: 5 * time.Minute,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: "the job of idempotency key " + firstKey + " (sent 2026-03-01T12:00:00Z", step: lifecycle.RemoveFinalizer{Abandoned: true}, event: "Warning CancelAbandoned"},
	},
	{
		name: "a deletion from before the operator started is still tried", given: newJob(taken(PhaseProcessing), deleted(0)), known: with(keyA, since(time.Hour)), when: time.Hour + time.Second,
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling"},
	},
	{
		name: "and told until when", given: newJob(taken(PhaseProcessing), deleted(0)), known: with("", since(time.Hour)), when: time.Hour + time.Second,
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonWaitingForCredentials, says: "until 2026-03-01T13:05:00Z", step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning WaitingForCredentials"},
	},
	{
		name: "and let go in its turn", given: newJob(taken(PhaseProcessing), deleted(0)), known: with("", since(time.Hour)), when: time.Hour + 5*time.Minute,
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, step: lifecycle.RemoveFinalizer{Abandoned: true}, event: "Warning CancelAbandoned"},
	},
	{
		name: "deleted, and the key isn't accepted", given: newJob(taken(PhaseCancelling), deleted(0)), known: with(keyB, cancelDone(0, refusal(dafty.KindUnauthorized), 2)),
		then: then{phase: PhaseCancelling, way: stalled, reason: ReasonCredentialsRejected, says: "the deletion waits for it until", step: lifecycle.Follow{}, after: 2 * time.Second, event: "Warning CredentialsRejected"},
	},
}

// It has ended, and whatever comes changes nothing but observedGeneration.
var ends = func() (rows []row) {
	for _, phase := range []Phase{PhaseCompleted, PhaseFailed, PhaseCancelled} {
		way := current
		if phase == PhaseFailed {
			way = stalled
		}
		for name, change := range map[string]change{
			"as it is":     func(*DaftyJob) {},
			"suspended":    desired(DesiredSuspended),
			"cancelled":    desired(DesiredCancelled),
			"no finalizer": noFinalizer,
			"annotation":   note(namespace + "/" + name + ":" + otherID),
		} {
			if phase == PhaseCancelled && name != "cancelled" {
				continue // which is told: see cancelsStand
			}
			rows = append(rows, row{
				name: string(phase) + " is final: " + name, given: newJob(taken(phase), change),
				known: with("", looked(failedAs(dafty.GENERATIONFAILED, "late")), trouble(refusal(dafty.KindNotFound), 9, keyA), cancelDone(0, noAnswer, 1)), when: time.Hour,
				then: then{phase: phase, way: way, reason: string(phase), step: lifecycle.Rest{}},
			})
		}
	}
	return rows
}()

// kindRows returns what each kind of Dafty's errors does to each kind of call.
func kindRows() (rows []row) {
	for _, k := range []struct {
		kind   dafty.Kind
		reason string
		way    string
		first  Phase // after the first request met it
	}{
		{dafty.KindInvalid, ReasonAPIUnavailable, inProgress, PhaseFailed},
		{dafty.KindNotFound, ReasonAPIUnavailable, inProgress, PhaseFailed},
		{dafty.KindConflict, ReasonAPIUnavailable, inProgress, PhaseSubmitting},
		{dafty.KindUnavailable, ReasonAPIUnavailable, inProgress, PhaseSubmitting},
		{dafty.KindUnauthorized, ReasonCredentialsRejected, stalled, PhasePending},
		{dafty.KindInsufficientCredits, ReasonInsufficientCredits, stalled, PhasePending},
		{dafty.KindSubscriptionRequired, ReasonSubscriptionRequired, stalled, PhasePending},
		{dafty.KindUsageLimit, ReasonUsageLimitExceeded, inProgress, PhasePending},
		{dafty.KindConcurrency, ReasonWaitingForConcurrency, inProgress, PhasePending},
		{dafty.KindRateLimit, ReasonWaitingForRateLimit, inProgress, PhasePending},
	} {
		event := "Normal " + k.reason
		if k.way == stalled || slices.Contains([]string{ReasonAPIUnavailable, ReasonUsageLimitExceeded}, k.reason) {
			event = "Warning " + k.reason
		}
		refused := then{phase: k.first, way: k.way, reason: k.reason, step: lifecycle.Rest{}, event: event}
		doubtful := refused
		doubtful.phase, doubtful.after, doubtful.also = PhaseSubmitting, 44*time.Second, records(firstKey, 1, 0, 0, 0, keyA)
		repeat := doubtful
		repeat.also = records(firstKey, 1, 0, 0, time.Minute, keyA)

		if k.kind == dafty.KindUnauthorized {
			repeat.after = 5 * time.Second // Another key may be put into the Secret.
		}

		switch k.first {
		case PhaseFailed:
			refused = then{phase: PhaseFailed, way: stalled, reason: ReasonInvalidRequest, step: lifecycle.Rest{}, event: "Warning InvalidRequest", also: cleared(1)}
			repeat = refused // Such a request could never have been accepted.
		case PhaseSubmitting:
			refused = doubtful
		default:
			refused.after, refused.also = time.Second, cleared(1)
		}

		look := then{phase: PhaseProcessing, way: k.way, reason: k.reason, step: lifecycle.Follow{}, event: event}
		cancel := then{phase: PhaseCancelling, way: k.way, reason: k.reason, step: lifecycle.Follow{}, after: 2 * time.Second, event: event}
		switch k.kind {
		case dafty.KindNotFound:
			look = then{phase: PhaseFailed, way: stalled, reason: ReasonJobNotFound, step: lifecycle.Rest{}, event: "Warning JobNotFound"}
			cancel.reason, cancel.event = ReasonCancelling, ""
		case dafty.KindInvalid, dafty.KindConflict:
			// It may have ended: a look tells.
			cancel.reason, cancel.event = ReasonCancelling, ""
		case dafty.KindRateLimit:
			look.reason, look.event = ReasonProcessing, ""
		}
		if look.way == stalled && look.phase == PhaseProcessing {
			look.after = 5 * time.Second // Another key may be put into the Secret.
		}

		held := then{phase: PhasePending, way: k.way, reason: k.reason, step: lifecycle.Rest{}, after: time.Minute, event: event}
		if slices.Contains([]dafty.Kind{dafty.KindUnauthorized, dafty.KindInsufficientCredits, dafty.KindSubscriptionRequired, dafty.KindUsageLimit}, k.kind) {
			held.after = 5 * time.Second // The Secret may be touched, or another key put there.
		}

		name := string(k.kind)
		rows = append(rows,
			row{name: name + " for a first request", given: newJob(sent), known: with(keyA, failing(refusal(k.kind), 1, 0)), when: time.Second, then: refused},
			row{name: name + " for a repeat", given: newJob(repeated(time.Minute)), known: with(keyA, failing(refusal(k.kind), 1, time.Minute)), when: 61 * time.Second, then: repeat},
			row{name: name + " for others of the same key", given: newJob(), known: with(keyA, hold(k.kind, time.Minute)), then: held},
			row{name: name + " for a look", given: newJob(taken(PhaseProcessing)), known: with(keyA, looked(daftys(dafty.Processing)), trouble(refusal(k.kind), 2, keyA)), when: time.Minute, then: look},
			row{name: name + " for a cancel", given: newJob(taken(PhaseCancelling), desired(DesiredCancelled)), known: with(keyA, cancelDone(0, refusal(k.kind), 2)), then: cancel},
		)
	}
	return rows
}
