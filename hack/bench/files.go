package main

import "syscall"

// manyFiles is enough for a connection per job of the largest scenario, should each need one.
const manyFiles = 65536

// raiseFileLimit lets this process and those that it starts open many files: where the hard limit can't be raised, as
// many as it allows.
func raiseFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Cur >= manyFiles {
		return nil
	}
	if limit.Max < manyFiles {
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: manyFiles, Max: manyFiles}) == nil {
			return nil
		}
	}
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: min(limit.Max, manyFiles), Max: limit.Max})
}
