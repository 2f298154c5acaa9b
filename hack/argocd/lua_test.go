// Package argocd_test runs the Lua files of config/argocd by Argo CD's own code, as its tests do with its own files.
package argocd_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/diff"
	"github.com/argoproj/argo-cd/gitops-engine/v3/pkg/health"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const config = "../../config/argocd"

// kind is a kind that config/argocd teaches Argo CD.
type kind struct {
	name string
	// setting is the file of its actions, empty where it has none.
	setting string
	// tests is how many tests of its health there are at least.
	tests int
}

var kinds = []kind{{"DaftyAccount", "", 10}, {"DaftyAsset", config + "/daftyasset_actions.yaml", 18}, {"DaftyJob", config + "/daftyjob_actions.yaml", 18}}

func (k kind) customizations() string { return config + "/resource_customizations/dafty.ai/" + k.name }

func (k kind) actions() string { return k.customizations() + "/actions" }

// forEachKind runs a test for each kind.
func forEachKind(t *testing.T, test func(*testing.T, kind)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { test(t, k) })
	}
}

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
	known := map[string]v1alpha1.ResourceOverride{}
	for _, k := range kinds {
		override := v1alpha1.ResourceOverride{HealthLua: read(t, k.customizations(), "health.lua")}
		if k.setting != "" {
			override.Actions = read(t, k.setting)
		}
		known["dafty.ai/"+k.name] = override
	}
	return lua.VM{ResourceOverrides: known}
}

// forEachKindWithActions runs a test for each kind that has actions.
func forEachKindWithActions(t *testing.T, test func(*testing.T, kind)) {
	t.Helper()
	forEachKind(t, func(t *testing.T, k kind) {
		if k.setting != "" {
			test(t, k)
		}
	})
}

func TestHealth(t *testing.T) { forEachKind(t, testHealth) }

func testHealth(t *testing.T, k kind) {
	var file struct {
		Tests []struct {
			HealthStatus *health.HealthStatus `json:"healthStatus"`
			InputPath    string               `json:"inputPath"`
		} `json:"tests"`
	}
	unmarshal(t, read(t, k.customizations(), "health_test.yaml"), &file)
	if len(file.Tests) < k.tests {
		t.Errorf("found only %d tests", len(file.Tests))
	}
	for _, test := range file.Tests {
		t.Run(test.InputPath, func(t *testing.T) {
			job := object(t, k.customizations(), test.InputPath)
			script, openLibs, err := vm(t).GetHealthScript(job)
			if err != nil || openLibs {
				t.Fatal(openLibs, err)
			}
			for _, script := range []string{script, strict(script)} {
				got, err := vm(t).ExecuteHealthLua(job, script)
				if err != nil || got == nil || *got != *test.HealthStatus {
					t.Errorf("%+v, %v; want %+v", got, err, test.HealthStatus)
				}
			}
		})
	}
}

// strict returns a health script that fails where the given one returns more than Argo CD reads, which it would leave out.
func strict(script string) string {
	return `local health = (function()
` + script + `
end)()
for name, value in pairs(health) do
  if type(value) ~= "string" or (name ~= "status" and name ~= "message") then
    error(tostring(name) .. " isn't one of the strings status and message")
  end
end
return health
`
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

func readActionTests(t *testing.T, k kind) actionTests {
	t.Helper()
	var file actionTests
	unmarshal(t, read(t, k.actions(), "action_test.yaml"), &file)
	if len(file.DiscoveryTests) < 10 || len(file.ActionTests) < 4 {
		t.Errorf("found only %d tests of the discovery and %d of actions", len(file.DiscoveryTests), len(file.ActionTests))
	}
	return file
}

func TestActionsOffered(t *testing.T) { forEachKindWithActions(t, testActionsOffered) }

func testActionsOffered(t *testing.T, k kind) {
	for _, test := range readActionTests(t, k).DiscoveryTests {
		t.Run(test.InputPath, func(t *testing.T) {
			job := object(t, k.actions(), test.InputPath)
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

// definitions returns the names of the actions that argocd-cm has.
func definitions(t *testing.T, k kind) []string {
	t.Helper()
	var setting v1alpha1.ResourceActions
	unmarshal(t, read(t, k.setting), &setting)
	names := make([]string, len(setting.Definitions))
	for i, definition := range setting.Definitions {
		names[i] = definition.Name
	}
	return names
}

// TestEveryActionIsOffered compares what is offered of a new object, disabled or not, with what there is.
func TestEveryActionIsOffered(t *testing.T) { forEachKindWithActions(t, testEveryActionIsOffered) }

func testEveryActionIsOffered(t *testing.T, k kind) {
	job := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "dafty.ai/v1alpha1", "kind": k.name, "metadata": map[string]any{}, "spec": map[string]any{},
	}}
	scripts, err := vm(t).GetResourceActionDiscovery(job)
	if err != nil {
		t.Fatal(err)
	}
	offers, err := vm(t).ExecuteResourceActionDiscovery(job, scripts)
	if err != nil {
		t.Fatal(err)
	}
	offered := make([]string, len(offers))
	for i, offer := range offers {
		offered[i] = offer.Name
	}
	slices.Sort(offered)
	if got := slices.Sorted(slices.Values(definitions(t, k))); !slices.Equal(got, offered) {
		t.Errorf("there are the actions %q, and %q are offered", got, offered)
	}
}

func TestActions(t *testing.T) { forEachKindWithActions(t, testActions) }

func testActions(t *testing.T, k kind) {
	var tested []string
	for _, test := range readActionTests(t, k).ActionTests {
		tested = append(tested, test.Action)
		t.Run(test.Action+"/"+test.InputPath, func(t *testing.T) {
			job, want := object(t, k.actions(), test.InputPath), object(t, k.actions(), test.ExpectedOutputPath)
			action, err := vm(t).GetResourceAction(job, test.Action)
			if err != nil {
				t.Fatal(err)
			}
			impacted, err := vm(t).ExecuteResourceAction(job, action.ActionLua, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(impacted) != 1 || impacted[0].K8SOperation != lua.PatchOperation {
				t.Fatalf("it gives %+v; want a patch of the object", impacted)
			}
			if test.Action == "regenerate" {
				fixTime(t, impacted[0].UnstructuredObj)
			}
			result, err := diff.Diff(t.Context(), want, impacted[0].UnstructuredObj)
			if err != nil {
				t.Fatal(err)
			}
			if result.Modified {
				t.Errorf("got  %s\nwant %s", result.PredictedLive, result.NormalizedLive)
			}
			// Argo CD's own tests don't see a field too many.
			if got := impacted[0].UnstructuredObj.Object; !equality.Semantic.DeepEqual(got, want.Object) {
				t.Errorf("got  %v\nwant %v", got, want.Object)
			}
			if unchanged := object(t, k.actions(), test.InputPath); equality.Semantic.DeepEqual(want.Object, unchanged.Object) {
				t.Errorf("%s of %s changes nothing", test.Action, test.InputPath)
			}
		})
	}
	for _, name := range definitions(t, k) {
		if !slices.Contains(tested, name) {
			t.Errorf("no test of the action %s", name)
		}
	}
}

// fixTime puts the time of the expected objects in place of the current one, which regenerate has for a revision.
func fixTime(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	revision, _, err := unstructured.NestedString(object.Object, "spec", "revision")
	at, parseErr := time.Parse(time.RFC3339, revision)
	if err != nil || parseErr != nil || time.Since(at) > time.Minute {
		t.Errorf("the revision is %q, not the time: %v, %v", revision, err, parseErr)
	}
	if err := unstructured.SetNestedField(object.Object, "2026-05-04T09:30:00Z", "spec", "revision"); err != nil {
		t.Fatal(err)
	}
}
