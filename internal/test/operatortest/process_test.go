package operatortest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const patience = 30 * time.Second

func script(t *testing.T, text string) *Process {
	t.Helper()
	return Run(t, Config{Program: "/bin/sh", Args: []string{"-c", text}, LogFile: filepath.Join(t.TempDir(), "operator.log")})
}

func TestProcessThatEndsIsTold(t *testing.T) {
	p := script(t, "echo 'no such flag'; exit 3")
	err := p.WaitWorking(t.Context())
	if !errors.Is(err, ErrEnded) || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no such flag") {
		t.Errorf("error %v", err)
	}
	if code, err := p.Wait(patience); code != 3 || err != nil || !p.EndedByItself() || p.IsWorking() || p.EndedAt().Before(p.Started) {
		t.Errorf("%d, %v: %+v", code, err, p)
	}
	if err := p.Kill(); err != nil || !p.EndedByItself() {
		t.Errorf("a process that has ended is killed: %v", err)
	}
}

func TestStoppedProcessIsAskedToEnd(t *testing.T) {
	p := script(t, `trap 'echo asked; exit 0' TERM; echo '{"msg":"Starting workers"}'; while :; do sleep 0.1; done`)
	if err := p.WaitWorking(t.Context()); err != nil || !p.IsWorking() {
		t.Fatal(err)
	}
	if err := p.Stop(patience); err != nil || p.Log.Tail(1) != "asked" {
		t.Errorf("%v: %s", err, p.Log)
	}
	if content, err := os.ReadFile(p.file.Name()); err != nil || string(content) != p.Log.String() {
		t.Errorf("the file has %q, %v", content, err)
	}
}

func TestStoppedProcessThatFailsIsTold(t *testing.T) {
	p := script(t, `trap 'exit 2' TERM; echo '{"msg":"Starting workers"}'; while :; do sleep 0.1; done`)
	if err := p.WaitWorking(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(patience); err == nil || !strings.Contains(err.Error(), "exit status 2") {
		t.Errorf("error %v", err)
	}
}

// A program may be a script that starts the operator.
func TestKillEndsTheGroup(t *testing.T) {
	p := script(t, `sleep 600 & echo $!; wait`)
	for !strings.Contains(p.Log.String(), "\n") {
		time.Sleep(10 * time.Millisecond)
	}
	began := time.Now()
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	// Whoever holds the pipes open would be waited for.
	if took := time.Since(began); took > pipesWithin {
		t.Errorf("what the script started lives on; it took %s", took)
	}
	if p.EndedByItself() || p.State().Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %s", p.State())
	}
}

func TestWaitingIsBounded(t *testing.T) {
	p := script(t, `echo waits; sleep 600`)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, errors.New("not in time"))
	defer cancel()
	if err := p.WaitWorking(ctx); err == nil || !strings.Contains(err.Error(), "not in time") {
		t.Errorf("error %v", err)
	}
	if _, err := p.Wait(10 * time.Millisecond); err == nil {
		t.Error("a process that runs has ended")
	}
}

func TestUsage(t *testing.T) {
	p := script(t, `sleep 600`)
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("there is no /proc")
	}
	if _, err := p.CPUTime(); err != nil {
		t.Error(err)
	}
	if resident, peak, err := p.Memory(); err != nil || resident <= 0 || peak < resident {
		t.Errorf("%g, at most %g: %v", resident, peak, err)
	}
}

func TestParseStat(t *testing.T) {
	got, err := parseStat("42 (a (bad) name) S 1 42 42 0 -1 4194560 1000 0 5 0 150 25 0 0 20 0 9 0 100 0 0")
	if want := 1750 * time.Millisecond; err != nil || got != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	if _, err := parseStat(""); err == nil {
		t.Error("no error for a process that is gone")
	}
}
