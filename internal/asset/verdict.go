package asset

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// verdict is what the Ready condition says, with the two that kstatus looks at.
type verdict struct {
	ready       metav1.ConditionStatus
	reason      string
	message     string
	reconciling bool
	stalled     bool
	// keep leaves the conditions as they are: what they say still holds, and what they rested on is gone.
	keep bool
}

// inProgress returns the verdict on what goes on by itself.
func inProgress(reason, message string) verdict {
	return verdict{ready: metav1.ConditionUnknown, reason: reason, message: message, reconciling: true}
}

// stalled returns the verdict on what goes on once a person has acted.
func stalled(reason, message string) verdict {
	return verdict{ready: metav1.ConditionFalse, reason: reason, message: message, stalled: true}
}

// heldBack returns the verdict on what somebody holds back on purpose.
func heldBack(reason, message string) verdict {
	return verdict{ready: metav1.ConditionFalse, reason: reason, message: message}
}

// isReady returns the verdict on the result of the newest spec.
func isReady(current *v1alpha1.AssetResult) verdict {
	return verdict{ready: metav1.ConditionTrue, reason: v1alpha1.ReasonCompleted, message: fmt.Sprintf("the result is that of DaftyJob %q", current.JobName)}
}

// quietReasons are the reasons of a DaftyJob that is being made as it should: an asset doesn't follow each with a write.
var quietReasons = []string{
	v1alpha1.ReasonSubmitting,
	v1alpha1.ReasonSubmitted,
	v1alpha1.ReasonQueued,
	v1alpha1.ReasonProcessing,
	v1alpha1.ReasonCancelling,
	v1alpha1.ReasonUploading,
	v1alpha1.ReasonSearching,
	v1alpha1.ReasonWaitingForRateLimit,
	v1alpha1.ReasonWaitingForConcurrency,
	v1alpha1.ReasonCompleted,
}

// Mirrors reports whether an asset whose DaftyJob waits for this reason says so itself.
func Mirrors(reason string) bool { return !slices.Contains(quietReasons, reason) }

// mirror returns the verdict on a DaftyJob that hasn't ended: its own, where that is of interest.
func (d *decider) mirror(job *v1alpha1.DaftyJob) verdict {
	of := meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionReady)
	waits := !submitted(job) && lifecycle.Suspended(job)
	switch {
	case waits && d.status.Pending != nil && d.status.Pending.ChangePolicy == v1alpha1.ChangeManual:
		return heldBack(v1alpha1.ReasonWaitingForApproval, fmt.Sprintf("DaftyJob %q waits to be approved; to have it submitted, and paid for: "+
			"kubectl annotate --overwrite -n %s daftyasset %s %s=%s", job.Name, d.Asset.Namespace, d.Asset.Name, v1alpha1.ApprovedAnnotation, hashFrom(job)))
	case waits:
		return heldBack(v1alpha1.ReasonSuspended, fmt.Sprintf("DaftyJob %q is suspended; set its spec.desiredState to Completed to submit it", job.Name))
	case of == nil || !Mirrors(of.Reason):
		return inProgress(v1alpha1.ReasonProgressing, fmt.Sprintf("DaftyJob %q is making the result", job.Name))
	case meta.IsStatusConditionTrue(job.Status.Conditions, v1alpha1.ConditionStalled):
		return stalled(of.Reason, fmt.Sprintf("DaftyJob %q: %s", job.Name, of.Message))
	case of.Status == metav1.ConditionFalse:
		return heldBack(of.Reason, fmt.Sprintf("DaftyJob %q: %s", job.Name, of.Message))
	default:
		return inProgress(of.Reason, fmt.Sprintf("DaftyJob %q: %s", job.Name, of.Message))
	}
}

// failed returns the verdict on a DaftyJob that has ended without a result.
func (d *decider) failed(job *v1alpha1.DaftyJob) verdict {
	reason, message := string(job.Status.Phase), "it ended without a result"
	if of := meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionReady); of != nil {
		reason, message = of.Reason, of.Message
	}
	return stalled(reason, fmt.Sprintf("DaftyJob %q: %s. It is tried again once spec.template or spec.revision changes", job.Name, message))
}

// tell writes a verdict and what there is into the conditions, and returns the events of it.
func (d *decider) tell(v verdict) (events []lifecycle.Event) {
	d.status.ObservedGeneration = d.Asset.Generation
	available := d.status.Current != nil && d.status.Current.Result != nil
	if !v.keep {
		if available && v.ready != metav1.ConditionTrue {
			v.message = fmt.Sprintf("the result of DaftyJob %q stays in use; %s", d.status.Current.JobName, v.message)
		}
		before := meta.FindStatusCondition(d.Asset.Status.Conditions, v1alpha1.ConditionReady)
		d.set(v1alpha1.ConditionReady, v.ready, v.reason, v.message)
		d.mark(v1alpha1.ConditionReconciling, v.reconciling, v)
		d.mark(v1alpha1.ConditionStalled, v.stalled, v)
		news := before == nil || before.Reason != v.reason || d.changed && v.ready == metav1.ConditionTrue
		if news && v.reason != v1alpha1.ReasonProgressing {
			events = append(events, lifecycle.Event{
				Warning: v.stalled || lifecycle.Warns(v.reason), Reason: v.reason, Message: v.message,
			})
		}
	}
	if available {
		d.set(v1alpha1.ConditionAvailable, metav1.ConditionTrue, v1alpha1.ReasonAvailable,
			fmt.Sprintf("the result of DaftyJob %q is in status.current", d.status.Current.JobName))
	} else {
		d.set(v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonNoResult, "there is no result yet; the Ready condition says why")
	}
	if newer := d.outdated(); newer != "" {
		d.set(v1alpha1.ConditionOutdated, metav1.ConditionTrue, v1alpha1.ReasonInputsChanged, newer)
	} else {
		meta.RemoveStatusCondition(&d.status.Conditions, v1alpha1.ConditionOutdated)
	}
	for i := range d.status.Conditions {
		d.status.Conditions[i].ObservedGeneration = d.Asset.Generation
	}
	return events
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
		ObservedGeneration: d.Asset.Generation,
		LastTransitionTime: metav1.NewTime(d.Now),
	})
}

// outdated says which upstream assets have a newer result than the current result was made from, empty where none has.
func (d *decider) outdated() string {
	if d.status.Current == nil {
		return ""
	}
	for _, s := range lifecycle.AssetSources(&d.Asset.Spec.Template.Spec) {
		i := slices.IndexFunc(d.status.Current.Inputs, func(in v1alpha1.Input) bool { return in.Field == s.Field })
		up := d.Upstream[s.Name]
		if i < 0 || up == nil || up.Status.Current == nil || up.Status.Current.JobID == d.status.Current.Inputs[i].JobID {
			continue
		}
		return fmt.Sprintf("spec.template.spec.%s was made from an earlier result of DaftyAsset %q; to have it made from the newest, and paid for, "+
			"set spec.followInputs to true or spec.revision to another text", s.Field, s.Name)
	}
	return ""
}
