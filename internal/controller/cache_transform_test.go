package controller_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/controller"
)

// What is kept in memory of an object is less, and what the operator writes of it is the same.
func TestLean(t *testing.T) {
	whole := &v1alpha1.DaftyJob{
		ObjectMeta: metav1.ObjectMeta{
			Name: "hero", ResourceVersion: "7", Finalizers: []string{v1alpha1.CancelFinalizer},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
			Annotations:   map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "{…}", "mine": "kept"},
		},
		Spec: v1alpha1.DaftyJobSpec{
			DesiredState: v1alpha1.DesiredCancelled, DeletionPolicy: v1alpha1.DeletionOrphan,
			CredentialsSecretRef: v1alpha1.SecretKeyReference{Name: "s", Key: "k"},
			ImageGenerate:        &v1alpha1.ImageGenerate{Prompt: "A long prompt"},
		},
		Status: v1alpha1.DaftyJobStatus{JobID: "1", JobType: "image.generate", Result: &v1alpha1.JobResult{Primary: "https://dafty.example/1.png"}},
	}
	for _, tc := range []struct {
		phase   v1alpha1.Phase
		request bool
	}{{v1alpha1.PhaseProcessing, true}, {v1alpha1.PhaseCompleted, false}} {
		t.Run(string(tc.phase), func(t *testing.T) {
			whole := whole.DeepCopy()
			whole.Status.Phase = tc.phase
			object, err := controller.TransformForCache(whole.DeepCopy())
			if err != nil {
				t.Fatal(err)
			}
			lean := object.(*v1alpha1.DaftyJob)
			if lean.ManagedFields != nil || len(lean.Annotations) != 1 || lean.Annotations["mine"] != "kept" {
				t.Errorf("metadata is %+v", lean.ObjectMeta)
			}
			if got := lean.Spec.ImageGenerate != nil; got != tc.request {
				t.Errorf("the request is there: %t", got)
			}
			if lean.Spec.DesiredState != whole.Spec.DesiredState || lean.Spec.DeletionPolicy != whole.Spec.DeletionPolicy ||
				lean.Spec.CredentialsSecretRef != whole.Spec.CredentialsSecretRef || !equality.Semantic.DeepEqual(lean.Status, whole.Status) {
				t.Errorf("lost: %+v", lean)
			}
			change := func(job *v1alpha1.DaftyJob) string {
				base := job.DeepCopy()
				job.Finalizers, job.Annotations["dafty.ai/job"], job.Status.ObservedGeneration = nil, "x", 3
				patch, err := client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}).Data(job)
				if err != nil {
					t.Fatal(err)
				}
				return string(patch)
			}
			if got, want := change(lean), change(whole); got != want {
				t.Errorf("it is written as %s, want %s", got, want)
			}
		})
	}
	kept := &v1alpha1.DaftyJob{
		Spec:   v1alpha1.DaftyJobSpec{ResultConfigMap: "r", ResultConfigMapMetadata: &v1alpha1.ResultConfigMapMetadata{Labels: map[string]v1alpha1.LabelValue{"team": "shop"}}},
		Status: v1alpha1.DaftyJobStatus{Phase: v1alpha1.PhaseCompleted},
	}
	want := kept.DeepCopy()
	if got, err := controller.TransformForCache(kept); err != nil || !equality.Semantic.DeepEqual(got, want) {
		t.Errorf("what the ConfigMap of the result is like became %+v, %v", got, err)
	}
	if tombstone, err := controller.TransformForCache("anything"); err != nil || tombstone != "anything" {
		t.Errorf("what isn't a DaftyJob became %v, %v", tombstone, err)
	}
}

// So it is of a DaftyAsset, and its spec stays.
func TestLeanAssets(t *testing.T) {
	whole := &v1alpha1.DaftyAsset{ObjectMeta: metav1.ObjectMeta{
		Name: "hero", ResourceVersion: "7", ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
		Annotations: map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "{…}", "mine": "kept"},
	}}
	whole.Spec.Template.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: "A long prompt"}
	whole.Status.Current = &v1alpha1.AssetResult{JobName: "hero-1"}
	want := whole.DeepCopy()
	want.ManagedFields, want.Annotations = nil, map[string]string{"mine": "kept"}
	for object, options := range controller.ByObject(controller.Kinds{Assets: true}) {
		if _, ok := object.(*v1alpha1.DaftyAsset); !ok {
			continue
		}
		if got, err := options.Transform(whole); err != nil || !equality.Semantic.DeepEqual(got, want) {
			t.Errorf("kept is %+v, %v", got, err)
		}
		if tombstone, err := options.Transform("anything"); err != nil || tombstone != "anything" {
			t.Errorf("what isn't a DaftyAsset became %v, %v", tombstone, err)
		}
		return
	}
	t.Error("DaftyAssets are kept whole")
}

// Of a result's ConfigMap, little more is kept in memory than which it is, in which version, and whose.
func TestLeanResults(t *testing.T) {
	for object, options := range controller.ByObject(controller.Kinds{Assets: true}) {
		if _, ok := object.(*metav1.PartialObjectMetadata); !ok {
			continue
		}
		if got := options.Label.String(); got != "dafty.ai/result=true" {
			t.Errorf("asked for by %q", got)
		}
		owners := []metav1.OwnerReference{{Kind: "DaftyJob", Name: "hero", UID: "1"}}
		kept := metav1.ObjectMeta{Namespace: "ns", Name: "hero", UID: "2", ResourceVersion: "7", OwnerReferences: owners}
		whole := &metav1.PartialObjectMetadata{ObjectMeta: *kept.DeepCopy()}
		whole.Labels, whole.Annotations, whole.ManagedFields = map[string]string{"a": "b"}, map[string]string{"c": "d"}, []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}
		got, err := options.Transform(whole)
		if want := (&metav1.PartialObjectMetadata{ObjectMeta: kept}); err != nil || !equality.Semantic.DeepEqual(got, want) {
			t.Errorf("kept is %+v, %v", got, err)
		}
		if tombstone, err := options.Transform("anything"); err != nil || tombstone != "anything" {
			t.Errorf("what isn't a ConfigMap became %v, %v", tombstone, err)
		}
		return
	}
	t.Error("ConfigMaps aren't asked for")
}
