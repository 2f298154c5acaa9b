package kstatustest

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// AccountProblem says what is wrong with the status that kstatus computes for a DaftyAccount, or is empty.
func AccountProblem(of *v1alpha1.DaftyAccount) string {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(of)
	if err != nil {
		return err.Error()
	}
	content["apiVersion"], content["kind"] = v1alpha1.GroupVersion.String(), "DaftyAccount"
	is, err := status.Compute(&unstructured.Unstructured{Object: content})
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
	switch {
	case err != nil:
		return fmt.Sprintf("kstatus of DaftyAccount %s: %v", of.Name, err)
	case is.Status != want:
		return fmt.Sprintf("to kstatus, DaftyAccount %s is %s, and it should be %s", of.Name, is.Status, want)
	}
	return ""
}
