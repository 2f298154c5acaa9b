package lifecycle

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// What a user asks for in spec.desiredState can be taken back there by a tool that knows nothing of it: Flux takes over
// what kubectl has set and drops it, and a replace puts a whole manifest in its place. So a cancel and a suspension go on
// record in status as soon as they are seen. A cancel is never taken back, and a suspension by an explicit Completed only:
// silence pays for nothing.

// CancelRequested reports whether a job is called off by its spec, now or at any time before.
func CancelRequested(job *v1alpha1.DaftyJob) bool {
	return cancelRequested(&job.Spec, &job.Status)
}

func cancelRequested(spec *v1alpha1.DaftyJobSpec, status *v1alpha1.DaftyJobStatus) bool {
	return spec.DesiredState == v1alpha1.DesiredCancelled || status.CancelRequestedAt != nil
}

// Suspended reports whether no request for a job may be sent until its user says so.
func Suspended(job *v1alpha1.DaftyJob) bool {
	return isSuspended(&job.Spec, &job.Status)
}

func isSuspended(spec *v1alpha1.DaftyJobSpec, status *v1alpha1.DaftyJobStatus) bool {
	return spec.DesiredState == v1alpha1.DesiredSuspended || spec.DesiredState == "" && status.SuspendedAt != nil
}

// Wanted reports whether a job is to be submitted, if it isn't yet.
func Wanted(job *v1alpha1.DaftyJob) bool {
	return job.DeletionTimestamp.IsZero() && !CancelRequested(job) && !Suspended(job)
}

// CancelCauseOf returns why a job that is to be cancelled is.
func CancelCauseOf(job *v1alpha1.DaftyJob) CancelCause {
	if !job.DeletionTimestamp.IsZero() || CancelRequested(job) {
		return CancelForUser
	}
	return CancelForDeadline
}

// recordDesired puts on record what the spec asks for, before anything can take it back.
func (d *decider) recordDesired() {
	if d.status.Phase.Final() || d.deleting() && !d.finalizer() {
		return
	}
	now := metav1.NewTime(d.Now).Rfc3339Copy()
	switch d.Job.Spec.DesiredState {
	case v1alpha1.DesiredCancelled:
		d.status.SuspendedAt = nil
		if d.status.CancelRequestedAt == nil {
			d.status.CancelRequestedAt = &now
		}
	case v1alpha1.DesiredSuspended:
		if d.status.SuspendedAt == nil {
			d.status.SuspendedAt = &now
		}
	case v1alpha1.DesiredCompleted:
		d.status.SuspendedAt = nil
	}
}

// cancelRequested reports whether the job is called off by its spec, now or at any time before.
func (d *decider) cancelRequested() bool { return cancelRequested(&d.Job.Spec, &d.status) }

func (d *decider) isSuspended() bool { return isSuspended(&d.Job.Spec, &d.status) }

func (d *decider) suspended() Decision {
	message := "held back, as asked; set spec.desiredState to Completed to submit it"
	if d.Job.Spec.DesiredState == "" {
		message = fmt.Sprintf("held back: spec.desiredState is absent by now, but it was Suspended, and only Completed ends that. "+
			"Set spec.desiredState to Completed in its manifest, or run: kubectl patch -n %s daftyjob %s --type merge -p '{\"spec\":{\"desiredState\":\"Completed\"}}'",
			d.Job.Namespace, d.Job.Name)
	}
	return d.setStatus(verdict{phase: v1alpha1.PhasePending, ready: metav1.ConditionFalse, reason: v1alpha1.ReasonSuspended, message: message}, Rest{}, 0)
}

// agreed returns the verdict on a job that is cancelled, where the spec may ask for something else by now.
func (d *decider) agreed(v verdict) verdict {
	if v.phase != v1alpha1.PhaseCancelled || d.deleting() || d.Job.Spec.DesiredState == v1alpha1.DesiredCancelled {
		return v
	}
	asks := "asks for " + string(d.Job.Spec.DesiredState)
	if d.Job.Spec.DesiredState == "" {
		asks = "is absent, which asks for Completed"
	}
	return stalled(v.phase, v1alpha1.ReasonAlreadyCancelled, fmt.Sprintf(
		"%s. That can't be undone, and spec.desiredState %s by now: set it to Cancelled in the manifest, "+
			"or create another DaftyJob under a new name", v.message, asks))
}

// cancelledBefore tells whether a job's cancellation is still what the spec asks for.
func (d *decider) cancelledBefore() *Event {
	v := current(v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelled, "the job is cancelled")
	if c := meta.FindStatusCondition(d.status.Conditions, v1alpha1.ConditionCancelled); c != nil {
		v.reason, v.message = c.Reason, c.Message
	}
	return d.tell(d.agreed(v))
}
