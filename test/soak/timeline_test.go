package soak

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// timeline has what happened, to explain a failure.
type timeline struct {
	start time.Time
	mu    sync.Mutex
	lines []line
}

type line struct {
	at        time.Time
	who, what string
}

func newTimeline() *timeline { return &timeline{start: time.Now()} }

func (tl *timeline) add(who, format string, args ...any) {
	tl.mu.Lock()
	defer tl.mu.Unlock()
	tl.lines = append(tl.lines, line{time.Now(), who, fmt.Sprintf(format, args...)})
}

// addRequests adds the requests to Dafty, without the many polls.
func (tl *timeline) addRequests(requests []daftysim.Request) {
	tl.mu.Lock()
	defer tl.mu.Unlock()
	for _, r := range requests {
		if r.Operation == daftysim.GetJob {
			continue
		}
		what := fmt.Sprintf("%s %s %s -> %d", r.Operation, r.Path, r.IdempotencyKey(), r.Status)
		if r.Fault != "" {
			what += " [" + string(r.Fault) + "]"
		}
		if r.Gone {
			what += " (the client left)"
		}
		if !r.Answered.IsZero() {
			what += fmt.Sprintf(" after %s", r.Answered.Sub(r.Time).Round(time.Millisecond))
		}
		tl.lines = append(tl.lines, line{r.Time, "dafty", what})
	}
}

// write writes the timeline to a file in dir, and returns its end.
func (tl *timeline) write(t *testing.T, dir string, most int) (file, end string) {
	tl.mu.Lock()
	defer tl.mu.Unlock()
	slices.SortStableFunc(tl.lines, func(a, b line) int { return a.at.Compare(b.at) })
	texts := make([]string, len(tl.lines))
	for i, l := range tl.lines {
		texts[i] = fmt.Sprintf("%8.3f  %-8s %s", l.at.Sub(tl.start).Seconds(), l.who, l.what)
	}
	file = filepath.Join(dir, "timeline.log")
	if err := os.WriteFile(file, []byte(strings.Join(texts, "\n")+"\n"), 0o600); err != nil {
		t.Error(err)
	}
	return file, strings.Join(texts[max(0, len(texts)-most):], "\n")
}
