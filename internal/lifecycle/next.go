package lifecycle

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
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
	if Is[StoreResult](decision.Step) {
		return decision
	}
	if Is[RemoveFinalizer](decision.Step) {
		// It goes, and what it asked for with it: no write is to hold that up.
		decision.Status.CancelRequestedAt, decision.Status.SuspendedAt = in.Job.Status.CancelRequestedAt, in.Job.Status.SuspendedAt
	} else {
		observe(&decision.Status)
	}
	d.requeueForDeadlines(&decision)
	d.sameNews(&decision)
	d.stampUID(&decision)
	tellRefusals(in, &decision)
	return decision
}

// Postpone returns what to do in place of a submission that isn't begun now: nothing of it goes on record.
func Postpone(in Snapshot, after time.Duration) Decision {
	d := &decider{Snapshot: in, status: *in.Job.Status.DeepCopy()}
	d.recordDesired()
	decision := Decision{Status: d.status, Step: Rest{}, After: after}
	tellRefusals(in, &decision)
	return decision
}

// requeueForDeadlines has the next decision made when one of the job's deadlines comes.
func (d *decider) requeueForDeadlines(decision *Decision) {
	letGo := Is[RemoveFinalizer](decision.Step)
	if due := d.due(); !due.IsZero() && !decision.Status.Phase.Final() && !letGo && due.After(d.Now) {
		decision.requeueBy(due.Sub(d.Now))
	}
	if due := d.startBy(); !due.IsZero() && !decision.Status.Phase.Final() && due.After(d.Now) {
		decision.requeueBy(due.Sub(d.Now))
	}
	if d.deleting() && !letGo && d.finalizer() {
		// Whatever it waits for, a deletion ends.
		left := d.deadline().Sub(d.Now)
		if left <= 0 {
			left = recancelAfter // it is held back
		}
		decision.requeueBy(left)
	}
}

func (d *decider) next() Decision {
	switch {
	case d.deleting() && !d.finalizer():
		return d.keepStatus(Rest{}, 0)
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
	case d.unverifiedID() && d.annotated() != "" && d.annotated() != d.status.JobID && !d.denied():
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
	case d.unrecorded():
		return d.waitForRecord()
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

// deadline returns when a deletion stops waiting. It counts from where this process could first act on
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

// neverSubmitted reports whether no request can have reached Dafty.
func (d *decider) neverSubmitted() bool {
	return d.status.JobID == "" && !d.status.InDoubt() && d.annotated() == "" && d.Job.Spec.AdoptJobID == ""
}

// cancelWanted reports whether the job must not run, or run on.
func (d *decider) cancelWanted() bool {
	return d.deleting() || d.cancelRequested()
}

// calledOff reports whether the job must not run on, whether the object stays or not: to leave a job to itself is no way to
// take that back.
func (d *decider) calledOff() bool {
	return d.cancelRequested() || d.overdue()
}

// stopWanted reports whether a job at Dafty must not run on. What was begun isn't taken back, should the deadline be.
func (d *decider) stopWanted() bool {
	return d.deleting() || d.calledOff() || d.status.Phase == v1alpha1.PhaseCancelling
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
	return Decision{Status: d.status, Step: RemoveFinalizer{}, Event: event}
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
