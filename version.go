package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is stamped by the build.
var version = ""

// commit is stamped by the build, as version is.
var commit = ""

// versionLine is what --version prints: enough to build the same program again.
func versionLine() string {
	return fmt.Sprintf("dafty-operator %s (commit %s, %s, %s/%s)",
		buildVersion(), cmp.Or(commit, "unknown"), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// buildVersion is the version stamped by the build, else the module's.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
