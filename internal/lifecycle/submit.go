package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

func (d *decider) cancelledBeforeSubmission() Decision {
	if n := len(d.status.FailedJobIDs); n > 0 {
		return d.finish(current(v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelled,
			fmt.Sprintf("called off before it was tried again; %d attempts failed before", n)))
	}
	return d.finish(current(v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelledBeforeSubmission,
		"called off before Dafty took the job; nothing was paid"))
}

// submit begins an attempt, if nothing stands in its way.
func (d *decider) submit() Decision {
	if JobType(&d.Job.Spec) == "" {
		// The CRD is newer than the operator. Dafty hasn't judged the request, so it isn't the end.
		return d.setStatus(stalled(v1alpha1.PhasePending, v1alpha1.ReasonInvalidRequest, errNoOperation.Error()), Rest{}, 0)
	}
	if attempts := len(d.status.FailedJobIDs); attempts > int(d.backoffLimit()) {
		// It was lowered since: what isn't wanted isn't to be paid for.
		reason, message := d.failure()
		return d.finish(failed(reason, fmt.Sprintf("%s; spec.backoffLimit allows no other attempt after %d", message, attempts)))
	}
	// A clock that was wrong may have written any time.
	if next := d.status.NextAttemptAt; next != nil && d.Now.Before(next.Time) && next.Sub(d.Now) <= maxRetryAfter {
		return d.setStatus(d.backingOff(), Rest{}, next.Sub(d.Now))
	}
	if len(d.status.FailedJobIDs) > 0 && d.onItsWay() {
		return d.keepStatus(Rest{}, RepeatAfter) // a repeat of the last attempt, whose job was found otherwise
	}
	if d.denied() {
		return d.setStatus(*d.heldByAccount(), Rest{}, maxBackoff) // nothing is uploaded or searched with its key
	}
	if instead := d.resolveReferences(); instead != nil {
		return *instead
	}
	if held := d.heldByAccount(); held != nil {
		return d.setStatus(*held, Rest{}, maxBackoff)
	}
	if d.Known.Credentials.Secret == "" {
		return d.setStatus(inProgress(v1alpha1.PhasePending, v1alpha1.ReasonWaitingForCredentials, d.Known.Credentials.Problem), Rest{}, d.credentialsPoll())
	}
	if hold := d.Known.Block; hold != nil {
		return d.waitForBlock(hold)
	}
	if !d.finalizer() {
		return Decision{Status: d.status, Step: AddFinalizer{}}
	}

	refusals, attempt := int32(0), d.status.Attempts+1
	if last := d.status.Submission; last != nil && last.Attempt == attempt {
		refusals = last.Refusals
	}
	return d.begin(attempt, refusals, d.idempotencyKey(attempt, refusals), false)
}

// waitForBlock says what keeps the submissions of the API key back.
func (d *decider) waitForBlock(hold *Block) Decision {
	left := max(hold.Until.Sub(d.Now), time.Second)
	switch {
	case hold.SameKey:
		return d.setStatus(sameKey(v1alpha1.PhasePending), Rest{}, left)
	case hold.Budget != "":
		return d.setStatus(inProgress(v1alpha1.PhasePending, v1alpha1.ReasonBudgetExhausted, hold.Budget), Rest{}, left+budgetGrace)
	case hold.Unreserved != "":
		return d.setStatus(inProgress(v1alpha1.PhasePending, v1alpha1.ReasonWriteFailed, hold.Unreserved), Rest{}, left)
	case hold.Once:
		return d.askAgain(hold.Message, left)
	}
	return d.blocked(hold.Kind, hold.Message, left)
}

// begin records the first request of a key, and has it sent.
func (d *decider) begin(attempt, refusals int32, key string, atOnce bool) Decision {
	now := metav1.NewTime(d.Now).Rfc3339Copy()
	d.status.Attempts, d.status.NextAttemptAt = attempt, nil
	d.status.Submission = &v1alpha1.Submission{
		Attempt:         attempt,
		IdempotencyKey:  key,
		StartedAt:       &now,
		SentAt:          &now,
		Sender:          d.Known.Sender,
		CredentialsHash: d.Known.Credentials.Secret,
		Refusals:        refusals,
	}
	return d.send("sending the request to Dafty", atOnce)
}

// send has the POST of status.submission sent. A job that is tried again keeps telling what is wrong until Dafty says
// otherwise, or it would flicker with each try.
func (d *decider) send(message string, atOnce bool) Decision {
	if ready := d.ready(); ready != nil && (slices.Contains(retriedReasons, ready.Reason) || d.wasTaken() ||
		d.denied() && ready.Reason == v1alpha1.ReasonAccountNotFound) {
		d.status.Phase = v1alpha1.PhaseSubmitting
		return d.keepStatus(Submit{AtOnce: atOnce}, RepeatAfter)
	}
	decision := d.setStatus(inProgress(v1alpha1.PhaseSubmitting, v1alpha1.ReasonSubmitting, message), Submit{AtOnce: atOnce}, RepeatAfter)
	// What comes of it is told, moments later: an event is a write like any other.
	decision.Event = nil
	return decision
}

// retriedReasons are the reasons that a next try may, but need not, clear.
var retriedReasons = reasonsOf(func(Meaning) bool { return true })

// refused reports whether the answer proves that the attempt made no job. What a repeat meets
// proves nothing about the request before it, unless it says that this request could never
// have been accepted.
func (d *decider) refused(err *dafty.CallError) bool {
	if d.keyTaken(err) {
		return false
	}
	if first := d.status.Submission.StartedAt.Equal(d.status.Submission.SentAt); first {
		return err.Refused()
	}
	return MeaningOf(err.Kind).Impossible
}

// clear takes back an attempt that certainly made no job.
func (d *decider) clear(err *dafty.CallError) Decision {
	last := d.status.Submission
	d.status.Attempts = last.Attempt - 1
	d.status.Submission = &v1alpha1.Submission{Attempt: last.Attempt, Refusals: last.Refusals}
	again := d.refusedTwice(last, err)
	// What a repeat meets doesn't prove that its picture wasn't there for the request before it, which may have made a job.
	impossible := MeaningOf(err.Kind).Impossible
	mayBeThePicture := impossible && last.StartedAt.Equal(last.SentAt)
	if !again && countsRefusal(d.Job, err) {
		d.status.Submission.Refusals++
	}
	switch {
	case d.deleting():
		return d.release(nil)
	case d.cancelWanted():
		return d.cancelledBeforeSubmission()
	case mayBeThePicture && d.uploadAgain():
		return d.setStatus(inProgress(v1alpha1.PhasePending, v1alpha1.ReasonUploading, "Dafty refused the request ("+err.Error()+
			"), which it may do for a picture that was uploaded for an earlier DaftyJob; it is uploaded again"), Rest{}, time.Second)
	case mayBeThePicture && again && d.namesFiles():
		// The user's key may have been refused for a picture that Dafty dropped.
		return d.followUp(last, err)
	case impossible:
		if changed := d.otherForm(err); len(changed) > 0 {
			return d.sendOtherwise(changed, err)
		}
		d.status.Error = jobError(err)
		return d.finish(failed(v1alpha1.ReasonInvalidRequest, "Dafty refused the request: "+err.Error()+"; correct it in a DaftyJob under a new name"))
	case again:
		return d.followUp(last, err)
	case refusedOnce(d.Known.Submission):
		return d.askAgain(err.Error(), 0)
	}
	return d.blocked(err.Kind, err.Error(), 0)
}

// followUp sends a fresh key after the user's own, which was refused twice, and at once where that may be.
func (d *decider) followUp(last *v1alpha1.Submission, err *dafty.CallError) Decision {
	if d.annotated() != "" {
		return d.pickUp()
	}
	if held := d.heldByAccount(); held != nil {
		return d.setStatus(*held, Rest{}, maxBackoff)
	}
	if !d.mayFollowAtOnce(last) {
		return d.blocked(err.Kind, err.Error(), 0)
	}
	return d.begin(last.Attempt, last.Refusals, d.freshKey(last.Attempt, last.Refusals), true)
}

// blocked says why a submission waits. Without a time it is decided again at once, when the
// account knows how long to wait.
func (d *decider) blocked(kind dafty.Kind, message string, after time.Duration) Decision {
	after = max(after, time.Second)
	switch meaning := MeaningOf(kind); {
	case meaning.Mendable && meaning.OfAccount:
		// Whoever has mended it may tell by touching the Secret, and no watch tells of that.
		after = min(after, d.poll(accountReasons))
	case meaning.Mendable:
		after = min(after, d.credentialsPoll())
	}
	return d.setStatus(callFailed(v1alpha1.PhasePending, kind, message, d.describeSecret()), Rest{}, after)
}

// accepted records the job that Dafty made. From here on its id is known.
func (d *decider) accepted(job *dafty.Job) Decision {
	d.status.JobID = job.Id
	if known := d.Known.Job; known == nil || !strings.EqualFold(known.Id, job.Id) {
		d.Known.Job = job
	}
	return d.follow()
}
