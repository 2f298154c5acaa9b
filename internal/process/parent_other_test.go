//go:build !linux

package process

import "syscall"

// withParent has nothing to offer here: a process outlives a test that is killed itself.
func withParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
