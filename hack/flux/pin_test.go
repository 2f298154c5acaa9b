package flux_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var controllers = []string{"github.com/fluxcd/kustomize-controller", "github.com/fluxcd/source-controller"}

// The go command heeds the replacements of the main module only, so the controllers' own have to be copied.
func TestTheReplacementsAreTheControllers(t *testing.T) {
	var want []string
	for _, controller := range controllers {
		want = append(want, lines(t, goMod(t, controller), replacement)...)
	}
	slices.Sort(want)
	want = slices.Compact(want)
	if got := lines(t, "go.mod", replacement); !slices.Equal(got, want) || len(got) == 0 {
		t.Errorf("go.mod replaces\n%s\nand the controllers\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// One module pins both controllers, and of each library the later of their versions. What applies, prunes and waits has to be that of kustomize-controller.
func TestTheApplyingLibrariesAreKustomizeControllers(t *testing.T) {
	library := func(line string) string {
		name, version, _ := strings.Cut(strings.TrimSuffix(strings.TrimSpace(line), " // indirect"), " ")
		if slices.Contains([]string{"github.com/fluxcd/cli-utils", "github.com/fluxcd/pkg/ssa", "github.com/fluxcd/pkg/runtime"}, name) {
			return name + " " + version
		}
		return ""
	}
	want := lines(t, goMod(t, controllers[0]), library)
	if got := lines(t, "go.mod", library); !slices.Equal(got, want) || len(got) != 3 {
		t.Errorf("go.mod requires\n%s\nand kustomize-controller\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func goMod(t *testing.T, module string) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(output)), "go.mod")
}

// replacement returns a line that replaces a module, but for those by folders: such a module is released beside the controller.
func replacement(line string) string {
	line = strings.TrimPrefix(strings.TrimSpace(line), "replace ")
	if _, with, ok := strings.Cut(line, " => "); ok && !strings.HasPrefix(with, ".") {
		return line
	}
	return ""
}

// lines returns what pick makes of the lines of a file, sorted, but for what is empty.
func lines(t *testing.T, file string, pick func(string) string) []string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(content)) {
		if is := pick(line); is != "" {
			found = append(found, is)
		}
	}
	slices.Sort(found)
	return found
}
