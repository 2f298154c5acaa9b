package process

import (
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/test/operatortest"
)

// operator is a process with a Dafty of its own.
type operator struct {
	*operatortest.Process
	t      *testing.T
	probes string // address
	dafty  *daftyProxy
}

// start runs an operator that watches only the namespace of the test. env are further environment variables.
func (e *env) start(name string, env []string, args ...string) *operator {
	e.t.Helper()
	p := &operator{t: e.t, probes: operatortest.FreeAddress(e.t), dafty: e.newProxy()}
	p.Process = operatortest.Run(e.t, operatortest.Config{
		Name: name, Program: operatortest.Program(e.t), Env: env, APIKeys: []string{apiKey},
		Args: append([]string{
			"--kubeconfig=" + e.Kubeconfig, "--watch-namespaces=" + e.Namespace, "--leader-election-namespace=" + e.Namespace,
			"--dafty-url=" + p.dafty.url, "--health-probe-bind-address=" + p.probes,
		}, args...),
	})
	return p
}

func (p *operator) signal(which syscall.Signal) {
	p.t.Helper()
	if err := p.Signal(which); err != nil {
		p.t.Error(err)
	}
}

// ends waits until the process has ended, and returns its exit code.
func (p *operator) ends(within time.Duration) int {
	p.t.Helper()
	code, err := p.Wait(within)
	if err != nil {
		p.t.Fatal(err)
	}
	return code
}

// probe returns the answer of a health check; status 0 if there is none.
func (p *operator) probe(path string) (status int, body string) {
	p.t.Helper()
	return operatortest.Get(p.t, "http://"+p.probes+path, "")
}

func (p *operator) ready() bool {
	status, _ := p.probe("/readyz")
	return status == http.StatusOK
}

// lines returns the log's lines, which are JSON objects.
func (p *operator) lines() []map[string]any {
	p.t.Helper()
	var lines []map[string]any
	for line := range strings.Lines(p.Log.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			p.t.Errorf("%s writes a line that isn't JSON: %s", p.Name, line)
			continue
		}
		lines = append(lines, fields)
	}
	return lines
}
