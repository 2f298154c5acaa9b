package controller

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/resultmap"
)

// Kinds are those that are looked after beside DaftyJobs. Their CRDs must be installed.
type Kinds struct {
	// Assets are DaftyAssets, and Accounts DaftyAccounts, which are cluster-scoped.
	Assets, Accounts bool
}

// ByObject returns what the cache is to keep of each kind of object: DaftyJobs as TransformForCache leaves them, the ConfigMaps of
// results as package resultmap watches them, and with DaftyAccounts the labels of namespaces.
func ByObject(with Kinds) map[client.Object]cache.ByObject {
	kinds := map[client.Object]cache.ByObject{
		&v1alpha1.DaftyJob{}: {Transform: TransformForCache},
		resultmap.Metadata(): resultmap.ByObject(),
	}
	if with.Assets {
		kinds[&v1alpha1.DaftyAsset{}] = cache.ByObject{Transform: TransformAssetForCache}
	}
	if with.Accounts {
		kinds[&v1alpha1.DaftyAccount{}] = cache.ByObject{Transform: transformAccountForCache}
		kinds[NamespaceMetadata()] = cache.ByObject{Transform: transformNamespaceForCache}
	}
	return kinds
}

// TransformForCache takes out of a DaftyJob what the operator never reads, before it is kept in memory: who wrote which field, what
// kubectl applied last, and the request of a job that has ended. Patches name only what changes, so that nothing of
// it is lost in the cluster.
func TransformForCache(object any) (any, error) {
	job, ok := object.(*v1alpha1.DaftyJob)
	if !ok {
		return object, nil // a tombstone
	}
	dropHistory(job)
	if job.Status.Phase.Final() {
		job.Spec = v1alpha1.DaftyJobSpec{
			DesiredState:         job.Spec.DesiredState,
			DeletionPolicy:       job.Spec.DeletionPolicy,
			CredentialsSecretRef: job.Spec.CredentialsSecretRef,
			AccountRef:           job.Spec.AccountRef,

			AdoptJobID:              job.Spec.AdoptJobID,
			ResultConfigMap:         job.Spec.ResultConfigMap,
			ResultConfigMapMetadata: job.Spec.ResultConfigMapMetadata,
			TTLSecondsAfterFinished: job.Spec.TTLSecondsAfterFinished,
		}
	}
	return job, nil
}

// TransformAssetForCache takes the same out of a DaftyAsset, whose spec is needed for as long as it is there.
func TransformAssetForCache(object any) (any, error) {
	if asset, ok := object.(*v1alpha1.DaftyAsset); ok {
		dropHistory(asset)
	}
	return object, nil
}

// transformAccountForCache takes the same out of a DaftyAccount.
func transformAccountForCache(object any) (any, error) {
	if from, ok := object.(*v1alpha1.DaftyAccount); ok {
		dropHistory(from)
	}
	return object, nil
}

// transformNamespaceForCache takes all out of the metadata of a namespace but its labels.
func transformNamespaceForCache(object any) (any, error) {
	if namespace, ok := object.(*metav1.PartialObjectMetadata); ok {
		namespace.ManagedFields, namespace.Annotations = nil, nil
	}
	return object, nil
}

// dropHistory takes out who wrote which field, and what kubectl applied last.
func dropHistory(object metav1.Object) {
	object.SetManagedFields(nil)
	annotations := object.GetAnnotations()
	if _, applied := annotations[corev1.LastAppliedConfigAnnotation]; applied {
		annotations = maps.Clone(annotations)
		delete(annotations, corev1.LastAppliedConfigAnnotation)
		object.SetAnnotations(annotations)
	}
}
