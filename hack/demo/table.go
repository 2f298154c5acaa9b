package main

import (
	"fmt"
	"strings"
)

// row is a DaftyJob as the table shows it.
type row struct {
	name, jobType, phase, reason, age string
	detail                            string // what else there is to say, where there is room
	gone                              bool   // deleted
}

const (
	gap = 3 // columns between columns, as kubectl has it

	// A narrower column is of no use.
	leastName, leastReason, leastDetail = 10, 10, 16
	// The type is dropped before the reason becomes narrower than this.
	goodReason = len("GenerationFailed")
)

// column is a column of the table.
type column struct {
	title string
	cell  func(row) string
	// usual is wide enough for most, so that the table doesn't jump while jobs move on.
	usual int
	width int
}

// table returns rows as kubectl get prints them, with a further column if there is room.
func table(rows []row, width, height int, p ansi) []string {
	hidden := 0
	if most := max(1, height-1); len(rows) > most {
		hidden = len(rows) - most + 1
		rows = rows[:len(rows)-hidden]
	}
	columns := layOut(rows, width)
	var header []string
	for _, c := range columns {
		header = append(header, pad(fit(c.title, c.width), c.width))
	}
	lines := []string{p.bold(join(header))}
	for _, r := range rows {
		var cells []string
		for _, c := range columns {
			text := pad(fit(c.cell(r), c.width), c.width)
			switch {
			case r.gone:
				text = p.dim(text)
			case c.title == "PHASE":
				text = p.phase(r.phase, text)
			case c.title == "DETAIL":
				text = p.dim(text)
			}
			cells = append(cells, text)
		}
		lines = append(lines, join(cells))
	}
	if hidden > 0 {
		lines = append(lines, p.dim(fit(fmt.Sprintf("… and %d more", hidden), width)))
	}
	return lines
}

func join(cells []string) string {
	return strings.TrimRight(strings.Join(cells, strings.Repeat(" ", gap)), " ")
}

// layOut chooses the columns and their widths. If they don't fit, the reason is cut, then the type is dropped, then the reason, then the
// name is cut.
func layOut(rows []row, width int) []column {
	name := column{title: "NAME", cell: func(r row) string { return r.name }}
	jobType := column{title: "TYPE", cell: func(r row) string { return r.jobType }, usual: len("image.generate")}
	phase := column{title: "PHASE", cell: func(r row) string { return r.phase }, usual: len("Submitting")}
	reason := column{title: "REASON", cell: func(r row) string { return r.reason }, usual: goodReason}
	age := column{title: "AGE", cell: func(r row) string { return r.age }, usual: len("2m30s")}
	detail := column{title: "DETAIL", cell: func(r row) string { return r.detail }}
	for _, c := range []*column{&name, &jobType, &phase, &reason, &age} {
		c.width = max(c.usual, len(c.title))
		for _, r := range rows {
			c.width = max(c.width, columns(c.cell(r)))
		}
	}

	all := []*column{&name, &jobType, &phase, &reason, &age}
	missing := func() int {
		sum := gap * (len(all) - 1)
		for _, c := range all {
			sum += c.width
		}
		return sum - width
	}
	cut := func(c *column, least int) { c.width -= max(0, min(missing(), c.width-least)) }
	whole := reason.width
	cut(&reason, goodReason)
	if missing() > 0 {
		all = []*column{&name, &phase, &reason, &age}
		reason.width = whole
		cut(&reason, leastReason)
	}
	if missing() > 0 {
		all = []*column{&name, &phase, &age}
	}
	cut(&name, leastName)
	if detail.width = -missing() - gap; detail.width >= leastDetail {
		all = append(all, &detail)
	}
	var chosen []column
	for _, c := range all {
		chosen = append(chosen, *c)
	}
	return chosen
}
