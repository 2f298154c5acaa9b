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

// AssetProblem says what is wrong with the status that kstatus computes for a DaftyAsset, or is empty.
func AssetProblem(asset *v1alpha1.DaftyAsset) string {
	return problem(asset, "DaftyAsset", asset.Name, WantAsset(asset))
}

// problem says what is wrong with the status that kstatus computes for an object, or is empty.
func problem(object any, kind, name string, want status.Status) string {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return err.Error()
	}
	content["apiVersion"], content["kind"] = v1alpha1.GroupVersion.String(), kind
	is, err := status.Compute(&unstructured.Unstructured{Object: content})
	switch {
	case err != nil:
		return fmt.Sprintf("kstatus of %s %s: %v", kind, name, err)
	case is.Status != want:
		return fmt.Sprintf("to kstatus, %s %s is %s, and it should be %s", kind, name, is.Status, want)
	}
	return ""
}

// WantAsset is the status that a DaftyAsset should have, by what its Ready condition tells users.
func WantAsset(asset *v1alpha1.DaftyAsset) status.Status {
	ready := meta.FindStatusCondition(asset.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case !asset.DeletionTimestamp.IsZero():
		return status.TerminatingStatus
	case asset.Status.ObservedGeneration != asset.Generation, ready == nil, ready.Status == metav1.ConditionUnknown:
		return status.InProgressStatus
	case ready.Status == metav1.ConditionTrue:
		return status.CurrentStatus
	case ready.Reason == v1alpha1.ReasonSuspended, ready.Reason == v1alpha1.ReasonWaitingForApproval, ready.Reason == v1alpha1.ReasonAccountSuspended:
		return status.InProgressStatus // it is as it was asked to be
	}
	return status.FailedStatus
}
