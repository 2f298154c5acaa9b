package kubeassets

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

var (
	// -trimpath makes the same binaries, and the same entries of Go's build cache, in every checkout.
	buildFlags = []string{"-trimpath"}
	// No C compiler is needed. The programs run here, whatever the user compiles for. GOWORK would replace the pins.
	buildEnv = []string{"CGO_ENABLED=0", "GOWORK=off", "GOOS=" + runtime.GOOS, "GOARCH=" + runtime.GOARCH}
)

// ldflags stamp the version as a Kubernetes release does: without it kube-apiserver doesn't know which version it is
// compatible with.
func ldflags(version string) string {
	const pkg = "k8s.io/component-base/version"
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	return fmt.Sprintf("-s -w -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=%[3]s -X %[1]s.gitMinor=%[4]s", pkg, version, parts[0], parts[1])
}

func goBuild(ctx context.Context, module, ldflags string, packages []string, out, work string, progress func(string)) error {
	args := append([]string{"build", "-v"}, buildFlags...)
	args = append(args, "-ldflags", ldflags, "-o", out+string(filepath.Separator))
	cmd := exec.CommandContext(ctx, "go", append(args, packages...)...)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), buildEnv...)
	// In the folder that is removed at the end, also when go has no time to tidy up.
	cmd.Env = append(cmd.Env, "GOTMPDIR="+work)
	// An interrupt lets go finish and keep what it just compiles; if that takes long, it is killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second

	output := &buildOutput{progress: progress}
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
