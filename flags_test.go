package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"dafty.ai/dafty-operator/internal/test/docstest"
)

// asOperator in the environment makes this test's program the operator, asked for its help: see TestMain.
const asOperator = "DAFTY_OPERATOR_TEST_HELP"

var (
	flagHelp = regexp.MustCompile(`(?m)^  -(\S+)(?: \S+)?(?:\t|\n    \t)(.+(?:\n    \t.+)*)$`)
	fallback = regexp.MustCompile(` \(default (.*)\)$`)
)

// The page for operators has the flags as the operator itself tells of them.
func TestFlags(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = []string{asOperator + "=1"}
	help, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, help)
	}
	var rows []string
	for _, flag := range flagHelp.FindAllStringSubmatch(string(help), -1) {
		name, what := flag[1], strings.Join(strings.Fields(flag[2]), " ")
		if strings.HasPrefix(name, "test.") || strings.HasPrefix(name, "rapid.") {
			continue // this test's own
		}
		initial := ""
		if found := fallback.FindStringSubmatch(what); found != nil {
			what, initial = strings.TrimSuffix(what, found[0]), "`"+strings.Trim(found[1], `"`)+"`"
		}
		rows = append(rows, fmt.Sprintf("| `--%s` | %s | %s |", name, initial, strings.ReplaceAll(what, "|", `\|`)))
	}
	if len(rows) < 15 {
		t.Fatalf("--help tells of %d flags:\n%s", len(rows), help)
	}
	docstest.Table(t, "docs/operations.md", "| flag | default | what it does |", rows)
}
