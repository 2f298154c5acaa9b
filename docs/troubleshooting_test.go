package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Each reason that a user can meet has a section, which says something; and each section is of a reason that there is. The
// list at the top leads to all of them.
func TestEachReasonHasASection(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../api/v1alpha1/conditions.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var reasons []string
	ast.Inspect(file, func(node ast.Node) bool {
		if spec, ok := node.(*ast.ValueSpec); ok && !strings.HasPrefix(spec.Names[0].Name, "Condition") {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			reasons = append(reasons, value)
		}
		return true
	})
	if len(reasons) < 30 {
		t.Fatalf("found only %q", reasons)
	}

	page := read(t, "troubleshooting.md")
	listed, _, _ := strings.Cut(page, "\n## ")
	_, sought, _ := strings.Cut(page, "\n## On the way\n")
	var sections []string
	for section := range strings.SplitSeq(sought, "\n##") {
		title, is := strings.CutPrefix(section, "# ")
		if !is {
			continue // a heading above sections
		}
		title, text, _ := strings.Cut(title, "\n")
		sections = append(sections, title)
		if len(strings.TrimSpace(text)) < 40 {
			t.Errorf("the section %s says nothing", title)
		}
	}
	for _, reason := range reasons {
		if !slices.Contains(sections, reason) {
			t.Errorf("there is no section %s", reason)
		}
		if !strings.Contains(listed, "["+reason+"](#"+strings.ToLower(reason)+")") {
			t.Errorf("the list at the top doesn't lead to %s", reason)
		}
	}
	for _, section := range sections {
		if !slices.Contains(reasons, section) {
			t.Errorf("there is a section %s, and no such reason", section)
		}
	}
}
