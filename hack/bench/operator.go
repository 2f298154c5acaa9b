package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"dafty.ai/dafty-operator/internal/test/subprocess"
)

const readyWithin = 3 * time.Minute

// operator is the operator as a process of its own.
type operator struct {
	cmd     *exec.Cmd
	metrics string // address
	log     *operatorLog
	began   time.Time
	ended   chan struct{}
	killed  atomic.Bool // by us
}

// startOperator starts an operator, which isn't at work yet.
func (st *stage) startOperator() (*operator, error) {
	metrics, err := subprocess.FreeAddress()
	if err != nil {
		return nil, err
	}
	st.started++
	log, err := newOperatorLog(filepath.Join(st.logs, fmt.Sprintf("operator-%d.log", st.started)))
	if err != nil {
		return nil, err
	}
	args := append([]string{
		"--kubeconfig=" + st.cp.Kubeconfig, "--dafty-url=" + st.dafty.url,
		"--metrics-bind-address=" + metrics, "--health-probe-bind-address=0",
	}, st.operatorArgs...)
	o := &operator{cmd: exec.Command(st.program, args...), metrics: metrics, log: log, began: time.Now(), ended: make(chan struct{})}
	o.cmd.Env = append(os.Environ(), st.dafty.environment()...)
	o.cmd.Stdout, o.cmd.Stderr = log, log
	o.cmd.SysProcAttr = subprocess.WithParent(syscall.SIGKILL)
	o.cmd.SysProcAttr.Setpgid = true
	if err := o.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the operator: %w", err), log.close())
	}
	st.operator = o
	st.stopping(o.kill)
	go func() {
		_ = o.cmd.Wait() // its state tells
		close(o.ended)
		if !o.killed.Load() {
			st.giveUp(fmt.Errorf("the operator ended by itself (%s); its last words:\n%s", o.cmd.ProcessState, log.tail()))
		}
	}()
	return o, nil
}

// startWorking starts an operator and returns when it is at work.
func (st *stage) startWorking(ctx context.Context) (*operator, error) {
	o, err := st.startOperator()
	if err != nil {
		return nil, err
	}
	return o, o.working(ctx)
}

// working returns when the operator has read what there is and looks after it.
func (o *operator) working(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("the operator wasn't at work within %s; its last words:\n%s", readyWithin, o.log.tail()))
	defer cancel()
	select {
	case <-o.log.working:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// kill is kill -9. It returns when the process is no more; calling it twice does no harm.
func (o *operator) kill() error {
	if o.killed.Swap(true) {
		return nil
	}
	// Its group, as its program may be a script that starts it.
	if err := syscall.Kill(-o.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	<-o.ended
	return o.log.close()
}

func (o *operator) pid() int { return o.cmd.Process.Pid }

const (
	// atWork is in the log once the operator looks after objects.
	atWork = `"Starting workers"`
	// errorLevel is in each line of the log that tells of an error.
	errorLevel = `"level":"error"`
	keptLines  = 10
)

// operatorLog writes what an operator says to a file, and listens.
type operatorLog struct {
	working chan struct{} // closed when it is at work

	mu       sync.Mutex
	file     *os.File
	rest     []byte // of a line whose end hasn't come yet
	last     []string
	workedAt time.Time
	errored  int
	lastErr  string
}

func newOperatorLog(path string) (*operatorLog, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &operatorLog{working: make(chan struct{}), file: file}, nil
}

func (l *operatorLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, b...)
	for {
		end := bytes.IndexByte(l.rest, '\n')
		if end < 0 {
			break
		}
		l.hear(string(l.rest[:end]))
		l.rest = l.rest[end+1:]
	}
	return l.file.Write(b)
}

func (l *operatorLog) hear(line string) {
	l.last = append(l.last[max(0, len(l.last)-keptLines+1):], line)
	if l.workedAt.IsZero() && strings.Contains(line, atWork) {
		l.workedAt = time.Now()
		close(l.working)
	}
	if strings.Contains(line, errorLevel) {
		l.errored++
		l.lastErr = line
	}
}

// at is when it was at work, zero where it isn't yet.
func (l *operatorLog) at() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.workedAt
}

// errors is how many it told of, and the last.
func (l *operatorLog) errors() (n int, last string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.errored, l.lastErr
}

func (l *operatorLog) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.last, "\n")
}

func (l *operatorLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}
