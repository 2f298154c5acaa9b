package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// table returns a run's measurements as a table, and below it what went wrong.
func table(r *report) string {
	rows := [][]string{{"SCENARIO", "FIGURE", "MEASURED", "MUST REACH", "OK"}}
	for _, m := range r.Measurements {
		rows = append(rows, []string{m.Scenario, m.Name, m.formatted(), m.required(), m.verdict()})
	}
	text := aligned(rows)
	for _, name := range slices.Sorted(maps.Keys(r.Failures)) {
		text += fmt.Sprintf("%s FAILED: %s\n", name, r.Failures[name])
	}
	return text
}

// comparison returns a table of two runs; the ratio is the later value by the earlier one.
func comparison(earlier, later *report) string {
	rows := [][]string{{"SCENARIO", "FIGURE", "EARLIER", "NOW", "RATIO"}}
	for _, m := range later.Measurements {
		before, ratio := "", ""
		if was, ok := earlier.find(m.Scenario, m.Name); ok {
			before = was.formatted()
			if was.Value != 0 {
				ratio = fmt.Sprintf("%.2f", m.Value/was.Value)
			}
		}
		rows = append(rows, []string{m.Scenario, m.Name, before, m.formatted(), ratio})
	}
	text := "earlier: " + earlier.machineLine() + "\n"
	if earlier.Scale != later.Scale {
		text += fmt.Sprintf("not comparable: the scale was %g, and is %g\n", earlier.Scale, later.Scale)
	}
	return text + "\n" + aligned(rows)
}

func (r *report) find(scenario, name string) (measurement, bool) {
	i := slices.IndexFunc(r.Measurements, func(m measurement) bool { return m.Scenario == scenario && m.Name == name })
	if i < 0 {
		return measurement{}, false
	}
	return r.Measurements[i], true
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
