package soak

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/test/operatortest"
)

const (
	// startWithin bounds a start that waits for no lease.
	startWithin = 30 * time.Second
	// takeOverWithin is the lease's 15 s, the retries, and time for a busy machine.
	takeOverWithin = 60 * time.Second
	// endWithin bounds the end of a process that is asked to end.
	endWithin = 45 * time.Second
	// tailLines is how much of a log an error shows.
	tailLines = 10
)

// program returns the operator's binary: SOAK_MANAGER, or one built from this checkout.
func program(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("SOAK_MANAGER"); path != "" {
		return path
	}
	return operatortest.Program(t)
}

// fleet has all processes of the operator.
type fleet struct {
	t        *testing.T
	timeline *timeline
	program  string
	args     []string

	mu        sync.Mutex
	operators []*operator // all that ever ran
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

// operator is a process of the operator.
type operator struct {
	*operatortest.Process
	mu     sync.Mutex
	paused bool // by SIGSTOP, at present
}

func (f *fleet) start(args ...string) *operator {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	started, err := operatortest.Start(operatortest.Config{
		Name: fmt.Sprintf("op-%d", len(f.operators)+1), Program: f.program, Args: append(args, f.args...),
	})
	if err != nil {
		f.t.Error(err)
		runtime.Goexit() // the goroutine isn't the test's
	}
	p := &operator{Process: started}
	f.operators = append(f.operators, p)
	f.timeline.add(p.Name, "started %s, process %d", strings.Join(args, " "), p.Pid())
	go func() {
		select {
		case <-p.Working():
			f.timeline.add(p.Name, "is at work")
		case <-p.Done():
		}
		<-p.Done()
		f.timeline.add(p.Name, "ended: %s", p.State())
	}()
	return p
}

// kill is kill -9 at a moment that was chosen. It returns when the process is no more.
func (f *fleet) kill(p *operator, why string) {
	if p.Ended() {
		return
	}
	f.timeline.add(p.Name, "kill -9 %s", why)
	f.count(kills)
	f.end(p)
}

// end is kill -9 too, of a process that isn't needed any more.
func (f *fleet) end(p *operator) {
	p.mu.Lock()
	p.paused = false
	p.mu.Unlock()
	if err := p.Kill(); err != nil {
		f.t.Error(err)
	}
}

// What is counted.
const (
	kills     = "kill -9"
	pauses    = "kill -STOP"
	takeovers = "takeover"
)

// pause is kill -STOP: the process doesn't notice the time until it is resumed.
func (f *fleet) pause(p *operator, why string) {
	p.mu.Lock()
	p.paused = true
	p.mu.Unlock()
	f.timeline.add(p.Name, "kill -STOP %s", why)
	f.count(pauses)
	_ = p.Signal(syscall.SIGSTOP)
}

// resume is kill -CONT.
func (f *fleet) resume(p *operator) {
	f.timeline.add(p.Name, "kill -CONT")
	_ = p.Signal(syscall.SIGCONT)
	p.mu.Lock()
	p.paused = false
	p.mu.Unlock()
}

func (f *fleet) killAll() {
	for _, p := range f.all() {
		f.end(p)
	}
}

// finish stops what still runs.
func (f *fleet) finish() {
	for _, p := range f.all() {
		if p.Ended() {
			continue
		}
		f.timeline.add(p.Name, "kill -TERM")
		if err := p.Stop(endWithin); err != nil {
			f.t.Error(err)
		}
	}
}

func (f *fleet) all() []*operator {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*operator(nil), f.operators...)
}

// anyPaused reports whether a process may still be resumed and do what it was about to do.
func (f *fleet) anyPaused() bool {
	for _, p := range f.all() {
		p.mu.Lock()
		stopped := p.paused
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
	return fmt.Sprintf("%d processes, %d × kill -9, %d × kill -STOP, %d takeovers", len(f.all()), f.times(kills), f.times(pauses), f.times(takeovers))
}

// writeLogs writes each process's log into dir, and returns the end of the last two.
func (f *fleet) writeLogs(dir string) string {
	var b strings.Builder
	all := f.all()
	for i, p := range all {
		if err := os.WriteFile(filepath.Join(dir, p.Name+".log"), []byte(p.Log.String()), 0o600); err != nil {
			fmt.Fprintln(&b, err)
		}
		if i >= len(all)-2 {
			fmt.Fprintf(&b, "the last words of %s:\n%s\n", p.Name, p.Log.Tail(20))
		}
	}
	return b.String()
}

// works reports whether the process gets to work within the time, and before ctx is done.
func (p *operator) works(ctx context.Context, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return p.WaitWorking(ctx) == nil
}
