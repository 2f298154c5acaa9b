// Package docstest holds pages of docs/ against what they describe.
package docstest

import (
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// Table holds the table with this head in a page against its rows. page is a path from the test's own folder. With
// UPDATE_DOCS=1, as make docs runs it, it mends the page.
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
		t.Errorf("%s is behind; mend it with: make docs\nit says:\n%sbut it is:\n%s", page, told, want)
	default:
		if err := os.WriteFile(page, []byte(before+head+"\n"+line+"\n"+want+after), 0o600); err != nil { //nolint:gosec // A test names the page.
			t.Fatal(err)
		}
	}
}

// Object holds a file against the object that it shows. With UPDATE_DOCS=1, as make docs runs it, it mends the file.
func Object(t *testing.T, path string, object map[string]any) {
	t.Helper()
	want, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	switch is, err := os.ReadFile(path); {
	case err == nil && string(is) == string(want):
	case os.Getenv("UPDATE_DOCS") == "":
		t.Errorf("%s is behind (%v); mend it with: make docs", path, err)
	default:
		if err := os.WriteFile(path, want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
