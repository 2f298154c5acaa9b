package simulation

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// trace is what happened, one line for each event and effect.
type trace struct {
	began time.Time

	mu    sync.Mutex
	lines []line
}

// line is one thing that happened.
type line struct {
	at   time.Duration
	who  string // a process, "user", "tool", "api", "env"
	what string
}

func (t *trace) add(who, format string, args ...any) {
	l := line{at: time.Since(t.began), who: who, what: fmt.Sprintf(format, args...)}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, l)
}

// String returns the trace for people: a line that repeats is there once, with how often it came.
func (t *trace) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	for i := 0; i < len(t.lines); {
		// A poll is one line or two (a call and the write that follows it).
		var period, times int
		for period = 1; period <= 2; period++ {
			if times = t.repeats(i, period); times > 1 {
				break
			}
		}
		if times <= 1 {
			b.WriteString(t.lines[i].String() + "\n")
			i++
			continue
		}
		for _, l := range t.lines[i : i+period] {
			b.WriteString(l.String() + "\n")
		}
		i += period * times
		fmt.Fprintf(&b, "%14s … so %d times, until %s\n", "", times, clockTime(t.lines[i-1].at))
	}
	return b.String()
}

// repeats counts how often the lines from i on repeat, as a group of so many.
func (t *trace) repeats(i, period int) int {
	same := func(a, b line) bool { return a.who == b.who && a.what == b.what }
	times := 1
	for next := i + period; next+period <= len(t.lines); next += period {
		for k := range period {
			if !same(t.lines[i+k], t.lines[next+k]) {
				return times
			}
		}
		times++
	}
	return times
}

func (l line) String() string { return fmt.Sprintf("%14s %-6s %s", clockTime(l.at), l.who, l.what) }

// clockTime is a time since the history began, as h:mm:ss.mmm.
func clockTime(d time.Duration) string {
	ms := d.Milliseconds()
	return fmt.Sprintf("%d:%02d:%02d.%03d", ms/3_600_000, ms/60_000%60, ms/1000%60, ms%1000)
}
