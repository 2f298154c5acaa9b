package lifecycle

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

// Next decides what status must read and which step follows. Deletion comes first: before
// suspension, validation and credentials.
func Next(in Snapshot) Decision {
	d := &decider{Snapshot: in, status: *in.Job.Status.DeepCopy()}
	d.takeOver()
	d.recordDesired()
	d.restoreRecord()
	d.completeTimes()
	decision := d.next()
	if decision.Step == RemoveFinalizer {
		// It goes, and what it asked for with it: no write is to hold that up.
		decision.Status.CancelRequestedAt, decision.Status.SuspendedAt = in.Job.Status.CancelRequestedAt, in.Job.Status.SuspendedAt
	} else {
		observe(&decision.Status)
	}
	if due := d.due(); !due.IsZero() && !decision.Status.Phase.Final() && decision.Step != RemoveFinalizer && due.After(in.Now) {
		decision.requeueBy(due.Sub(in.Now))
	}
	if due := d.startBy(); !due.IsZero() && !decision.Status.Phase.Final() && due.After(in.Now) {
		decision.requeueBy(due.Sub(in.Now))
	}
	if d.deleting() && decision.Step != RemoveFinalizer && d.finalizer() {
		// Whatever it waits for, a deletion ends.
		left := d.deadline().Sub(in.Now)
		if left <= 0 {
			left = recancelAfter // it is held back
		}
		decision.requeueBy(left)
	}
	d.sameNews(&decision)
	d.stampUID(&decision)
	return decision
}

// requeueBy has the decision made anew after a time at the latest.
func (d *Decision) requeueBy(after time.Duration) {
	if d.After == 0 || d.After > after {
		d.After = after
	}
}

func (d *decider) next() Decision {
	switch {
	case d.deleting() && !d.finalizer():
		return d.keepStatus(Rest, 0)
	case d.deleting() && (d.status.Phase.Final() || d.neverSubmitted()):
		return d.release(nil)
	case d.leavesRunning():
		return d.orphan()
	case d.deleting() && !d.Now.Before(d.deadline()) && !d.heldBack():
		return d.abandon()
	case d.status.Phase.Final():
		return d.finished()
	case d.yieldsAdoption():
		return d.adopt()
	case d.unverifiedID() && d.annotated() != "" && d.annotated() != d.status.JobID:
		return d.pickUp() // what was there before was wrong
	case d.status.JobID != "":
		return d.follow()
	case d.status.InDoubt():
		return d.confirmSubmission()
	case d.Job.Spec.AdoptJobID != "":
		return d.adopt()
	case d.annotated() != "":
		return d.pickUp()
	case d.cancelWanted():
		return d.cancelledBeforeSubmission()
	case d.overdue():
		return d.tooLate()
	case d.tooLateToStart():
		return d.neverStarted()
	case d.isSuspended():
		return d.suspended()
	default:
		return d.submit()
	}
}

// decider works out one decision. Its status is the one to be written.
type decider struct {
	Snapshot
	status v1alpha1.DaftyJobStatus
}

func (d *decider) deleting() bool { return !d.Job.DeletionTimestamp.IsZero() }

// deadline is when a deletion gives up. It counts from where this process could first act on
// it: one that came while no operator ran must still be tried.
func (d *decider) deadline() time.Time {
	from := d.Job.DeletionTimestamp.Time
	if d.Known.Since.After(from) {
		from = d.Known.Since
	}
	return from.Add(d.DeletionTimeout)
}

func (d *decider) finalizer() bool {
	return slices.Contains(d.Job.Finalizers, v1alpha1.CancelFinalizer)
}

// neverSubmitted says that no request can have reached Dafty.
func (d *decider) neverSubmitted() bool {
	return d.status.JobID == "" && !d.status.InDoubt() && d.annotated() == "" && d.Job.Spec.AdoptJobID == ""
}

// cancelWanted says that the job must not run, or run on.
func (d *decider) cancelWanted() bool {
	return d.deleting() || d.cancelRequested()
}

// calledOff says that the job must not run on, whether the object stays or not: to leave a job to itself is no way to
// take that back.
func (d *decider) calledOff() bool {
	return d.cancelRequested() || d.overdue()
}

// stopWanted says that a job at Dafty must not run on. What was begun isn't taken back, should the deadline be.
func (d *decider) stopWanted() bool {
	return d.deleting() || d.calledOff() || d.status.Phase == v1alpha1.PhaseCancelling
}

// yieldsAdoption says that another DaftyJob is to follow what this one has begun to follow, by adoption alone.
func (d *decider) yieldsAdoption() bool {
	return d.Job.Spec.AdoptJobID != "" && d.References.Adopter != "" && d.status.JobID != "" && d.status.Submission == nil && !d.stopWanted()
}

// unverifiedID says that the job's id is from the annotation, where a person may have put it, and that Dafty hasn't shown the job
// since: the id may be a wrong one.
func (d *decider) unverifiedID() bool {
	seen := d.Known.Job != nil && strings.EqualFold(d.Known.Job.Id, d.status.JobID)
	// An attempt before has dated the submission too.
	before := d.status.SubmittedAt != nil && (len(d.status.FailedJobIDs) == 0 || d.status.Phase != v1alpha1.PhaseSubmitting)
	return d.status.JobID != "" && d.Job.Spec.AdoptJobID == "" && !seen && !before
}

// due is when spec.activeDeadlineSeconds is over, zero where there is none or nothing was submitted yet.
func (d *decider) due() time.Time {
	seconds, from := d.Job.Spec.ActiveDeadlineSeconds, d.submittedSince()
	if seconds == nil || from.IsZero() {
		return time.Time{}
	}
	return from.Add(time.Duration(*seconds) * time.Second)
}

// submittedSince is since when the job is submitted. Dafty's clock says it, and for the first attempt so does this
// machine's: if they disagree, the later time that isn't yet to come is right, whichever of them was wrong, and whether it
// is still, as long as it is wrong by less than the deadline.
func (d *decider) submittedSince() time.Time {
	var told, sent time.Time
	if at := d.status.SubmittedAt; at != nil {
		told = at.Time
	}
	if s := d.status.Submission; s != nil && s.StartedAt != nil && (s.Attempt == 1 && s.IdempotencyKey != "" || told.IsZero() && d.status.InDoubt()) {
		sent = s.StartedAt.Time
	}
	first, last := told, sent
	if last.Before(first) {
		first, last = last, first
	}
	if last.After(d.Now.Add(clockSkew)) && !first.IsZero() {
		return first
	}
	return last
}

func (d *decider) overdue() bool {
	due := d.due()
	return !due.IsZero() && !d.Now.Before(due)
}

// tooLate ends a job whose deadline came between two attempts.
func (d *decider) tooLate() Decision {
	return d.finish(failed(v1alpha1.ReasonDeadlineExceeded, d.describeOverdue()+"; it isn't tried again"))
}

func (d *decider) describeOverdue() string {
	return fmt.Sprintf("the job took longer than the %d seconds of spec.activeDeadlineSeconds", *d.Job.Spec.ActiveDeadlineSeconds)
}

// Annotation is the value of v1alpha1.JobAnnotation for a job's id.
func Annotation(job *v1alpha1.DaftyJob, id string) string {
	return job.Namespace + "/" + job.Name + ":" + id
}

// Annotated is the job's id from the annotation, empty where there is none for this very object: one that was
// copied to another name has a job of its own to make.
func Annotated(job *v1alpha1.DaftyJob) string {
	id, ok := strings.CutPrefix(job.Annotations[v1alpha1.JobAnnotation], Annotation(job, ""))
	if !ok {
		return ""
	}
	return id
}

// idPattern is what an id can look like. Dafty's are UUIDs, which nothing says that they will always be; the placeholder of a
// command is none.
var idPattern = regexp.MustCompile(`^[0-9A-Za-z_-]{8,128}$`)

// annotated leaves out what is no id, and an attempt that has failed: another is wanted.
func (d *decider) annotated() string {
	id := Annotated(d.Job)
	if !idPattern.MatchString(id) || slices.ContainsFunc(d.status.FailedJobIDs, func(failed string) bool { return strings.EqualFold(failed, id) }) {
		return ""
	}
	return id
}

// annotationWanted says whether the job's id is to be written into the annotation: where there is none, and once in place of
// another's, such as that of an attempt before. What somebody puts back after that is theirs (a manifest in Git may have it), and
// does no harm: status has the right one.
func (d *decider) annotationWanted() bool {
	if Annotated(d.Job) == d.status.JobID {
		return false
	}
	return d.Job.Annotations[v1alpha1.JobAnnotation] == "" || d.Known.Annotated != d.status.JobID
}

// keepStatus changes nothing but the generation that status is about, if it says anything of it.
func (d *decider) keepStatus(step Step, after time.Duration) Decision {
	if d.ready() != nil {
		d.status.ObservedGeneration = d.Job.Generation
	}
	return Decision{Status: d.status, Step: step, After: after}
}

// release removes the finalizer; the object goes, and its status with it.
func (d *decider) release(event *Event) Decision {
	return Decision{Status: d.status, Step: RemoveFinalizer, Event: event}
}

// describeJob names the job at Dafty for a message.
func (d *decider) describeJob() string {
	switch {
	case d.status.JobID != "":
		return "job " + d.status.JobID
	case d.status.InDoubt():
		return fmt.Sprintf("the job of idempotency key %s (sent %s; whether Dafty made it isn't known)",
			d.status.Submission.IdempotencyKey, d.status.Submission.StartedAt.UTC().Format(time.RFC3339))
	default:
		return "job " + cmp.Or(d.annotated(), d.Job.Spec.AdoptJobID)
	}
}

// adopt takes the job of the spec as this object's own.
func (d *decider) adopt() Decision {
	id := d.Job.Spec.AdoptJobID
	if d.References.Adopter != "" {
		if d.cancelWanted() {
			return d.finish(current(v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelledBeforeSubmission,
				fmt.Sprintf("called off before it followed anything; job %s is left to DaftyJob %q", id, d.References.Adopter)))
		}
		// Two that were created at the same moment may both have begun to follow it, before either was seen to.
		d.status.JobID, d.status.SubmittedAt, d.status.StartedAt = "", nil, nil
		meta.RemoveStatusCondition(&d.status.Conditions, v1alpha1.ConditionSubmitted)
		return d.setStatus(stalled(v1alpha1.PhasePending, v1alpha1.ReasonAlreadyAdopted, fmt.Sprintf(
			"job %s is followed by DaftyJob %q of this namespace; delete this one, or that one", id, d.References.Adopter)), Rest, maxCredentialsPoll)
	}
	if !d.finalizer() && !d.stopWanted() {
		return Decision{Status: d.status, Step: AddFinalizer} // or a deletion would leave it running
	}
	d.status.JobID = id
	decision := d.follow()
	if event := decision.Event; event != nil {
		event.Message = fmt.Sprintf("adopted job %s; %s", id, event.Message)
	}
	return decision
}

// pickUp takes the job of the annotation as this object's own instead of paying for another.
func (d *decider) pickUp() Decision {
	id := d.annotated()
	if d.status.JobID != "" {
		d.Known.Trouble, d.Known.Cancel = nil, nil // which are of the wrong one
	}
	d.status.JobID, d.status.NextAttemptAt = id, nil
	d.status.Attempts = max(d.status.Attempts, 1)
	decision := d.follow()
	if event := decision.Event; event != nil {
		event.Message = fmt.Sprintf("found job %s in the annotation %s; %s", id, v1alpha1.JobAnnotation, event.Message)
	}
	return decision
}

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
		return d.setStatus(stalled(v1alpha1.PhasePending, v1alpha1.ReasonInvalidRequest, errNoOperation.Error()), Rest, 0)
	}
	if attempts := len(d.status.FailedJobIDs); attempts > int(d.backoffLimit()) {
		// It was lowered since: what isn't wanted isn't to be paid for.
		reason, message := d.failure()
		return d.finish(failed(reason, fmt.Sprintf("%s; spec.backoffLimit allows no other attempt after %d", message, attempts)))
	}
	// A clock that was wrong may have written any time.
	if next := d.status.NextAttemptAt; next != nil && d.Now.Before(next.Time) && next.Sub(d.Now) <= maxRetryAfter {
		return d.setStatus(d.backingOff(), Rest, next.Sub(d.Now))
	}
	if len(d.status.FailedJobIDs) > 0 && d.onItsWay() {
		return d.keepStatus(Rest, RepeatAfter) // a repeat of the last attempt, whose job was found otherwise
	}
	if instead := d.resolveReferences(); instead != nil {
		return *instead
	}
	if d.Known.Credentials.Secret == "" {
		return d.setStatus(inProgress(v1alpha1.PhasePending, v1alpha1.ReasonWaitingForCredentials, d.Known.Credentials.Problem), Rest, d.credentialsPoll())
	}
	if hold := d.Known.Block; hold != nil {
		if hold.SameKey {
			return d.setStatus(sameKey(v1alpha1.PhasePending), Rest, max(hold.Until.Sub(d.Now), time.Second))
		}
		if hold.Once {
			return d.askAgain(hold.Message, hold.Until.Sub(d.Now))
		}
		return d.blocked(hold.Kind, hold.Message, hold.Until.Sub(d.Now))
	}
	if !d.finalizer() {
		return Decision{Status: d.status, Step: AddFinalizer}
	}

	refusals, attempt := int32(0), d.status.Attempts+1
	if last := d.status.Submission; last != nil && last.Attempt == attempt {
		refusals = last.Refusals
	}
	return d.begin(attempt, refusals, d.idempotencyKey(attempt, refusals))
}

// begin records the first request of a key, and lets it go.
func (d *decider) begin(attempt, refusals int32, key string) Decision {
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
	return d.send("sending the request to Dafty")
}

// send lets the POST of status.submission go. A job that is tried again keeps telling what
// is wrong until Dafty says otherwise, or it would flicker with each try.
func (d *decider) send(message string) Decision {
	if ready := d.ready(); ready != nil && (slices.Contains(retriedReasons, ready.Reason) || d.wasTaken()) {
		d.status.Phase = v1alpha1.PhaseSubmitting
		return d.keepStatus(Submit, RepeatAfter)
	}
	decision := d.setStatus(inProgress(v1alpha1.PhaseSubmitting, v1alpha1.ReasonSubmitting, message), Submit, RepeatAfter)
	// What comes of it is told, moments later: an event is a write like any other.
	decision.Event = nil
	return decision
}

// retriedReasons are those that a next try may, but need not, clear.
var retriedReasons = []string{
	v1alpha1.ReasonAPIUnavailable,
	v1alpha1.ReasonCredentialsRejected,
	v1alpha1.ReasonInsufficientCredits,
	v1alpha1.ReasonSubscriptionRequired,
	v1alpha1.ReasonUsageLimitExceeded,
	v1alpha1.ReasonWaitingForConcurrency,
	v1alpha1.ReasonWaitingForRateLimit,
}

// confirmSubmission finds out what became of a request that was let go and whose answer isn't on
// record: by waiting for it, or by repeating it with the same key.
func (d *decider) confirmSubmission() Decision {
	if !d.deleting() && !d.finalizer() && !(d.stopWanted() && d.refusal(WriteFinalizer) != nil) {
		// Somebody took it off, and a deletion would leave the job running. What is called off waits for no write.
		return d.keepStatus(AddFinalizer, 0)
	}
	submission := d.status.Submission
	call := d.Known.Submission
	switch {
	case d.onItsWay() && d.ready() == nil:
		return d.setStatus(inProgress(v1alpha1.PhaseSubmitting, v1alpha1.ReasonSubmitting, "the request is on its way to Dafty"), Rest, RepeatAfter)
	case d.onItsWay():
		return d.keepStatus(Rest, RepeatAfter)
	case call != nil && !sameSending(&call.Record, submission):
		// It belongs to a status that another process has overwritten since.
		call = nil
	}
	switch {
	case call == nil && d.stopWanted() && d.annotated() != "" && d.refusal(WriteStatus) != nil:
		// A repeat can't be put on record. The annotation could, by a process that had the answer.
		return d.pickUp()
	case call == nil:
		return d.repeat(nil, RepeatAfter)
	case call.Err == nil:
		return d.accepted(call.Job)
	case d.refused(call.Err):
		return d.clear(call.Err)
	case refusedOnce(call):
		// It has passed, and the one in doubt before it long since.
		return d.repeat(nil, max(answeredRepeatAfter, call.Err.RetryAfter))
	default:
		return d.repeat(call.Err, d.repeatWait(call))
	}
}

// onItsWay says whether a request has left this process, and hasn't come back. None is sent beside it.
func (d *decider) onItsWay() bool { return d.Known.Submission != nil && !d.Known.Submission.Done }

// sameSending says whether two records are of the same sending by the same process: another may send the same key at
// what its clock takes for the same second.
func sameSending(a, b *v1alpha1.Submission) bool {
	return a.Sender == b.Sender && a.IdempotencyKey == b.IdempotencyKey && a.SentAt.Equal(b.SentAt)
}

// restoreRecord puts back the record of a request that somebody took out of status while it was on its way, or
// before its answer was written down.
func (d *decider) restoreRecord() {
	call, status := d.Known.Submission, &d.status
	if call == nil || call.Done && call.Err != nil || status.JobID != "" || status.InDoubt() || status.Phase.Final() ||
		call.Record.Attempt <= status.Attempts {
		return
	}
	status.Submission, status.Attempts = call.Record.DeepCopy(), call.Record.Attempt
}

// completeTimes dates a submission in doubt whose times somebody took out of status: it can
// have begun no earlier than the object, and was sent no later than now.
func (d *decider) completeTimes() {
	submission := d.status.Submission
	if !d.status.InDoubt() {
		return
	}
	if submission.SentAt == nil {
		now := metav1.NewTime(d.Now).Rfc3339Copy()
		submission.SentAt = &now
	}
	if submission.StartedAt == nil {
		submission.StartedAt = d.Job.CreationTimestamp.DeepCopy()
	}
}

// mendTimes takes back a submission that is dated in the future, as a clock that was wrong
// did it: it can have begun no earlier than the object, and was sent no later than now.
func (d *decider) mendTimes() {
	submission := d.status.Submission
	if !submission.SentAt.After(d.Now.Add(clockSkew)) {
		return
	}
	now := metav1.NewTime(d.Now).Rfc3339Copy()
	submission.SentAt = &now
	submission.StartedAt = d.Job.CreationTimestamp.DeepCopy()
}

// repeatWait is how long after a submission that failed it is repeated.
func (d *decider) repeatWait(call *SubmissionCall) time.Duration {
	wait := Backoff(answeredRepeatAfter, call.Failures, maxBackoff)
	if d.stopWanted() {
		// The sooner the job's id is known, the less of it is paid for.
		wait = min(wait, RepeatAfter)
	}
	if answered := call.Err.Status >= 500 && call.Err.Code != ""; !answered {
		wait = max(wait, RepeatAfter)
	}
	return max(wait, call.Err.RetryAfter)
}

// refused says whether the answer proves that the attempt made no job. What a repeat meets
// proves nothing about the request before it, unless it says that this request could never
// have been accepted.
func (d *decider) refused(err *dafty.CallError) bool {
	if d.keyTaken(err) {
		return false
	}
	if first := d.status.Submission.StartedAt.Equal(d.status.Submission.SentAt); first {
		return err.Refused()
	}
	return impossible(err)
}

// impossible says that Dafty could never have accepted the request as it is.
func impossible(err *dafty.CallError) bool {
	return err.Kind == dafty.KindInvalid || err.Kind == dafty.KindNotFound
}

// clear takes back an attempt that certainly made no job.
func (d *decider) clear(err *dafty.CallError) Decision {
	last := d.status.Submission
	d.status.Attempts = last.Attempt - 1
	d.status.Submission = &v1alpha1.Submission{Attempt: last.Attempt, Refusals: last.Refusals}
	again := d.refusedTwice(last, err)
	// What a repeat meets doesn't prove that its picture wasn't there for the request before it, which may have made a job.
	mayBeThePicture := impossible(err) && last.StartedAt.Equal(last.SentAt)
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
			"), which it may do for a picture that was uploaded for an earlier DaftyJob; it is uploaded again"), Rest, time.Second)
	case mayBeThePicture && again && d.namesFiles():
		// The user's key may have been refused for a picture that Dafty dropped.
		return d.followUp(last, err)
	case impossible(err):
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
	if !d.mayFollowAtOnce(last) {
		return d.blocked(err.Kind, err.Error(), 0)
	}
	decision := d.begin(last.Attempt, last.Refusals, d.freshKey(last.Attempt, last.Refusals))
	decision.AtOnce = true
	return decision
}

// blocked tells why a submission waits. Without a time it is decided anew at once, when the
// account knows how long to wait.
func (d *decider) blocked(kind dafty.Kind, message string, after time.Duration) Decision {
	after = max(after, time.Second)
	switch kind {
	case dafty.KindUnauthorized:
		after = min(after, d.credentialsPoll())
	case dafty.KindInsufficientCredits, dafty.KindSubscriptionRequired, dafty.KindUsageLimit:
		// Whoever has mended it may tell by touching the Secret, and no watch tells of that.
		after = min(after, d.poll(accountReasons))
	}
	return d.setStatus(callFailed(v1alpha1.PhasePending, kind, message, d.describeSecret()), Rest, after)
}

// repeat sends the request in doubt once more, a given time after it was sent.
func (d *decider) repeat(err *dafty.CallError, wait time.Duration) Decision {
	d.mendTimes()
	submission, credentials := d.status.Submission, d.Known.Credentials
	rejected := err != nil && err.Kind == dafty.KindUnauthorized
	if rejected && credentials.Secret != "" && credentials.Secret != submission.CredentialsHash {
		// Asking for a valid key would be wrong: another one is there, and can't be used.
		return d.unknown("the API key that it was sent with is no longer accepted, and repeated with the one that is now in "+d.describeSecret()+" it could be paid for twice", d.credentialsPoll())
	}
	passed := submission.SentAt.Add(RepeatAfter)
	resubmit := d.refusedAgain(err) && d.resubmitWanted()
	switch {
	case d.refusedAgain(err) && d.annotated() != "":
		return d.pickUp()
	case resubmit && !d.Now.Before(passed):
		return d.resubmit()
	}
	if due := submission.SentAt.Add(wait); d.Now.Before(due) {
		left := due.Sub(d.Now)
		if resubmit {
			left = passed.Sub(d.Now)
		}
		v := inProgress(v1alpha1.PhaseSubmitting, v1alpha1.ReasonSubmitting,
			"a request was sent and its answer isn't known; it is repeated with the same idempotency key, which makes no second job")
		if err != nil {
			v = callFailed(v1alpha1.PhaseSubmitting, err.Kind, err.Error()+"; the request is repeated with the same idempotency key, which makes no second job", d.describeSecret())
			if d.keyTaken(err) {
				v = d.takenVerdict(err)
			} else if d.refusedAgain(err) {
				v.message = "a request was sent and its answer isn't known; Dafty refuses its repeats: " + err.Error() +
					". It is repeated with the same idempotency key until the cause is gone. If Dafty goes on refusing it after that: " + d.recoveryCommands()
			}
		} else if d.status.Phase == v1alpha1.PhaseSubmitting {
			return d.keepStatus(Rest, left)
		}
		if rejected {
			left = min(left, d.credentialsPoll())
		}
		return d.setStatus(v, Rest, left)
	}
	switch {
	case !d.Now.Before(submission.StartedAt.Add(keyMemory)):
		return d.unknown("it is too late to repeat it safely", maxBackoff)
	case credentials.Secret == submission.CredentialsHash, credentials.LastUsed == submission.CredentialsHash:
	case credentials.Secret == "":
		return d.setStatus(inProgress(v1alpha1.PhaseSubmitting, v1alpha1.ReasonWaitingForCredentials,
			credentials.Problem+"; a request was sent and its answer isn't known, which the API key it was sent with will tell"), Rest, d.credentialsPoll())
	default:
		return d.unknown("the API key that it was sent with is no longer in "+d.describeSecret()+", and repeated with another it could be paid for twice", d.credentialsPoll())
	}
	if JobType(&d.Job.Spec) == "" {
		return d.unknown("this version of the operator doesn't know its operation; upgrade the operator", d.credentialsPoll())
	}
	if instead := d.resolveAgain(); instead != nil {
		return *instead
	}
	if hold := d.Known.Block; hold != nil {
		v := callFailed(v1alpha1.PhaseSubmitting, hold.Kind, hold.Message, d.describeSecret())
		if hold.SameKey {
			v = sameKey(v1alpha1.PhaseSubmitting)
		}
		return d.setStatus(v, Rest, max(hold.Until.Sub(d.Now), time.Second))
	}
	now := metav1.NewTime(d.Now).Rfc3339Copy()
	submission.SentAt, submission.Sender = &now, d.Known.Sender
	return d.send("repeating the request with the same idempotency key, as its answer isn't known")
}

// resolveAgain finds anew what the references of a request in doubt stand for, where somebody took that out of status.
func (d *decider) resolveAgain() *Decision {
	if _, err := withReferences(&d.Job.Spec, d.status.Inputs); err == nil {
		return nil
	}
	before := d.status.DeepCopy()
	instead := d.resolveReferences()
	if instead == nil {
		if _, err := withReferences(&d.Job.Spec, d.status.Inputs); err == nil {
			return nil
		}
		d.status = *before
		decision := d.setStatus(inProgress(v1alpha1.PhaseSubmitting, v1alpha1.ReasonWaitingForCredentials,
			d.Known.Credentials.Problem+"; a request was sent and its answer isn't known, and its pictures must be uploaded again to repeat it"), Rest, d.credentialsPoll())
		return &decision
	}
	why := "what it refers to is no longer on record"
	if ready := findReady(&v1alpha1.DaftyJob{Status: instead.Status}); ready != nil {
		why += ": " + ready.Message
	}
	step, files := instead.Step, instead.Files
	d.status = *before
	decision := d.unknown(why, d.credentialsPoll())
	if step == UploadFiles && decision.Status.InDoubt() {
		decision.Step, decision.Files = step, files
	}
	return &decision
}

// unknown gives an attempt up without an answer, unless a person found its job, or found that
// there is none. Another look after a while costs little: the old key may be put back, or a
// wrong clock put right.
func (d *decider) unknown(why string, after time.Duration) Decision {
	submission := d.status.Submission
	switch {
	case d.annotated() != "":
		return d.pickUp()
	case d.resubmitWanted():
		return d.resubmit()
	}
	return d.setStatus(stalled(v1alpha1.PhaseSubmitting, v1alpha1.ReasonSubmissionUnknown, fmt.Sprintf(
		"a request was sent at %s and its answer never came; %s. %s", submission.StartedAt.UTC().Format(time.RFC3339), why, d.recoveryCommands())), Rest, after)
}

// refusedAgain says that Dafty refuses the repeats of a request in doubt for a cause that a person mends, or as it knows the
// key otherwise. It may go on so after that, for as long as it remembers the key.
func (d *decider) refusedAgain(err *dafty.CallError) bool {
	return err != nil && (slices.Contains(mendable, err.Kind) || d.keyTaken(err))
}

var mendable = []dafty.Kind{dafty.KindInsufficientCredits, dafty.KindSubscriptionRequired, dafty.KindUsageLimit, dafty.KindConcurrency}

// resubmitWanted says whether a person has found that the request in doubt made no job.
func (d *decider) resubmitWanted() bool {
	return d.Job.Annotations[v1alpha1.ResubmitAnnotation] == d.status.Submission.IdempotencyKey
}

// resubmit forgets the request in doubt. Its attempt stays counted, so that the next has a key of its own.
func (d *decider) resubmit() Decision {
	d.status.Submission = nil
	return d.next()
}

// recoveryCommands are the commands for a person who has looked for the job of a request in doubt.
func (d *decider) recoveryCommands() string {
	annotate := fmt.Sprintf("kubectl annotate --overwrite -n %s daftyjob %s ", d.Job.Namespace, d.Job.Name)
	unless := "if not"
	if len(d.status.FailedJobIDs) > 0 {
		unless = "if not, or if it is one of status.failedJobIDs"
	}
	return fmt.Sprintf("Look for its job at Dafty. If it is there, run: %s%s=%s; %s, have a new one made with: %s%s=%s",
		annotate, v1alpha1.JobAnnotation, Annotation(d.Job, "ID"), unless, annotate, v1alpha1.ResubmitAnnotation, d.status.Submission.IdempotencyKey)
}

// accepted records the job that Dafty made. From here on its id is known.
func (d *decider) accepted(job *dafty.Job) Decision {
	d.status.JobID = job.Id
	if known := d.Known.Job; known == nil || !strings.EqualFold(known.Id, job.Id) {
		d.Known.Job = job
	}
	return d.follow()
}

// credentialsPoll is when to look for a key again: soon for a user who is just creating it,
// and rarer the longer nobody has.
func (d *decider) credentialsPoll() time.Duration { return d.poll(credentialsReasons) }

// poll is when to look again for what a person is to bring, and that no watch tells of.
func (d *decider) poll(reasons []string) time.Duration {
	var waited time.Duration
	if ready := d.ready(); ready != nil && !d.deleting() && slices.Contains(reasons, ready.Reason) {
		waited = d.Now.Sub(ready.LastTransitionTime.Time)
	}
	return min(max(waited/16, credentialsPoll), maxCredentialsPoll)
}

// accountReasons are those of a job that waits for what a person does about the account.
var accountReasons = []string{
	v1alpha1.ReasonInsufficientCredits,
	v1alpha1.ReasonSubscriptionRequired,
	v1alpha1.ReasonUsageLimitExceeded,
}

// credentialsReasons are those of a job that waits for a key.
var credentialsReasons = []string{
	v1alpha1.ReasonCredentialsRejected,
	v1alpha1.ReasonSubmissionUnknown,
	v1alpha1.ReasonWaitingForCredentials,
}
