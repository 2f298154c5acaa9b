// Command demo shows the operator at work on a machine with Go, git and make only: a real Kubernetes control plane, a
// simulated Dafty and the operator come up, and real kubectl applies config/samples, its campaigns, and an account that two namespaces
// share.
//
// In a terminal it stays up to be played with until Ctrl-C. Without one it ends by itself, with exit code 0 only if every sample ended as
// expected. Either way all that it started is stopped; its logs and pictures are kept.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second Ctrl-C doesn't wait for an orderly end
	err := run(ctx, newScreen(os.Stdout, os.Stderr, os.Getenv))
	switch {
	case errors.Is(err, errInterrupted):
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(130) // as a shell has it for an interrupted program
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}
