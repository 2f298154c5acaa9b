package lifecycle_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/docstest"
)

const healthCheck = "../../config/argocd/resource_customizations/dafty.ai/DaftyJob/health.lua"

// argoTable holds the table of the page about Argo CD against what its health check makes of each phase with each reason.
// The first row and the last are held by the health check's own tests: created.yaml and deleted.yaml.
func argoTable(t *testing.T, seen explored) {
	t.Helper()
	rows := []string{"| none yet | Progressing | |"}
	for _, phase := range phases {
		for _, health := range []string{"Progressing", "Suspended", "Degraded", "Healthy"} {
			if reasons := slices.Sorted(maps.Keys(seen.health[phase][health])); len(reasons) > 0 {
				rows = append(rows, fmt.Sprintf("| `%s` | %s | `%s` |", phase, health, strings.Join(reasons, "`, `")))
			}
		}
	}
	rows = append(rows, "| any, while it is deleted | Progressing | any |")
	docstest.Table(t, "../../docs/argocd.md", "| phase | health | reasons |", rows)
}

// argoHealth is the health that Argo CD shows of a job.
func argoHealth(t *testing.T, job *v1alpha1.DaftyJob) string {
	t.Helper()
	script, err := os.ReadFile(healthCheck)
	if err != nil {
		t.Fatal(err)
	}
	content, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(content, &object); err != nil {
		t.Fatal(err)
	}
	l := lua.NewState()
	defer l.Close()
	l.SetGlobal("obj", luaValue(l, object))
	if err := l.DoString(string(script)); err != nil {
		t.Fatal(err)
	}
	health, is := l.Get(-1).(*lua.LTable)
	if !is {
		t.Fatalf("%s returned a %s", healthCheck, l.Get(-1).Type())
	}
	return health.RawGetString("status").String()
}

func luaValue(l *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case map[string]any:
		table := l.NewTable()
		for k, v := range value {
			table.RawSetString(k, luaValue(l, v))
		}
		return table
	case []any:
		table := l.NewTable()
		for _, v := range value {
			table.Append(luaValue(l, v))
		}
		return table
	case string:
		return lua.LString(value)
	case float64:
		return lua.LNumber(value)
	case bool:
		return lua.LBool(value)
	}
	return lua.LNil
}
