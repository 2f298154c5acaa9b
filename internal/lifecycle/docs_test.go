package lifecycle_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/test/docstest"
)

const page = "docs/lifecycle.md"

// The page about the lifecycle says what the code does: its diagram has each arrow that the
// model finds and no other, and its tables have each reason with its phases, and each step.
func TestLifecyclePage(t *testing.T) {
	raw, err := os.ReadFile("../../" + page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	seen := explore(t)

	fluxTable(t, seen)
	argoTable(t, seen)

	arrows := map[string]bool{}
	for arrow := range seen.arrows {
		from := string(arrow[0])
		if from == "" {
			from = "[*]"
		}
		arrows[from+" --> "+string(arrow[1])] = true
	}
	for _, phase := range phases {
		if phase.Final() {
			arrows[string(phase)+" --> [*]"] = true
		}
	}
	_, diagram, _ := strings.Cut(text, "```mermaid\nstateDiagram-v2\n")
	diagram, _, _ = strings.Cut(diagram, "```")
	compare(t, "the diagram", arrows, found(diagram, `(?m)^\s*(\S+ --> [^\s:]+)`))

	rows := map[string]bool{}
	for reason, in := range seen.reasons {
		names := make([]string, 0, len(in))
		for _, phase := range phases {
			if in[phase] {
				names = append(names, string(phase))
			}
		}
		rows[reason+": "+strings.Join(names, ", ")] = true
	}
	told := map[string]bool{}
	for _, match := range regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\| ([A-Za-z, ]+) \\|.*\\|.*\\|$").FindAllStringSubmatch(section(text, "Reasons"), -1) {
		told[match[1]+": "+match[2]] = true
	}
	compare(t, "the table of reasons", rows, told)

	steps := map[string]bool{}
	for _, step := range lifecycle.Steps {
		steps[step.String()] = true
		if !seen.steps[step.String()] {
			t.Errorf("the model never comes to step %s", step)
		}
	}
	compare(t, "the table of steps", steps, found(section(text, "Steps"), "(?m)^\\| `([A-Za-z]+)` \\|"))

	events := map[string]bool{v1alpha1.EventJobOrphaned: true, v1alpha1.EventCancelAbandoned: true}
	compare(t, "the table of events", events, found(section(text, "Letting go"), "(?m)^\\| `([A-Za-z]+)` \\|"))
}

// fluxTable holds the table of the page about Flux against what kstatus makes of each phase with each reason.
func fluxTable(t *testing.T, seen explored) {
	t.Helper()
	rows := []string{"| none yet | `InProgress` | |"}
	for _, phase := range phases {
		for _, status := range []kstatus.Status{kstatus.InProgressStatus, kstatus.FailedStatus, kstatus.CurrentStatus} {
			if reasons := slices.Sorted(maps.Keys(seen.kstatus[phase][status])); len(reasons) > 0 {
				rows = append(rows, fmt.Sprintf("| `%s` | `%s` | `%s` |", phase, status, strings.Join(reasons, "`, `")))
			}
		}
	}
	rows = append(rows, "| any, while it is deleted | `Terminating` | any |")
	docstest.Table(t, "../../docs/flux.md", "| phase | kstatus | reasons |", rows)
}

func section(text, heading string) string {
	_, text, _ = strings.Cut(text, "\n## "+heading+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

func found(text, pattern string) map[string]bool {
	all := map[string]bool{}
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		all[match[1]] = true
	}
	return all
}

func compare(t *testing.T, what string, is, told map[string]bool) {
	t.Helper()
	for _, each := range slices.Sorted(maps.Keys(is)) {
		if !told[each] {
			t.Errorf("%s of %s lacks: %s", what, page, each)
		}
	}
	for _, each := range slices.Sorted(maps.Keys(told)) {
		if !is[each] {
			t.Errorf("%s of %s has what never happens: %s", what, page, each)
		}
	}
}
