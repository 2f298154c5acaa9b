package simulation

import (
	"fmt"
	"os"
	"runtime/debug"
	"testing"
)

func TestMain(m *testing.M) {
	// Each history leaves little behind and makes much waste: collecting it less often pays.
	debug.SetGCPercent(800)
	code := m.Run()
	if problem := keyInCounters(); problem != "" {
		fmt.Fprintln(os.Stderr, problem)
		code = max(code, 1)
	}
	os.Exit(code)
}
