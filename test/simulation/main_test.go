package simulation

import (
	"os"
	"runtime/debug"
	"testing"
)

func TestMain(m *testing.M) {
	// Each history leaves little behind and makes much waste: collecting it less often pays.
	debug.SetGCPercent(800)
	os.Exit(m.Run())
}
