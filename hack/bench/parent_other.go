//go:build !linux

package main

import "syscall"

// withParent: elsewhere a process outlives a bench that is killed by force.
func withParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
