package process

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/test/operatortest"
	"dafty.ai/dafty-operator/internal/test/sourcetree"
	"dafty.ai/dafty-operator/internal/test/subprocess"
)

// program is the operator's binary, built by the first test that wants it, and gone with the last.
var program struct {
	sync.Mutex
	dir   string
	users int
}

func build(t *testing.T) string {
	t.Helper()
	program.Lock()
	defer program.Unlock()
	if program.users == 0 {
		root, err := sourcetree.Root()
		if err != nil {
			t.Fatal(err)
		}
		if program.dir, err = os.MkdirTemp("", "dafty-operator-"); err != nil { //nolint:usetesting // It outlives the test.
			t.Fatal(err)
		}
		if err := sourcetree.BuildOperator(t.Context(), root, filepath.Join(program.dir, "manager"), "test"); err != nil {
			t.Fatal(err)
		}
	}
	program.users++
	t.Cleanup(func() {
		program.Lock()
		defer program.Unlock()
		if program.users--; program.users == 0 {
			_ = os.RemoveAll(program.dir)
		}
	})
	return filepath.Join(program.dir, "manager")
}

// operator is one process.
type operator struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	probes string
	dafty  *door
	log    *operatortest.Log
	ended  chan struct{}
	// over is when it ended.
	over time.Time
}

// start runs an operator for the stage's namespace alone. env are further environment variables.
func (s *stage) start(name string, env []string, args ...string) *operator {
	s.t.Helper()
	p := &operator{t: s.t, name: name, probes: operatortest.FreeAddress(s.t), dafty: s.door(), log: &operatortest.Log{}, ended: make(chan struct{})}
	p.cmd = exec.Command(build(s.t), append([]string{
		"--kubeconfig=" + s.Kubeconfig, "--watch-namespaces=" + s.Namespace, "--leader-election-namespace=" + s.Namespace,
		"--dafty-url=" + p.dafty.url, "--health-probe-bind-address=" + p.probes,
	}, args...)...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = subprocess.WithParent(syscall.SIGKILL)
	if err := p.cmd.Start(); err != nil {
		s.t.Fatalf("starting the operator: %v", err)
	}
	go func() {
		_ = p.cmd.Wait() // its state tells
		p.over = time.Now()
		close(p.ended)
	}()
	s.t.Cleanup(func() {
		if !p.hasEnded() {
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
		if s.t.Failed() {
			s.t.Logf("the log of %s:\n%s", p.name, p.log.String())
		}
	})
	return p
}

func (p *operator) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func (p *operator) signal(which syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(which); err != nil {
		p.t.Errorf("%s: %v", which, err)
	}
}

// ends waits until it has ended, and gives its exit code.
func (p *operator) ends(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(within):
		p.t.Fatalf("%s doesn't end", p.name)
	}
	return p.cmd.ProcessState.ExitCode()
}

// probe asks a health check, and gives status 0 where there is no answer.
func (p *operator) probe(path string) (status int, body string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.probes+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := (&http.Client{Timeout: 5 * time.Second}).Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	raw, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(raw)
}

func (p *operator) ready() bool {
	status, _ := p.probe("/readyz")
	return status == http.StatusOK
}

// leads says whether its workers have started.
func (p *operator) leads() bool { return strings.Contains(p.log.String(), "Starting workers") }

// lines are the log's, as the objects that they are.
func (p *operator) lines() []map[string]any {
	p.t.Helper()
	var lines []map[string]any
	for line := range strings.Lines(p.log.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			p.t.Errorf("%s says what is no line of JSON: %s", p.name, line)
			continue
		}
		lines = append(lines, fields)
	}
	return lines
}
