package config_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// stolenTokenMakesNothing tries, with a token of the operator's account, what config/admission-policy forbids that account, and
// without it what others may still do.
func stolenTokenMakesNothing(t *testing.T, env *kubetest.Env, ns string) {
	const spec = "spec: {desiredState: Suspended, imageGenerate: {prompt: A logo}}\n"
	const hero = "apiVersion: dafty.ai/v1alpha1\nkind: DaftyAsset\nmetadata: {name: hero}\nspec: {suspend: true, template: {spec: {imageGenerate: {prompt: A logo}}}}\n"
	env.MustApply(t, hero, "-n", ns)
	uid := env.MustKubectl(t, "get", "daftyasset", "hero", "-n", ns, "-o", "jsonpath={.metadata.uid}")
	owned := func(name, label, kind, controller string) string {
		return "apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata:\n  name: " + name + "\n  labels: {dafty.ai/asset: " + label + "}\n" +
			"  ownerReferences: [{apiVersion: dafty.ai/v1alpha1, kind: " + kind + ", name: hero, uid: " + uid + ", controller: " + controller + "}]\n" + spec
	}
	const free = "apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: free}\n" + spec
	config, err := clientcmd.BuildConfigFromFlags("", accountKubeconfig(t, env))
	if err != nil {
		t.Fatal(err)
	}
	stolen, err := client.New(config, client.Options{}) // kubectl would read first, which the account may not
	if err != nil {
		t.Fatal(err)
	}
	create := func(by client.Client, manifest string) error {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(manifest), &object.Object); err != nil {
			t.Fatal(err)
		}
		object.SetNamespace(ns)
		return by.Create(t.Context(), object, client.DryRunAll)
	}
	for name, c := range map[string]struct{ manifest, says string }{
		"one that nobody owns":                {free, "may create DaftyJobs only for a DaftyAsset"},
		"one that the asset doesn't control":  {owned("hero-0123456789", "hero", "DaftyAsset", "false"), "may create DaftyJobs only for a DaftyAsset"},
		"one of another kind of owner":        {owned("hero-0123456789", "hero", "DaftyJob", "true"), "may create DaftyJobs only for a DaftyAsset"},
		"one with the label of another asset": {owned("hero-0123456789", "logo", "DaftyAsset", "true"), "the label dafty.ai/asset must be hero"},
		"one of another name":                 {owned("logo-0123456789", "hero", "DaftyAsset", "true"), "the name must begin with hero-"},
		"one whose name is the API server's":  {strings.Replace(owned("logo-", "hero", "DaftyAsset", "true"), "  name: logo-", "  generateName: logo-", 1), "the name must begin with hero-"},
		"one as the operator makes it":        {owned("hero-0123456789", "hero", "DaftyAsset", "true"), ""},
	} {
		switch err := create(stolen, c.manifest); {
		case c.says == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: %v; want %q", name, err, c.says)
		}
	}
	patch := func(by client.Client, patch string) error {
		object := &unstructured.Unstructured{}
		object.SetAPIVersion("dafty.ai/v1alpha1")
		object.SetKind("DaftyAsset")
		object.SetNamespace(ns)
		object.SetName("hero")
		return by.Patch(t.Context(), object, client.RawPatch(types.MergePatchType, []byte(patch)), client.DryRunAll)
	}
	const another, annotation = `{"spec":{"template":{"spec":{"imageGenerate":{"prompt":"A coin"}}}}}`, `{"metadata":{"annotations":{"dafty.ai/current":"x"}}}`
	if err := patch(stolen, another); err == nil || !strings.Contains(err.Error(), "may not change the spec of a DaftyAsset") {
		t.Errorf("another template: %v", err)
	}
	if err := patch(stolen, annotation); err != nil {
		t.Errorf("the annotation: %v", err)
	}

	// Nobody else is concerned.
	if err := create(env.Client, free); err != nil {
		t.Errorf("a user's DaftyJob: %v", err)
	}
	if err := patch(env.Client, another); err != nil {
		t.Errorf("a user's change: %v", err)
	}
	env.MustKubectl(t, "delete", "daftyasset", "hero", "-n", ns)
}
