package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Each reason has a section with text, each section is of a reason, and the list at the top links to all of them.
func TestEachReasonHasASection(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../api/v1alpha1/condition_types.go", nil, 0)
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
	_, sought, _ := strings.Cut(page, "\n## In progress\n")
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

// The commands of the page repair a chain whose second job has failed: what had completed stays, and isn't submitted again.
func TestAFailedChainIsRepaired(t *testing.T) {
	e := newEnv(t)
	startOperator(t, e.Env)
	e.withSecret(t)
	_, section, _ := strings.Cut(read(t, "troubleshooting.md"), "\n### DependencyFailed\n")
	commands := block.FindStringSubmatch(section)
	if commands == nil {
		t.Fatal("the page has no commands that repair a chain")
	}
	jobs := []string{"daftyjob/launch-style", "daftyjob/launch-hero", "daftyjob/launch-poster", "daftyjob/launch-clip"}
	wait := func(until string) {
		e.MustKubectl(t, append([]string{"wait", "--for=" + until, "--timeout=" + patience.String()}, jobs...)...)
	}
	style := func() string {
		return e.MustKubectl(t, "get", jobs[0], "-o", "jsonpath={.metadata.uid} {.status.jobID} {.status.attempts}")
	}
	campaign := e.MustKubectl(t, "kustomize", filepath.Join(e.dir, "config", "samples", "campaign"))
	e.MustApply(t, strings.NewReplacer("prompt: The new", "prompt: Don't [fail] the new", "backoffLimit: 1", "backoffLimit: 0").Replace(campaign))
	wait("jsonpath={.status.finishedAt}")
	if got, want := e.MustKubectl(t, "get", "daftyjobs", "-o", "jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type==\"Ready\")].reason}\n{end}"),
		"launch-clip DependencyFailed\nlaunch-hero GenerationFailed\nlaunch-poster DependencyFailed\nlaunch-style Completed\n"; got != want {
		t.Fatalf("the chain has ended as\n%s", got)
	}
	before := style()
	if out, err := e.output(t, commands[3], ""); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	wait("condition=Complete")
	if after := style(); after != before {
		t.Errorf("the completed style was %s and is %s", before, after)
	}
}
