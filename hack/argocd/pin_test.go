package argocd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The go command heeds the replacements of the main module only, so Argo CD's own have to be copied.
func TestTheReplacementsAreArgoCDs(t *testing.T) {
	output, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/argoproj/argo-cd/v3").Output()
	if err != nil {
		t.Fatal(err)
	}
	want, got := replacements(t, filepath.Join(strings.TrimSpace(string(output)), "go.mod")), replacements(t, "go.mod")
	if !slices.Equal(got, want) || len(got) < 10 {
		t.Errorf("go.mod replaces\n%s\nand Argo CD\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// replacements of a go.mod, but for those by folders: such a module is released beside Argo CD.
func replacements(t *testing.T, file string) []string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(content)) {
		if _, with, ok := strings.Cut(line, " => "); ok && !strings.HasPrefix(with, ".") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	slices.Sort(found)
	return found
}
