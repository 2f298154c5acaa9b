package main

import (
	"cmp"
	"fmt"
	"runtime"
)

// commit is stamped by the build, as version is.
var commit = ""

// versionLine is what --version prints: enough to build the same program again.
func versionLine() string {
	return fmt.Sprintf("dafty-operator %s (commit %s, %s, %s/%s)",
		buildVersion(), cmp.Or(commit, "unknown"), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
