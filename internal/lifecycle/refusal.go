package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// Refusal is a write that the API server goes on refusing.
type Refusal struct {
	Write Write
	// Message is what the API server said. It stays the same where only ids and times in it change.
	Message string
	// Lasting reports whether a person must act, as where a policy refuses the write; otherwise the API server, or
	// something that it asks, is away.
	Lasting bool
	// Since is when the write was first refused.
	Since time.Time
}

const (
	// lastingTold and passingTold are how long a write is refused before it is told: one error that passes isn't news.
	lastingTold = 2 * time.Second
	passingTold = 10 * time.Second
)

// Telling reports whether a refusal has lasted long enough to be told.
func (r Refusal) Telling(now time.Time) bool {
	if r.Lasting {
		return now.Sub(r.Since) >= lastingTold
	}
	return now.Sub(r.Since) >= passingTold
}

// Event returns the event that tells a refusal.
func (r Refusal) Event(job *v1alpha1.DaftyJob) *Event {
	reason := v1alpha1.ReasonWriteFailed
	if r.Lasting {
		reason = v1alpha1.ReasonWriteRefused
	}
	return &Event{Warning: true, Reason: reason, Message: r.describe(job)}
}

// describe says what can't be written, what that means, why, and what to do.
func (r Refusal) describe(job *v1alpha1.DaftyJob) string {
	var what string
	switch r.Write {
	case WriteFinalizer:
		what = "the finalizer " + v1alpha1.CancelFinalizer + " can't be added"
		if job.Status.JobID == "" && !job.Status.InDoubt() {
			what += ", and nothing is submitted without it, as a deletion couldn't cancel the job"
		} else {
			what += ", without which a deletion can't cancel the job at Dafty"
		}
	case WriteAnnotation:
		what = "the annotation " + v1alpha1.JobAnnotation + " can't be written, by which the job is found again if the status is lost; the job goes on"
	case WriteRelease:
		what = "the finalizer " + v1alpha1.CancelFinalizer + " can't be removed, so that the deletion can't end"
	case WriteDeletion:
		what = "this DaftyJob can't be deleted, as spec.ttlSecondsAfterFinished asks"
	case WriteStatus:
		what = "the status can't be written, and is out of date; nothing is submitted meanwhile, and what is called off is cancelled all the same"
	}
	todo := "It is tried again at least every 30 s; if it lasts, a cluster administrator must look at the API server and at the webhooks that it asks"
	if r.Lasting {
		todo = "Have the policy, webhook or role that refuses it let the operator's writes pass; it is tried again at least every 30 s"
	}
	return fmt.Sprintf("%s: the API server says: %s. %s", what, strings.TrimSuffix(r.Message, "."), todo)
}

// refusalReasons are the reasons of a Ready condition that tells a refusal.
var refusalReasons = []string{v1alpha1.ReasonWriteRefused, v1alpha1.ReasonWriteFailed}

// tellRefusals puts into a decision what the API server refuses of its step, and takes back what it doesn't refuse any more. The
// event isn't part of it (see Refusal.Event): it is told also where status can't be written.
func tellRefusals(in Snapshot, decision *Decision) {
	d := &decider{Snapshot: in, status: *decision.Status.DeepCopy()}
	before := d.ready()
	recorded := before != nil && slices.Contains(refusalReasons, before.Reason)
	moved := decision.Status.Phase != in.Job.Status.Phase
	if event := decision.Event; recorded && !moved && !Is[RemoveFinalizer](decision.Step) && event != nil && !event.Warning {
		decision.Event = nil // the reason that is back is no news
	}
	write := WriteOf(decision.Step)
	refusal := d.refusal(write)
	switch {
	case write == WriteDeletion, Is[Release](decision.Step):
		// It has ended, and is Ready for good.
	case refusal != nil:
		decision.Status = d.says(d.refusalVerdict(*refusal))
	case recorded && write != "":
		// Whether it is still refused shows when it is tried.
		decision.Status = d.says(verdict{phase: d.phase(), ready: before.Status, reason: before.Reason, message: before.Message,
			reconciling: before.Status == metav1.ConditionUnknown, stalled: before.Status == metav1.ConditionFalse})
	case recorded && slices.Contains(refusalReasons, findReady(&v1alpha1.DaftyJob{Status: d.status}).Reason):
		if d.deleting() && !d.finalizer() && d.neverSubmitted() && !d.status.Phase.Final() {
			decision.Status = d.cancelledBeforeSubmission().Status // another's finalizer keeps it
			break
		}
		decision.Status = d.says(d.unrefused())
	}
}

// says writes a verdict into Ready and the two conditions that go with it, leaves the others as they are, and returns the status.
// What the decision has written there is passed over: the transition is from what was on record.
func (d *decider) says(v verdict) v1alpha1.DaftyJobStatus {
	d.status.ObservedGeneration, d.status.Phase = d.Job.Generation, v.phase
	for _, condition := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		was, is := findCondition(d.Job, condition), meta.FindStatusCondition(d.status.Conditions, condition)
		switch {
		case was != nil && is != nil:
			*is = *was
		case was != nil:
			d.status.Conditions = append(d.status.Conditions, *was)
		}
	}
	d.set(v1alpha1.ConditionReady, v.ready, v.reason, v.message)
	d.mark(v1alpha1.ConditionReconciling, v.reconciling, v)
	d.mark(v1alpha1.ConditionStalled, v.stalled, v)
	observe(&d.status)
	return d.status
}

// refusal returns the refusal of a write, nil where none is to be told.
func (d *decider) refusal(write Write) *Refusal {
	at := slices.IndexFunc(d.Known.Refusals, func(r Refusal) bool { return r.Write == write && r.Telling(d.Now) })
	if write == "" || at < 0 {
		return nil
	}
	return &d.Known.Refusals[at]
}

// phase returns the one on record, Pending where there is none.
func (d *decider) phase() v1alpha1.Phase {
	if d.status.Phase == "" {
		return v1alpha1.PhasePending
	}
	return d.status.Phase
}

// refusalVerdict tells a refusal. A job that Dafty has goes on by itself, whatever is refused of its object's metadata.
func (d *decider) refusalVerdict(r Refusal) verdict {
	job := &v1alpha1.DaftyJob{Status: d.status}
	if !r.Lasting || r.Write != WriteRelease && d.status.JobID != "" {
		return inProgress(d.phase(), v1alpha1.ReasonWriteFailed, r.describe(job))
	}
	return stalled(d.phase(), v1alpha1.ReasonWriteRefused, r.describe(job))
}

// unrefused returns what Ready says where a refusal is over and the decision says nothing new: the end that is on record, or
// that it goes on.
func (d *decider) unrefused() verdict {
	for phase, condition := range endConditions {
		end := meta.FindStatusCondition(d.status.Conditions, condition)
		if d.status.Phase != phase || end == nil {
			continue
		}
		if phase == v1alpha1.PhaseFailed {
			return failed(end.Reason, end.Message)
		}
		return current(phase, end.Reason, end.Message)
	}
	message := "the API server takes the operator's writes again"
	switch phase := d.phase(); phase {
	case v1alpha1.PhaseSubmitting, v1alpha1.PhaseQueued, v1alpha1.PhaseProcessing, v1alpha1.PhaseCancelling:
		return inProgress(phase, string(phase), message)
	default:
		return inProgress(phase, v1alpha1.ReasonWriteFailed, message)
	}
}
