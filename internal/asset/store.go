package asset

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

const (
	// storePoll is when to try again to write a ConfigMap that can't be written, at the earliest, and maxStorePoll at the latest.
	storePoll, maxStorePoll = time.Second, 30 * time.Second
	// takenPoll is how often a name is looked at that is taken; its owner's end is told by a watch.
	takenPoll = time.Minute
)

// store has the current result kept in the ConfigMap, and puts on record what came of it.
func (d *decider) store() {
	name, c := d.Asset.Spec.ResultConfigMap, d.status.Current
	if name == "" {
		d.status.ResultConfigMap, d.status.ResultConfigMapVersion = "", ""
		meta.RemoveStatusCondition(&d.status.Conditions, v1alpha1.ConditionResultStored)
		return
	}
	if c == nil || c.Result == nil || !d.touched && !d.ResultChanged && d.status.ResultConfigMap == name {
		return
	}
	outcome := d.Known.Stored
	switch {
	case outcome == nil:
		if d.first == nil {
			d.first = StoreResult{JobID: c.JobID, Result: c.Result.DeepCopy()}
		}
	case outcome.Problem == "" && !outcome.Unknown:
		d.status.ResultConfigMap = name
		d.status.ResultConfigMapVersion = cmp.Or(outcome.Version, d.status.ResultConfigMapVersion)
		d.set(v1alpha1.ConditionResultStored, metav1.ConditionTrue, v1alpha1.ReasonStored, "the result is in ConfigMap "+name)
		if outcome.Restored != "" {
			d.events = append(d.events, lifecycle.Event{Reason: v1alpha1.EventResultRestored, Message: outcome.Restored})
		}
	default:
		d.notStored(name, outcome)
	}
}

// notStored tells that the result isn't in its ConfigMap, and has it tried again. Where the API server didn't tell what the ConfigMap
// is like, what was known of it stands, unless it has an earlier result.
func (d *decider) notStored(name string, outcome *lifecycle.StoreOutcome) {
	before := meta.FindStatusCondition(d.Asset.Status.Conditions, v1alpha1.ConditionResultStored)
	var waited time.Duration
	if before != nil && before.Status == metav1.ConditionFalse {
		waited = d.Now.Sub(before.LastTransitionTime.Time)
	}
	d.requeueBy(cmp.Or(outcome.After, min(max(waited/4, storePoll), maxStorePoll)))
	if outcome.Unknown && d.status.ResultConfigMap == name && !d.touched {
		return
	}
	d.status.ResultConfigMap, d.status.ResultConfigMapVersion = "", ""
	problem := outcome.Problem
	told := before != nil && before.Status == metav1.ConditionFalse &&
		(before.Message == problem || strings.Contains(before.Message, strconv.Quote(name)) && lifecycle.SameText(before.Message, problem))
	if told {
		problem = before.Message
	}
	d.set(v1alpha1.ConditionResultStored, metav1.ConditionFalse, v1alpha1.ReasonNotStored, problem)
	if !told {
		d.events = append(d.events, lifecycle.Event{Warning: true, Reason: v1alpha1.ReasonNotStored, Message: problem})
	}
}
