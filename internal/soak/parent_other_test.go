//go:build !linux

package soak

import "syscall"

// withParent has nothing to offer here: a process outlives a test that is killed itself.
func withParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
