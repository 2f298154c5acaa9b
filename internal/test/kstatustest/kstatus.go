// Package kstatustest holds DaftyJobs against what tools that go by kstatus (Flux, kpt, Argo CD's gitops-engine) are meant to
// make of them.
package kstatustest

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// Problem says what is wrong with the status that kstatus computes for an object, or is empty.
func Problem(job *v1alpha1.DaftyJob) string {
	is, err := Of(job)
	switch want := Want(job); {
	case err != nil:
		return fmt.Sprintf("kstatus of %s: %v", job.Name, err)
	case is != want:
		return fmt.Sprintf("to kstatus, %s is %s, and it should be %s", job.Name, is, want)
	}
	return ""
}

// Of is the status that kstatus computes.
func Of(job *v1alpha1.DaftyJob) (status.Status, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(job)
	if err != nil {
		return "", err
	}
	content["apiVersion"], content["kind"] = v1alpha1.GroupVersion.String(), "DaftyJob"
	result, err := status.Compute(&unstructured.Unstructured{Object: content})
	if err != nil {
		return "", err
	}
	return result.Status, nil
}

// Want is the status that an object should have, by what users are told of it: its phase and its reason. The conditions by
// which kstatus computes it aren't looked at.
func Want(job *v1alpha1.DaftyJob) status.Status {
	if !job.DeletionTimestamp.IsZero() {
		return status.TerminatingStatus
	}
	if job.Status.ObservedGeneration != job.Generation {
		return status.InProgressStatus
	}
	ready := meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionReady)
	switch job.Status.Phase {
	case v1alpha1.PhaseCancelled:
		if ready != nil && ready.Reason == v1alpha1.ReasonAlreadyCancelled {
			return status.FailedStatus
		}
		return status.CurrentStatus
	case v1alpha1.PhaseCompleted:
		return status.CurrentStatus
	case v1alpha1.PhaseFailed:
		return status.FailedStatus
	case v1alpha1.PhasePending, v1alpha1.PhaseSubmitting, v1alpha1.PhaseQueued, v1alpha1.PhaseProcessing, v1alpha1.PhaseCancelling:
	}
	if ready != nil && needsPerson[ready.Reason] {
		return status.FailedStatus
	}
	return status.InProgressStatus
}

// needsPerson are the reasons that don't go away by themselves. A suspended job is as it was asked to be.
var needsPerson = map[string]bool{
	v1alpha1.ReasonAlreadyAdopted:       true,
	v1alpha1.ReasonCredentialsRejected:  true,
	v1alpha1.ReasonDependencyCycle:      true,
	v1alpha1.ReasonInsufficientCredits:  true,
	v1alpha1.ReasonInvalidReference:     true,
	v1alpha1.ReasonInvalidRequest:       true,
	v1alpha1.ReasonSubmissionUnknown:    true,
	v1alpha1.ReasonSubscriptionRequired: true,
	v1alpha1.ReasonUnusableFile:         true,
	v1alpha1.ReasonStyleAssetNotFound:   true,
	v1alpha1.ReasonWriteRefused:         true,
}
