// Package argocd_test runs the Lua files of config/argocd by Argo CD's own code, as its tests do with its own files.
package argocd_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/diff"
	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/health"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const (
	config         = "../../config/argocd"
	customizations = config + "/resource_customizations/dafty.ai/DaftyJob"
	actions        = customizations + "/actions"
)

func read(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func unmarshal(t *testing.T, content string, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(content), into); err != nil {
		t.Fatal(err)
	}
}

func object(t *testing.T, path ...string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	unmarshal(t, read(t, path...), obj)
	return obj
}

// vm knows what argocd-cm says, and opens no library to a script.
func vm(t *testing.T) lua.VM {
	t.Helper()
	return lua.VM{ResourceOverrides: map[string]v1alpha1.ResourceOverride{"dafty.ai/DaftyJob": {
		HealthLua: read(t, customizations, "health.lua"),
		Actions:   read(t, config, "actions.yaml"),
	}}}
}

func TestHealth(t *testing.T) {
	var file struct {
		Tests []struct {
			HealthStatus *health.HealthStatus `json:"healthStatus"`
			InputPath    string               `json:"inputPath"`
		} `json:"tests"`
	}
	unmarshal(t, read(t, customizations, "health_test.yaml"), &file)
	if len(file.Tests) < 18 {
		t.Errorf("found only %d tests", len(file.Tests))
	}
	for _, test := range file.Tests {
		t.Run(test.InputPath, func(t *testing.T) {
			job := object(t, customizations, test.InputPath)
			script, openLibs, err := vm(t).GetHealthScript(job)
			if err != nil || openLibs {
				t.Fatal(openLibs, err)
			}
			got, err := vm(t).ExecuteHealthLua(job, script)
			if err != nil || got == nil || *got != *test.HealthStatus {
				t.Errorf("%+v, %v; want %+v", got, err, test.HealthStatus)
			}
		})
	}
}

type actionTests struct {
	DiscoveryTests []struct {
		InputPath string                    `json:"inputPath"`
		Result    []v1alpha1.ResourceAction `json:"result"`
	} `json:"discoveryTests"`
	ActionTests []struct {
		Action             string `json:"action"`
		InputPath          string `json:"inputPath"`
		ExpectedOutputPath string `json:"expectedOutputPath"`
	} `json:"actionTests"`
}

func readActionTests(t *testing.T) actionTests {
	t.Helper()
	var file actionTests
	unmarshal(t, read(t, actions, "action_test.yaml"), &file)
	if len(file.DiscoveryTests) < 10 || len(file.ActionTests) < 4 {
		t.Errorf("found only %d tests of the discovery and %d of actions", len(file.DiscoveryTests), len(file.ActionTests))
	}
	return file
}

func TestActionsOffered(t *testing.T) {
	for _, test := range readActionTests(t).DiscoveryTests {
		t.Run(test.InputPath, func(t *testing.T) {
			job := object(t, actions, test.InputPath)
			scripts, err := vm(t).GetResourceActionDiscovery(job)
			if err != nil {
				t.Fatal(err)
			}
			got, err := vm(t).ExecuteResourceActionDiscovery(job, scripts)
			if err != nil {
				t.Fatal(err)
			}
			byName := func(a, b v1alpha1.ResourceAction) int { return cmp.Compare(a.Name, b.Name) }
			slices.SortFunc(got, byName)
			slices.SortFunc(test.Result, byName)
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", test.Result) {
				t.Errorf("got  %+v\nwant %+v", got, test.Result)
			}
		})
	}
}

func TestActions(t *testing.T) {
	for _, test := range readActionTests(t).ActionTests {
		t.Run(test.Action+"/"+test.InputPath, func(t *testing.T) {
			job, want := object(t, actions, test.InputPath), object(t, actions, test.ExpectedOutputPath)
			action, err := vm(t).GetResourceAction(job, test.Action)
			if err != nil {
				t.Fatal(err)
			}
			impacted, err := vm(t).ExecuteResourceAction(job, action.ActionLua, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(impacted) != 1 || impacted[0].K8SOperation != lua.PatchOperation {
				t.Fatalf("it gives %+v; want a patch of the DaftyJob", impacted)
			}
			result, err := diff.Diff(t.Context(), want, impacted[0].UnstructuredObj)
			if err != nil {
				t.Fatal(err)
			}
			if result.Modified {
				t.Errorf("got  %s\nwant %s", result.PredictedLive, result.NormalizedLive)
			}
		})
	}
}
