package docs_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// The page about reliability lists all behaviours that Dafty leaves open, with the readings that the simulator plays.
func TestReadings(t *testing.T) {
	_, section, found := strings.Cut(read(t, "reliability.md"), "\n## What it was tested against\n")
	if !found {
		t.Fatal("the page doesn't say what the operator was tested against")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	told := regexp.MustCompile("(?m)^\\| .* \\| `.*` \\|$").FindAllString(section, -1)
	var rows []string
	for _, field := range daftysim.VariantFields() {
		rows = append(rows, "| "+field.Question+" | `"+strings.Join(field.Readings, "`, `")+"` |")
	}
	if !slices.Equal(told, rows) {
		t.Errorf("the page has\n%s\nthe simulator\n%s", strings.Join(told, "\n"), strings.Join(rows, "\n"))
	}
}
