package kubetest

import (
	"fmt"
	"os/exec"
	"testing"
	"time"
)

// A program may be anywhere between its start and its first words when the process dies: it is ended all the same.
func TestProgramsThatStartAtTheEndAreEnded(t *testing.T) {
	const rounds, programs = 60, 16
	tail, err := exec.LookPath("tail")
	if err != nil {
		t.Fatal(err)
	}
	for i := range rounds {
		dir := t.TempDir()
		w, err := startWatchdog(dir)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{}, programs)
		var cmds []*exec.Cmd
		for n := range programs {
			program, err := w.wrap(fmt.Sprintf("tail-%d", n), tail)
			if err != nil {
				t.Fatal(err)
			}
			cmds = append(cmds, exec.CommandContext(t.Context(), program, "-f", "/dev/null", dir))
		}
		for _, cmd := range cmds {
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			go func() {
				_ = cmd.Wait() // it was killed
				ended <- struct{}{}
			}()
		}
		time.Sleep(time.Duration(i) * 10 * time.Millisecond / rounds) // each round hits another moment of the start
		if err := w.stop(); err != nil {
			t.Error(err)
		}
		overdue := time.After(10 * time.Second)
		for range programs {
			select {
			case <-ended:
			case <-overdue:
				t.Fatalf("round %d: a program lives on", i)
			}
		}
	}
}
