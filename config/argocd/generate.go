// Command argocd writes a file for each kind, which holds the Lua files of its actions in the one value that argocd-cm takes for
// them: kustomize can't put files into a YAML document.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

//go:generate go run .

// settings are the files that are written, by kind.
var settings = map[string]string{"DaftyAsset": "daftyasset_actions.yaml", "DaftyJob": "daftyjob_actions.yaml"}

// folder returns where what Argo CD is to know of a kind is, in the form in which it keeps what it knows of kinds itself.
func folder(kind string) string { return "resource_customizations/dafty.ai/" + kind }

// actions is the value of resource.customizations.actions.GROUP_KIND.
type actions struct {
	Discovery   string       `json:"discovery.lua"`
	Definitions []definition `json:"definitions"`
}

type definition struct {
	Name string `json:"name"`
	Lua  string `json:"action.lua"`
}

func main() {
	for kind, file := range settings {
		content, err := actionsSetting(kind)
		if err == nil {
			err = os.WriteFile(file, content, 0o600)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "config/argocd:", err)
			os.Exit(1)
		}
	}
}

// actionsSetting makes the content of a kind's file.
func actionsSetting(kind string) ([]byte, error) {
	actionsFolder := folder(kind) + "/actions"
	discovery, err := os.ReadFile(filepath.Join(actionsFolder, "discovery.lua"))
	if err != nil {
		return nil, err
	}
	setting := actions{Discovery: string(discovery)}
	files, err := filepath.Glob(filepath.Join(actionsFolder, "*", "action.lua"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		script, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		setting.Definitions = append(setting.Definitions, definition{Name: filepath.Base(filepath.Dir(file)), Lua: string(script)})
	}
	content, err := yaml.Marshal(setting)
	return append([]byte("# Generated from "+actionsFolder+" by make generate.\n"), content...), err
}
