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

// Storing is what came of storing a result in its ConfigMap.
type Storing struct {
	// Problem is why the result isn't there, for the user; empty where it is.
	Problem string
	// Unknown says that the API server didn't tell what the ConfigMap is like. What was known of it before stands.
	Unknown bool
	// Version is what status.resultConfigMapVersion is to say, empty where it stands.
	Version string
	// Restored says what somebody had done to the ConfigMap, for the user; empty where nobody did anything.
	Restored string
	// After is when to try again where that isn't as ever.
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

// storePoll is when to try again to write the ConfigMap: a little rarer the longer it can't be.
func (d *decider) storePoll() time.Duration {
	var waited time.Duration
	if c := findCondition(d.Job, v1alpha1.ConditionResultStored); c != nil && c.Status == metav1.ConditionFalse {
		waited = d.Now.Sub(c.LastTransitionTime.Time)
	}
	return min(max(waited/4, storePoll), maxStorePoll)
}

// WithStored puts into a decision what came of storing the result.
func WithStored(in Snapshot, decision Decision, storing Storing) Decision {
	d := &decider{Snapshot: in, status: decision.Status}
	name, before := in.Job.Spec.ResultConfigMap, findCondition(in.Job, v1alpha1.ConditionResultStored)
	switch {
	case storing.Problem == "" && !storing.Unknown:
		d.status.ResultConfigMap = name
		if storing.Version != "" {
			d.status.ResultConfigMapVersion = storing.Version
		}
		d.set(v1alpha1.ConditionResultStored, metav1.ConditionTrue, v1alpha1.ReasonStored, "the result is in ConfigMap "+name)
		if storing.Restored != "" {
			decision.StoreEvent = &Event{Reason: v1alpha1.EventResultRestored, Message: storing.Restored}
		}
	case storing.Unknown && d.status.ResultConfigMap == name:
		decision.requeueBy(d.storePoll())
	default:
		if d.status.ResultConfigMap == name {
			d.status.ResultConfigMap, d.status.ResultConfigMapVersion = "", ""
		}
		problem := storing.Problem
		told := before != nil && before.Status == metav1.ConditionFalse && sameProblem(before.Message, problem, name)
		if told {
			problem = before.Message
		}
		d.set(v1alpha1.ConditionResultStored, metav1.ConditionFalse, v1alpha1.ReasonNotStored, problem)
		decision.requeueBy(cmp.Or(storing.After, d.storePoll()))
		if !told {
			decision.StoreEvent = &Event{Warning: true, Reason: v1alpha1.ReasonNotStored, Message: problem}
		}
	}
	decision.Status = d.status
	return decision
}

// sameProblem reports whether two messages differ in nothing but words that differ each time, and are about the ConfigMap of
// that name. Such a message isn't written again.
func sameProblem(a, b, name string) bool {
	return a == b || strings.Contains(a, strconv.Quote(name)) && SameText(a, b)
}
