package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// table lays out a run's figures, and below them what went wrong.
func table(r *report) string {
	rows := [][]string{{"SCENARIO", "FIGURE", "MEASURED", "MUST REACH", "OK"}}
	for _, f := range r.Figures {
		rows = append(rows, []string{f.Scenario, f.Name, f.measured(), f.required(), f.verdict()})
	}
	text := aligned(rows)
	for _, name := range slices.Sorted(maps.Keys(r.Failures)) {
		text += fmt.Sprintf("%s FAILED: %s\n", name, r.Failures[name])
	}
	return text
}

// comparison puts two runs side by side; the ratio is the later one's to the earlier one's.
func comparison(earlier, later *report) string {
	rows := [][]string{{"SCENARIO", "FIGURE", "EARLIER", "NOW", "RATIO"}}
	for _, f := range later.Figures {
		before, ratio := "", ""
		if was, ok := earlier.find(f.Scenario, f.Name); ok {
			before = was.measured()
			if was.Value != 0 {
				ratio = fmt.Sprintf("%.2f", f.Value/was.Value)
			}
		}
		rows = append(rows, []string{f.Scenario, f.Name, before, f.measured(), ratio})
	}
	text := "earlier: " + earlier.machineLine() + "\n"
	if earlier.Scale != later.Scale {
		text += fmt.Sprintf("not comparable: the scale was %g, and is %g\n", earlier.Scale, later.Scale)
	}
	return text + "\n" + aligned(rows)
}

func (r *report) find(scenario, name string) (figure, bool) {
	i := slices.IndexFunc(r.Figures, func(f figure) bool { return f.Scenario == scenario && f.Name == name })
	if i < 0 {
		return figure{}, false
	}
	return r.Figures[i], true
}

func aligned(rows [][]string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // into memory
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}
