// Package argocd_test runs health.lua the way Argo CD does.
package argocd_test

import (
	"context"
	_ "embed"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
	"sigs.k8s.io/yaml"
)

//go:embed health.lua
var script string

func TestHealth(t *testing.T) {
	for _, test := range []struct {
		name, job     string
		status, words string
	}{
		{
			"just created, before the CRD's default", `
metadata: {generation: 1}`,
			"Progressing", "Waiting for the Dafty operator",
		}, {
			"just created", `
metadata: {generation: 1}
status: {observedGeneration: -1}`,
			"Progressing", "Waiting for the Dafty operator",
		}, {
			"status without a generation", `
metadata: {generation: 1}
status: {phase: Completed}`,
			"Progressing", "Waiting for the Dafty operator",
		}, {
			"spec changed and not looked at yet", `
metadata: {generation: 2}
spec: {desiredState: Cancelled}
status: {observedGeneration: 1, phase: Processing, conditions: [{type: Ready, status: Unknown, reason: Processing}]}`,
			"Progressing", "Waiting for the Dafty operator",
		}, {
			"waits", `
metadata: {generation: 1}
status:
  observedGeneration: 1
  phase: Pending
  conditions:
  - {type: Ready, status: Unknown, reason: WaitingForRateLimit, message: 3 jobs are before this one}
  - {type: Reconciling, status: "True", reason: WaitingForRateLimit}`,
			"Progressing", "WaitingForRateLimit: 3 jobs are before this one",
		}, {
			"needs a person", `
metadata: {generation: 1}
status:
  observedGeneration: 1
  phase: Pending
  conditions:
  - {type: Ready, status: "False", reason: WaitingForCredentials, message: no Secret dafty-credentials}
  - {type: Stalled, status: "True", reason: WaitingForCredentials, message: no Secret dafty-credentials}`,
			"Degraded", "WaitingForCredentials: no Secret dafty-credentials",
		}, {
			"suspended, as asked", `
metadata: {generation: 1}
spec: {desiredState: Suspended}
status:
  observedGeneration: 1
  phase: Pending
  conditions: [{type: Ready, status: "False", reason: Suspended, message: set desiredState to Completed to release it}]`,
			"Suspended", "Suspended: set desiredState to Completed to release it",
		}, {
			"on its way to Dafty", `
metadata: {generation: 1}
status:
  observedGeneration: 1
  phase: Submitting
  conditions: [{type: Ready, status: Unknown, reason: Submitting}, {type: Reconciling, status: "True", reason: Submitting}]`,
			"Progressing", "Submitting",
		}, {
			"queued", `
metadata: {generation: 1}
status: {observedGeneration: 1, phase: Queued, conditions: [{type: Ready, status: Unknown, reason: Queued}]}`,
			"Progressing", "Queued",
		}, {
			"processing, and it was stalled before", `
metadata: {generation: 1}
status:
  observedGeneration: 1
  phase: Processing
  conditions: [{type: Stalled, status: "False", reason: Processing}, {type: Ready, status: Unknown, reason: Processing}]`,
			"Progressing", "Processing",
		}, {
			"cancelling", `
metadata: {generation: 2}
spec: {desiredState: Cancelled}
status: {observedGeneration: 2, phase: Cancelling, conditions: [{type: Ready, status: Unknown, reason: Cancelling}]}`,
			"Progressing", "Cancelling",
		}, {
			"completed", `
metadata: {generation: 1}
status:
  observedGeneration: 1
  phase: Completed
  conditions: [{type: Complete, status: "True", reason: Completed}, {type: Ready, status: "True", reason: Completed}]`,
			"Healthy", "Completed",
		}, {
			"cancelled, as asked", `
metadata: {generation: 2}
spec: {desiredState: Cancelled}
status:
  observedGeneration: 2
  phase: Cancelled
  conditions: [{type: Cancelled, status: "True", reason: Cancelled}, {type: Ready, status: "True", reason: Cancelled, message: 1 credit was given back}]`,
			"Healthy", "Cancelled: 1 credit was given back",
		}, {
			"cancelled by somebody else", `
metadata: {generation: 1}
status:
  observedGeneration: 1
  phase: Cancelled
  conditions: [{type: Ready, status: "False", reason: Cancelled, message: cancelled at Dafty}]`,
			"Degraded", "Cancelled: cancelled at Dafty",
		}, {
			"failed", `
metadata: {generation: 1}
status:
  observedGeneration: 1
  phase: Failed
  conditions:
  - {type: Failed, status: "True", reason: GenerationFailed}
  - {type: Ready, status: "False", reason: GenerationFailed, message: the prompt was refused}
  - {type: Stalled, status: "True", reason: GenerationFailed, message: the prompt was refused}`,
			"Degraded", "GenerationFailed: the prompt was refused",
		}, {
			"failed, and nothing says why", `
metadata: {generation: 1}
status: {observedGeneration: 1, phase: Failed}`,
			"Degraded", "The job failed",
		}, {
			"completed long ago and being deleted", `
metadata: {generation: 1, deletionTimestamp: "2026-01-01T00:00:00Z"}
status: {observedGeneration: 1, phase: Completed}`,
			"Progressing", "Being deleted; a running job is cancelled first",
		}, {
			"a phase of a later version", `
metadata: {generation: 1}
status: {observedGeneration: 1, phase: Pondering}`,
			"Progressing", "The job is on its way",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, message := health(t, test.job)
			if status != test.status || message != test.words {
				t.Errorf("%s, %q; want %s, %q", status, message, test.status, test.words)
			}
		})
	}
}

// health runs the script as util/lua of Argo CD v3 does: no library but package, base, table and a cut-down os, and one
// second of time.
func health(t *testing.T, manifest string) (status, message string) {
	t.Helper()
	var job map[string]any
	if err := yaml.Unmarshal([]byte("apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\n"+strings.TrimSpace(manifest)), &job); err != nil {
		t.Fatal(err)
	}
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
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
	hs, ok := l.Get(-1).(*lua.LTable)
	if !ok {
		t.Fatalf("the script returned a %s; Argo CD wants a table", l.Get(-1).Type())
	}
	hs.ForEach(func(k, v lua.LValue) {
		if name := k.String(); v.Type() != lua.LTString || (name != "status" && name != "message") {
			t.Errorf("%s = %v; Argo CD knows the strings status and message", name, v)
		}
	})
	return hs.RawGetString("status").String(), hs.RawGetString("message").String()
}

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
