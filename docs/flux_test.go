package docs_test

import (
	"encoding/json"
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
	takeOver(t, env, &v1alpha1.DaftyJob{})
	if err := apply(map[string]any{"imageGenerate": map[string]any{"prompt": "A logo"}}); err != nil || state() != "" {
		t.Errorf("a cancel that Git says nothing of: %v, %s", err, state())
	}
}

// takeOver makes the fields that kubectl has set of the object hero those of Flux, as that does before it applies.
func takeOver(t *testing.T, env *kubetest.Env, object client.Object) {
	t.Helper()
	if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: env.Namespace, Name: "hero"}, object); err != nil {
		t.Fatal(err)
	}
	base := object.DeepCopyObject().(client.Object)
	flux := metav1.ManagedFieldsEntry{
		Manager: "kustomize-controller", Operation: metav1.ManagedFieldsOperationApply, APIVersion: v1alpha1.GroupVersion.String(), FieldsType: "FieldsV1",
	}
	owned := map[string]any{}
	var entries []metav1.ManagedFieldsEntry
	for _, entry := range object.GetManagedFields() {
		if entry.Manager != flux.Manager && !strings.HasPrefix(entry.Manager, "kubectl") {
			entries = append(entries, entry)
			continue
		}
		fields := map[string]any{}
		if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields); err != nil {
			t.Fatal(err)
		}
		merge(owned, fields)
	}
	raw, err := json.Marshal(owned)
	if err != nil {
		t.Fatal(err)
	}
	flux.FieldsV1 = metav1.NewFieldsV1(string(raw))
	object.SetManagedFields(append(entries, flux))
	if err := env.Client.Patch(t.Context(), object, client.MergeFrom(base)); err != nil {
		t.Fatal(err)
	}
}

// merge adds what is in another tree of fields.
func merge(into, from map[string]any) {
	for name, value := range from {
		below, _ := value.(map[string]any)
		if there, ok := into[name].(map[string]any); ok {
			merge(there, below)
		} else {
			into[name] = below
		}
	}
}

// A changed picture is accepted. What kubectl has set and Git doesn't have is dropped; what the operator writes stays.
func TestFluxChangesADaftyAsset(t *testing.T) {
	env := kubetest.Start(t)
	apply := func(prompt string) {
		t.Helper()
		asset := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "dafty.ai/v1alpha1", "kind": "DaftyAsset",
			"metadata": map[string]any{"name": "hero", "namespace": env.Namespace},
			"spec":     map[string]any{"template": map[string]any{"spec": map[string]any{"imageGenerate": map[string]any{"prompt": prompt}}}},
		}}
		err := env.Client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(asset), client.FieldOwner("kustomize-controller"), client.ForceOwnership)
		if err != nil {
			t.Errorf("a changed picture is refused: %v", err)
		}
	}
	apply("A logo")
	env.MustKubectl(t, "patch", "daftyasset", "hero", "--type=merge", "-p", `{"spec":{"suspend":true,"revision":"2"}}`)
	env.MustKubectl(t, "annotate", "daftyasset", "hero", v1alpha1.ApprovedAnnotation+"=0123456789")
	env.MustKubectl(t, "annotate", "daftyasset", "hero", "--field-manager=manager", v1alpha1.CurrentAnnotation+"=of-the-operator")
	apply("Another logo")
	stands := func() string {
		return env.MustKubectl(t, "get", "daftyasset", "hero", "-o", `jsonpath={.spec.template.spec.imageGenerate.prompt} {.spec.suspend} `+
			`{.spec.revision} {.metadata.annotations.dafty\.ai/approved} {.metadata.annotations.dafty\.ai/current}`)
	}
	if got, want := stands(), "Another logo true 2 0123456789 of-the-operator"; got != want {
		t.Errorf("before Flux takes the fields over: %q, want %q", got, want)
	}
	takeOver(t, env, &v1alpha1.DaftyAsset{})
	apply("Another logo")
	if got, want := stands(), "Another logo false   of-the-operator"; got != want {
		t.Errorf("after that: %q, want %q", got, want)
	}
}
