package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/internal/test/installtest"
)

// Each way of checking manifests that the page shows finds what its table says, and no fault in what is right.
func TestValidationPage(t *testing.T) {
	e := newEnv(t)
	e.withSecret(t)
	for name, program := range map[string]string{
		"kubectl-validate": installtest.KubectlValidateProgram(t), "kubeconform": installtest.KubeconformProgram(t),
	} {
		if err := os.Symlink(program, filepath.Join(e.path, name)); err != nil {
			t.Fatal(err)
		}
	}
	page := read(t, "validation.md")
	scripts, example := map[string]string{}, ""
	for _, b := range block.FindAllStringSubmatch(page, -1) {
		tool, _, _ := strings.Cut(b[3], " ")
		switch {
		case b[2] == "yaml":
			example = b[3]
		case tool == "go":
			checkPinned(t, b[3])
		default:
			scripts[tool] = b[3]
		}
	}
	schema := filepath.Join("..", regexp.MustCompile(`\$schema=(\S+)`).FindStringSubmatch(example)[1])
	if _, err := os.Stat(schema); err != nil {
		t.Error(err)
	}
	write := func(manifest string) {
		file := filepath.Join(e.dir, "manifests", "hero.yaml")
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const job = "apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: there}\nspec: {imageGenerate: {prompt: A lake}}\n"
	e.MustApply(t, job)
	for _, manifest := range []struct {
		name, manifest string
		refused        map[string]bool
	}{
		{"the example", example, nil},
		{"a ratio without quotes", strings.ReplaceAll(example, `"16:9"`, "16:9"), nil},
		{"a misspelt field", strings.Replace(example, "prompt:", "promt:", 1), map[string]bool{"kubectl": true, "kubectl-validate": true, "kubeconform": true}},
		{"a field too many", strings.Replace(example, "prompt:", "size: 1\n        prompt:", 1), map[string]bool{"kubectl": true, "kubectl-validate": true, "kubeconform": true}},
		{"a number", strings.Replace(example, `"16:9"`, "969", 1), map[string]bool{"kubectl": true, "kubectl-validate": true, "kubeconform": true}},
		{"a value out of bounds", strings.Replace(example, `"16:9"`, `"1:9"`, 1), map[string]bool{"kubectl": true, "kubectl-validate": true, "kubeconform": true}},
		{"two operations", strings.TrimSpace(example) + "\n      styleExtract: {url: https://example.com}\n", map[string]bool{"kubectl": true, "kubectl-validate": true}},
		{"a changed request", strings.Replace(job, "lake", "sea", 1), map[string]bool{"kubectl": true}},
	} {
		t.Run(manifest.name, func(t *testing.T) {
			write(manifest.manifest)
			for _, tool := range []string{"kubectl", "kubectl-validate", "kubeconform"} {
				out, err := e.output(t, scripts[tool], "")
				if refused := err != nil; refused != manifest.refused[tool] {
					t.Errorf("%s refuses it: %t\n%s", tool, refused, out)
				}
			}
		})
	}
}

// checkPinned checks that the page installs the version that this repository has pinned.
func checkPinned(t *testing.T, install string) {
	t.Helper()
	install = strings.TrimSpace(install)
	at := strings.LastIndex(install, "@")
	path, version := strings.TrimPrefix(install[:at], "go install "), install[at+1:]
	name := path[strings.LastIndex(path, "/")+1:]
	content, err := os.ReadFile(filepath.Join("..", "hack", "tools", name, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if module := strings.Split(path, "/cmd/")[0]; !strings.Contains(string(content), module+" "+version) {
		t.Errorf("%s isn't the version of hack/tools/%s", install, name)
	}
}
