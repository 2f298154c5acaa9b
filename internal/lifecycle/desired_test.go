package lifecycle_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	. "dafty.ai/dafty-operator/api/v1alpha1" //nolint:revive // The tables are made of its words.
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// calledOff reports whether a job was cancelled by its spec, now or before.
func calledOff(job *DaftyJob) bool {
	return job.Spec.DesiredState == DesiredCancelled || job.Status.CancelRequestedAt != nil
}

// heldBack reports whether a job was suspended by its spec, and never released since.
func heldBack(job *DaftyJob) bool {
	return job.Spec.DesiredState == DesiredSuspended || job.Spec.DesiredState == "" && job.Status.SuspendedAt != nil
}

// cancelOnItsWay reports whether a cancel may have reached Dafty.
func cancelOnItsWay(in lifecycle.Snapshot) bool {
	call := in.Known.Cancel
	return in.Job.Status.Phase == PhaseCancelling || call != nil && (call.Err == nil || call.Err.Kind == dafty.KindUnavailable && !call.Err.Unsent)
}

// tooLateToStart reports whether the job wasn't submitted in time, and that nothing of it can be at Dafty.
func tooLateToStart(in lifecycle.Snapshot) bool {
	job := in.Job
	seconds := job.Spec.StartingDeadlineSeconds
	return seconds != nil && !in.Now.Before(job.CreationTimestamp.Add(time.Duration(*seconds)*time.Second)) &&
		job.Status.SubmittedAt == nil && len(job.Status.FailedJobIDs) == 0
}

// desiredStateStands: what was asked for once is on record at once, and stays; and the Ready condition follows the spec.
func desiredStateStands(in lifecycle.Snapshot, got lifecycle.Decision, must check) {
	before, after, asked := &in.Job.Status, &got.Status, in.Job.Spec.DesiredState
	deleting := in.Job.DeletionTimestamp != nil
	kept := before.Phase.Final() || lifecycle.Is[lifecycle.RemoveFinalizer](got.Step) || deleting && !slices.Contains(in.Job.Finalizers, CancelFinalizer)
	if kept {
		must(after.CancelRequestedAt.Equal(before.CancelRequestedAt) && after.SuspendedAt.Equal(before.SuspendedAt), "what was asked for is written of what is over")
	} else {
		must(calledOff(in.Job) == (after.CancelRequestedAt != nil), "a cancel that was asked for at %v is on record as %v", before.CancelRequestedAt, after.CancelRequestedAt)
		must(before.CancelRequestedAt == nil || before.CancelRequestedAt.Equal(after.CancelRequestedAt), "the time of the cancel is changed")
		must(calledOff(in.Job) || heldBack(in.Job) == (after.SuspendedAt != nil), "a suspension of %v is on record as %v, where %q is asked for", before.SuspendedAt, after.SuspendedAt, asked)
		must(before.SuspendedAt == nil || after.SuspendedAt == nil || before.SuspendedAt.Equal(after.SuspendedAt), "the time of the suspension is changed")
	}
	if after.Phase == PhaseCancelled && !lifecycle.Is[lifecycle.RemoveFinalizer](got.Step) && !deleting {
		must((readyReason(after) == ReasonAlreadyCancelled) == (asked != DesiredCancelled), "%s, where %q is asked for", readyReason(after), asked)
	}
	if !before.Phase.Final() {
		return
	}
	for _, condition := range after.Conditions {
		old := meta.FindStatusCondition(before.Conditions, condition.Type)
		if old != nil {
			condition.ObservedGeneration = old.ObservedGeneration
		}
		told := after.Phase == PhaseCancelled && (condition.Type == ConditionReady || condition.Type == ConditionStalled) ||
			in.Known.Stored != nil && condition.Type == ConditionResultStored
		must(told || old != nil && equality.Semantic.DeepEqual(*old, condition), "%s changed after a final phase", condition.Type)
	}
	for _, old := range before.Conditions {
		told := after.Phase == PhaseCancelled && old.Type == ConditionStalled
		forgotten := in.Job.Spec.ResultConfigMap == "" && old.Type == ConditionResultStored
		must(told || forgotten || meta.FindStatusCondition(after.Conditions, old.Type) != nil, "%s went after a final phase", old.Type)
	}
}

// startingDeadlineHolds: the deadline leads to a decision in time, and that decision ends the job.
func startingDeadlineHolds(in lifecycle.Snapshot, got lifecycle.Decision, must check) {
	before, after := &in.Job.Status, &got.Status
	seconds := in.Job.Spec.StartingDeadlineSeconds
	nothing := after.JobID == "" && !after.InDoubt() && after.SubmittedAt == nil && len(after.FailedJobIDs) == 0 && ownAnnotation(in.Job) == "" && in.Job.Spec.AdoptJobID == ""
	if seconds == nil || !nothing || after.Phase.Final() || in.Job.DeletionTimestamp != nil {
		return
	}
	if left := in.Job.CreationTimestamp.Add(time.Duration(*seconds) * time.Second).Sub(in.Now); left > 0 {
		must(got.After > 0 && got.After <= left, "decided anew after %s, where %s are left", got.After, left)
		return
	}
	must(before.InDoubt() && got.After > 0 && got.After <= 5*time.Minute, "waits on past the starting deadline: %s", readyReason(after))
}

func cancelsAt(after time.Duration) func(*testing.T, lifecycle.Decision) {
	return func(t *testing.T, got lifecycle.Decision) {
		t.Helper()
		if is := got.Status.CancelRequestedAt; !is.Equal(at(after)) {
			t.Errorf("cancelRequestedAt is %v", is)
		}
	}
}

func suspendsAt(after time.Duration) func(*testing.T, lifecycle.Decision) {
	return func(t *testing.T, got lifecycle.Decision) {
		t.Helper()
		if is := got.Status.SuspendedAt; !is.Equal(at(after)) {
			t.Errorf("suspendedAt is %v", is)
		}
	}
}

func notSuspended(t *testing.T, got lifecycle.Decision) {
	t.Helper()
	if is := got.Status.SuspendedAt; is != nil {
		t.Errorf("suspendedAt is %v", is)
	}
}

// isCancelled checks the condition of that name, which speaks of the end and not of what is asked for since.
func isCancelled(reason string) func(*testing.T, lifecycle.Decision) {
	return func(t *testing.T, got lifecycle.Decision) {
		t.Helper()
		c := meta.FindStatusCondition(got.Status.Conditions, ConditionCancelled)
		if c == nil || c.Status != metav1.ConditionTrue || c.Reason != reason || strings.Contains(c.Message, "can't be undone") {
			t.Errorf("Cancelled is %s", asJSON(c))
		}
	}
}

// A cancel that was asked for is on record before anything can take it back, and stands.
var cancelsStand = []row{
	{
		name: "a cancel is on record while the request is in doubt", given: newJob(sent, desired(DesiredCancelled)), known: with(keyA), when: time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Rest{}, after: 44 * time.Second, also: cancelsAt(time.Second)},
	},
	{
		name: "and once it is under way", given: newJob(taken(PhaseProcessing), desired(DesiredCancelled)), known: with(keyA), when: time.Second,
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling", also: cancelsAt(time.Second)},
	},
	{
		name: "and where nothing can cancel", given: newJob(taken(PhaseProcessing), desired(DesiredCancelled)), known: with(""), when: time.Second,
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonWaitingForCredentials, step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning WaitingForCredentials", also: cancelsAt(time.Second)},
	},
	{
		name: "taken back while the request is in doubt: it is repeated to learn the id", given: newJob(sent, cancelSeen), known: with(keyA), when: 45 * time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: cancelsAt(-time.Minute)},
	},
	{
		name: "and cancelled then", given: newJob(sent, cancelSeen, desired("")), known: with(keyA, answered(daftys(dafty.Pending))), when: time.Second,
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling"},
	},
	{
		name: "taken back while nothing could cancel: it is cancelled once there is a key", given: newJob(taken(PhaseProcessing), cancelSeen), known: with(keyA),
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling"},
	},
	{
		name: "taken back while it waited", given: newJob(refusedBefore(1), cancelSeen), known: with(keyA),
		then: then{phase: PhaseCancelled, way: stalled, reason: ReasonAlreadyCancelled, says: "nothing was paid. That can't be undone, and spec.desiredState asks for Completed by now: set it to Cancelled in the manifest",
			step: lifecycle.Rest{}, event: "Warning AlreadyCancelled", also: isCancelled(ReasonCancelledBeforeSubmission)},
	},
	{
		name: "taken back by silence", given: newJob(refusedBefore(1), cancelSeen, desired("")), known: with(keyA),
		then: then{phase: PhaseCancelled, way: stalled, reason: ReasonAlreadyCancelled, says: "spec.desiredState is absent, which asks for Completed by now", step: lifecycle.Rest{}, event: "Warning AlreadyCancelled"},
	},
	{
		name: "taken back between attempts", given: newJob(failedBefore(1, 10*time.Second), backoffLimit(1), cancelSeen), known: with(keyA), when: time.Minute,
		then: then{phase: PhaseCancelled, way: stalled, reason: ReasonAlreadyCancelled, step: lifecycle.Rest{}, event: "Warning AlreadyCancelled", also: isCancelled(ReasonCancelled)},
	},
	{
		name: "taken back while it was suspended", given: newJob(says(PhasePending, ReasonSuspended), suspensionSeen, cancelSeen, desired(DesiredSuspended)), known: with(keyA),
		then: then{phase: PhaseCancelled, way: stalled, reason: ReasonAlreadyCancelled, says: "spec.desiredState asks for Suspended", step: lifecycle.Rest{}, event: "Warning AlreadyCancelled"},
	},
	{
		name: "taken back while it was cancelled", given: newJob(taken(PhaseCancelling), cancelSeen), known: with(keyA, cancelDone(0, nil, 0), looked(daftys(dafty.Failed))),
		then: then{phase: PhaseCancelled, way: stalled, reason: ReasonAlreadyCancelled, says: "job " + jobID + " is cancelled at Dafty. That can't be undone", step: lifecycle.Rest{}, event: "Warning AlreadyCancelled", also: isCancelled(ReasonCancelled)},
	},
	{
		name: "taken back, and it completed first", given: newJob(taken(PhaseCancelling), cancelSeen), known: with(keyA, looked(daftys(dafty.Completed))),
		then: then{phase: PhaseCompleted, way: current, reason: ReasonCompletedBeforeCancel, step: lifecycle.Rest{}, event: "Normal CompletedBeforeCancel"},
	},
	{
		name: "taken back, and deleted with policy Orphan: cancelled first", given: newJob(taken(PhaseProcessing), cancelSeen, orphan, deleted(0)), known: with(keyA),
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling"},
	},
	{
		name: "taken back, and its job failed before the cancel: it isn't tried again", given: newJob(taken(PhaseProcessing), cancelSeen, backoffLimit(3)), known: with(keyA, looked(daftys(dafty.Failed))),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonGenerationFailed, step: lifecycle.Rest{}, event: "Warning GenerationFailed"},
	},
	{
		name: "after the end, the spec asks for something else", given: newJob(taken(PhaseCancelled)), known: with(""),
		then: then{phase: PhaseCancelled, way: stalled, reason: ReasonAlreadyCancelled, says: "so it was. That can't be undone", step: lifecycle.Rest{}, event: "Warning AlreadyCancelled", also: isCancelled(ReasonCancelled)},
	},
	{
		name: "and agrees again", given: newJob(says(PhaseCancelled, ReasonCancelledBeforeSubmission), disagrees, desired(DesiredCancelled)), known: with(""),
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelledBeforeSubmission, step: lifecycle.Rest{}, event: "Normal CancelledBeforeSubmission", also: isCancelled(ReasonCancelledBeforeSubmission)},
	},
	{
		name: "told once", given: newJob(says(PhaseCancelled, ReasonCancelled), disagrees), known: with(""),
		then: then{phase: PhaseCancelled, way: stalled, reason: ReasonAlreadyCancelled, step: lifecycle.Rest{}},
	},
	{
		name: "the object is deleted: what it asks for doesn't matter", given: newJob(taken(PhaseCancelling), deleted(0)), known: with(keyA, looked(daftys(dafty.Failed))),
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelled, step: lifecycle.Rest{}, after: deletionTimeout, event: "Normal Cancelled"},
	},
	{
		name: "the store was set back: this process has cancelled it for its user", given: newJob(taken(PhaseProcessing), backoffLimit(3)), known: with(keyA, cancelledFor(lifecycle.CancelForUser), looked(daftys(dafty.Failed))),
		then: then{phase: PhaseCancelled, way: stalled, reason: ReasonAlreadyCancelled, step: lifecycle.Rest{}, event: "Warning AlreadyCancelled", also: isCancelled(ReasonCancelled)},
	},
	{
		name: "the same before its request: the same key finds it", given: newJob(sent), known: with(keyA, cancelledFor(lifecycle.CancelForUser), answered(daftys(dafty.Failed))), when: time.Second,
		then: then{phase: PhaseCancelled, way: stalled, reason: ReasonAlreadyCancelled, step: lifecycle.Rest{}, event: "Warning AlreadyCancelled"},
	},
	{
		name: "the store was set back: this process has cancelled it for its deadline", given: newJob(taken(PhaseProcessing), backoffLimit(3)), known: with(keyA, cancelledFor(lifecycle.CancelForDeadline), looked(daftys(dafty.Failed))),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonDeadlineExceeded, step: lifecycle.Rest{}, event: "Warning DeadlineExceeded"},
	},
}

// disagrees has told that the job was cancelled already.
func disagrees(job *DaftyJob) {
	for _, condition := range []string{ConditionReady, ConditionStalled} {
		meta.SetStatusCondition(&job.Status.Conditions, metav1.Condition{Type: condition, Status: map[string]metav1.ConditionStatus{ConditionReady: metav1.ConditionFalse, ConditionStalled: metav1.ConditionTrue}[condition],
			Reason: ReasonAlreadyCancelled, Message: "so it was", LastTransitionTime: *at(-time.Minute), ObservedGeneration: job.Generation - 1})
	}
}

// A suspension is on record, and ends with an explicit word.
var suspensionsStand = []row{
	{
		name: "a suspension is on record", given: newJob(desired(DesiredSuspended)), known: with(keyA), when: time.Second,
		then: then{phase: PhasePending, way: suspended, reason: ReasonSuspended, step: lifecycle.Rest{}, event: "Normal Suspended", also: suspendsAt(time.Second)},
	},
	{
		name: "of a job that is submitted too: it holds back another attempt", given: newJob(taken(PhaseProcessing), desired(DesiredSuspended)), known: with(keyA, looked(daftys(dafty.Processing))), when: time.Second,
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, step: lifecycle.Follow{}, also: suspendsAt(time.Second)},
	},
	{
		name: "silence releases nothing", given: newJob(says(PhasePending, ReasonSuspended), suspensionSeen, desired("")), known: with(keyA),
		then: then{phase: PhasePending, way: suspended, reason: ReasonSuspended, step: lifecycle.Rest{}, also: suspendsAt(-time.Minute),
			says: `absent by now, but it was Suspended, and only Completed ends that. Set spec.desiredState to Completed in its manifest, or run: kubectl patch -n shop daftyjob hero --type merge -p '{"spec":{"desiredState":"Completed"}}'`},
	},
	{
		name: "nor between attempts", given: newJob(failedBefore(1, 10*time.Second), backoffLimit(1), suspensionSeen, desired("")), known: with(keyA), when: time.Minute,
		then: then{phase: PhasePending, way: suspended, reason: ReasonSuspended, step: lifecycle.Rest{}, event: "Normal Suspended", also: suspendsAt(-time.Minute)},
	},
	{
		name: "Completed does", given: newJob(says(PhasePending, ReasonSuspended), suspensionSeen), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: notSuspended},
	},
	{
		name: "and silence stands for Completed where nothing was suspended", given: newJob(desired("")), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: notSuspended},
	},
	{
		name: "cancelled while suspended, and in silence since", given: newJob(says(PhasePending, ReasonSuspended), suspensionSeen, desired(DesiredCancelled)), known: with(keyA),
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelledBeforeSubmission, step: lifecycle.Rest{}, event: "Normal CancelledBeforeSubmission", also: notSuspended},
	},
}

// A job that isn't submitted in time isn't paid for. It was created an hour before t0.
var startingDeadlines = []row{
	{
		name: "the starting deadline isn't over: submitted, and it has no effect since", given: newJob(startingDeadline(3601)), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second},
	},
	{
		name: "it is over at this moment", given: newJob(startingDeadline(3600)), known: with(keyA),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonDeadlineExceeded, says: "not submitted within the 3600 seconds of spec.startingDeadlineSeconds, which count from its creation; nothing was submitted or paid for",
			step: lifecycle.Rest{}, event: "Warning DeadlineExceeded"},
	},
	{
		name: "it is decided anew when it comes, also while suspended", given: newJob(startingDeadline(3610), desired(DesiredSuspended)), known: with(keyA),
		then: then{phase: PhasePending, way: suspended, reason: ReasonSuspended, step: lifecycle.Rest{}, after: 10 * time.Second, event: "Normal Suspended"},
	},
	{
		name: "it ends what is suspended", given: newJob(startingDeadline(3600), desired(DesiredSuspended), says(PhasePending, ReasonSuspended)), known: with(keyA),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonDeadlineExceeded, says: "(it waited: Suspended)", step: lifecycle.Rest{}, event: "Warning DeadlineExceeded"},
	},
	{
		name: "it ends what waits for credits", given: newJob(startingDeadline(3600), refusedBefore(2)), known: with(keyA),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonDeadlineExceeded, says: "(it waited: InsufficientCredits); nothing was submitted or paid for", step: lifecycle.Rest{}, event: "Warning DeadlineExceeded"},
	},
	{
		name: "it ends what waits for another DaftyJob", given: newJob(startingDeadline(3600), upscaling(0), says(PhasePending, ReasonWaitingForDependency)), known: with(keyA),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonDeadlineExceeded, step: lifecycle.Rest{}, event: "Warning DeadlineExceeded"},
	},
	{
		name: "a request in doubt may have been taken", given: newJob(startingDeadline(3600), sent), known: with(keyA), when: 45 * time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second},
	},
	{
		name: "one that is refused for certain wasn't: it isn't sent again", given: newJob(startingDeadline(3601), sent), known: with(keyA, failing(refusal(dafty.KindInsufficientCredits), 1, 0)), when: 2 * time.Second,
		then: then{phase: PhasePending, way: stalled, reason: ReasonInsufficientCredits, step: lifecycle.Rest{}, after: time.Second, event: "Warning InsufficientCredits"},
	},
	{
		name: "nor at once, under a fresh key", given: newJob(startingDeadline(3601), ownKey, sentAs("spring-1", 1)), known: with(keyA, refusing("spring-1", dafty.KindInsufficientCredits)), when: 2 * time.Second,
		then: then{phase: PhasePending, way: stalled, reason: ReasonInsufficientCredits, step: lifecycle.Rest{}, after: time.Second, event: "Warning InsufficientCredits"},
	},
	{
		name: "a person found that there is no job, too late", given: newJob(startingDeadline(3600), sent, says(PhaseSubmitting, ReasonSubmissionUnknown), resubmit(firstKey)), known: with(keyA), when: 24 * time.Hour,
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonDeadlineExceeded, says: "as the annotation dafty.ai/resubmit says", step: lifecycle.Rest{}, event: "Warning DeadlineExceeded"},
	},
	{
		name: "it has no effect between attempts", given: newJob(startingDeadline(3600), failedBefore(1, 10*time.Second), backoffLimit(1)), known: with(keyA), when: time.Minute,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second},
	},
	{
		name: "nor on what is under way", given: newJob(startingDeadline(3600), taken(PhaseQueued)), known: with(keyA, looked(daftys(dafty.Pending))),
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Follow{}},
	},
	{
		name: "nor on what is picked up by its annotation", given: newJob(startingDeadline(3600), note(ownNote)), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Follow{}, event: "Normal Submitting", also: hasID},
	},
	{
		name: "called off and too late: called off", given: newJob(startingDeadline(3600), desired(DesiredCancelled)), known: with(keyA),
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelledBeforeSubmission, step: lifecycle.Rest{}, event: "Normal CancelledBeforeSubmission"},
	},
}

// The policy Orphan, set when the deletion has begun already.
var lateOrphans = []row{
	{
		name: "Orphan comes too late for a cancel that is on its way", given: newJob(taken(PhaseCancelling), orphan, deleted(0)), known: with(keyA, cancelling),
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Follow{}, after: 30 * time.Second},
	},
	{
		name: "and its end is confirmed", given: newJob(taken(PhaseCancelling), orphan, deleted(0)), known: with(keyA, cancelDone(0, nil, 0), looked(daftys(dafty.Failed))),
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelled, step: lifecycle.Rest{}, after: deletionTimeout, event: "Normal Cancelled"},
	},
	{
		name: "also where the cancel isn't on record", given: newJob(taken(PhaseProcessing), orphan, deleted(0)), known: with(keyA, cancelDone(0, nil, 0)), when: time.Second,
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Follow{}, after: 5 * time.Second, event: "Normal Cancelling"},
	},
	{
		name: "a cancel whose answer never came may have reached Dafty", given: newJob(taken(PhaseProcessing), orphan, deleted(0)), known: with(keyA, cancelDone(0, noAnswer, 1)), when: time.Second,
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonAPIUnavailable, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Warning APIUnavailable"},
	},
	{
		name: "one that Dafty refused didn't", given: newJob(taken(PhaseProcessing), orphan, deleted(0)), known: with(keyA, cancelDone(0, refusal(dafty.KindUnauthorized), 1)), when: time.Second,
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, says: "runs on at Dafty and is paid for", step: lifecycle.RemoveFinalizer{}, event: "Normal JobOrphaned"},
	},
	{
		name: "the cancel can't be confirmed: the timeout lets it go", given: newJob(taken(PhaseCancelling), orphan, deleted(0)), known: with(""), when: deletionTimeout,
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, says: "may still run and cost", step: lifecycle.RemoveFinalizer{Abandoned: true}, event: "Warning CancelAbandoned"},
	},
	{
		name: "what has ended doesn't run on", given: newJob(taken(PhaseProcessing), orphan, deleted(0)), known: with(keyA, looked(daftys(dafty.Failed))),
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonGenerationFailed, step: lifecycle.Rest{}, after: deletionTimeout, event: "Warning GenerationFailed"},
	},
	{
		name: "what may not have been made is said to run on if it was", given: newJob(sent, orphan, deleted(0)), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: "is paid for, if it was made", step: lifecycle.RemoveFinalizer{}, event: "Normal JobOrphaned"},
	},
}

// Conditions that still hold are of the generation that status is about, and their transitions stay where they were.
func TestConditionsFollowTheGeneration(t *testing.T) {
	for name, job := range map[string]*DaftyJob{
		"completed":   newJob(taken(PhaseCompleted), resultIn("hero-result"), stored("hero-result")),
		"failed":      newJob(taken(PhaseFailed)),
		"cancelled":   newJob(taken(PhaseCancelled), desired(DesiredCancelled)),
		"disagreeing": newJob(says(PhaseCancelled, ReasonCancelled), disagrees),
		"processing":  newJob(taken(PhaseProcessing)),
		"in doubt":    newJob(sent),
		"suspended":   newJob(says(PhasePending, ReasonSuspended), desired(DesiredSuspended)),
	} {
		t.Run(name, func(t *testing.T) {
			before := job.Status.DeepCopy()
			got := decide(t, lifecycle.Snapshot{Job: job, Known: with(keyA), Now: t0, DeletionTimeout: deletionTimeout})
			if len(got.Status.Conditions) != len(before.Conditions) {
				t.Fatalf("conditions are %s", asJSON(got.Status.Conditions))
			}
			for _, c := range got.Status.Conditions {
				old := meta.FindStatusCondition(before.Conditions, c.Type)
				if c.ObservedGeneration != job.Generation || old == nil || !c.LastTransitionTime.Equal(&old.LastTransitionTime) {
					t.Errorf("%s is of generation %d, since %s", c.Type, c.ObservedGeneration, c.LastTransitionTime)
				}
			}
		})
	}
}
