package main

import (
	"maps"
	"os"
	"slices"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"dafty.ai/dafty-operator/internal/test/argolua"
)

// actionTest is the file of Argo CD's form.
type actionTest struct {
	DiscoveryTests []struct {
		InputPath string        `json:"inputPath"`
		Result    []actionOffer `json:"result"`
	} `json:"discoveryTests"`
	ActionTests []struct {
		Action             string `json:"action"`
		InputPath          string `json:"inputPath"`
		ExpectedOutputPath string `json:"expectedOutputPath"`
	} `json:"actionTests"`
}

type actionOffer struct {
	Name        string `json:"name"`
	DisplayName string `json:"displayName"`
	IconClass   string `json:"iconClass"`
	Disabled    bool   `json:"disabled"`
}

func actionTests(t *testing.T) actionTest {
	t.Helper()
	var file actionTest
	unmarshal(t, read(t, actionsFolder, "action_test.yaml"), &file)
	if len(file.DiscoveryTests) < 10 || len(file.ActionTests) < 4 {
		t.Errorf("found only %d tests of the discovery and %d of actions", len(file.DiscoveryTests), len(file.ActionTests))
	}
	return file
}

func TestActionsOffered(t *testing.T) {
	script := read(t, actionsFolder, "discovery.lua")
	for _, test := range actionTests(t).DiscoveryTests {
		t.Run(test.InputPath, func(t *testing.T) {
			job := map[string]any{}
			unmarshal(t, read(t, actionsFolder, test.InputPath), &job)
			_, offers := argolua.Run(t, script, job)
			got := map[string]actionOffer{}
			offers.ForEach(func(name, offer lua.LValue) {
				fields, ok := offer.(*lua.LTable)
				if !ok {
					t.Fatalf("%s is a %s; Argo CD wants a table", name, offer.Type())
				}
				got[name.String()] = actionOffer{
					Name:        name.String(),
					DisplayName: fields.RawGetString("displayName").String(),
					IconClass:   fields.RawGetString("iconClass").String(),
					Disabled:    fields.RawGetString("disabled") == lua.LTrue,
				}
			})
			want := map[string]actionOffer{}
			for _, offer := range test.Result {
				want[offer.Name] = offer
			}
			if !maps.Equal(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestActions(t *testing.T) {
	var tested []string
	for _, test := range actionTests(t).ActionTests {
		tested = append(tested, test.Action)
		t.Run(test.Action+"/"+test.InputPath, func(t *testing.T) {
			job, want := map[string]any{}, map[string]any{}
			unmarshal(t, read(t, actionsFolder, test.InputPath), &job)
			unmarshal(t, read(t, actionsFolder, test.ExpectedOutputPath), &want)
			l, got := argolua.Run(t, read(t, actionsFolder, test.Action, "action.lua"), job)
			if !equal(got, argolua.ToLua(l, want)) {
				t.Errorf("%s of %s doesn't give %s", test.Action, test.InputPath, test.ExpectedOutputPath)
			}
			if equal(got, argolua.ToLua(l, job)) {
				t.Errorf("%s of %s changes nothing", test.Action, test.InputPath)
			}
		})
	}
	for _, definition := range readSetting(t).Definitions {
		if !slices.Contains(tested, definition.Name) {
			t.Errorf("no test of the action %s", definition.Name)
		}
	}
}

func readSetting(t *testing.T) actions {
	t.Helper()
	var setting actions
	unmarshal(t, read(t, "actions.yaml"), &setting)
	return setting
}

// What argocd-cm gets is what is tested above: every script, and each as it stands in its file.
func TestTheSettingHoldsTheActions(t *testing.T) {
	want, err := actionsSetting()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile("actions.yaml"); err != nil || string(got) != string(want) {
		t.Errorf("actions.yaml is behind (%v): make generate", err)
	}
	setting := readSetting(t)
	if setting.Discovery != read(t, actionsFolder, "discovery.lua") {
		t.Error("discovery.lua isn't what its file has")
	}
	offered := map[string]bool{}
	_, offers := argolua.Run(t, setting.Discovery, map[string]any{"metadata": map[string]any{}, "spec": map[string]any{}})
	offers.ForEach(func(name, _ lua.LValue) { offered[name.String()] = true })
	for _, definition := range setting.Definitions {
		if definition.Lua != read(t, actionsFolder, definition.Name, "action.lua") {
			t.Errorf("%s isn't what its file has", definition.Name)
		}
		if !offered[definition.Name] {
			t.Errorf("%s is never offered", definition.Name)
		}
		delete(offered, definition.Name)
	}
	if len(offered) > 0 {
		t.Errorf("offered, and not there: %v", slices.Collect(maps.Keys(offered)))
	}
}
