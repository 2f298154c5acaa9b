package lifecycle

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

// confirmSubmission finds out what became of a request that was let go and whose answer isn't on
// record: by waiting for it, or by repeating it with the same key.
func (d *decider) confirmSubmission() Decision {
	if !d.deleting() && !d.finalizer() && !(d.stopWanted() && d.refusal(WriteFinalizer) != nil) {
		// Somebody took it off, and a deletion would leave the job running. What is called off waits for no write.
		return d.keepStatus(AddFinalizer{}, 0)
	}
	submission := d.status.Submission
	call := d.Known.Submission
	switch {
	case d.onItsWay() && d.ready() == nil:
		return d.setStatus(inProgress(v1alpha1.PhaseSubmitting, v1alpha1.ReasonSubmitting, "the request is on its way to Dafty"), Rest{}, RepeatAfter)
	case d.onItsWay():
		return d.keepStatus(Rest{}, RepeatAfter)
	case call != nil && !sameSending(&call.Record, submission):
		// It belongs to a status that another process has overwritten since.
		call = nil
	}
	switch {
	case call == nil && d.stopWanted() && d.annotated() != "" && !d.denied() && d.refusal(WriteStatus) != nil:
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

// onItsWay reports whether a request has left this process, and hasn't come back. None is sent beside it.
func (d *decider) onItsWay() bool { return d.Known.Submission != nil && !d.Known.Submission.Done }

// sameSending reports whether two records are of the same sending by the same process: another may send the same key at
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

// repeatWait returns how long after a submission that failed it is repeated.
func (d *decider) repeatWait(call *SubmissionCall) time.Duration {
	wait := dafty.Backoff(answeredRepeatAfter, call.Failures, maxBackoff)
	if d.stopWanted() {
		// The sooner the job's id is known, the less of it is paid for.
		wait = min(wait, RepeatAfter)
	}
	if answered := call.Err.Status >= 500 && call.Err.Code != ""; !answered {
		wait = max(wait, RepeatAfter)
	}
	return max(wait, call.Err.RetryAfter)
}

// repeat sends the request in doubt once more, a given time after it was sent.
func (d *decider) repeat(err *dafty.CallError, wait time.Duration) Decision {
	d.mendTimes()
	submission, credentials := d.status.Submission, d.Known.Credentials
	rejected := err != nil && err.Kind == dafty.KindUnauthorized
	if rejected && credentials.Secret != "" && credentials.Secret != submission.CredentialsHash {
		// Asking for a valid key would be wrong: another one is there, and can't be used.
		return d.unknown("the API key that it was sent with is no longer accepted, and repeated with the one that is now in "+d.describeSecret()+
			" it could be paid for twice", d.credentialsPoll())
	}
	passed := submission.SentAt.Add(RepeatAfter)
	resubmit := d.refusedAgain(err) && d.resubmitWanted()
	switch {
	case d.refusedAgain(err) && d.annotated() != "" && !d.denied():
		return d.pickUp()
	case resubmit && !d.Now.Before(passed):
		return d.resubmit()
	}
	if due := submission.SentAt.Add(wait); d.Now.Before(due) {
		left := due.Sub(d.Now)
		if resubmit {
			left = passed.Sub(d.Now)
		}
		return d.waitToRepeat(err, left)
	}
	switch {
	case !d.Now.Before(submission.StartedAt.Add(keyMemory)):
		return d.unknown("it is too late to repeat it safely", maxBackoff)
	case credentials.Secret == submission.CredentialsHash, credentials.LastUsed == submission.CredentialsHash:
	case credentials.Secret == "":
		return d.setStatus(inProgress(v1alpha1.PhaseSubmitting, d.keyless(),
			credentials.Problem+"; a request was sent and its answer isn't known, which the API key it was sent with will tell"), Rest{}, d.credentialsPoll())
	default:
		return d.unknown("the API key that it was sent with is no longer in "+d.describeSecret()+", and repeated with another it could be paid for twice",
			d.credentialsPoll())
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
		return d.setStatus(v, Rest{}, max(hold.Until.Sub(d.Now), time.Second))
	}
	now := metav1.NewTime(d.Now).Rfc3339Copy()
	submission.SentAt, submission.Sender = &now, d.Known.Sender
	return d.send("repeating the request with the same idempotency key, as its answer isn't known", false)
}

// waitToRepeat says what became of a request in doubt so far, and has it repeated in a while.
func (d *decider) waitToRepeat(err *dafty.CallError, left time.Duration) Decision {
	v := inProgress(v1alpha1.PhaseSubmitting, v1alpha1.ReasonSubmitting,
		"a request was sent and its answer isn't known; it is repeated with the same idempotency key, which makes no second job")
	if err != nil {
		v = callFailed(v1alpha1.PhaseSubmitting, err.Kind, err.Error()+"; the request is repeated with the same idempotency key, which makes no second job",
			d.describeSecret())
		if d.keyTaken(err) {
			v = d.takenVerdict(err)
		} else if d.refusedAgain(err) {
			v.message = "a request was sent and its answer isn't known; Dafty refuses its repeats: " + err.Error() +
				". It is repeated with the same idempotency key until the cause is gone. If Dafty goes on refusing it after that: " + d.recoveryCommands()
		}
	} else if d.status.Phase == v1alpha1.PhaseSubmitting {
		return d.keepStatus(Rest{}, left)
	}
	if err != nil && err.Kind == dafty.KindUnauthorized {
		left = min(left, d.credentialsPoll())
	}
	return d.setStatus(v, Rest{}, left)
}

// resolveAgain finds once more what the references of a request in doubt stand for, where somebody took that out of status.
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
			d.Known.Credentials.Problem+"; a request was sent and its answer isn't known, and its pictures must be uploaded again to repeat it"),
			Rest{}, d.credentialsPoll())
		return &decision
	}
	why := "what it refers to is no longer on record"
	if ready := findReady(&v1alpha1.DaftyJob{Status: instead.Status}); ready != nil {
		why += ": " + ready.Message
	}
	d.status = *before
	decision := d.unknown(why, d.credentialsPoll())
	if Is[UploadFiles](instead.Step) && d.status.InDoubt() { // and not picked up: where its result is stored first, the decision has the old status
		decision.Step = instead.Step
	}
	return &decision
}
