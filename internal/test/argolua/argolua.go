// Package argolua runs the health script that Argo CD takes for a kind, for tests of the lifecycle. What the scripts do is
// tested by Argo CD's own code, in the module hack/argocd.
package argolua

import (
	"context"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// Run runs a script as util/lua of Argo CD v3 does, with one second of time. Argo CD opens the libraries package, base, table
// and a cut-down os; without os, less works here than there.
func Run(t *testing.T, script string, job map[string]any) *lua.LTable {
	t.Helper()
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	t.Cleanup(l.Close)
	for name, open := range map[string]lua.LGFunction{lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		if err := l.CallByParam(lua.P{Fn: l.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	l.SetContext(ctx)
	l.SetGlobal("obj", toLua(l, job))
	if err := l.DoString(script); err != nil {
		t.Fatal(err)
	}
	table, ok := l.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("the script returned a %s; Argo CD wants a table", l.Get(-1).Type())
	}
	return table
}

// toLua returns a value of an object as scripts see it.
func toLua(l *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case map[string]any:
		table := l.NewTable()
		for k, v := range value {
			table.RawSetString(k, toLua(l, v))
		}
		return table
	case []any:
		table := l.NewTable()
		for _, v := range value {
			table.Append(toLua(l, v))
		}
		return table
	case string:
		return lua.LString(value)
	case float64:
		return lua.LNumber(value)
	case bool:
		return lua.LBool(value)
	default:
		return lua.LNil
	}
}
