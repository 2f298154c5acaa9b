package gobuild

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// OperatorVersion is what an operator that was built by [Operator] says of itself.
const OperatorVersion = "test"

// Operator builds the operator of the checkout at root into a file that isn't there yet: see [Main].
func Operator(ctx context.Context, root, file string) error {
	return Main(ctx, root, "operator", file, "-buildvcs=false", "-ldflags", "-X main.version="+OperatorVersion, ".")
}

// Main builds a main package into a file that isn't there yet, by go build with the given arguments in the folder of its module. Go
// compiles and links only what has changed since the last call of this kind for this folder, whoever made it: a copy is kept in the
// user's cache folder.
func Main(ctx context.Context, folder, kind, file string, args ...string) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("no folder to keep the %s in: %w", kind, err)
	}
	kept := filepath.Join(cache, "dafty-operator", kind, fmt.Sprintf("%x", sha256.Sum256([]byte(folder)))[:16], filepath.Base(file))
	if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
		return err
	}
	unlock, err := lock(ctx, kept+".lock", 50*time.Millisecond, func() {})
	if err != nil {
		return err
	}
	defer unlock()
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-o", kept}, args...)...)
	cmd.Dir = folder
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = interruptedWithin
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, bytes.TrimSpace(output))
	}
	return linkOrCopy(kept, file)
}

// linkOrCopy makes a program of its own: the go command replaces a file that it has built before, and doesn't write into it.
func linkOrCopy(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	// It is on another file system.
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		_ = target.Close() // it is of no use
		return err
	}
	return target.Close()
}
