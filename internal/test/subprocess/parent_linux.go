package subprocess

import "syscall"

// WithParent has the kernel send a signal to the process when this one dies, however it does.
func WithParent(signal syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: signal}
}
