package operatortest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"syscall"
)

// guardScript waits for a line on stdin, which says that the process has ended, or for the end of stdin, which the kernel brings about when
// this process dies.
const guardScript = `read -r _ || kill -s "$1" -- -"$2"`

// guard has a shell send a signal to a process group when this process dies, until release is called.
func guard(group int, signal syscall.Signal) (release func(), err error) {
	cmd := exec.CommandContext(context.Background(), "/bin/sh", "-c", guardScript, "guard", strconv.Itoa(int(signal)), strconv.Itoa(group))
	// Out of our process group, so that a Ctrl-C in a terminal leaves it alive to do its work.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the guard: %w", err)
	}
	return func() {
		_, _ = io.WriteString(pipe, "ended\n") // it may have been killed itself
		_ = pipe.Close()
		_ = cmd.Wait()
	}, nil
}

// startGuarded starts a process with a guard.
func startGuarded(cmd *exec.Cmd, signal syscall.Signal) (release func(), err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	release, err = guard(cmd.Process.Pid, signal)
	if err != nil {
		err = errors.Join(err, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
		return nil, err
	}
	return release, nil
}
