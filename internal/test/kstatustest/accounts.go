package kstatustest

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// AccountProblem says what is wrong with the status that kstatus computes for a DaftyAccount, or is empty.
func AccountProblem(of *v1alpha1.DaftyAccount) string {
	want := status.InProgressStatus
	if ready := meta.FindStatusCondition(of.Status.Conditions, v1alpha1.ConditionReady); ready != nil && of.Status.ObservedGeneration == of.Generation {
		switch ready.Status {
		case metav1.ConditionTrue:
			want = status.CurrentStatus
		case metav1.ConditionFalse:
			want = status.FailedStatus
		case metav1.ConditionUnknown:
		}
	}
	return problem(of, "DaftyAccount", of.Name, want)
}
