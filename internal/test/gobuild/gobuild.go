package gobuild

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

var (
	// -trimpath makes the same binaries, and the same entries of Go's build cache, in every checkout.
	buildFlags = []string{"-trimpath"}
	// No C compiler is needed. The programs run here, whatever the user compiles for. GOWORK would replace the pins.
	buildEnv = []string{"CGO_ENABLED=0", "GOWORK=off", "GOOS=" + runtime.GOOS, "GOARCH=" + runtime.GOARCH}
)

// interruptedWithin is how long a build may take to end once it is interrupted.
const interruptedWithin = 5 * time.Second

func goBuild(ctx context.Context, c command) error {
	args := append([]string{"build", "-v"}, buildFlags...)
	args = append(args, "-ldflags", c.ldflags, "-o", c.out+string(filepath.Separator))
	cmd := exec.CommandContext(ctx, "go", append(args, c.packages...)...)
	cmd.Dir = c.module
	cmd.Env = slices.Concat(os.Environ(), buildEnv, c.env)
	// In the folder that is removed at the end, also when go has no time to tidy up.
	cmd.Env = append(cmd.Env, "GOTMPDIR="+c.work)
	// An interrupt lets go finish and keep what it just compiles; if that takes long, it is killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = interruptedWithin

	output := &buildOutput{progress: c.progress}
	cmd.Stderr = output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, strings.Join(output.messages, "\n"))
	}
	return nil
}

// packageLine is what go build -v prints for a package that it compiles.
var packageLine = regexp.MustCompile(`^[\w.~-]+(/[\w.~-]+)*$`)

// buildOutput takes what go build writes to stderr: packages are progress, all else is kept for the error.
type buildOutput struct {
	progress func(string)
	messages []string
	rest     []byte // of a line whose end is still to come
}

func (o *buildOutput) Write(p []byte) (int, error) {
	o.rest = append(o.rest, p...)
	for {
		line, rest, found := bytes.Cut(o.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		o.line(string(line))
		o.rest = rest
	}
}

func (o *buildOutput) line(line string) {
	switch {
	case packageLine.MatchString(line):
		o.progress(line)
	case strings.HasPrefix(line, "go: downloading "):
	default:
		const most = 40 // a broken build repeats itself
		o.messages = append(o.messages, line)
		o.messages = o.messages[max(0, len(o.messages)-most):]
	}
}
