package v1alpha1_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"dafty.ai/dafty-operator/internal/test/installtest"
)

// The rules are of what Kubernetes 1.30 knows: tools that check manifests without a cluster, such as kubectl-validate, refuse every
// object that reaches a rule which they can't compile.
func TestKubectlValidateSaysWhatTheAPIServerSays(t *testing.T) {
	dir, files := t.TempDir(), map[string]badManifest{}
	for kind, all := range badManifests() {
		rules := rulesOfFields(t, kind)
		for i, bad := range all {
			if !rules[bad.want[0].message] || bad.stored != nil {
				continue
			}
			delete(rules, bad.want[0].message) // one manifest is enough: all rules are compiled again for each
			content, err := yaml.Marshal(bad.given.with("metadata.name", "checked").Object)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, fmt.Sprintf("%s-%d.yaml", kind, i))
			if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
			files[file] = bad
		}
	}
	statuses := kubectlValidate(t, dir)
	for file, bad := range files {
		status, said := statuses[file]
		switch {
		case !said:
			t.Errorf("nothing is said of %s", bad.name)
		case !strings.Contains(status.Message, bad.want[0].message):
			t.Errorf("%s: it says %s %q, not %q", bad.name, status.Status, status.Message, bad.want[0].message)
		}
	}
	if len(files) < 40 {
		t.Errorf("only %d rules are broken", len(files))
	}
}

// rulesOfFields returns the messages of the rules of a kind that kubectl-validate judges by: those of the object as a whole, which look
// at its name, aren't, nor those that compare it with what was there before.
func rulesOfFields(t *testing.T, kind string) map[string]bool {
	t.Helper()
	messages := map[string]bool{}
	walk("", readSchema(t, kind), func(path string, schema *apiextensionsv1.JSONSchemaProps) {
		for _, rule := range schema.XValidations {
			if path != "" && !strings.Contains(rule.Rule, "oldSelf") {
				messages[rule.Message] = true
			}
		}
	})
	return messages
}

func TestToolsAcceptTheSamples(t *testing.T) {
	var samples []string
	for _, pattern := range []string{"*.yaml", "*/*.yaml"} {
		found, err := filepath.Glob("../../config/samples/" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		samples = append(samples, found...)
	}
	samples = slices.DeleteFunc(samples, func(file string) bool { return filepath.Base(file) == "kustomization.yaml" })
	statuses := kubectlValidate(t, samples...)
	if len(statuses) != len(samples) || len(samples) < 20 {
		t.Errorf("%d verdicts on %d samples", len(statuses), len(samples))
	}
	for file, status := range statuses {
		if status.Status != metav1.StatusSuccess {
			t.Errorf("%s is refused: %s", file, status.Message)
		}
	}
	args := []string{"-strict", "-skip", "Namespace,Secret", "-schema-location", "../../config/schemas/{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json"}
	if output, err := exec.CommandContext(t.Context(), installtest.KubeconformProgram(t), append(args, samples...)...).CombinedOutput(); err != nil {
		t.Errorf("kubeconform: %v\n%s", err, output)
	}
}

// kubectlValidate returns what kubectl-validate says of files and of the files of folders, by file.
func kubectlValidate(t *testing.T, paths ...string) map[string]metav1.Status {
	t.Helper()
	args := append([]string{"--output=json", "--local-crds=../../config/crd/bases"}, paths...)
	output, err := exec.CommandContext(t.Context(), installtest.KubectlValidateProgram(t), args...).Output()
	var verdicts map[string][]metav1.Status
	if jsonErr := json.Unmarshal(output, &verdicts); jsonErr != nil {
		t.Fatalf("kubectl-validate: %v, %v in %s", err, jsonErr, output)
	}
	statuses := map[string]metav1.Status{}
	for file, of := range verdicts {
		if len(of) != 1 {
			t.Fatalf("%d verdicts on %s", len(of), file)
		}
		statuses[file] = of[0]
	}
	return statuses
}

// The patterns in the rules are Kubernetes' own rules for names, which CEL has by name since Kubernetes 1.31 only.
func TestPatternsAreKubernetesOwn(t *testing.T) {
	used := map[string]int{}
	walkKinds(t, func(_ *testing.T, _ string, schema *apiextensionsv1.JSONSchemaProps) {
		for _, rule := range schema.XValidations {
			used[rule.Rule]++
		}
	})
	const label = `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
	const subdomain = label + `([.]` + label + `)*`
	const key = `^(` + subdomain + `/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$`
	for name, of := range map[string]struct {
		rule    string // with %s for the pattern
		pattern string
		most    int // characters that reach the rule
		lower   bool
		valid   func(string) []string
	}{
		"namespace":  {"self.matches('%s')", `^` + label + `$`, 63, false, validation.IsDNS1123Label},
		"name":       {"self.matches('%s')", `^` + subdomain + `$`, 253, false, validation.IsDNS1123Subdomain},
		"label":      {"self.all(key, key.matches('%s') && key.indexOf('/') <= 253)", key, 400, false, validation.IsQualifiedName},
		"annotation": {"self.all(key, key.lowerAscii().matches('%s') && key.indexOf('/') <= 253)", key, 400, true, validation.IsQualifiedName},
		"value":      {"self.all(key, self[key].matches('%s'))", `^(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?$`, 100, false, validation.IsValidLabelValue},
	} {
		t.Run(name, func(t *testing.T) {
			if rule := fmt.Sprintf(of.rule, of.pattern); used[rule] == 0 {
				t.Fatalf("no field has the rule %s", rule)
			}
			compiled := regexp.MustCompile(of.pattern)
			rapid.Check(t, func(t *rapid.T) {
				word := rapid.StringMatching(`[a-zA-Z0-9]{0,3}([-a-zA-Z0-9_.]{0,64}|[-a-z0-9.]{0,254})[a-z0-9]?`)
				given := word.Draw(t, "name")
				if rapid.Bool().Draw(t, "has a domain") {
					given += "/" + word.Draw(t, "name in the domain")
				}
				if len(given) > of.most {
					t.Skip("refused for its length")
				}
				if of.lower {
					given = strings.ToLower(given)
				}
				matches := compiled.MatchString(given) && strings.Index(given, "/") <= 253
				if problems := of.valid(given); matches != (len(problems) == 0) {
					t.Fatalf("%q matches: %t; Kubernetes says %q", given, matches, problems)
				}
			})
		})
	}
}
