package resultmap

import (
	"context"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// Owner is an object whose result is kept in a ConfigMap.
type Owner struct {
	metav1.Object
	// Kind is the object's, in the API's group.
	Kind string
	// ConfigMap is spec.resultConfigMap.
	ConfigMap string
	// Metadata is spec.resultConfigMapMetadata, nil where there is none.
	Metadata *v1alpha1.ResultConfigMapMetadata
	// ManyJobs reports that the result goes from one job's to the next, so that a ConfigMap of an earlier one is the owner's too.
	ManyJobs bool
	// StoredIn is status.resultConfigMap: the ConfigMap that the result was last written to.
	StoredIn string
	// StoredVersion is status.resultConfigMapVersion: what was written to it.
	StoredVersion string
	// Exists reads past the cache whether the very object is still there, and not one of its name that came after it.
	Exists func(context.Context) (bool, error)
}

// name returns the owner's.
func (o *Owner) name() types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
}

// configMap returns the name of the owner's ConfigMap.
func (o *Owner) configMap() types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.ConfigMap}
}

// reference returns the owner reference of the ConfigMap.
func (o *Owner) reference() metav1.OwnerReference {
	reference := metav1.NewControllerRef(o, v1alpha1.GroupVersion.WithKind(o.Kind))
	reference.BlockOwnerDeletion = nil // which some clusters let nobody set who may not write finalizers
	return *reference
}

// isNamesake reports whether a reference is to an object of the owner's kind and name. With another UID that one is gone: there
// is one of a name at a time.
func (o *Owner) isNamesake(reference *metav1.OwnerReference) bool {
	return isOfKind(reference, o.Kind) && reference.Name == o.GetName()
}

// isResult reports whether the annotation of a ConfigMap names a result of the owner that may have come before the wanted one, or is it.
func (o *Owner) isResult(annotation string, wanted *content) bool {
	return annotation == wanted.annotations[v1alpha1.ResultOfAnnotation] || o.ManyJobs && strings.HasPrefix(annotation, lifecycle.Annotation(o, ""))
}

// OwnerOf returns the name of the object of a kind that a ConfigMap belongs to, empty where it belongs to none.
func OwnerOf(configMap metav1.Object, kind string) string {
	if reference := metav1.GetControllerOfNoCopy(configMap); reference != nil && isOfKind(reference, kind) {
		return reference.Name
	}
	return ""
}

func isOfKind(reference *metav1.OwnerReference, kind string) bool {
	version, err := schema.ParseGroupVersion(reference.APIVersion)
	return err == nil && version.Group == v1alpha1.GroupVersion.Group && reference.Kind == kind
}
