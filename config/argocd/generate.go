// Command argocd writes actions.yaml, which holds the Lua files of the actions in the one value that argocd-cm takes for
// them: kustomize can't put files into a YAML document.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

//go:generate go run .

// actionsFolder is in the form in which Argo CD keeps what it knows of kinds itself.
const actionsFolder = "resource_customizations/dafty.ai/DaftyJob/actions"

const head = "# Generated from " + actionsFolder + " by make generate.\n"

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
	content, err := actionsSetting()
	if err == nil {
		err = os.WriteFile("actions.yaml", content, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "config/argocd:", err)
		os.Exit(1)
	}
}

// actionsSetting makes the content of actions.yaml.
func actionsSetting() ([]byte, error) {
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
	return append([]byte(head), content...), err
}
