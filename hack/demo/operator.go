package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

var errOperatorEnded = errors.New("the operator ended by itself")

const (
	// operatorReady is in the log once the operator has read what there is and looks after it.
	operatorReady = `"Starting workers"`
	readyWithin   = time.Minute
	stopWithin    = 5 * time.Second
)

// guardScript runs a program and ends it when stdin does: the kernel closes that for us however we die.
const guardScript = `
exec 3<&0
"$@" </dev/null 3<&- &
program=$!
(while read -r _; do :; done; kill "$program") <&3 &
guard=$!
wait "$program"
code=$?
kill "$guard" 2>/dev/null
exit "$code"
`

// operator is the operator as a process of its own.
type operator struct {
	cmd   *exec.Cmd
	stdin io.Closer
	log   string
	ended chan struct{}
}

// startOperator returns when the operator is at work.
func startOperator(ctx context.Context, program, log string, args ...string) (*operator, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()

	o := &operator{log: log, ended: make(chan struct{})}
	o.cmd = exec.Command("/bin/sh", append([]string{"-c", guardScript, "guard", program}, args...)...)
	o.cmd.Stdout, o.cmd.Stderr = file, file
	// Out of our process group, so that a Ctrl-C reaches it when its turn has come.
	o.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if o.stdin, err = o.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := o.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the operator: %w", err)
	}
	go func() {
		defer close(o.ended)
		_ = o.cmd.Wait() // whyEnded tells from its state
	}()
	if err := o.ready(ctx); err != nil {
		return nil, errors.Join(err, o.stop())
	}
	return o, nil
}

func (o *operator) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("the operator wasn't ready within %s; its log is %s", readyWithin, o.log))
	defer cancel()
	for {
		content, err := os.ReadFile(o.log)
		if err != nil {
			return err
		}
		if bytes.Contains(content, []byte(operatorReady)) {
			return nil
		}
		select {
		case <-o.ended:
			return o.whyEnded()
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// wait returns when the operator has ended by itself, and nil when ctx has.
func (o *operator) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-o.ended:
		return o.whyEnded()
	}
}

func (o *operator) whyEnded() error {
	content, err := os.ReadFile(o.log)
	if err != nil {
		return errors.Join(errOperatorEnded, err)
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	const tail = 5
	return fmt.Errorf("%w (%s); the end of %s:\n%s", errOperatorEnded, o.cmd.ProcessState, filepath.Base(o.log),
		strings.Join(lines[max(0, len(lines)-tail):], "\n"))
}

// stop ends the operator in good order, or at once if that takes long.
func (o *operator) stop() error {
	if err := o.stdin.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	select {
	case <-o.ended:
		return nil
	case <-time.After(stopWithin):
		return syscall.Kill(-o.cmd.Process.Pid, syscall.SIGKILL)
	}
}
