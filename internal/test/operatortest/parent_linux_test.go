package operatortest

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is also a parent that is killed.
const envParent = "OPERATORTEST_PARENT"

func TestMain(m *testing.M) {
	if how := os.Getenv(envParent); how != "" {
		beParent(starters[how])
	}
	os.Exit(m.Run())
}

var starters = map[string]func(*exec.Cmd, syscall.Signal) (func(), error){
	"by the kernel": startWithParent,
	"by a guard":    startGuarded, // as on other systems
}

// beParent starts a process, prints its id, and waits to be killed.
func beParent(start func(*exec.Cmd, syscall.Signal) (func(), error)) {
	child := exec.CommandContext(context.Background(), "sleep", "600")
	if _, err := start(child, syscall.SIGTERM); err != nil {
		panic(err)
	}
	fmt.Println(child.Process.Pid)
	select {}
}

func TestProcessEndsWithItsParent(t *testing.T) {
	for how := range starters {
		t.Run(how, func(t *testing.T) { endsWithItsParent(t, how) })
	}
}

func endsWithItsParent(t *testing.T, how string) {
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), envParent+"="+how)
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 32)
	n, err := stdout.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, stdout)
	_ = parent.Wait() // it was killed
	// Whoever inherits the process may leave it a zombie, which has no command line.
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		words, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child))
		if err != nil || len(words) == 0 {
			return
		}
		if time.Now().After(deadline) {
			_ = syscall.Kill(child, syscall.SIGKILL)
			t.Fatalf("process %d outlives its parent", child)
		}
	}
}

// A process that has ended isn't signalled any more: its id may be another's.
func TestReleasedGuardEnds(t *testing.T) {
	process := exec.CommandContext(t.Context(), "sleep", "600")
	release, err := startGuarded(process, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if err := process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = process.Wait() // see its state
	if status := process.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGTERM {
		t.Errorf("it ended by %s", status.Signal())
	}
}
