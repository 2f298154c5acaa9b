package operatortest

import (
	"os/exec"
	"syscall"
)

// startWithParent starts a process that the kernel sends a signal to when this one dies. The caller releases it once it has ended.
func startWithParent(cmd *exec.Cmd, signal syscall.Signal) (release func(), err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: signal}
	return func() {}, cmd.Start()
}
