// Package docstest holds pages of docs/ against what they describe.
package docstest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/internal/test/sourcetree"
)

// Table holds the table with this head in a page against its rows. page is a path from the test's own folder. With
// UPDATE_DOCS=1 it mends the page.
func Table(t *testing.T, page, head string, rows []string) {
	t.Helper()
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(raw), head+"\n")
	line, rest, _ := strings.Cut(rest, "\n")
	if !found {
		t.Fatalf("%s has no table %s", page, head)
	}
	told, after := "", rest
	for strings.HasPrefix(after, "|") {
		var row string
		row, after, _ = strings.Cut(after, "\n")
		told += row + "\n"
	}
	want := strings.Join(rows, "\n") + "\n"
	switch {
	case told == want:
	case os.Getenv("UPDATE_DOCS") == "":
		t.Errorf("%s is behind; mend it with: UPDATE_DOCS=1 go test %s -run %s\nit says:\n%sbut it is:\n%s", page, pkg(t), t.Name(), told, want)
	default:
		if err := os.WriteFile(page, []byte(before+head+"\n"+line+"\n"+want+after), 0o600); err != nil { //nolint:gosec // A test names the page.
			t.Fatal(err)
		}
	}
}

// pkg is the package under test, as go test takes it at the top.
func pkg(t *testing.T) string {
	t.Helper()
	root, err := sourcetree.Root()
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Rel(root, here)
	if err != nil {
		t.Fatal(err)
	}
	return "./" + filepath.ToSlash(path)
}
