package simulation

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// version is one state of an object. It is never changed.
type version[T any] struct {
	revision int64
	name     string
	object   *T // nil: it is gone
	raw      []byte
}

type (
	jobVersion     = version[v1alpha1.DaftyJob]
	assetVersion   = version[v1alpha1.DaftyAsset]
	accountVersion = version[v1alpha1.DaftyAccount]
	// namespaceVersion has the labels of a namespace.
	namespaceVersion = version[metav1.PartialObjectMetadata]
)

// lastOf is the last version of an object that had this name, nil where there was none.
func (a *apiServer) lastOf(name string) *v1alpha1.DaftyJob {
	for _, v := range slices.Backward(a.history) {
		if v.name == name && v.object != nil {
			return v.object
		}
	}
	return nil
}

// snapshot is what the cluster held of a kind so many versions ago.
func snapshot[T any](history []version[T], ago int) map[string]version[T] {
	objects := map[string]version[T]{}
	for _, v := range history[:max(0, len(history)-ago)] {
		if v.object == nil {
			delete(objects, v.name)
		} else {
			objects[v.name] = v
		}
	}
	return objects
}
