package controller

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/resultmap"
)

// ByObject returns what the cache is to keep of each kind of object: DaftyJobs as TransformForCache leaves them, and the ConfigMaps of
// results as package resultmap watches them.
func ByObject() map[client.Object]cache.ByObject {
	return map[client.Object]cache.ByObject{
		&v1alpha1.DaftyJob{}: {Transform: TransformForCache},
		resultmap.Metadata(): resultmap.ByObject(),
	}
}

// TransformForCache takes out of a DaftyJob what the operator never reads, before it is kept in memory: who wrote which field, what
// kubectl applied last, and the request of a job that has ended. Patches name only what changes, so that nothing of
// it is lost in the cluster.
func TransformForCache(object any) (any, error) {
	job, ok := object.(*v1alpha1.DaftyJob)
	if !ok {
		return object, nil // a tombstone
	}
	job.ManagedFields = nil
	if _, applied := job.Annotations[corev1.LastAppliedConfigAnnotation]; applied {
		job.Annotations = maps.Clone(job.Annotations)
		delete(job.Annotations, corev1.LastAppliedConfigAnnotation)
	}
	if job.Status.Phase.Final() {
		job.Spec = v1alpha1.DaftyJobSpec{
			DesiredState:         job.Spec.DesiredState,
			DeletionPolicy:       job.Spec.DeletionPolicy,
			CredentialsSecretRef: job.Spec.CredentialsSecretRef,

			AdoptJobID:              job.Spec.AdoptJobID,
			ResultConfigMap:         job.Spec.ResultConfigMap,
			ResultConfigMapMetadata: job.Spec.ResultConfigMapMetadata,
			TTLSecondsAfterFinished: job.Spec.TTLSecondsAfterFinished,
		}
	}
	return job, nil
}
