package main

import (
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"

	daftyv1alpha1 "dafty.ai/dafty-operator/api/v1alpha1"
)

// customizations is where Argo CD's own tests would look. hack/argocd runs what is there by Argo CD's own code.
const customizations = "resource_customizations/dafty.ai/DaftyJob"

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
func TestTheSettingHoldsTheActions(t *testing.T) {
	want, err := actionsSetting()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile("actions.yaml"); err != nil || string(got) != string(want) {
		t.Errorf("actions.yaml is behind (%v): make generate", err)
	}
	var setting actions
	unmarshal(t, read(t, "actions.yaml"), &setting)
	if setting.Discovery != read(t, actionsFolder, "discovery.lua") {
		t.Error("discovery.lua isn't what its file has")
	}
	for _, definition := range setting.Definitions {
		if definition.Lua != read(t, actionsFolder, definition.Name, "action.lua") {
			t.Errorf("%s isn't what its file has", definition.Name)
		}
	}
}

// testedObjects returns the files that the tests of Argo CD's form read, by their paths below customizations.
func testedObjects(t *testing.T) map[string]bool {
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
	for file, into := range map[string]any{"health_test.yaml": &ofHealth, "actions/action_test.yaml": &ofActions} {
		if err := yaml.Unmarshal([]byte(read(t, customizations, file)), into); err != nil {
			t.Fatal(err)
		}
	}
	tested := map[string]bool{}
	for _, test := range ofHealth.Tests {
		tested["testdata/"+filepath.Base(test.InputPath)] = true
	}
	for _, test := range ofActions.DiscoveryTests {
		tested["actions/"+test.InputPath] = true
	}
	for _, test := range ofActions.ActionTests {
		tested["actions/"+test.InputPath], tested["actions/"+test.ExpectedOutputPath] = true, true
	}
	return tested
}

// Made-up objects must be such as an API server has, and each has to be in a test.
func TestEveryObjectIsADaftyJobAndTested(t *testing.T) {
	tested, found := testedObjects(t), 0
	for _, folder := range []string{"testdata", "actions/testdata"} {
		entries, err := os.ReadDir(filepath.Join(customizations, folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			name := folder + "/" + entry.Name()
			found++
			if !tested[name] {
				t.Errorf("no test reads %s", name)
			}
			job := daftyv1alpha1.DaftyJob{}
			unmarshal(t, read(t, customizations, name), &job)
			if job.APIVersion != "dafty.ai/v1alpha1" || job.Kind != "DaftyJob" || job.Name == "" || job.Namespace == "" {
				t.Errorf("%s is no DaftyJob", name)
			}
		}
	}
	if found != len(tested) {
		t.Errorf("%d objects, and %d are tested", found, len(tested))
	}
}
