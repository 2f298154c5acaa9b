package lifecycle_test

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	. "dafty.ai/dafty-operator/api/v1alpha1" //nolint:revive // The tables are made of its words.
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// failedID is the id of the first attempt of failedBefore.
const failedID = "00000001" + "-8b1d-4e43-9d9c-0d7a3a1c2b4f"

// second has the second attempt: the record of its request, after the first has failed.
func second(job *DaftyJob) {
	failedBefore(1, 0)(job)
	job.Status.NextAttemptAt, job.Status.Attempts = nil, 2
	job.Status.Submission = &Submission{Attempt: 2, IdempotencyKey: secondKey, StartedAt: at(0), SentAt: at(0), CredentialsHash: keyA}
	says(PhaseSubmitting, ReasonSubmitting)(job)
}

// ofSecond makes what is known of a submission that of the second attempt.
func ofSecond(known *lifecycle.Known) {
	known.Submission.Record.Attempt, known.Submission.Record.IdempotencyKey = 2, secondKey
}

// retried checks an attempt that failed and is followed by another.
func retried(next time.Duration, failed ...string) func(*testing.T, lifecycle.Decision) {
	return func(t *testing.T, got lifecycle.Decision) {
		t.Helper()
		status := got.Status
		if status.JobID != "" || status.Submission != nil || !slices.Equal(status.FailedJobIDs, failed) || !status.NextAttemptAt.Equal(at(next)) {
			t.Errorf("status is %s", asJSON(status))
		}
		if meta.FindStatusCondition(status.Conditions, ConditionSubmitted) != nil {
			t.Error("Submitted stands, without a job")
		}
	}
}

// backsOff returns a job that is tried again after so long.
func backsOff(after time.Duration, says string) then {
	return then{phase: PhasePending, way: inProgress, reason: ReasonBackingOff, says: says, step: lifecycle.Rest{}, after: after}
}

func news(t then) then {
	t.event = "Normal " + t.reason
	return t
}

var noWords = looked(failedAs(dafty.GENERATIONFAILED, "too odd"))

// A job that Dafty failed is tried again.
var retries = []row{
	{
		name: "failed, and to be tried again", given: newJob(taken(PhaseProcessing), backoffLimit(2)), known: with(keyA, noWords), when: time.Minute,
		then: also(news(backsOff(10*time.Second, "too odd; it is tried again at 2026-03-01T12:01:10Z, as attempt 2 of 3")), retried(70*time.Second, jobID)),
	},
	{
		name: "the wait doubles", given: newJob(failedBefore(2, 0), taken(PhaseProcessing), backoffLimit(9), tried(3)), known: with(keyA, noWords),
		then: also(news(backsOff(40*time.Second, "as attempt 4 of 10")), retried(40*time.Second, failedID, "00000002"+failedID[8:], jobID)),
	},
	{
		name: "and is never longer than 6 minutes", given: newJob(failedBefore(9, 0), taken(PhaseProcessing), backoffLimit(10), tried(10)), known: with(keyA, noWords),
		then: news(backsOff(6*time.Minute, "as attempt 11 of 11")),
	},
	{
		name: "failed in the answer to its submission", given: newJob(sent, backoffLimit(1)), known: with(keyA, answered(failedAs(dafty.GENERATIONFAILED, "too odd"))),
		then: also(news(backsOff(10*time.Second, "")), retried(10*time.Second, jobID)),
	},
	{
		name: "picked up by its annotation, and failed", given: newJob(note(ownNote), backoffLimit(1)), known: with(keyA, noWords),
		then: also(news(backsOff(10*time.Second, "")), retried(10*time.Second, jobID)),
	},
	{
		name: "the last attempt failed", given: newJob(failedBefore(1, 0), taken(PhaseProcessing), backoffLimit(1), tried(2)), known: with(keyA, noWords),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonGenerationFailed, says: "too odd; that was attempt 2 of 2", step: lifecycle.Rest{}, event: "Warning GenerationFailed", also: hasID},
	},
	{
		name: "by default none follows", given: newJob(taken(PhaseProcessing), backoffLimit(0)), known: with(keyA, noWords),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonGenerationFailed, step: lifecycle.Rest{}, event: "Warning GenerationFailed", also: hasID},
	},
	{
		name: "what was to be cancelled isn't tried again", given: newJob(taken(PhaseProcessing), backoffLimit(1), desired(DesiredCancelled)), known: with(keyA, noWords),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonGenerationFailed, step: lifecycle.Rest{}, event: "Warning GenerationFailed", also: hasID},
	},
	{
		name: "what is cancelled isn't tried again", given: newJob(taken(PhaseCancelling), backoffLimit(1), desired(DesiredCancelled)), known: with(keyA, noWords),
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelled, step: lifecycle.Rest{}, event: "Normal Cancelled", also: hasID},
	},
	{
		name: "what was cancelled through another DaftyJob isn't tried again", given: newJob(taken(PhaseProcessing), backoffLimit(1)), known: with(keyA, noWords, cancelledElsewhere),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonGenerationFailed, says: "was cancelled at Dafty through another DaftyJob that shares it", step: lifecycle.Rest{}, event: "Warning GenerationFailed", also: hasID},
	},
	{
		name: "what both called off is cancelled for both", given: newJob(taken(PhaseProcessing), backoffLimit(1), desired(DesiredCancelled)), known: with(keyA, noWords, cancelledElsewhere),
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelled, step: lifecycle.Rest{}, event: "Normal Cancelled", also: hasID},
	},
	{
		name: "what is deleted isn't tried again", given: newJob(taken(PhaseProcessing), backoffLimit(1), deleted(0)), known: with(keyA, noWords),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonGenerationFailed, step: lifecycle.Rest{}, after: deletionTimeout, event: "Warning GenerationFailed", also: hasID},
	},
	{
		name: "what is lost isn't tried again", given: newJob(taken(PhaseProcessing), backoffLimit(1)), known: with(keyA, trouble(refusal(dafty.KindNotFound), 2, keyA)), when: time.Minute,
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonJobNotFound, step: lifecycle.Rest{}, event: "Warning JobNotFound"},
	},
	{
		name: "between attempts", given: newJob(failedBefore(1, 10*time.Second), backoffLimit(1), note(ownNote[:len(ownNote)-len(jobID)]+failedID)), known: with(keyA, noWords), when: 4 * time.Second,
		then: backsOff(6*time.Second, "too odd; it is tried again at 2026-03-01T12:00:10Z, as attempt 2 of 2"),
	},
	{
		name: "after a restart the words are the same, without Dafty's too", given: newJob(failedBefore(1, 10*time.Second), backoffLimit(1), func(job *DaftyJob) { job.Status.Error = nil }), known: with(keyA),
		then: backsOff(10*time.Second, "the last attempt failed; it is tried again"),
	},
	{
		name: "tried again: the annotation of the failed attempt is ignored, in capitals too", given: newJob(failedBefore(1, 10*time.Second), backoffLimit(1), note(namespace+"/"+name+":"+failedID[:9]+"8B1D"+failedID[13:])),
		known: with(keyA), when: 10 * time.Second,
		then: also(submits(), records(secondKey, 2, 0, 10*time.Second, 10*time.Second, keyA)),
	},
	{
		name: "tried again, with the same inputs", given: newJob(upscaling(0), failedBefore(1, 0), backoffLimit(1), input(target, baseUID, imageID)), known: with(keyA),
		then: submits(target + "=ba5e/" + imageID),
	},
	{
		name: "a clock that was wrong wrote when to try again", given: newJob(failedBefore(1, 24*time.Hour), backoffLimit(1)), known: with(keyA),
		then: also(submits(), records(secondKey, 2, 0, 0, 0, keyA)),
	},
	{
		name: "a repeat of the attempt that failed is still on its way: none is sent beside it", given: newJob(failedBefore(1, 0), backoffLimit(1)), known: with(keyA, posting),
		then: then{phase: PhasePending, way: inProgress, reason: ReasonBackingOff, step: lifecycle.Rest{}, after: 45 * time.Second},
	},
	{
		name: "a person gives the annotation between attempts", given: newJob(failedBefore(1, 10*time.Second), backoffLimit(1), note(ownNote)), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Follow{}, event: "Normal Submitting", also: func(t *testing.T, got lifecycle.Decision) {
			hasID(t, got)
			if got.Status.NextAttemptAt != nil {
				t.Error("another attempt is announced")
			}
		}},
	},
	{
		name: "the second attempt takes the annotation over", given: newJob(second, backoffLimit(1), note(namespace+"/"+name+":"+failedID)), known: with(keyA, answered(daftys(dafty.Pending)), ofSecond, looked(failedWas)), when: time.Second,
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Annotate{}, event: "Normal Queued", also: hasID},
	},
	{
		name: "Dafty answers with the attempt that failed: its annotation stands", given: newJob(second, backoffLimit(2), note(namespace+"/"+name+":"+failedID), func(job *DaftyJob) {
			job.Status.JobID = failedID
			says(PhaseQueued, ReasonQueued)(job)
		}), known: with(keyA),
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Follow{}},
	},
	{
		name: "the second attempt is refused, and isn't counted", given: newJob(second, backoffLimit(1)), known: with(keyA, failing(refusal(dafty.KindRateLimit), 1, 0), ofSecond), when: time.Second,
		then: then{phase: PhasePending, way: inProgress, reason: ReasonWaitingForRateLimit, step: lifecycle.Rest{}, after: time.Second, event: "Normal WaitingForRateLimit", also: func(t *testing.T, got lifecycle.Decision) {
			if asJSON(got.Status.Submission) != `{"attempt":2,"refusals":1}` || got.Status.Attempts != 1 || !slices.Equal(got.Status.FailedJobIDs, []string{failedID}) {
				t.Errorf("status is %s", asJSON(got.Status))
			}
		}},
	},
	{
		name: "the second attempt after its refusal", given: newJob(failedBefore(1, 0), backoffLimit(1), func(job *DaftyJob) { job.Status.Submission = &Submission{Attempt: 2, Refusals: 1} }), known: with(keyA),
		then: also(submits(), records(secondKey+".1", 2, 1, 0, 0, keyA)),
	},
	{
		name: "the second attempt is invalid", given: newJob(second, backoffLimit(1)), known: with(keyA, failing(refusal(dafty.KindInvalid), 1, 0), ofSecond), when: time.Second,
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonInvalidRequest, step: lifecycle.Rest{}, event: "Warning InvalidRequest", also: hasError("VALIDATION_ERROR", "Dafty said so")},
	},
	{
		name: "the second attempt completed: the first one's error is none", given: newJob(second, backoffLimit(1)), known: with(keyA, answered(daftys(dafty.Completed)), ofSecond), when: time.Second,
		then: then{phase: PhaseCompleted, way: current, reason: ReasonCompleted, step: lifecycle.Rest{}, event: "Normal Completed", also: func(t *testing.T, got lifecycle.Decision) {
			if got.Status.Error != nil || !got.Status.SubmittedAt.Equal(at(-time.Minute)) || got.Status.Duration != "61s" {
				t.Errorf("status is %s", asJSON(got.Status))
			}
		}},
	},
	{
		name: "cancelled between attempts", given: newJob(failedBefore(2, 10*time.Second), backoffLimit(2), desired(DesiredCancelled)), known: with(keyA),
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelled, says: "called off before it was tried again; 2 attempts failed before", step: lifecycle.Rest{}, event: "Normal Cancelled", also: noneFollows},
	},
	{
		name: "deleted between attempts", given: newJob(failedBefore(1, 10*time.Second), backoffLimit(1), deleted(0), note(namespace+"/"+name+":"+failedID)), known: with(""),
		then: then{phase: PhasePending, way: inProgress, reason: ReasonBackingOff, step: lifecycle.RemoveFinalizer{}},
	},
	{
		name: "suspended between attempts", given: newJob(failedBefore(1, 10*time.Second), backoffLimit(1), desired(DesiredSuspended)), known: with(keyA), when: time.Minute,
		then: then{phase: PhasePending, way: suspended, reason: ReasonSuspended, step: lifecycle.Rest{}, event: "Normal Suspended"},
	},
	{
		name: "released between attempts", given: newJob(failedBefore(1, 10*time.Second), backoffLimit(1), says(PhasePending, ReasonSuspended)), known: with(keyA), when: 4 * time.Second,
		then: news(backsOff(6*time.Second, "")),
	},
	{
		name: "backoffLimit is lowered between attempts: none is paid for that isn't wanted", given: newJob(failedBefore(1, 10*time.Second), backoffLimit(0)), known: with(keyA),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonGenerationFailed, says: "too odd; spec.backoffLimit allows no other attempt after 1", step: lifecycle.Rest{}, event: "Warning GenerationFailed", also: noneFollows},
	},
	{
		name: "the same of a style", given: newJob(style, failedBefore(1, 0)), known: with(keyA),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonExtractionFailed, step: lifecycle.Rest{}, event: "Warning ExtractionFailed", also: noneFollows},
	},
	{
		name: "a request that a person says made no job counts as an attempt, and as no failure", given: newJob(second, backoffLimit(1), resubmit(secondKey)), known: with(keyA), when: 24 * time.Hour,
		then: also(submits(), records(uid+"-3", 3, 0, 24*time.Hour, 24*time.Hour, keyA)),
	},
}

func tried(times int32) change {
	return func(job *DaftyJob) { job.Status.Attempts = times }
}

// failedWas is the first attempt of failedBefore.
var failedWas = func() *dafty.Job {
	job := failedAs(dafty.GENERATIONFAILED, "too odd")
	job.Id = failedID
	return job
}()

func noneFollows(t *testing.T, got lifecycle.Decision) {
	t.Helper()
	if got.Status.NextAttemptAt != nil || len(got.Status.FailedJobIDs) == 0 {
		t.Errorf("status is %s", asJSON(got.Status))
	}
}

// exceeded returns a job that its deadline ended.
func exceeded(says string) then {
	return then{phase: PhaseFailed, way: stalled, reason: ReasonDeadlineExceeded, says: "longer than the 60 seconds of spec.activeDeadlineSeconds; " + says,
		step: lifecycle.Rest{}, event: "Warning DeadlineExceeded"}
}

// cancelled is a job whose cancel leaves.
var cancelLeaves = then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling", also: hasID}

// The job has a deadline. Its first attempt was submitted at 1 s, so that it ends at 61 s.
var deadlines = []row{
	{
		name: "before the deadline: looked at again when it comes", given: newJob(taken(PhaseProcessing), deadline(60)), known: with(keyA, looked(daftys(dafty.Processing))), when: 41 * time.Second,
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, step: lifecycle.Follow{}, after: 20 * time.Second},
	},
	{
		name: "the deadline: cancelled", given: newJob(taken(PhaseProcessing), deadline(60)), known: with(keyA, looked(daftys(dafty.Processing))), when: 61 * time.Second,
		then: cancelLeaves,
	},
	{
		name: "the deadline, and the annotation isn't written yet: the cancel doesn't wait", given: newJob(taken(PhaseQueued), note(""), deadline(60)), known: with(keyA), when: 61 * time.Second,
		then: cancelLeaves,
	},
	{
		name: "the deadline, with the key in memory alone", given: newJob(taken(PhaseQueued), deadline(60)), known: with("", held(keyA)), when: 61 * time.Second,
		then: cancelLeaves,
	},
	{
		name: "the deadline, without a key: told", given: newJob(taken(PhaseQueued), deadline(60)), known: with(""), when: 61 * time.Second,
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonWaitingForCredentials, step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning WaitingForCredentials"},
	},
	{
		name: "this machine's clock is ahead of Dafty's: the deadline counts from when the request was sent", given: newJob(taken(PhaseQueued), deadline(60), sentAndTold(10*time.Minute, time.Second)), known: with(keyA), when: 10*time.Minute + 50*time.Second,
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Follow{}, after: 10 * time.Second},
	},
	{
		name: "it was, and is put right: the deadline counts from what Dafty says", given: newJob(taken(PhaseQueued), deadline(60), sentAndTold(10*time.Minute, time.Second)), known: with(keyA), when: 51 * time.Second,
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Follow{}, after: 10 * time.Second},
	},
	{
		name: "this machine's clock is behind Dafty's", given: newJob(taken(PhaseQueued), deadline(60), sentAndTold(0, 10*time.Minute)), known: with(keyA), when: 50 * time.Second,
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Follow{}, after: 10 * time.Second},
	},
	{
		name: "it was, and is put right", given: newJob(taken(PhaseQueued), deadline(60), sentAndTold(0, 10*time.Minute)), known: with(keyA), when: 10*time.Minute + 50*time.Second,
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Follow{}, after: 10 * time.Second},
	},
	{
		name: "a later attempt has the deadline of the first", given: newJob(taken(PhaseQueued), deadline(60), sentAndTold(30*time.Second, time.Second), func(job *DaftyJob) { job.Status.Submission.Attempt = 2 }), known: with(keyA), when: 61 * time.Second,
		then: cancelLeaves,
	},
	{
		name: "this machine's clock is ahead of Dafty's, and the first attempt fails: the next has what is left of the deadline", given: newJob(taken(PhaseQueued), deadline(60), backoffLimit(1), sentAndTold(10*time.Minute, time.Second)),
		known: with(keyA, looked(daftys(dafty.Failed))), when: 10*time.Minute + 10*time.Second,
		then: then{phase: PhasePending, way: inProgress, reason: ReasonBackingOff, step: lifecycle.Rest{}, after: 10 * time.Second, event: "Normal BackingOff", also: func(t *testing.T, got lifecycle.Decision) {
			if since := got.Status.SubmittedAt; !since.Equal(at(10 * time.Minute)) {
				t.Errorf("submitted at %v", since)
			}
		}},
	},
	{
		name: "the deadline's cancel is confirmed", given: newJob(taken(PhaseCancelling), deadline(60)), known: with(keyA, looked(daftys(dafty.Failed))), when: 65 * time.Second,
		then: also(exceeded("job "+jobID+" is cancelled at Dafty"), hasID),
	},
	{
		name: "the deadline's cancel is confirmed, and it isn't tried again", given: newJob(taken(PhaseCancelling), deadline(60), backoffLimit(3)), known: with(keyA, looked(daftys(dafty.Failed))), when: 65 * time.Second,
		then: exceeded(""),
	},
	{
		name: "the job outran the deadline's cancel", given: newJob(taken(PhaseCancelling), deadline(60)), known: with(keyA, looked(daftys(dafty.Completed))), when: 65 * time.Second,
		then: then{phase: PhaseCompleted, way: current, reason: ReasonCompletedBeforeCancel, step: lifecycle.Rest{}, event: "Normal CompletedBeforeCancel"},
	},
	{
		name: "it completed in time, and is seen late", given: newJob(taken(PhaseProcessing), deadline(60)), known: with(keyA, looked(daftys(dafty.Completed))), when: time.Hour,
		then: then{phase: PhaseCompleted, way: current, reason: ReasonCompleted, step: lifecycle.Rest{}, event: "Normal Completed"},
	},
	{
		name: "a list tells of it, and not when it was made: the deadline counts from when it was sent", given: newJob(taken(PhaseSubmitting), deadline(60), func(job *DaftyJob) { job.Status.SubmittedAt = nil }),
		known: with(keyA, looked(&dafty.Job{Id: jobID, Status: dafty.Processing})), when: 50 * time.Second,
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, step: lifecycle.Follow{}, after: 10 * time.Second, event: "Normal Processing", also: func(t *testing.T, got lifecycle.Decision) {
			if got.Status.SubmittedAt != nil {
				t.Errorf("submitted at %v", got.Status.SubmittedAt)
			}
		}},
	},
	{
		name: "it failed past the deadline, before it was cancelled: not tried again", given: newJob(taken(PhaseProcessing), deadline(60), backoffLimit(3)), known: with(keyA, noWords), when: 61 * time.Second,
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonGenerationFailed, step: lifecycle.Rest{}, event: "Warning GenerationFailed", also: hasID},
	},
	{
		name: "the user cancels past the deadline", given: newJob(taken(PhaseCancelling), deadline(60), desired(DesiredCancelled)), known: with(keyA, looked(daftys(dafty.Failed))), when: 65 * time.Second,
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelled, step: lifecycle.Rest{}, event: "Normal Cancelled"},
	},
	{
		name: "the deadline is moved once the cancel has begun: it isn't taken back", given: newJob(taken(PhaseCancelling), deadline(3600)), known: with(keyA, looked(daftys(dafty.Processing))), when: 65 * time.Second,
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, also: hasID},
	},
	{
		name: "the deadline is taken away once the cancel has begun, which is confirmed", given: newJob(taken(PhaseCancelling)), known: with(keyA, looked(daftys(dafty.Failed))), when: 65 * time.Second,
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonDeadlineExceeded, says: "longer than spec.activeDeadlineSeconds allowed when its cancel began", step: lifecycle.Rest{}, event: "Warning DeadlineExceeded"},
	},
	{
		name: "the deadline is put off once the cancel has begun, which is confirmed", given: newJob(taken(PhaseCancelling), deadline(86400)), known: with(keyA, looked(daftys(dafty.Failed))), when: 65 * time.Second,
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonDeadlineExceeded, says: "longer than spec.activeDeadlineSeconds allowed when its cancel began", step: lifecycle.Rest{}, event: "Warning DeadlineExceeded"},
	},
	{
		name: "in doubt: the deadline counts from its first sending", given: newJob(repeated(50*time.Second), deadline(60)), known: with(keyA), when: 51 * time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Rest{}, after: 9 * time.Second},
	},
	{
		name: "in doubt past the deadline: first the job's id is learnt", given: newJob(repeated(30*time.Second), deadline(60)), known: with(keyA), when: 75 * time.Second,
		then: also(submits(), records(firstKey, 1, 0, 0, 75*time.Second, keyA)),
	},
	{
		name: "in doubt past the deadline: asked again sooner than else", given: newJob(sent, deadline(1)), known: with(keyA, failing(internalError, 30, 0)), when: time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonAPIUnavailable, step: lifecycle.Rest{}, after: 44 * time.Second, event: "Warning APIUnavailable"},
	},
	{
		name: "in doubt past the deadline, and the id is learnt: cancelled", given: newJob(repeated(75*time.Second), deadline(60)), known: with(keyA, answered(daftys(dafty.Processing)), sentAgain(75*time.Second)), when: 76 * time.Second,
		then: cancelLeaves,
	},
	{
		name: "in doubt past the deadline, and past Dafty's memory: nobody says that nothing runs", given: newJob(sent, deadline(60)), known: with(keyA), when: 24 * time.Hour,
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonSubmissionUnknown, step: lifecycle.Rest{}, after: 5 * time.Minute, event: "Warning SubmissionUnknown"},
	},
	{
		name: "a first request that was refused doesn't count", given: newJob(sent, deadline(1)), known: with(keyA, failing(refusal(dafty.KindInsufficientCredits), 1, 0)), when: time.Minute,
		then: then{phase: PhasePending, way: stalled, reason: ReasonInsufficientCredits, step: lifecycle.Rest{}, after: time.Second, event: "Warning InsufficientCredits", also: cleared(1)},
	},
	{
		name: "between attempts: looked at again when the deadline comes", given: newJob(failedBefore(1, 10*time.Second), backoffLimit(1), deadline(65)), known: with(keyA),
		then: backsOff(5*time.Second, ""),
	},
	{
		name: "the deadline between attempts", given: newJob(failedBefore(1, 10*time.Second), backoffLimit(1), deadline(60)), known: with(keyA),
		then: also(exceeded("it isn't tried again"), noneFollows),
	},
	{
		name: "the deadline between attempts, while suspended", given: newJob(failedBefore(1, 10*time.Second), backoffLimit(1), deadline(60), desired(DesiredSuspended)), known: with(keyA),
		then: also(exceeded("it isn't tried again"), noneFollows),
	},
	{
		name: "the deadline between attempts, of a job that was cancelled", given: newJob(failedBefore(1, 10*time.Second), backoffLimit(1), deadline(60), desired(DesiredCancelled)), known: with(keyA),
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelled, step: lifecycle.Rest{}, event: "Normal Cancelled", also: noneFollows},
	},
	{
		name: "the second attempt is in doubt past the deadline, which counts from the first", given: newJob(second, backoffLimit(1), deadline(60)), known: with(keyA), when: 45 * time.Second,
		then: also(submits(), records(secondKey, 2, 0, 0, 45*time.Second, keyA)),
	},
	{
		name: "the second attempt is refused past the deadline", given: newJob(failedBefore(1, 0), backoffLimit(1), deadline(60), says(PhasePending, ReasonInsufficientCredits)), known: with(keyA, hold(dafty.KindInsufficientCredits, time.Minute)),
		then: exceeded("it isn't tried again"),
	},
	{
		name: "deleted before the deadline: nothing is looked at once it is let go", given: newJob(taken(PhaseProcessing), deadline(3600), orphan, deleted(0)), known: with(keyA),
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, step: lifecycle.RemoveFinalizer{}, event: "Normal JobOrphaned"},
	},
}

// sentAgain has the call of a submission be its repeat.
func sentAgain(after time.Duration) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) { known.Submission.Record.SentAt = at(after) }
}

// The spec names a job that Dafty already has.
var adoptions = []row{
	{
		name: "adopted, after the finalizer", given: newJob(adopting, noFinalizer), known: with(keyA),
		then: then{way: unseen, step: lifecycle.AddFinalizer{}},
	},
	{
		name: "adopted", given: newJob(adopting), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: "adopted job " + jobID, step: lifecycle.Annotate{}, event: "Normal Submitting", also: func(t *testing.T, got lifecycle.Decision) {
			hasID(t, got)
			if got.Status.Attempts != 0 || got.Status.Submission != nil {
				t.Errorf("status is %s", asJSON(got.Status))
			}
		}},
	},
	{
		name: "adopted though suspended", given: newJob(adopting, desired(DesiredSuspended)), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Annotate{}, event: "Normal Submitting", also: hasID},
	},
	{
		name: "adopted without a Secret", given: newJob(adopting, note(ownNote)), known: with(""),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonWaitingForCredentials, step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning WaitingForCredentials", also: hasID},
	},
	{
		name: "adopted, its inputs are nobody's business", given: newJob(adopting, upscaling(0)), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Annotate{}, event: "Normal Submitting", also: inputs()},
	},
	{
		name: "adopted and cancelled", given: newJob(adopting, desired(DesiredCancelled)), known: with(keyA),
		then: cancelLeaves,
	},
	{
		name: "adopted and deleted", given: newJob(adopting, deleted(0)), known: with(keyA),
		then: cancelLeaves,
	},
	{
		name: "adopted and deleted, with policy Orphan", given: newJob(adopting, deleted(0), orphan), known: with(keyA),
		then: then{way: unseen, says: "job " + jobID + " runs on", step: lifecycle.RemoveFinalizer{}, event: "Normal JobOrphaned"},
	},
	{
		name: "deleted before it was adopted or had its finalizer", given: newJob(adopting, noFinalizer, deleted(0)), known: with(keyA),
		then: then{way: unseen, step: lifecycle.Rest{}},
	},
	{
		name: "the adopted job failed: it isn't tried again", given: newJob(adopting, taken(PhaseProcessing), backoffLimit(1), tried(0)), known: with(keyA, noWords),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonGenerationFailed, step: lifecycle.Rest{}, event: "Warning GenerationFailed", also: hasID},
	},
	{
		name: "the deadline of an adopted job counts from when Dafty took it", given: newJob(adopting, deadline(60)), known: with(keyA, looked(daftys(dafty.Processing))), when: 61 * time.Second,
		then: cancelLeaves,
	},
	{
		name: "Dafty doesn't know it", given: newJob(adopting, note(ownNote)), known: with(keyA, trouble(refusal(dafty.KindNotFound), 2, keyA)),
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonCredentialsRejected, says: "which is from spec.adoptJobID", step: lifecycle.Follow{}, after: 5 * time.Second, event: "Warning CredentialsRejected"},
	},
	{
		name: "another DaftyJob follows it", given: newJob(adopting), known: with(keyA), gathered: lifecycle.References{Adopter: "older"},
		then: then{phase: PhasePending, way: stalled, reason: ReasonAlreadyAdopted, says: `followed by DaftyJob "older"`, step: lifecycle.Rest{}, after: time.Minute, event: "Warning AlreadyAdopted"},
	},
	{
		name: "both have begun to follow it, and this is the younger", given: newJob(adopting, taken(PhaseProcessing), unsubmitted), known: with(keyA), gathered: lifecycle.References{Adopter: "older"},
		then: then{phase: PhasePending, way: stalled, reason: ReasonAlreadyAdopted, says: `followed by DaftyJob "older"`, step: lifecycle.Rest{}, after: time.Minute, event: "Warning AlreadyAdopted",
			also: func(t *testing.T, got lifecycle.Decision) {
				if got.Status.JobID != "" || got.Status.SubmittedAt != nil || meta.IsStatusConditionTrue(got.Status.Conditions, ConditionSubmitted) {
					t.Errorf("it still has the job: %s", asJSON(got.Status))
				}
			}},
	},
	{
		name: "both follow it, and this one is called off: the job is too", given: newJob(adopting, taken(PhaseProcessing), unsubmitted, desired(DesiredCancelled)), known: with(keyA), gathered: lifecycle.References{Adopter: "older"},
		then: cancelLeaves,
	},
	{
		name: "another DaftyJob followed it, and is gone", given: newJob(adopting, says(PhasePending, ReasonAlreadyAdopted)), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Annotate{}, event: "Normal Submitting", also: hasID},
	},
	{
		name: "another DaftyJob follows it, and this one is cancelled: the job isn't", given: newJob(adopting, desired(DesiredCancelled)), known: with(keyA), gathered: lifecycle.References{Adopter: "older"},
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelledBeforeSubmission, step: lifecycle.Rest{}, event: "Normal CancelledBeforeSubmission"},
	},
	{
		name: "another DaftyJob follows it, and this one is deleted: the job isn't cancelled", given: newJob(adopting, deleted(0)), known: with(keyA), gathered: lifecycle.References{Adopter: "older"},
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelledBeforeSubmission, step: lifecycle.Rest{}, after: deletionTimeout, event: "Normal CancelledBeforeSubmission"},
	},
}

// The user gives the idempotency key.
var keys = []row{
	{
		name: "the user's key, and the attempt", given: newJob(ownKey), known: with(keyA),
		then: also(submits(), records("spring-1", 1, 0, 0, 0, keyA)),
	},
	{
		name: "the user's key again after a refusal, as another object may look for the job by it", given: newJob(ownKey, refusedBefore(1), says(PhasePending, ReasonSuspended)), known: with(keyA),
		then: also(submits(), records("spring-1", 1, 1, 0, 0, keyA)),
	},
	{
		name: "the user's key is refused for the first time", given: newJob(ownKey, sentAs("spring-1", 0)), known: with(keyA, refusing("spring-1", dafty.KindInsufficientCredits)), when: time.Second,
		then: then{phase: PhasePending, way: stalled, reason: ReasonInsufficientCredits, step: lifecycle.Rest{}, after: time.Second, event: "Warning InsufficientCredits", also: cleared(1)},
	},
	{
		name: "refused again, perhaps as Dafty remembers it: a fresh key at once", given: newJob(ownKey, sentAs("spring-1", 1)), known: with(keyA, refusing("spring-1", dafty.KindInsufficientCredits)), when: time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{AtOnce: true}, after: 45 * time.Second, also: records("spring-1.1", 1, 1, time.Second, time.Second, keyA)},
	},
	{
		name: "the fresh key is refused too", given: newJob(ownKey, sentAs("spring-1.1", 1)), known: with(keyA, refusing("spring-1.1", dafty.KindInsufficientCredits)), when: time.Second,
		then: then{phase: PhasePending, way: stalled, reason: ReasonInsufficientCredits, step: lifecycle.Rest{}, after: time.Second, event: "Warning InsufficientCredits", also: cleared(2)},
	},
	{
		name: "refused again, and the process ends: the user's key first, by the next one", given: newJob(ownKey, sentAs("spring-1", 1)),
		known: with(keyA, refusing("spring-1", dafty.KindRateLimit), hold(dafty.KindRateLimit, time.Minute)), when: time.Second,
		then: then{phase: PhasePending, way: inProgress, reason: ReasonWaitingForRateLimit, step: lifecycle.Rest{}, after: time.Second, event: "Normal WaitingForRateLimit", also: cleared(1)},
	},
	{
		name: "refused again, and suspended meanwhile", given: newJob(ownKey, sentAs("spring-1", 1), desired(DesiredSuspended)), known: with(keyA, refusing("spring-1", dafty.KindInsufficientCredits)), when: time.Second,
		then: then{phase: PhasePending, way: stalled, reason: ReasonInsufficientCredits, step: lifecycle.Rest{}, after: time.Second, event: "Warning InsufficientCredits", also: cleared(1)},
	},
	{
		name: "refused again, and another API key is in the Secret meanwhile", given: newJob(ownKey, sentAs("spring-1", 1)), known: with(keyB, held(keyA), refusing("spring-1", dafty.KindInsufficientCredits)), when: time.Second,
		then: then{phase: PhasePending, way: stalled, reason: ReasonInsufficientCredits, step: lifecycle.Rest{}, after: time.Second, event: "Warning InsufficientCredits", also: cleared(1)},
	},
	{
		name: "no valid API key: no key of the user's is used up", given: newJob(ownKey, sentAs("spring-1", 1)), known: with(keyA, refusing("spring-1", dafty.KindUnauthorized)), when: time.Second,
		then: then{phase: PhasePending, way: stalled, reason: ReasonCredentialsRejected, step: lifecycle.Rest{}, after: time.Second, event: "Warning CredentialsRejected", also: cleared(1)},
	},
	{
		name: "another DaftyJob sends the same key", given: newJob(ownKey), known: with(keyA, sameKeyUntil(20*time.Second)),
		then: then{phase: PhasePending, way: inProgress, reason: ReasonWaitingForDependency, says: "the same spec.idempotencyKey", step: lifecycle.Rest{}, after: 20 * time.Second, event: "Normal WaitingForDependency"},
	},
	{
		name: "another DaftyJob sends the same key, and this one's request is in doubt", given: newJob(ownKey, sentAs("spring-1", 0)), known: with(keyA, sameKeyUntil(50*time.Second)), when: 46 * time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonWaitingForDependency, says: "the same spec.idempotencyKey", step: lifecycle.Rest{}, after: 4 * time.Second, event: "Normal WaitingForDependency"},
	},
	{
		name: "the user's key, at the second attempt", given: newJob(ownKey, failedBefore(1, 0), backoffLimit(1)), known: with(keyA),
		then: also(submits(), records("spring-2", 2, 0, 0, 0, keyA)),
	},
}

func ownKey(job *DaftyJob) { job.Spec.IdempotencyKey = "spring" }

// sentAndTold has the request sent at one time by this machine's clock, and made at another by Dafty's.
func sentAndTold(sentAt, toldAt time.Duration) change {
	return func(job *DaftyJob) {
		job.Status.Submission = &Submission{Attempt: 1, IdempotencyKey: firstKey, StartedAt: at(sentAt), SentAt: at(sentAt), CredentialsHash: keyA}
		job.Status.SubmittedAt = at(toldAt)
	}
}

// sentAs has a request with a key on its way, after so many refusals.
func sentAs(key string, refusals int32) change {
	return func(job *DaftyJob) {
		sent(job)
		job.Status.Submission.IdempotencyKey, job.Status.Submission.Refusals = key, refusals
	}
}

// refusing has Dafty refuse that request.
func refusing(key string, kind dafty.Kind) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) {
		failing(refusal(kind), 1, 0)(known)
		known.Submission.Record.IdempotencyKey = key
	}
}

func sameKeyUntil(until time.Duration) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) { known.Block = &lifecycle.Block{SameKey: true, Until: t0.Add(until)} }
}
