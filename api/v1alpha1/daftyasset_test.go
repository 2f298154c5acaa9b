package v1alpha1_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// What a DaftyJob can't change, as it may be paid for, a template can: that is what DaftyAssets are for.
func TestATemplateCanBeChanged(t *testing.T) {
	env := kubetest.Start(t)
	type change struct {
		name          string
		before, after manifest
	}
	image := daftyAsset("imageGenerate")
	changes := []change{
		{"an image becomes a clip", image, daftyAsset("imageToVideo")},
		{"metadata for its DaftyJobs", image, image.with("spec.template.metadata", fields{"labels": fields{"team": "shop"}})},
		{"made once more", image.with("spec.revision", "1"), image.with("spec.revision", "2")},
		{"changes are approved from now on", image, image.with("spec.changePolicy", "Manual")},
		{"suspend", image, image.with("spec.suspend", true)},
		{"another ConfigMap", image.with("spec.resultConfigMap", "hero"), image.with("spec.resultConfigMap", "spring-hero")},
		{"the longest of everything", image, longestAsset()},
	}
	derived := 0
	for _, job := range badDaftyJobs() {
		forbidden := job.stored != nil && !job.status
		for _, want := range job.want {
			forbidden = forbidden && strings.HasPrefix(want.message, "Forbidden: ")
		}
		if forbidden && len(notForTemplates(job.given)) == 0 && len(notForTemplates(*job.stored)) == 0 {
			changes, derived = append(changes, change{"a DaftyJob can't: " + job.name, inTemplate(*job.stored), inTemplate(job.given)}), derived+1
		}
	}
	if derived < 40 {
		t.Errorf("only %d changes are refused of a DaftyJob", derived)
	}
	for _, tt := range changes {
		t.Run(tt.name, func(t *testing.T) {
			stored := create(t, env, tt.before)
			after := tt.after.DeepCopy()
			after.SetNamespace(stored.GetNamespace())
			after.SetName(stored.GetName())
			after.SetResourceVersion(stored.GetResourceVersion())
			if err := env.Client.Update(t.Context(), after); err != nil {
				t.Fatal(err)
			}
			if got := get(t, env, after); got.GetGeneration() != 2 {
				t.Errorf("the generation is %d: nothing has changed", got.GetGeneration())
			}
		})
	}
}

// A template has the fields of a DaftyJob's spec, described and checked alike; it has rules of its own for what an asset does itself, and none
// against changes.
func TestATemplateIsADaftyJobsSpec(t *testing.T) {
	job := readSchema(t, "DaftyJob").Properties["spec"]
	template := readSchema(t, "DaftyAsset").Properties["spec"].Properties["template"].Properties["spec"]
	rules := func(s apiextensionsv1.JSONSchemaProps) (all, own []apiextensionsv1.ValidationRule) {
		for _, rule := range s.XValidations {
			if all = append(all, rule); rule.FieldPath == "" && !strings.Contains(rule.Rule, "oldSelf") {
				own = append(own, rule)
			}
		}
		return all, own
	}
	all, want := rules(template)
	if _, got := rules(job); len(want) == 0 || cmp.Diff(want, got) != "" {
		t.Errorf("the rules of a spec (-template +DaftyJob):\n%s", cmp.Diff(want, got))
	}
	for _, rule := range all {
		if strings.Contains(rule.Rule, "oldSelf") {
			t.Errorf("a template can't be changed: %s", rule.Message)
		}
	}
	job.Description, job.XValidations, template.Description, template.XValidations = "", nil, "", nil
	if diff := cmp.Diff(job, template); diff != "" {
		t.Errorf("the schema (-DaftyJob +template):\n%s", diff)
	}
}

// Whoever writes status by server-side apply, or by a merge of lists, changes the condition of a type and no other.
func TestConditionsAreMergedByType(t *testing.T) {
	env := kubetest.Start(t)
	asset := create(t, env, daftyAsset("imageGenerate"))
	condition := func(kind, status, reason string) fields {
		return fields{"type": kind, "status": status, "reason": reason, "message": "", "lastTransitionTime": "2026-01-02T03:04:05Z"}
	}
	apply := func(manager string, conditions ...any) {
		t.Helper()
		config := manifest{asset}.without("spec").without("metadata").with("metadata", fields{"name": asset.GetName(), "namespace": asset.GetNamespace()}).
			with("status", fields{"conditions": conditions})
		if err := env.Client.Status().Apply(t.Context(), client.ApplyConfigurationFromUnstructured(config.Unstructured), client.FieldOwner(manager)); err != nil {
			t.Fatal(err)
		}
	}
	apply("operator", condition("Ready", "Unknown", "Progressing"), condition("Available", "True", "Available"))
	apply("policy", condition("Audited", "True", "Seen"))
	apply("operator", condition("Ready", "True", "Completed"))
	got := map[string]any{}
	for _, each := range get(t, env, asset).Object["status"].(fields)["conditions"].([]any) {
		got[each.(fields)["type"].(string)] = each.(fields)["reason"]
	}
	if diff := cmp.Diff(map[string]any{"Ready": "Completed", "Audited": "Seen"}, got); diff != "" {
		t.Errorf("conditions and their reasons (-want +got):\n%s", diff)
	}
}

// The API server keeps only what it knows, and status is changed at the subresource alone.
func TestWhatIsUnknownIsPruned(t *testing.T) {
	env := kubetest.Start(t)
	given := daftyAsset("imageGenerate").with("spec.template.spec.imageGenerate.seed", int64(7)).with("spec.template.kind", "DaftyJob").with("spec.paused", true).
		with("status", fields{"observedGeneration": int64(7)})
	stored := create(t, env, given)
	if diff := cmp.Diff(withDefaults("DaftyAsset", daftyAsset("imageGenerate").Object["spec"].(fields)), stored.Object["spec"]); diff != "" {
		t.Errorf("the stored spec (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(fields{"observedGeneration": int64(-1)}, stored.Object["status"]); diff != "" {
		t.Errorf("the stored status (-want +got):\n%s", diff)
	}
	if mapping, err := env.Client.RESTMapper().RESTMapping(schema.GroupKind{Group: "dafty.ai", Kind: "DaftyAsset"}); err != nil || mapping.Scope.Name() != "namespace" {
		t.Errorf("a DaftyAsset isn't of a namespace: %v", err)
	}
}
