//go:build e2e

package flux

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// built has the programs, which are built before go test's timeout starts.
var built Programs

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	log.SetLogger(logr.Discard()) // controller-runtime's, which would complain that there is none
	if _, err := exec.LookPath("git"); err != nil {
		fmt.Fprintln(os.Stderr, "the source needs git, and there is none on PATH; install it (on Debian and Ubuntu: apt-get install --no-install-recommends git)")
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	built, err = Build(ctx, os.Stderr)
	stop() // from here on the signals end this process, and with it all that it guards
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
