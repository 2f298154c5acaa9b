//go:build !linux

package subprocess

import "syscall"

// WithParent has nothing to offer here: a process outlives a parent that is killed.
func WithParent(syscall.Signal) *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
