//go:build !linux

package operatortest

import (
	"os/exec"
	"syscall"
)

// startWithParent starts a process that gets a signal when this one dies. The caller releases it once it has ended.
func startWithParent(cmd *exec.Cmd, signal syscall.Signal) (release func(), err error) {
	return startGuarded(cmd, signal)
}
