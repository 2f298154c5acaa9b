package ratelimit

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whenever calls go as soon as they may, and wherever between sending and answering Dafty
// counts them, no minute holds more of them than the limit.
func TestWindowKeepsTheLimitInEachMinute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &window{limit: rapid.IntRange(1, 20).Draw(t, "limit")}
		now := time.Now()
		var counted []time.Time
		for range rapid.IntRange(1, 100).Draw(t, "calls") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "idle")))
			if at := w.next(now, 0); at.After(now) {
				if w.next(at.Add(-time.Nanosecond), 0).Before(at) {
					t.Fatalf("told to come at %v although there is room before", at)
				}
				now = at
			}
			w.acquire(now)
			taken := now
			way := rapid.Int64Range(0, int64(30*time.Second)).Draw(t, "way")
			back := rapid.Int64Range(0, int64(5*time.Second)).Draw(t, "way back")
			counted = append(counted, now.Add(time.Duration(way)))
			now = now.Add(time.Duration(way + back))
			w.onResponse(taken, now)
		}
		for i := w.limit; i < len(counted); i++ {
			if span := counted[i].Sub(counted[i-w.limit]); span < WindowLength {
				t.Fatalf("%d calls within %v", w.limit+1, span)
			}
		}
	})
}

// Each of a queue is told the time of its own turn, and then finds it.
func TestWindowTellsEachItsTurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &window{limit: rapid.IntRange(1, 10).Draw(t, "limit")}
		now := time.Now()
		for range rapid.IntRange(0, w.limit).Draw(t, "taken") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(10*time.Second)).Draw(t, "apart")))
			if !w.next(now, 0).After(now) {
				w.acquire(now)
			}
		}
		waiting := rapid.IntRange(1, 50).Draw(t, "waiting")
		told := make([]time.Time, waiting)
		for i := range told {
			told[i] = w.next(now, i)
		}
		for i, at := range told {
			if at.Before(now) {
				t.Fatalf("the turn of %d is before that of the one ahead", i)
			}
			if now = at; w.next(now, 0).After(now) {
				t.Fatalf("%d finds no turn at the time it was told", i)
			}
			w.acquire(now)
		}
	})
}

func TestWindowLeavesRoom(t *testing.T) {
	now := time.Now()
	w := &window{limit: 120}
	for range 100 {
		if at := w.next(now, 20); at.After(now) {
			t.Fatal("a look has to wait although there is room")
		}
		w.acquire(now)
	}
	if at := w.next(now, 20); at != now.Add(time.Minute) {
		t.Errorf("the next look is told %v", at.Sub(now))
	}
	for range 20 {
		if at := w.next(now, 0); at.After(now) {
			t.Fatal("a cancel has to wait behind looks")
		}
		w.acquire(now)
	}
	if at := w.next(now, 0); at != now.Add(time.Minute) {
		t.Errorf("the next cancel is told %v", at.Sub(now))
	}
}
