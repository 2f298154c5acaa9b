package asset

import (
	"maps"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// A DaftyJob is written some six times, of which a decision looks at two or three. These tell which: a decision upon any other comes to
// nothing, and each costs reads.

// Concerns reports whether a change of a DaftyJob is of anything that a decision about its asset looks at. Its finalizer isn't, nor is
// how far it has come at Dafty.
func Concerns(was, is *v1alpha1.DaftyJob) bool {
	return was.Generation != is.Generation ||
		(was.DeletionTimestamp == nil) != (is.DeletionTimestamp == nil) ||
		!equality.Semantic.DeepEqual(was.OwnerReferences, is.OwnerReferences) ||
		!maps.Equal(was.Labels, is.Labels) ||
		!maps.Equal(given(was), given(is)) ||
		!equality.Semantic.DeepEqual(shown(was), shown(is))
}

// given returns the annotations of a DaftyJob but for the one that its own controller writes.
func given(job *v1alpha1.DaftyJob) map[string]string {
	annotations := maps.Clone(job.Annotations)
	delete(annotations, v1alpha1.JobAnnotation)
	return annotations
}

// shown returns what a decision looks at of the status of a DaftyJob.
func shown(job *v1alpha1.DaftyJob) (shown v1alpha1.DaftyJobStatus) {
	if job.Status.Phase.Final() {
		shown = job.Status
		shown.ResultConfigMap, shown.ResultConfigMapVersion = "", ""
		return shown
	}
	shown.CancelRequestedAt, shown.SuspendedAt = job.Status.CancelRequestedAt, job.Status.SuspendedAt
	if submitted(job) {
		shown.Attempts = 1
	}
	ready := meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionReady)
	if ready != nil && Mirrors(ready.Reason) {
		shown.Conditions = []metav1.Condition{
			{Status: ready.Status, Reason: ready.Reason, Message: ready.Message},
			{Type: v1alpha1.ConditionStalled},
		}
		if meta.IsStatusConditionTrue(job.Status.Conditions, v1alpha1.ConditionStalled) {
			shown.Conditions[1].Status = metav1.ConditionTrue
		}
	}
	return shown
}

// ConcernsOthers reports whether a change of an asset is of anything that those look at that refer to it.
func ConcernsOthers(was, is *v1alpha1.DaftyAsset) bool {
	return was.Generation != is.Generation ||
		(was.DeletionTimestamp == nil) != (is.DeletionTimestamp == nil) ||
		was.Status.ObservedGeneration != is.Status.ObservedGeneration ||
		!equality.Semantic.DeepEqual(was.Status.Current, is.Status.Current) ||
		!equality.Semantic.DeepEqual(readiness(was), readiness(is))
}

func readiness(of *v1alpha1.DaftyAsset) (readiness metav1.Condition) {
	if ready := meta.FindStatusCondition(of.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		readiness.Status, readiness.Reason = ready.Status, ready.Reason
	}
	return readiness
}
