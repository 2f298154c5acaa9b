package main

import (
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	daftyv1alpha1 "dafty.ai/dafty-operator/api/v1alpha1"
)

func read(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// unmarshal is strict: what is misspelt would else be left out of a test.
func unmarshal(t *testing.T, content string, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(content), into); err != nil {
		t.Fatal(err)
	}
}

// What argocd-cm gets is what hack/argocd tests: every script, and each as it stands in its file.
func TestTheSettingsHoldTheActions(t *testing.T) {
	for kind, file := range settings {
		want, err := actionsSetting(kind)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != string(want) {
			t.Errorf("%s is behind (%v): make generate", file, err)
		}
		var setting actions
		unmarshal(t, read(t, file), &setting)
		if setting.Discovery != read(t, folder(kind), "actions", "discovery.lua") {
			t.Errorf("%s: discovery.lua isn't what its file has", kind)
		}
		if len(setting.Definitions) < 3 {
			t.Errorf("%s has only %d actions", file, len(setting.Definitions))
		}
		for _, definition := range setting.Definitions {
			if definition.Lua != read(t, folder(kind), "actions", definition.Name, "action.lua") {
				t.Errorf("%s: %s isn't what its file has", kind, definition.Name)
			}
		}
	}
}

// testedObjects returns the files that a kind's tests of Argo CD's form read, by their paths below its folder.
func testedObjects(t *testing.T, kind string) map[string]bool {
	t.Helper()
	var ofHealth struct {
		Tests []struct {
			InputPath string `json:"inputPath"`
		} `json:"tests"`
	}
	var ofActions struct {
		DiscoveryTests []struct {
			InputPath string `json:"inputPath"`
		} `json:"discoveryTests"`
		ActionTests []struct {
			InputPath          string `json:"inputPath"`
			ExpectedOutputPath string `json:"expectedOutputPath"`
		} `json:"actionTests"`
	}
	// Not strictly: hack/argocd reads all fields.
	files := map[string]any{"health_test.yaml": &ofHealth}
	if settings[kind] != "" {
		files["actions/action_test.yaml"] = &ofActions
	}
	for file, into := range files {
		if err := yaml.Unmarshal([]byte(read(t, folder(kind), file)), into); err != nil {
			t.Fatal(err)
		}
	}
	tested := map[string]bool{}
	for _, test := range ofHealth.Tests {
		tested[test.InputPath] = true
	}
	for _, test := range ofActions.DiscoveryTests {
		tested[filepath.Join("actions", test.InputPath)] = true
	}
	for _, test := range ofActions.ActionTests {
		tested[filepath.Join("actions", test.InputPath)], tested[filepath.Join("actions", test.ExpectedOutputPath)] = true, true
	}
	return tested
}

// Objects must be such as an API server has, and each has to be in a test.
func TestEveryObjectIsOfItsKindAndTested(t *testing.T) {
	for _, kind := range []string{"DaftyAccount", "DaftyAsset", "DaftyJob"} {
		tested, found := testedObjects(t, kind), 0
		dirs := []string{"testdata"}
		if settings[kind] != "" {
			dirs = append(dirs, "actions/testdata")
		}
		for _, dir := range dirs {
			entries, err := os.ReadDir(filepath.Join(folder(kind), dir))
			if err != nil {
				t.Fatal(err)
			}
			for _, entry := range entries {
				name := dir + "/" + entry.Name()
				found++
				if !tested[name] {
					t.Errorf("no test of %ss reads %s", kind, name)
				}
				checkObject(t, kind, name)
			}
		}
		if found != len(tested) {
			t.Errorf("%ss: %d objects, and %d are tested", kind, found, len(tested))
		}
	}
}

func checkObject(t *testing.T, kind, name string) {
	t.Helper()
	object := map[string]client.Object{
		"DaftyAccount": &daftyv1alpha1.DaftyAccount{}, "DaftyAsset": &daftyv1alpha1.DaftyAsset{}, "DaftyJob": &daftyv1alpha1.DaftyJob{},
	}[kind]
	unmarshal(t, read(t, folder(kind), name), object)
	if object.GetObjectKind().GroupVersionKind() != daftyv1alpha1.GroupVersion.WithKind(kind) || object.GetName() == "" ||
		(object.GetNamespace() == "") != (kind == "DaftyAccount") {
		t.Errorf("%s is no %s", name, kind)
	}
}
