package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// report has the results of a run, in the form in which they are written for a comparison.
type report struct {
	Date         time.Time     `json:"date"`
	Revision     string        `json:"revision"` // of git, "-dirty" where the checkout was changed
	Machine      machine       `json:"machine"`
	Scale        float64       `json:"scale"`
	Measurements []measurement `json:"figures"`
	// Failures has the errors of scenarios that didn't come to their end.
	Failures map[string]string `json:"failures,omitempty"`
}

func newReport(ctx context.Context, root string, scale float64) *report {
	return &report{
		Date: time.Now().UTC().Truncate(time.Second), Revision: revision(ctx, root), Machine: thisMachine(), Scale: scale,
		Failures: map[string]string{},
	}
}

func (r *report) add(scenario string, o outcome) {
	r.Measurements = append(r.Measurements, o.measurements...)
	if o.err != nil {
		r.Failures[scenario] = o.err.Error()
	}
}

// met reports whether all scenarios came to their end, with all values within their bounds.
func (r *report) met() bool {
	for _, m := range r.Measurements {
		if !m.met() {
			return false
		}
	}
	return len(r.Failures) == 0
}

func (r *report) machineLine() string {
	m := r.Machine
	line := fmt.Sprintf("%s, %d cores, %.0f GiB, %s, Linux %s, load %s before; revision %s, %s", cmp.Or(m.CPU, "unknown CPU"), m.Cores,
		m.MemoryGiB, m.Go, m.Kernel, cmp.Or(m.Load, "unknown"), cmp.Or(r.Revision, "unknown"), r.Date.Format(time.RFC3339))
	if r.Scale != 1 {
		line += fmt.Sprintf("; SCALED by %g, so no measure of what must be reached", r.Scale)
	}
	return line
}

func (r *report) write(file string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(content, '\n'), 0o644)
}

func readReport(file string) (*report, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := &report{}
	if err := json.Unmarshal(content, r); err != nil {
		return nil, fmt.Errorf("%s is no report of this program: %w", file, err)
	}
	return r, nil
}
