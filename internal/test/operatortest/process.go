package operatortest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// startingWorkers is in the log once the operator has filled its caches and leads.
	startingWorkers = `"Starting workers"`
	// tailLines is how much of a log an error has.
	tailLines = 10
	// pipesWithin is how long a process of the operator's own may keep its output open after its end.
	pipesWithin = 5 * time.Second
)

// Config is what a process is started with.
type Config struct {
	// Name stands for the process in messages; empty: "the operator".
	Name string
	// Program is the operator's binary, or a program that runs it.
	Program string
	Args    []string
	// Env is added to the environment of this process.
	Env []string
	// LogFile, if not empty, gets the log too.
	LogFile string
	// APIKeys must not be in the log: see [Run].
	APIKeys []string
	// ParentDeath is the signal that the process gets when this one dies, however it dies; 0: SIGKILL.
	ParentDeath syscall.Signal
}

// Process is the operator as a process of its own.
type Process struct {
	Name string
	// Log is what the process has written to stdout and stderr so far.
	Log *Log
	// Started is when the process was started.
	Started time.Time

	cmd     *exec.Cmd
	working chan struct{} // closed once its workers start
	done    chan struct{} // closed once it has ended

	mu           sync.Mutex
	file         *os.File
	line         []byte // whose end isn't written yet
	workingSince time.Time
	endedAt      time.Time
	killed       bool
}

// Start starts a process in a process group of its own, so that a Ctrl-C in a terminal doesn't reach it. It doesn't outlive this
// process.
func Start(c Config) (*Process, error) {
	p := &Process{
		Name: cmp.Or(c.Name, "the operator"), Log: &Log{}, Started: time.Now(),
		cmd:     exec.CommandContext(context.Background(), c.Program, c.Args...), // it ends by Kill, or with this process
		working: make(chan struct{}), done: make(chan struct{}),
	}
	if c.LogFile != "" {
		var err error
		if p.file, err = os.Create(c.LogFile); err != nil {
			return nil, err
		}
	}
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.Stdout, p.cmd.Stderr = (*output)(p), (*output)(p)
	p.cmd.WaitDelay = pipesWithin
	release, err := startWithParent(p.cmd, cmp.Or(c.ParentDeath, syscall.SIGKILL))
	if err != nil {
		_ = p.file.Close() // nil or empty
		return nil, fmt.Errorf("starting %s: %w", p.Name, err)
	}
	go func() {
		_ = p.cmd.Wait() // see State
		release()
		_ = p.file.Close()
		p.mu.Lock()
		p.endedAt = time.Now()
		p.mu.Unlock()
		close(p.done)
	}()
	return p, nil
}

// Run starts a process that is killed when the test ends. An API key in its log fails the test. The log of a test that fails is printed.
func Run(t testing.TB, c Config) *Process {
	t.Helper()
	p, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
		if key, form := FindKey(p.Log.String(), c.APIKeys...); key != "" {
			t.Errorf("the API key %s is in the log of %s, %s", key, p.Name, form)
		}
		if t.Failed() {
			t.Logf("the log of %s:\n%s", p.Name, p.Log)
		}
	})
	return p
}

// Stop asks the process to end, as the kubelet does, and waits for that. To end with another exit code than 0 is an error too.
func (p *Process) Stop(within time.Duration) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if _, err := p.Wait(within); err != nil {
		return err
	}
	if !p.State().Success() {
		return fmt.Errorf("%s ended with %s; the end of its log:\n%s", p.Name, p.State(), p.Log.Tail(tailLines))
	}
	return nil
}

// Signal sends a signal. It fails if the process has ended.
func (p *Process) Signal(signal syscall.Signal) error {
	if err := p.cmd.Process.Signal(signal); err != nil {
		return fmt.Errorf("%s to %s: %w", signal, p.Name, err)
	}
	return nil
}

// Kill is kill -9 of the process and of its children, as the program may be a script that runs the operator. It returns once the process has
// ended, and does nothing if it has ended already.
func (p *Process) Kill() error {
	p.mu.Lock()
	p.killed = p.killed || !p.Ended()
	p.mu.Unlock()
	if p.Ended() {
		return nil
	}
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("killing %s: %w", p.Name, err)
	}
	<-p.done
	return nil
}

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// output takes in what a process writes.
type output Process

func (o *output) Write(b []byte) (int, error) {
	_, _ = o.Log.Write(b) // to memory
	o.mu.Lock()
	defer o.mu.Unlock()
	o.line = append(o.line, b...)
	for {
		line, rest, found := bytes.Cut(o.line, []byte("\n"))
		if !found {
			break
		}
		if o.workingSince.IsZero() && strings.Contains(string(line), startingWorkers) {
			o.workingSince = time.Now()
			close(o.working)
		}
		o.line = rest
	}
	if o.file == nil {
		return len(b), nil
	}
	return o.file.Write(b)
}
