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

// Next decides what status must read and which step follows. Deletion comes first: before
// suspension, validation and credentials.
func Next(in Input) Decision {
	d := &decider{Input: in, status: *in.Job.Status.DeepCopy()}
	switch {
	case d.deleting() && !d.finalizer():
		return d.keep(Rest, 0)
	case d.deleting() && (d.status.Phase.Final() || d.untouched()):
		return d.letGo(nil)
	case d.deleting() && in.Job.Spec.DeletionPolicy == v1alpha1.DeletionOrphan:
		return d.orphan()
	case d.deleting() && !in.Now.Before(in.Job.DeletionTimestamp.Add(in.DeletionTimeout)):
		return d.abandon()
	case d.status.Phase.Final():
		return d.keep(Rest, 0)
	case d.status.JobID != "":
		return d.follow()
	case d.status.Submission == nil && d.annotated() != "":
		return d.pickUp()
	case d.status.InDoubt():
		return d.resolve()
	case d.cancelWanted():
		return d.cancelledBeforeSubmission()
	case in.Job.Spec.DesiredState == v1alpha1.DesiredSuspended:
		return d.suspended()
	default:
		return d.submit()
	}
}

// decider works out one decision. Its status is the one to be written.
type decider struct {
	Input
	status v1alpha1.DaftyJobStatus
}

func (d *decider) deleting() bool { return !d.Job.DeletionTimestamp.IsZero() }

func (d *decider) finalizer() bool {
	return slices.Contains(d.Job.Finalizers, v1alpha1.CancelFinalizer)
}

// untouched says that no request can have reached Dafty.
func (d *decider) untouched() bool {
	return d.status.JobID == "" && !d.status.InDoubt() && (d.status.Submission != nil || d.annotated() == "")
}

// cancelWanted says that the job must not run, or run on.
func (d *decider) cancelWanted() bool {
	return d.deleting() || d.Job.Spec.DesiredState == v1alpha1.DesiredCancelled
}

// Annotation is the value of v1alpha1.JobAnnotation for a job's id.
func Annotation(job *v1alpha1.DaftyJob, id string) string {
	return job.Namespace + "/" + job.Name + ":" + id
}

// annotated is the job's id from the annotation, empty where there is none for this very
// object: one that was copied to another name has a job of its own to make.
func (d *decider) annotated() string {
	id, ok := strings.CutPrefix(d.Job.Annotations[v1alpha1.JobAnnotation], Annotation(d.Job, ""))
	if !ok {
		return ""
	}
	return id
}

// keep changes nothing but the generation that status is about.
func (d *decider) keep(step Step, after time.Duration) Decision {
	d.status.ObservedGeneration = d.Job.Generation
	return Decision{Status: d.status, Step: step, After: after}
}

// letGo removes the finalizer; the object goes, and its status with it.
func (d *decider) letGo(event *Event) Decision {
	return Decision{Status: d.status, Step: RemoveFinalizer, Event: event}
}

func (d *decider) orphan() Decision {
	return d.letGo(&Event{Reason: v1alpha1.EventJobOrphaned, Message: fmt.Sprintf(
		"deleted with deletionPolicy Orphan: %s runs on at Dafty and is paid for", d.jobWords())})
}

func (d *decider) abandon() Decision {
	message := fmt.Sprintf("gave up cancelling after %s: %s may still run and cost; look for it at Dafty and cancel it there", d.DeletionTimeout, d.jobWords())
	if ready := d.ready(); ready != nil && ready.Status != metav1.ConditionTrue {
		message += " (" + ready.Reason + ": " + ready.Message + ")"
	}
	decision := d.letGo(&Event{Warning: true, Reason: v1alpha1.EventCancelAbandoned, Message: message})
	decision.Abandoned = true
	return decision
}

// jobWords names the job at Dafty for a message.
func (d *decider) jobWords() string {
	switch {
	case d.status.JobID != "":
		return "job " + d.status.JobID
	case d.status.InDoubt():
		return fmt.Sprintf("the job of idempotency key %s (sent %s; whether Dafty made it isn't known)",
			d.status.Submission.IdempotencyKey, d.status.Submission.StartedAt.UTC().Format(time.RFC3339))
	default:
		return "job " + d.annotated()
	}
}

// pickUp takes the job of the annotation as this object's own instead of paying for another.
func (d *decider) pickUp() Decision {
	d.status.JobID = d.annotated()
	d.status.Attempts = max(d.status.Attempts, 1)
	return d.on(onTheWay(v1alpha1.PhaseSubmitting, v1alpha1.ReasonSubmitting, fmt.Sprintf(
		"found job %s in the annotation %s; asking Dafty how it stands", d.status.JobID, v1alpha1.JobAnnotation)), Follow, 0)
}

func (d *decider) cancelledBeforeSubmission() Decision {
	return d.end(reached(v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelledBeforeSubmission,
		"called off before anything was submitted; nothing was paid"))
}

func (d *decider) suspended() Decision {
	return d.on(verdict{phase: v1alpha1.PhasePending, ready: metav1.ConditionFalse, reason: v1alpha1.ReasonSuspended,
		message: "held back, as asked; set spec.desiredState to Completed to submit it"}, Rest, 0)
}

// submit begins an attempt, if nothing stands in its way.
func (d *decider) submit() Decision {
	if _, err := Request(&d.Job.Spec); err != nil {
		d.status.Error = &v1alpha1.JobError{Message: err.Error()}
		return d.end(lost(v1alpha1.ReasonInvalidRequest, err.Error()))
	}
	if d.Known.Credentials.Secret == "" {
		return d.on(onTheWay(v1alpha1.PhasePending, v1alpha1.ReasonWaitingForCredentials, d.Known.Credentials.Problem), Rest, credentialsPoll)
	}
	if hold := d.Known.Hold; hold != nil {
		return d.held(hold.Kind, hold.Message, hold.Until.Sub(d.Now))
	}
	if !d.finalizer() {
		return Decision{Status: d.status, Step: AddFinalizer}
	}

	refusals, attempt := int32(0), d.status.Attempts+1
	if last := d.status.Submission; last != nil && last.Attempt == attempt {
		refusals = last.Refusals
	}
	now := metav1.NewTime(d.Now).Rfc3339Copy()
	d.status.Attempts = attempt
	d.status.Submission = &v1alpha1.Submission{
		Attempt:         attempt,
		IdempotencyKey:  idempotencyKey(d.Job, attempt, refusals),
		StartedAt:       &now,
		SentAt:          &now,
		CredentialsHash: d.Known.Credentials.Secret,
		Refusals:        refusals,
	}
	return d.send("sending the request to Dafty")
}

// idempotencyKey is derived from the object alone, so that whoever repeats the request uses
// the same. A refused request made no job, and Dafty may answer its key with the same
// refusal for ever: the next try has another.
func idempotencyKey(job *v1alpha1.DaftyJob, attempt, refusals int32) string {
	key := fmt.Sprintf("%s-%d", job.UID, attempt)
	if refusals > 0 {
		key += fmt.Sprintf(".%d", refusals)
	}
	return key
}

// send lets the POST of status.submission go. A job that is tried again keeps telling what
// is wrong until Dafty says otherwise, or it would flicker with each try.
func (d *decider) send(message string) Decision {
	if ready := d.ready(); ready != nil && slices.Contains(retriedReasons, ready.Reason) {
		return d.keep(Submit, repeatAfter)
	}
	return d.on(onTheWay(v1alpha1.PhaseSubmitting, v1alpha1.ReasonSubmitting, message), Submit, repeatAfter)
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

// resolve finds out what became of a request that was let go and whose answer isn't on
// record: by waiting for it, or by repeating it with the same key.
func (d *decider) resolve() Decision {
	submission := d.status.Submission
	call := d.Known.Submission
	if call != nil && (call.IdempotencyKey != submission.IdempotencyKey || !call.SentAt.Equal(submission.SentAt.Time)) {
		// It belongs to a status that another process has overwritten since.
		call = nil
	}
	switch {
	case call == nil:
		return d.repeat(nil, repeatAfter)
	case !call.Done:
		return d.keep(Rest, repeatAfter)
	case call.Err == nil:
		return d.accepted(call.Job)
	case d.refused(call.Err):
		return d.clear(call.Err)
	case call.Err.Status >= 500 && call.Err.Code != "":
		return d.repeat(call.Err, backoff(answeredRepeatAfter, call.Failures))
	default:
		return d.repeat(call.Err, max(repeatAfter, backoff(answeredRepeatAfter, call.Failures)))
	}
}

// refused says whether the answer proves that the attempt made no job. What a repeat meets
// proves nothing about the request before it, unless it says that this request could never
// have been accepted.
func (d *decider) refused(err *dafty.CallError) bool {
	if first := d.status.Submission.StartedAt.Equal(d.status.Submission.SentAt); first {
		return err.Refused()
	}
	return err.Kind == dafty.KindInvalid || err.Kind == dafty.KindNotFound
}

// clear takes back an attempt that certainly made no job.
func (d *decider) clear(err *dafty.CallError) Decision {
	last := d.status.Submission
	d.status.Attempts = last.Attempt - 1
	d.status.Submission = &v1alpha1.Submission{Attempt: last.Attempt, Refusals: last.Refusals}
	if !err.Unsent {
		d.status.Submission.Refusals++
	}
	if err.Kind == dafty.KindInvalid || err.Kind == dafty.KindNotFound {
		d.status.Error = jobError(err)
		return d.end(lost(v1alpha1.ReasonInvalidRequest, "Dafty refused the request: "+err.Error()+"; correct it in a DaftyJob under a new name"))
	}
	return d.held(err.Kind, err.Error(), 0)
}

// held tells why a submission waits. Without a time it is decided anew at once, when the
// account knows how long to wait.
func (d *decider) held(kind dafty.Kind, message string, after time.Duration) Decision {
	after = max(after, time.Second)
	if kind == dafty.KindUnauthorized {
		after = min(after, credentialsPoll)
	}
	return d.on(troubled(v1alpha1.PhasePending, kind, message, d.secretWords()), Rest, after)
}

// repeat sends the request in doubt once more, a given time after it was sent.
func (d *decider) repeat(err *dafty.CallError, wait time.Duration) Decision {
	submission := d.status.Submission
	if due := submission.SentAt.Add(wait); d.Now.Before(due) {
		v := onTheWay(v1alpha1.PhaseSubmitting, v1alpha1.ReasonSubmitting,
			"a request was sent and its answer isn't known; it is repeated with the same idempotency key, which makes no second job")
		if err != nil {
			v = troubled(v1alpha1.PhaseSubmitting, err.Kind, err.Error()+"; the request is repeated with the same idempotency key, which makes no second job", d.secretWords())
		} else if d.status.Phase == v1alpha1.PhaseSubmitting {
			return d.keep(Rest, due.Sub(d.Now))
		}
		return d.on(v, Rest, due.Sub(d.Now))
	}
	credentials := d.Known.Credentials
	switch {
	case !d.Now.Before(submission.StartedAt.Add(keyMemory)):
		return d.unknown("it is too late to repeat it safely")
	case credentials.Secret == submission.CredentialsHash, credentials.Held == submission.CredentialsHash:
	case credentials.Secret == "":
		return d.on(onTheWay(v1alpha1.PhaseSubmitting, v1alpha1.ReasonWaitingForCredentials,
			credentials.Problem+"; a request was sent and its answer isn't known, which the API key it was sent with will tell"), Rest, credentialsPoll)
	default:
		return d.unknown("the API key that it was sent with is no longer in " + d.secretWords() + ", and repeated with another it could be paid for twice")
	}
	if hold := d.Known.Hold; hold != nil {
		return d.on(troubled(v1alpha1.PhaseSubmitting, hold.Kind, hold.Message, d.secretWords()), Rest, max(hold.Until.Sub(d.Now), time.Second))
	}
	now := metav1.NewTime(d.Now).Rfc3339Copy()
	submission.SentAt = &now
	return d.send("repeating the request with the same idempotency key, as its answer isn't known")
}

// unknown gives an attempt up without an answer. It is never sent again.
func (d *decider) unknown(why string) Decision {
	if id := d.annotated(); id != "" {
		return d.pickUp()
	}
	return d.on(stuck(v1alpha1.PhaseSubmitting, v1alpha1.ReasonSubmissionUnknown, fmt.Sprintf(
		"%s was sent and its answer never came; %s. Look for it at Dafty. If it is there, run: kubectl annotate -n %s daftyjob %s %s=%sID; if not, create the DaftyJob anew under another name",
		d.jobWords(), why, d.Job.Namespace, d.Job.Name, v1alpha1.JobAnnotation, Annotation(d.Job, ""))), Rest, credentialsPoll)
}

// accepted records the job that Dafty made. From here on its id is known.
func (d *decider) accepted(job *dafty.Job) Decision {
	d.status.JobID = job.Id
	if d.Known.Job == nil {
		d.Known.Job = job
	}
	return d.follow()
}
