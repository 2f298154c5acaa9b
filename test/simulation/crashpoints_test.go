package simulation

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// TestCrashPoints crashes the operator before and after every effect (write to the API server
// or call to Dafty) of every scenario, and lets a new one go on: under the contract's default
// reading, and the scenarios that each other reading concerns under that one. With SIMULATE_N
// every scenario runs under every reading.
func TestCrashPoints(t *testing.T) {
	all := os.Getenv("SIMULATE_N") != ""
	start := time.Now()
	var cases, effects atomic.Int64
	work := make(chan func(*testing.T))
	go func() {
		defer close(work)
		for _, variant := range daftysim.AllVariants() {
			for _, s := range scenarios() {
				if !all && variant.Name != "defaults" && !concerns(variant.Name, s.name) {
					continue
				}
				work <- func(t *testing.T) {
					n, points := crashEverywhere(t, s, variant)
					cases.Add(int64(n))
					effects.Add(int64(points))
				}
			}
		}
	}()
	t.Run("crash", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for crash := range work {
					crash(t)
				}
			})
		}
	})
	t.Logf("%d cases: before and after each of %d effects of %d scenarios, in %s",
		cases.Load(), effects.Load(), len(scenarios()), time.Since(start).Round(time.Second))
}

// crashEverywhere counts the effects of a scenario without a crash, and crashes it at each.
func crashEverywhere(t *testing.T, s scenario, variant daftysim.NamedVariants) (cases, effects int) {
	t.Helper()
	return crashAll(t, s, variant, 0)
}

// crashAll does so, and checks that Dafty makes so many jobs at most, where that isn't 0.
func crashAll(t *testing.T, s scenario, variant daftysim.NamedVariants, most int) (cases, effects int) {
	t.Helper()
	play := func(at point) result {
		cases++
		r := run(t, s.options(variant.Variants), func(e *env) {
			e.crashAt = at
			s.play(e)
		})
		if len(r.problems) > 0 {
			once.Do(func() { t.Logf("the first of them:\n%s", r.trace) })
			t.Errorf("%s, under %s, crash at %+v: %q", s.name, variant.Name, at, r.problems)
		}
		if most > 0 && r.paid > most {
			t.Errorf("%s, under %s, crash at %+v: %d jobs made, of %d that may be", s.name, variant.Name, at, r.paid, most)
		}
		if at != (point{}) && !r.crashed {
			t.Errorf("%s, under %s, doesn't crash at %+v", s.name, variant.Name, at)
		}
		return r
	}
	whole := play(point{})
	if effects = whole.effects; len(whole.problems) > 0 {
		return cases, effects
	}
	if effects == 0 && s.name != "delete before it is written" { // where nothing is left to do
		t.Errorf("%s, under %s, has no effect to crash at", s.name, variant.Name)
	}
	for effect := 1; effect <= effects; effect++ {
		play(point{effect: effect})
		play(point{effect: effect, after: true})
	}
	return cases, effects
}

// once keeps a thousand failures from printing a thousand traces.
var once sync.Once

// concerned are the scenarios that meet what a reading is about, by what their names hold.
var concerned = map[string][]string{
	"cancel-terminal":   {"meets the end", "cancel meets hangs after"},
	"cancel-race":       {"meets the end"},
	"after-cancel":      {"cancel while processing", "delete while queued", "cancel, then delete"},
	"cancel-error":      {"cancel while processing"},
	"repeat-answer":     {"submit meets hangs after", "delete in doubt after reset after"},
	"repeat-counts":     {"submit meets hangs after"},
	"refused-key":       {"submit meets no credits", "submit meets no allowance"},
	"limit-retry-after": {"submit meets no allowance"},
	"job-retention":     {"submit meets hangs after"},
	"image-id":          {"a chain", "a campaign"},
	"references":        {"a campaign"},
	"result-url":        {"a campaign"},
	"other-body":        {"a campaign", "submit meets hangs after"},
	"cancel-charge":     {"cancel while processing"},
	"nulls":             {"a campaign of first images", "submit what Dafty refuses"},
	"created-at":        {"submit a video", "past its deadline"},
	"unknown-job":       {"submit a video", "cancel while processing"},
	"error-body":        {"submit what Dafty refuses", "submit meets no allowance", "submit meets a revoked key"},
	"extra-fields":      {"submit a video", "an image is found in a style"},
	"similarity":        {"an image is found in a style"},
	"asset-name":        {"an image is found in a style"},
	"search-finds":      {"an image is found in a style"},
}

// TestConcerned checks that what concerned names is there: a reading or scenario of another name is played under nothing.
func TestConcerned(t *testing.T) {
	all, readings := scenarios(), daftysim.AllVariants()[0].Variants.Readings()
	for reading, parts := range concerned {
		if _, there := readings[reading]; !there {
			t.Errorf("there are no readings of %s", reading)
		}
		for _, part := range parts {
			if !slices.ContainsFunc(all, func(s scenario) bool { return strings.Contains(s.name, part) }) {
				t.Errorf("%s: no scenario is called %q", reading, part)
			}
		}
	}
}

// concerns reports whether a scenario meets what the reading is about.
func concerns(variant, scenario string) bool {
	field, _, _ := strings.Cut(variant, "=")
	return slices.ContainsFunc(concerned[field], func(part string) bool { return strings.Contains(scenario, part) })
}
