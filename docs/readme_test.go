package docs_test

import (
	"regexp"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// The manifests that the README shows are accepted by a real API server.
func TestReadmeManifests(t *testing.T) {
	env, text := kubetest.Start(t), read(t, readme)
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(text, -1)
	if len(blocks) == 0 {
		t.Fatal("the README shows no manifest")
	}
	for _, block := range blocks {
		env.MustApply(t, block[1])
	}
	env.MustKubectl(t, "patch", "daftyjob", "spring-hero", "--type", "merge", "-p", `{"spec":{"desiredState":"Cancelled"}}`)

	_, stderr, err := env.Apply(t, "apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: two-operations}\n"+
		"spec: {styleExtract: {url: https://example.com}, imageGenerate: {prompt: A logo}}\n")
	want := regexp.MustCompile(`(?m)^The DaftyJob "two-operations".*operation: imageGenerate, imageEdit, `).FindString(text)
	if want == "" || err == nil || !strings.Contains(stderr, want) {
		t.Errorf("the README shows %q, kubectl says %q", want, stderr)
	}
}
