package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Main runs the tests of a suite, and returns the code to exit with. The programs that are needed have to be on PATH, under the names of their packages in
// Debian. build builds the others, before go test's timeout starts, with progress on its log.
func Main(m *testing.M, needed []string, build func(context.Context, io.Writer) error) int {
	log.SetLogger(logr.Discard()) // controller-runtime's, which would complain that there is none
	for _, program := range needed {
		if _, err := exec.LookPath(program); err != nil {
			fmt.Fprintf(os.Stderr, "the tests need %[1]s, and there is none on PATH; install it (on Debian and Ubuntu: apt-get install --no-install-recommends %[1]s)\n",
				program)
			return 1
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := build(ctx, os.Stderr)
	stop() // from here on the signals end this process, and with it all that it guards
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
