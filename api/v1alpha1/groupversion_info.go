// Package v1alpha1 is the API of the Dafty operator: the DaftyJob,
// DaftyAsset and DaftyAccount resources, their phases, conditions and reasons.
//
// +kubebuilder:object:generate=true
// +groupName=dafty.ai
package v1alpha1

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// GroupVersion is the group and version of this package's types.
var GroupVersion = schema.GroupVersion{Group: "dafty.ai", Version: "v1alpha1"}

var schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

// AddToScheme registers this package's types with a scheme.
var AddToScheme = schemeBuilder.AddToScheme

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &DaftyJob{}, &DaftyJobList{}, &DaftyAsset{}, &DaftyAssetList{}, &DaftyAccount{}, &DaftyAccountList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
