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

// lock takes the lock file for this process. If another one has it, waiting is called once, and the lock is tried again each poll. The
// kernel releases it when its holder dies, however that happens, so there are no stale locks.
func lock(ctx context.Context, file string, poll time.Duration, waiting func()) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for told := false; ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			// The file stays: whoever waits has it open, and a new one of the same name would be another lock.
			return func() { _ = f.Close() }, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			_ = f.Close()
			return nil, fmt.Errorf("locking %s: %w", file, err)
		case !told:
			told = true
			waiting()
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("interrupted while another process was building: %w", context.Cause(ctx))
		case <-time.After(poll):
		}
	}
}
