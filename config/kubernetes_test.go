package config_test

import (
	"os"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apimachinery/pkg/util/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"sigs.k8s.io/yaml"

	"dafty.ai/dafty-operator/internal/test/installtest"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// The oldest Kubernetes that takes the CRDs as they are is 1.32, from which on selectableFields are stable. The rules need what came in
// 1.30 (optionalOldSelf and ?.), and no more: an API server takes what the version before it knew, so that it can be rolled back, and tools
// that check manifests without a cluster are older still.
func TestOldestKubernetes(t *testing.T) {
	t.Parallel()
	for kind, rules := range map[string]int{"daftyaccounts": 4, "daftyassets": 50, "daftyjobs": 50} {
		t.Run(kind, func(t *testing.T) { oldestKubernetes(t, "crd/bases/dafty.ai_"+kind+".yaml", rules) })
	}
	for file, says := range map[string]string{
		"../charts/dafty-operator/Chart.yaml": `kubeVersion: ">=1.32.0-0"`,
		"../docs/install.md":                  "Kubernetes 1.32 or newer",
	} {
		if content, err := os.ReadFile(file); err != nil || !strings.Contains(string(content), says) {
			t.Errorf("%s doesn't say %q (%v)", file, says, err)
		}
	}
}

// oldestKubernetes sees that the rules of the CRD in a file need what Kubernetes 1.30 knows, and no more. It has a number of rules at least.
func oldestKubernetes(t *testing.T, file string, least int) {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	crd, internal := &apiextensionsv1.CustomResourceDefinition{}, &apiextensions.JSONSchemaProps{}
	if err := yaml.UnmarshalStrict(raw, crd); err != nil {
		t.Fatal(err)
	}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, internal, nil); err != nil {
		t.Fatal(err)
	}
	schema, err := structuralschema.NewStructural(internal)
	if err != nil {
		t.Fatal(err)
	}
	knows := func(minor uint) (rules int, problems []string) {
		env := environment.MustBaseEnvSet(version.MajorMinor(1, minor))
		var walk func(s *structuralschema.Structural, root bool)
		walk = func(s *structuralschema.Structural, root bool) {
			results, err := cel.Compile(s, model.SchemaDeclType(s, root), celconfig.PerCallLimit, env, cel.NewExpressionsEnvLoader())
			if err != nil {
				t.Fatal(err)
			}
			for _, result := range results {
				rules++
				if result.Error != nil {
					problems = append(problems, result.Error.Error())
				}
			}
			for _, property := range s.Properties {
				walk(&property, false)
			}
			if s.Items != nil {
				walk(s.Items, false)
			}
		}
		walk(schema, true)
		return rules, problems
	}
	if rules, problems := knows(30); rules < least || len(problems) > 0 {
		t.Errorf("what Kubernetes 1.30 knows isn't enough for %d rules: %s", rules, problems)
	}
	if strings.Contains(file, "daftyjobs") && len(crd.Spec.Versions[0].SelectableFields) == 0 {
		t.Error("without selectableFields an older version would do: the docs, and kubeVersion of the chart, may name it")
	}
}

// The oldest version that the pinned API server can emulate.
func TestInstallationOnAnOlderKubernetes(t *testing.T) {
	env := startOwn(t, kubetest.Options{CRDs: []string{}, APIServerFlags: map[string]string{"emulated-version": "1.34"}})
	if got := env.MustKubectl(t, "get", "--raw", "/version"); !strings.Contains(got, `"emulationMinor": "34"`) {
		t.Fatalf("it isn't older: %s", got)
	}
	install(t, env, installtest.Overlay(t, map[string]string{".": "resources: [CONFIG/default]\ncomponents: [CONFIG/network-policy, CONFIG/admission-policy, CONFIG/policies]\n"}))
	installtest.Apply(t, env, samples(t, "."))
	installtest.Apply(t, env, samples(t, "accounts"))
	installtest.Apply(t, env, samples(t, "campaign"))
	installtest.Apply(t, env, samples(t, "campaign-assets"))
	_, stderr, err := env.Apply(t, "apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: itself}\n"+
		"spec: {imageUpscale: {image: {jobRef: {name: itself}}, resolution: 4K}}\n")
	if err == nil || !strings.Contains(stderr, "imageUpscale") {
		t.Errorf("a job made of itself: %v, %s", err, stderr)
	}
}
