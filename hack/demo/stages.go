package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// stages is a part of the demo that is played in stages, each with what it cost.
type stages struct {
	// of returns what of this part a job is made for, empty if for nothing.
	of  func(jobState) string
	all []stage
}

// stage is what the demo does at a time.
type stage struct {
	name string
	// jobs is how many jobs there are to be for each.
	jobs map[string]int
	// made are the entries in Dafty's ledger that came with it.
	made map[string][]daftysim.Entry
}

// end puts down what has come into the ledger since the stage before.
func (s *stages) end(name string, jobs map[string]int, all map[string]jobState, ledger []daftysim.Entry) {
	next := stage{name: name, jobs: jobs, made: map[string][]daftysim.Entry{}}
	told := map[string]bool{}
	for _, before := range s.all {
		for _, entries := range before.made {
			for i := range entries {
				told[entries[i].JobID] = true
			}
		}
	}
	for _, job := range all {
		of := s.of(job)
		if of == "" {
			continue
		}
		for _, entry := range entriesOf(job, ledger) {
			if !told[entry.JobID] {
				next.made[of] = append(next.made[of], entry)
			}
		}
	}
	s.all = append(s.all, next)
}

// problems returns how the ledger differs from what is expected, and how many jobs Dafty has made in this part. The ledger is as it is at
// the end.
func (s *stages) problems(ledger []daftysim.Entry) (found []string, charged int) {
	now := map[string]daftysim.Entry{}
	for _, entry := range ledger {
		now[entry.JobID] = entry
	}
	for _, stage := range s.all {
		for _, name := range slices.Sorted(maps.Keys(stage.jobs)) {
			charged += len(stage.made[name])
			if n := len(stage.made[name]); n != stage.jobs[name] {
				found = append(found, fmt.Sprintf("%s: when it was %s, Dafty made %d jobs for it; there should be %d",
					name, strings.ToLower(stage.name), n, stage.jobs[name]))
			}
			for _, entry := range stage.made[name] {
				if entry = now[entry.JobID]; entry.Status != daftysim.StatusCompleted {
					found = append(found, fmt.Sprintf("%s: job %s hasn't completed at Dafty", name, entry.JobID))
				}
			}
		}
	}
	return found, charged
}

// costs returns a table of what each stage cost.
func (s *stages) costs(p ansi) []string {
	rows := [][]string{{"NAME"}}
	for _, stage := range s.all {
		rows[0] = append(rows[0], stage.name)
	}
	for _, name := range slices.Sorted(maps.Keys(s.all[0].jobs)) {
		row := []string{name}
		for _, stage := range s.all {
			paid := 0
			for _, entry := range stage.made[name] {
				paid += entry.Paid()
			}
			row = append(row, fmt.Sprintf("%d CU", paid))
		}
		rows = append(rows, row)
	}
	lines := aligned(rows)
	lines[0] = p.bold(lines[0])
	return lines
}

// aligned returns rows as lines with aligned columns.
func aligned(rows [][]string) []string {
	var lines []string
	for _, row := range rows {
		cells := make([]string, len(row))
		for n, text := range row {
			width := 0
			for _, other := range rows {
				width = max(width, columns(other[n]))
			}
			cells[n] = pad(text, width)
		}
		lines = append(lines, join(cells))
	}
	return lines
}
