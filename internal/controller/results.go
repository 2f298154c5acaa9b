package controller

import (
	"context"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/resultmap"
)

// Kind is a DaftyJob's, in owner references.
const Kind = "DaftyJob"

func (r *Reconciler) resultStore() *resultmap.Store {
	return &resultmap.Store{Client: r.Client, Clock: r.Clock, Versions: r.Results, Memory: &r.results}
}

// resultOwner describes a DaftyJob as the owner of its result's ConfigMap.
func (r *Reconciler) resultOwner(job *v1alpha1.DaftyJob) resultmap.Owner {
	return resultmap.Owner{
		Object:        job,
		Kind:          Kind,
		ConfigMap:     job.Spec.ResultConfigMap,
		Metadata:      job.Spec.ResultConfigMapMetadata,
		StoredIn:      job.Status.ResultConfigMap,
		StoredVersion: job.Status.ResultConfigMapVersion,
		Exists: func(ctx context.Context) (bool, error) {
			current, err := r.live(ctx, job)
			return current != nil, err
		},
	}
}

// storeResult makes the ConfigMap that the spec names hold a result.
func (r *Reconciler) storeResult(ctx context.Context, job *v1alpha1.DaftyJob, step lifecycle.StoreResult) *lifecycle.StoreOutcome {
	return r.resultStore().Write(ctx, r.resultOwner(job), step.JobID, step.Result)
}

// resultChanged reports whether the ConfigMap of a completed job isn't known to be as it was written.
func (r *Reconciler) resultChanged(ctx context.Context, job *v1alpha1.DaftyJob) bool {
	return job.Status.Phase == v1alpha1.PhaseCompleted && r.resultStore().Changed(ctx, r.resultOwner(job), job.Status.JobID, job.Status.Result)
}
