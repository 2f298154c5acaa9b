package main

import (
	"testing"

	lua "github.com/yuin/gopher-lua"

	"dafty.ai/dafty-operator/internal/test/argolua"
)

// healthTest is one of Argo CD's form.
type healthTest struct {
	InputPath    string `json:"inputPath"`
	HealthStatus struct {
		Status  string `json:"status"`
		Message string `json:"message"`
	} `json:"healthStatus"`
}

func healthTests(t *testing.T) []healthTest {
	t.Helper()
	var file struct {
		Tests []healthTest `json:"tests"`
	}
	unmarshal(t, read(t, customizations, "health_test.yaml"), &file)
	if len(file.Tests) < 18 {
		t.Errorf("found only %d tests", len(file.Tests))
	}
	return file.Tests
}

func TestHealth(t *testing.T) {
	script := read(t, customizations, "health.lua")
	for _, test := range healthTests(t) {
		t.Run(test.InputPath, func(t *testing.T) {
			job := map[string]any{}
			unmarshal(t, read(t, customizations, test.InputPath), &job)
			_, health := argolua.Run(t, script, job)
			health.ForEach(func(k, v lua.LValue) {
				if name := k.String(); v.Type() != lua.LTString || (name != "status" && name != "message") {
					t.Errorf("%s = %v; Argo CD knows the strings status and message", name, v)
				}
			})
			status, message := health.RawGetString("status").String(), health.RawGetString("message").String()
			if status != test.HealthStatus.Status || message != test.HealthStatus.Message {
				t.Errorf("%s, %q; want %s, %q", status, message, test.HealthStatus.Status, test.HealthStatus.Message)
			}
		})
	}
}
