package docs_test

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// Flux applies as a field manager that forces ownership. A changed request is refused as invalid, as is an immutable field: with force, Flux would
// delete the object and pay again, as the page says.
func TestFluxMeetsARefusalOfAChangedRequest(t *testing.T) {
	env := kubetest.Start(t)
	apply := func(spec map[string]any) error {
		job := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "dafty.ai/v1alpha1", "kind": "DaftyJob",
			"metadata": map[string]any{"name": "hero", "namespace": env.Namespace}, "spec": spec,
		}}
		return env.Client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(job), client.FieldOwner("kustomize-controller"), client.ForceOwnership)
	}
	suspended := map[string]any{"desiredState": "Suspended", "imageGenerate": map[string]any{"prompt": "A logo"}}
	if err := apply(suspended); err != nil {
		t.Fatal(err)
	}
	if err := apply(map[string]any{"desiredState": "Suspended", "imageGenerate": map[string]any{"prompt": "Another"}}); !apierrors.IsInvalid(err) {
		t.Errorf("a changed request is answered with %v", err)
	}

	// Where Git sets desiredState, it is put back.
	patch := func(state string) {
		env.MustKubectl(t, "patch", "daftyjob", "hero", "--type=merge", "-p", `{"spec":{"desiredState":"`+state+`"}}`)
	}
	state := func() string {
		return env.MustKubectl(t, "get", "daftyjob", "hero", "-o", "jsonpath={.spec.desiredState}")
	}
	patch("Completed")
	if err := apply(suspended); err != nil || state() != "Suspended" {
		t.Errorf("what Git sets isn't put back: %v, %s", err, state())
	}
	if err := apply(map[string]any{"imageGenerate": map[string]any{"prompt": "A logo"}}); err != nil {
		t.Fatal(err)
	}
	// Flux takes over the fields of kubectl, a person's cancel among them, and drops them: nothing of that is refused.
	patch("Cancelled")
	job := &v1alpha1.DaftyJob{}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: env.Namespace, Name: "hero"}, job); err != nil {
		t.Fatal(err)
	}
	base := job.DeepCopy()
	for i := range job.ManagedFields {
		if fields := &job.ManagedFields[i]; strings.HasPrefix(fields.Manager, "kubectl") {
			fields.Manager, fields.Operation = "kustomize-controller", metav1.ManagedFieldsOperationApply
		}
	}
	if err := env.Client.Patch(t.Context(), job, client.MergeFrom(base)); err != nil {
		t.Fatal(err)
	}
	if err := apply(map[string]any{"imageGenerate": map[string]any{"prompt": "A logo"}}); err != nil || state() != "" {
		t.Errorf("a cancel that Git says nothing of: %v, %s", err, state())
	}
}
