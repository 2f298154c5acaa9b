package operatortest

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"dafty.ai/dafty-operator/internal/test/gobuild"
	"dafty.ai/dafty-operator/internal/test/kubetest"
	"dafty.ai/dafty-operator/internal/test/sourcetree"
)

var program struct {
	sync.Once
	path string
	err  error
}

// Program returns the operator's binary, which the first test that asks builds from this checkout. It is removed when the tests of the
// package have run, for which its TestMain calls [kubetest.Main].
func Program(t testing.TB) string {
	t.Helper()
	program.Do(func() {
		var root, dir string
		if root, program.err = sourcetree.Root(); program.err != nil {
			return
		}
		if dir, program.err = os.MkdirTemp("", "dafty-operator-"); program.err != nil { //nolint:usetesting // It outlives the test.
			return
		}
		kubetest.AtEnd(func() error { return os.RemoveAll(dir) })
		program.path = filepath.Join(dir, "manager")
		program.err = gobuild.Operator(t.Context(), root, program.path)
	})
	if program.err != nil {
		t.Fatal(program.err)
	}
	return program.path
}
