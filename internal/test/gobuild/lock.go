//go:build linux || darwin || freebsd || netbsd || openbsd

package gobuild

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// lock takes the lock file for this process, and waits for it where another one has it. The kernel releases it when its
// holder dies, however that happens, so there are no stale locks.
func (b *builder) lock(ctx context.Context, file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for waiting := false; ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			// The file stays: whoever waits has it open, and a new one of the same name would be another lock.
			return func() { _ = f.Close() }, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			_ = f.Close()
			return nil, fmt.Errorf("locking %s: %w", file, err)
		case !waiting:
			waiting = true
			fmt.Fprintf(b.log, "%s: another process is building them; waiting for it\n", b.Name)
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("interrupted while another process built them: %w", context.Cause(ctx))
		case <-time.After(b.poll):
		}
	}
}
