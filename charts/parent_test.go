package charts_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/internal/test/installtest"
)

// parent is a chart that has this one as a dependency, with these further lines about it and these values.
func parent(t *testing.T, dependency, values string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"Chart.yaml": fmt.Sprintf("apiVersion: v2\nname: parent\nversion: 0.1.0\ndependencies:\n- name: dafty-operator\n  version: '>=0.0.0-0'\n  repository: file://%s\n%s",
			filepath.Join(installtest.Root(t), chart), dependency),
		"values.yaml": values,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := installtest.Helm(t, "dependency", "build", dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// objectsOf are the kinds and names of what helm template makes.
func objectsOf(t *testing.T, manifests string) []string {
	t.Helper()
	var found []string
	for _, object := range installtest.Objects(t, manifests) {
		found = append(found, object.GetKind()+" "+object.GetName())
	}
	slices.Sort(found)
	return found
}

// As a dependency of another chart it makes the same as by itself, however it is turned on there.
func TestChartIsADependency(t *testing.T) {
	alone := objectsOf(t, render(t))
	for name, c := range map[string]struct {
		dependency, values string
		args               []string
		makes              []string
	}{
		"without a condition":           {makes: alone},
		"turned on by its condition":    {dependency: "  condition: dafty-operator.enabled\n", values: "dafty-operator: {enabled: true}\n", makes: alone},
		"turned off by its condition":   {dependency: "  condition: dafty-operator.enabled\n", values: "dafty-operator: {enabled: false}\n"},
		"turned on at the install":      {dependency: "  condition: dafty-operator.enabled\n", values: "dafty-operator: {enabled: false}\n", args: []string{"--set", "dafty-operator.enabled=true"}, makes: alone},
		"turned on by a tag":            {dependency: "  tags: [images]\n", values: "tags: {images: true}\ndafty-operator: {enabled: true}\n", makes: alone},
		"turned off by a tag":           {dependency: "  tags: [images]\n", values: "tags: {images: false}\n"},
		"on, where a tag says off":      {dependency: "  tags: [images]\n  condition: dafty-operator.enabled\n", values: "tags: {images: false}\ndafty-operator: {enabled: true}\n", makes: alone},
		"by another name":               {dependency: "  alias: images\n  condition: images.enabled\n", values: "images: {enabled: true, fullnameOverride: dafty-operator}\n", makes: alone},
		"with what all charts are told": {dependency: "  condition: dafty-operator.enabled\n", values: "global: {imageRegistry: registry.example.com, storageClass: fast}\ndafty-operator: {enabled: true}\n", makes: alone},
		"turned on for all charts":      {dependency: "  condition: global.images.enabled\n", values: "global: {images: {enabled: true}}\n", makes: alone},
	} {
		t.Run(name, func(t *testing.T) {
			manifests, err := installtest.Helm(t, append([]string{"template", release, parent(t, c.dependency, c.values), "--namespace", namespace}, c.args...)...)
			if err != nil {
				t.Fatal(err)
			}
			if got := objectsOf(t, manifests); !slices.Equal(got, c.makes) {
				t.Errorf("it makes %q, want %q", got, c.makes)
			}
		})
	}

	// What is wrong is refused there too.
	for values, says := range map[string]string{
		"dafty-operator: {enabled: true, replica: 3}\n":             "additional properties 'replica' not allowed",
		"dafty-operator: {enabled: true, replicas: three}\n":        "at '/replicas': got string, want integer",
		"dafty-operator: {enabled: true, global: everything}\n":     "global",
		"dafty-operator: {enabled: true, metrics: {secured: no}}\n": "at '/metrics': additional properties 'secured' not allowed",
	} {
		_, err := installtest.Helm(t, "template", release, parent(t, "  condition: dafty-operator.enabled\n", values))
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v; want %q", values, err, says)
		}
	}
}
