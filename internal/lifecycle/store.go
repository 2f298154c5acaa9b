package lifecycle

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// StoreOutcome is what came of the step StoreResult.
type StoreOutcome struct {
	// Problem is why the result isn't in its ConfigMap, for the user; empty where it is.
	Problem string
	// Unknown reports that the API server didn't tell what the ConfigMap is like. What was known of it before stands.
	Unknown bool
	// Version is the new status.resultConfigMapVersion, empty where the one on record stands.
	Version string
	// Restored says what somebody had done to the ConfigMap, for the user; empty where nobody did anything.
	Restored string
	// After is when to try again, 0 for as soon as usual.
	After time.Duration
}

// storeWanted reports whether the result is to be written to a ConfigMap, or what is there to be looked at.
func (d *decider) storeWanted() bool {
	name := d.Job.Spec.ResultConfigMap
	return name != "" && d.status.Phase == v1alpha1.PhaseCompleted && d.status.Result != nil &&
		(d.status.ResultConfigMap != name || d.References.ResultChanged)
}

// forgetStored takes out of status what it says of a ConfigMap that isn't asked for any more, and isn't looked after.
func (d *decider) forgetStored() {
	if d.Job.Spec.ResultConfigMap == "" {
		d.status.ResultConfigMap, d.status.ResultConfigMapVersion = "", ""
		meta.RemoveStatusCondition(&d.status.Conditions, v1alpha1.ConditionResultStored)
	}
}

// storePoll returns when to try again to write the ConfigMap: a little less often the longer it can't be.
func (d *decider) storePoll() time.Duration {
	var waited time.Duration
	if c := findCondition(d.Job, v1alpha1.ConditionResultStored); c != nil && c.Status == metav1.ConditionFalse {
		waited = d.Now.Sub(c.LastTransitionTime.Time)
	}
	return min(max(waited/4, storePoll), maxStorePoll)
}

// store has the result of a final decision stored first, with nothing new on record. Where that was done, it adds to the
// decision what came of it.
func (d *decider) store(decision Decision) Decision {
	outcome := d.Known.Stored
	if outcome == nil {
		return Decision{Status: *d.Job.Status.DeepCopy(), Step: StoreResult{JobID: d.status.JobID, Result: d.status.Result.DeepCopy()}}
	}
	name := d.Job.Spec.ResultConfigMap
	switch {
	case outcome.Problem == "" && !outcome.Unknown:
		d.status.ResultConfigMap = name
		if outcome.Version != "" {
			d.status.ResultConfigMapVersion = outcome.Version
		}
		d.set(v1alpha1.ConditionResultStored, metav1.ConditionTrue, v1alpha1.ReasonStored, "the result is in ConfigMap "+name)
		if outcome.Restored != "" {
			decision.StoreEvent = &Event{Reason: v1alpha1.EventResultRestored, Message: outcome.Restored}
		}
	case outcome.Unknown && d.status.ResultConfigMap == name:
		decision.requeueBy(d.storePoll())
	default:
		d.notStored(&decision, outcome)
	}
	decision.Status = d.status
	return decision
}

// notStored tells that the result isn't in its ConfigMap, and has it tried again.
func (d *decider) notStored(decision *Decision, outcome *StoreOutcome) {
	name, before := d.Job.Spec.ResultConfigMap, findCondition(d.Job, v1alpha1.ConditionResultStored)
	if d.status.ResultConfigMap == name {
		d.status.ResultConfigMap, d.status.ResultConfigMapVersion = "", ""
	}
	problem := outcome.Problem
	told := before != nil && before.Status == metav1.ConditionFalse && sameProblem(before.Message, problem, name)
	if told {
		problem = before.Message
	}
	d.set(v1alpha1.ConditionResultStored, metav1.ConditionFalse, v1alpha1.ReasonNotStored, problem)
	decision.requeueBy(cmp.Or(outcome.After, d.storePoll()))
	if !told {
		decision.StoreEvent = &Event{Warning: true, Reason: v1alpha1.ReasonNotStored, Message: problem}
	}
}

// sameProblem reports whether two messages about the ConfigMap of that name differ only in words that vary each time. Such a
// message isn't written again.
func sameProblem(a, b, name string) bool {
	return a == b || strings.Contains(a, strconv.Quote(name)) && SameText(a, b)
}
