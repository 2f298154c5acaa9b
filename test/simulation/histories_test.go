package simulation

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// shortHistories is how many histories an ordinary run of the tests plays.
const shortHistories = 2000

// TestHistories plays random histories. SIMULATE_SEED is the first seed, and SIMULATE_N how
// many to play; with only a seed it is played with its trace printed.
func TestHistories(t *testing.T) {
	all := playHistories(t, draw, shortHistories)
	// Three thousand of them have 39 writes and calls and 0.9 paid jobs each, and in 16 of 100 a crash meets its point.
	const least, effectsEach, paidOfTen, crashedOfTwenty = 100, 25, 5, 1
	if all.played >= least && (all.effects < effectsEach*all.played || 10*all.paid < paidOfTen*all.played || 20*all.crashed < crashedOfTwenty*all.played) {
		t.Error("too little happens in them to tell anything")
	}
}

// totals is what happened in histories.
type totals struct{ played, effects, paid, crashed uint64 }

// playHistories plays as many histories as SIMULATE_N says, or so many, and returns what happened.
func playHistories(t *testing.T, draw func(seed uint64) history, otherwise uint64) totals {
	t.Helper()
	first, n := number(t, "SIMULATE_SEED", 1), number(t, "SIMULATE_N", otherwise)
	if os.Getenv("SIMULATE_SEED") != "" && os.Getenv("SIMULATE_N") == "" {
		h := draw(first)
		r := run(t, h.options, h.play)
		t.Logf("%s\n%s", h, r.trace)
		if len(r.problems) > 0 {
			t.Errorf("%q", r.problems)
		}
		return totals{}
	}
	start := time.Now()
	var next, played, effects, paid, crashed atomic.Uint64
	var failed atomic.Bool
	t.Run("play", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for i := next.Add(1) - 1; i < n && !failed.Load(); i = next.Add(1) - 1 {
					h := draw(first + i)
					r := run(t, h.options, h.play)
					played.Add(1)
					effects.Add(uint64(r.effects))
					paid.Add(uint64(r.paid))
					if r.crashed {
						crashed.Add(1)
					}
					if len(r.problems) > 0 && !failed.Swap(true) {
						t.Error(report(t, h, r))
					}
				}
			})
		}
	})
	took := time.Since(start)
	t.Logf("%d histories with %d writes and calls, %d paid jobs, %d of them crashed at a point, in %s, %.0f per second",
		played.Load(), effects.Load(), paid.Load(), crashed.Load(), took.Round(time.Second), float64(played.Load())/took.Seconds())
	return totals{played.Load(), effects.Load(), paid.Load(), crashed.Load()}
}

// report describes a history that broke an invariant, as short as it can be made.
func report(t *testing.T, h history, r result) string {
	t.Helper()
	small := shrink(h, invariantOf(r.problems[0]), 200, func(h history) result { return run(t, h.options, h.play) })
	again := run(t, small.options, small.play)
	with := ""
	if h.events[0].kind == assetEventKinds[0].name {
		with = " ASSETS=1"
	}
	if h.options.accounts {
		with = " ACCOUNTS=1"
	}
	return fmt.Sprintf("seed %d breaks an invariant: %q\nShrunk, it is: %q\n\n%s\n%s\nReplay it whole: make simulate SEED=%d%s",
		h.options.seed, r.problems, again.problems, small, again.trace, h.options.seed, with)
}

func number(t *testing.T, env string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(env)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", env, err)
	}
	return n
}

// TestReplay plays histories twice: the trace must be the same, line by line.
func TestReplay(t *testing.T) {
	t.Parallel()
	replay(t, draw, 160) // in which two read one ConfigMap at the same instant
}

// replay plays the histories of a hundred seeds, and of more, twice.
func replay(t *testing.T, draw func(seed uint64) history, more ...uint64) {
	t.Helper()
	for seed := range uint64(100) {
		more = append(more, seed)
	}
	for _, seed := range more {
		h := draw(seed)
		once, again := run(t, h.options, h.play).trace.String(), run(t, h.options, h.play).trace.String()
		if once != again {
			t.Errorf("seed %d isn't the same when it is played again:\n%s", seed, firstDifference(once, again))
		}
	}
}

// firstDifference returns where two traces part, with what comes before and after.
func firstDifference(one, other string) string {
	a, b := strings.Split(one, "\n"), strings.Split(other, "\n")
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	around := func(lines []string) string {
		return strings.Join(lines[max(0, min(at, len(lines))-10):min(len(lines), at+5)], "\n")
	}
	return around(a) + "\n\nand then\n\n" + around(b)
}
