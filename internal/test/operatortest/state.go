package operatortest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrEnded is the error of a process that ended without being asked to.
var ErrEnded = errors.New("ended by itself")

// Done is closed once the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended reports whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// EndedByItself reports whether the process has ended without [Process.Kill].
func (p *Process) EndedByItself() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Ended() && !p.killed
}

// EndedAt returns when the process ended; zero while it runs.
func (p *Process) EndedAt() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.endedAt
}

// State returns how the process ended; nil while it runs.
func (p *Process) State() *os.ProcessState {
	if !p.Ended() {
		return nil
	}
	return p.cmd.ProcessState
}

// EndError returns an [ErrEnded] with the state of a process that has ended, and the end of its log.
func (p *Process) EndError() error {
	return fmt.Errorf("%s %w (%s); the end of its log:\n%s", p.Name, ErrEnded, p.State(), p.Log.Tail(tailLines))
}

// Working is closed once the operator starts its workers: its caches are full, and it leads.
func (p *Process) Working() <-chan struct{} { return p.working }

// WorkingSince returns when the workers started; zero before.
func (p *Process) WorkingSince() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.workingSince
}

// IsWorking reports whether the workers have started.
func (p *Process) IsWorking() bool { return !p.WorkingSince().IsZero() }

// WaitWorking returns once the workers have started. It fails if the process ends before, or once ctx is done.
func (p *Process) WaitWorking(ctx context.Context) error {
	select {
	case <-p.working:
		return nil
	case <-p.done:
		return p.EndError()
	case <-ctx.Done():
		return fmt.Errorf("%s doesn't start its workers: %w; the end of its log:\n%s", p.Name, context.Cause(ctx), p.Log.Tail(tailLines))
	}
}

// Wait returns the exit code of the process once it has ended, or an error after the given time.
func (p *Process) Wait(within time.Duration) (code int, err error) {
	select {
	case <-p.done:
		return p.State().ExitCode(), nil
	case <-time.After(within):
		return 0, fmt.Errorf("%s doesn't end within %s; the end of its log:\n%s", p.Name, within, p.Log.Tail(tailLines))
	}
}
