package lifecycle

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

// verdict is what status says of a job: its phase, and the Ready condition with the two
// that kstatus looks at.
type verdict struct {
	phase       v1alpha1.Phase
	ready       metav1.ConditionStatus
	reason      string
	message     string
	reconciling bool
	stalled     bool
}

// inProgress returns the verdict on what goes on by itself.
func inProgress(phase v1alpha1.Phase, reason, message string) verdict {
	return verdict{phase: phase, ready: metav1.ConditionUnknown, reason: reason, message: message, reconciling: true}
}

// stalled returns the verdict on what goes on once a person has acted.
func stalled(phase v1alpha1.Phase, reason, message string) verdict {
	return verdict{phase: phase, ready: metav1.ConditionFalse, reason: reason, message: message, stalled: true}
}

// current returns the verdict on an end as it was wanted.
func current(phase v1alpha1.Phase, reason, message string) verdict {
	return verdict{phase: phase, ready: metav1.ConditionTrue, reason: reason, message: message}
}

// failed returns the verdict on an end that wasn't wanted.
func failed(reason, message string) verdict {
	return stalled(v1alpha1.PhaseFailed, reason, message)
}

// callFailed returns the verdict where a call met an error of this kind, and is tried again.
func callFailed(phase v1alpha1.Phase, kind dafty.Kind, quote, secret string) verdict {
	meaning := MeaningOf(kind)
	way := inProgress
	if meaning.Stalled {
		way = stalled
	}
	return way(phase, meaning.Reason, meaning.message(quote, secret))
}

// sameKey returns the verdict where another DaftyJob's request with the same idempotency key is on its way.
func sameKey(phase v1alpha1.Phase) verdict {
	return inProgress(phase, v1alpha1.ReasonWaitingForDependency,
		"another DaftyJob is sending a request with the same spec.idempotencyKey, and two at the same moment could be paid for twice; "+
			"this one follows when that one is answered")
}

// ready returns the Ready condition as it was read, nil where there is none.
func (d *decider) ready() *metav1.Condition { return findReady(d.Job) }

func findReady(job *v1alpha1.DaftyJob) *metav1.Condition {
	return findCondition(job, v1alpha1.ConditionReady)
}

func findCondition(job *v1alpha1.DaftyJob, condition string) *metav1.Condition {
	return meta.FindStatusCondition(job.Status.Conditions, condition)
}

// setStatus writes a verdict into status, and tells an event where the reason is new.
func (d *decider) setStatus(v verdict, step Step, after time.Duration) Decision {
	v = d.mendable(v)
	status := &d.status
	status.ObservedGeneration = d.Job.Generation
	status.Phase = v.phase
	if status.JobType == "" {
		status.JobType = string(JobType(&d.Job.Spec))
	}
	if status.JobID != "" {
		d.set(v1alpha1.ConditionSubmitted, metav1.ConditionTrue, v1alpha1.ReasonSubmitted, "Dafty has the job as "+status.JobID)
	}
	event := d.tell(v)
	return Decision{Status: *status, Step: step, After: after, Event: event}
}

// tell writes the Ready condition of a verdict, with the two that kstatus looks at, and returns the event where the reason
// is new.
func (d *decider) tell(v verdict) *Event {
	d.set(v1alpha1.ConditionReady, v.ready, v.reason, v.message)
	d.mark(v1alpha1.ConditionReconciling, v.reconciling, v)
	d.mark(v1alpha1.ConditionStalled, v.stalled, v)
	if before := d.ready(); before != nil && before.Reason == v.reason {
		return nil
	}
	return &Event{Warning: v.stalled || Warns(v.reason), Reason: v.reason, Message: v.message}
}

// observe has each condition speak of the generation that status is about: one that isn't written again still holds, and
// kubectl wait passes over those of an older generation.
func observe(status *v1alpha1.DaftyJobStatus) {
	if status.ObservedGeneration <= 0 {
		return
	}
	for i := range status.Conditions {
		status.Conditions[i].ObservedGeneration = status.ObservedGeneration
	}
}

// Warns reports whether a reason is worth a warning although what it is told of goes on by itself.
func Warns(reason string) bool { return slices.Contains(warningReasons, reason) }

// warningReasons warn although the job goes on by itself.
var warningReasons = []string{
	v1alpha1.ReasonAPIUnavailable,
	v1alpha1.ReasonUsageLimitExceeded,
	v1alpha1.ReasonWaitingForCredentials,
	v1alpha1.ReasonAccountNotFound,
	v1alpha1.ReasonBudgetExhausted,
}

// finish writes a final verdict. Nothing follows it.
func (d *decider) finish(v verdict) Decision {
	finished := metav1.NewTime(d.Now)
	d.status.FinishedAt, d.status.NextAttemptAt = &finished, nil
	if from := d.status.SubmittedAt; from != nil {
		d.status.Duration = duration.HumanDuration(max(0, d.Now.Sub(from.Time)))
	}
	d.set(endConditions[v.phase], metav1.ConditionTrue, v.reason, v.message)
	return d.setStatus(d.agreed(v), Rest{}, 0)
}

// endConditions are the conditions that tell of an end, by the final phase.
var endConditions = map[v1alpha1.Phase]string{
	v1alpha1.PhaseCompleted: v1alpha1.ConditionComplete,
	v1alpha1.PhaseFailed:    v1alpha1.ConditionFailed,
	v1alpha1.PhaseCancelled: v1alpha1.ConditionCancelled,
}

func (d *decider) mark(condition string, is bool, v verdict) {
	if is {
		d.set(condition, metav1.ConditionTrue, v.reason, v.message)
	} else {
		meta.RemoveStatusCondition(&d.status.Conditions, condition)
	}
}

// maxMessage is the API's bound of a condition's message, in characters.
const maxMessage = 32768

func (d *decider) set(condition string, is metav1.ConditionStatus, reason, message string) {
	if runes := []rune(message); len(runes) > maxMessage {
		message = string(runes[:maxMessage-1]) + "…"
	}
	meta.SetStatusCondition(&d.status.Conditions, metav1.Condition{
		Type:               condition,
		Status:             is,
		Reason:             reason,
		Message:            message,
		ObservedGeneration: d.Job.Generation,
		LastTransitionTime: metav1.NewTime(d.Now),
	})
}
