package process

import "syscall"

// withParent has the kernel kill the process when this one dies, however it does.
func withParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
