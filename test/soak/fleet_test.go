package soak

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/test/sourcetree"
	"dafty.ai/dafty-operator/internal/test/subprocess"
)

const (
	// atWork is in the log once the operator looks after objects; of two, once it leads.
	atWork = "Starting workers"
	// startWithin is for a process that nothing stands in the way of.
	startWithin = 30 * time.Second
	// takeOverWithin is the lease's 15 s, the retries, and patience.
	takeOverWithin = 60 * time.Second
)

// buildManager gives the operator's binary: SOAK_MANAGER, or one built from this checkout.
func buildManager(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("SOAK_MANAGER"); path != "" {
		return path
	}
	root, err := sourcetree.Root()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "manager")
	if err := sourcetree.BuildOperator(t.Context(), root, path, "soak"); err != nil {
		t.Fatal(err)
	}
	return path
}

// fleet is the operator's processes.
type fleet struct {
	t        *testing.T
	timeline *timeline
	program  string
	args     []string

	mu        sync.Mutex
	processes []*process // all that ever ran
	counts    map[string]int
}

func newFleet(t *testing.T, timeline *timeline, program, kubeconfig, daftyURL string) *fleet {
	f := &fleet{
		t: t, timeline: timeline, program: program, counts: map[string]int{},
		args: []string{
			"--kubeconfig=" + kubeconfig, "--dafty-url=" + daftyURL,
			"--metrics-bind-address=0", "--health-probe-bind-address=0", "--zap-log-level=debug",
		},
	}
	t.Cleanup(f.killAll)
	return f
}

// process is one of them.
type process struct {
	name    string
	cmd     *exec.Cmd
	log     *processLog
	ended   chan struct{}
	mu      sync.Mutex
	killed  bool // by us
	stopped bool // by SIGSTOP, at present
}

func (f *fleet) start(args ...string) *process {
	f.mu.Lock()
	p := &process{name: fmt.Sprintf("op-%d", len(f.processes)+1), ended: make(chan struct{}), log: newProcessLog()}
	p.cmd = exec.Command(f.program, append(args, f.args...)...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = subprocess.WithParent(syscall.SIGKILL)
	f.processes = append(f.processes, p)
	f.mu.Unlock()
	if err := p.cmd.Start(); err != nil {
		f.t.Errorf("starting the operator: %v", err)
		close(p.ended)
		return p
	}
	f.timeline.add(p.name, "started %s, process %d", strings.Join(args, " "), p.cmd.Process.Pid)
	go func() {
		_ = p.cmd.Wait() // its state tells
		f.timeline.add(p.name, "ended: %s", p.cmd.ProcessState)
		close(p.ended)
	}()
	go func() {
		select {
		case <-p.log.working:
			f.timeline.add(p.name, "is at work")
		case <-p.ended:
		}
	}()
	return p
}

// kill is kill -9 at a moment that was chosen. It returns when the process is no more.
func (f *fleet) kill(p *process, why string) {
	if p.over() {
		return
	}
	f.timeline.add(p.name, "kill -9 %s", why)
	f.count(kills)
	f.end(p)
}

// end is kill -9 too, of a process whose time is over.
func (f *fleet) end(p *process) {
	p.mu.Lock()
	p.killed, p.stopped = true, false
	p.mu.Unlock()
	if !p.over() {
		_ = p.cmd.Process.Kill() // it may end by itself
		<-p.ended
	}
}

// What is counted.
const (
	kills     = "kill -9"
	stops     = "kill -STOP"
	takeovers = "takeover"
)

// stop is kill -STOP: the process knows nothing of the time that passes until it goes on.
func (f *fleet) stop(p *process, why string) {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	f.timeline.add(p.name, "kill -STOP %s", why)
	f.count(stops)
	_ = p.cmd.Process.Signal(syscall.SIGSTOP)
}

// goOn is kill -CONT.
func (f *fleet) goOn(p *process) {
	f.timeline.add(p.name, "kill -CONT")
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	p.mu.Lock()
	p.stopped = false
	p.mu.Unlock()
}

func (f *fleet) killAll() {
	for _, p := range f.all() {
		f.end(p)
	}
}

// finish ends what still runs in good order.
func (f *fleet) finish() {
	for _, p := range f.all() {
		if p.over() {
			continue
		}
		f.timeline.add(p.name, "kill -TERM")
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
			if code := p.cmd.ProcessState.ExitCode(); code != 0 {
				f.t.Errorf("%s ended with %s when asked to; its last words:\n%s", p.name, p.cmd.ProcessState, p.log.tail(10))
			}
		case <-time.After(45 * time.Second):
			f.t.Errorf("%s doesn't end when asked to; its last words:\n%s", p.name, p.log.tail(10))
		}
	}
}

func (f *fleet) all() []*process {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*process(nil), f.processes...)
}

// anyStopped says whether a process may wake up yet and do what it was about to.
func (f *fleet) anyStopped() bool {
	for _, p := range f.all() {
		p.mu.Lock()
		stopped := p.stopped
		p.mu.Unlock()
		if stopped {
			return true
		}
	}
	return false
}

func (f *fleet) count(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[what]++
}

func (f *fleet) times(what string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[what]
}

func (f *fleet) summary() string {
	return fmt.Sprintf("%d processes, %d × kill -9, %d × kill -STOP, %d takeovers", len(f.all()), f.times(kills), f.times(stops), f.times(takeovers))
}

// lastWords writes each process's log into dir, and gives the end of the last two.
func (f *fleet) lastWords(dir string) string {
	var b strings.Builder
	all := f.all()
	for i, p := range all {
		if err := os.WriteFile(filepath.Join(dir, p.name+".log"), p.log.bytes(), 0o600); err != nil {
			fmt.Fprintln(&b, err)
		}
		if i >= len(all)-2 {
			fmt.Fprintf(&b, "the last words of %s:\n%s\n", p.name, p.log.tail(20))
		}
	}
	return b.String()
}

func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// works waits until the process is at work. It is false where it never will be, or ctx ends.
func (p *process) works(ctx context.Context, within time.Duration) bool {
	select {
	case <-p.log.working:
		return true
	case <-p.ended:
	case <-ctx.Done():
	case <-time.After(within):
	}
	return false
}

func (p *process) endedByItself() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over() && !p.killed
}

// processLog keeps all that a process says.
type processLog struct {
	mu      sync.Mutex
	content bytes.Buffer
	working chan struct{} // closed when it says that it works
	works   bool
}

func newProcessLog() *processLog { return &processLog{working: make(chan struct{})} }

func (l *processLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := max(0, l.content.Len()-len(atWork)) // it may come in two pieces
	_, _ = l.content.Write(b)
	if !l.works && bytes.Contains(l.content.Bytes()[before:], []byte(atWork)) {
		l.works = true
		close(l.working)
	}
	return len(b), nil
}

func (l *processLog) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.content.Bytes())
}

func (l *processLog) tail(lines int) string {
	all := strings.Split(strings.TrimSpace(string(l.bytes())), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
