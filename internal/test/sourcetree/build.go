package sourcetree

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// stopWithin is how long a build may take to end once it is interrupted.
const stopWithin = 5 * time.Second

// BuildOperator compiles the operator of the checkout at root into a program that names itself by version: as it is shipped
// otherwise, so that what Go compiled before is used again.
func BuildOperator(ctx context.Context, root, program, version string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-ldflags", "-X main.version="+version, "-o", program, ".")
	cmd.Dir = root
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopWithin
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, bytes.TrimSpace(output))
	}
	return nil
}
