package ratelimit

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dafty.ai/dafty-operator/internal/dafty"
)

// paced returns a limiter that has had so many calls, each answered at once without a word on the minute.
func paced(limit int, scarce bool, calls int, now time.Time) *limiter {
	fresh := newLimiter(limit, scarce)
	p := &fresh
	for range calls {
		goes(p, now, 0)
		p.onResponse(now, now, dafty.Rate{}, nil)
	}
	return p
}

// goes has a call go, while so many wait.
func goes(p *limiter, now time.Time, waiting int) {
	p.acquire(now, waiting)
	p.onSent()
}

func rate(limit, remaining int, reset time.Duration) dafty.Rate {
	return dafty.Rate{Limit: limit, Remaining: remaining, Reset: reset}
}

// What an answer teaches: how many calls a minute has, and when the next may go.
func TestLimiterLearnsFromAnswers(t *testing.T) {
	s := time.Second
	limited := func(retryAfter time.Duration) *dafty.CallError {
		err := refusal(dafty.KindRateLimit)
		err.RetryAfter = retryAfter
		return err
	}
	const fewer = -1 // than the limit: how many others used is a guess
	for _, tt := range []struct {
		name string
		// calls are those of this process, the last of them is answered by rate and err after so long.
		calls int
		rate  dafty.Rate
		err   *dafty.CallError
		after time.Duration
		bound int
		next  time.Duration // from the answer
	}{
		{"nothing said", 1, dafty.Rate{}, nil, 0, 20, 0},
		{"as we count", 1, rate(20, 19, 60*s), nil, 0, 20, 0},
		{"a higher limit", 20, rate(30, 10, 60*s), nil, 0, 30, 0},
		{"a lower limit", 5, rate(5, 0, 60*s), nil, 0, 5, 60 * s},
		{"more left than we count, as a fixed minute has just begun", 20, rate(20, 19, 60*s), nil, 0, 20, 60 * s},
		{"others", 1, rate(20, 10, 60*s), nil, 0, 10, 0},
		{"none left, by others", 1, rate(20, 0, 17*s), nil, 0, 1, 60 * s},
		{"none left for a short while", 1, rate(120, 0, 7*s), nil, 0, 1, 60 * s},
		{"Retry-After", 1, dafty.Rate{}, limited(33 * s), 0, fewer, 33 * s},
		{"refused without Retry-After", 1, dafty.Rate{}, limited(0), 0, fewer, 10 * s},
		{"refused for others, who are told of", 5, rate(20, 0, 33*s), limited(33 * s), 0, 20 - 16 - 1, 60 * s},
		{"refused for another reason", 1, dafty.Rate{}, refusal(dafty.KindConcurrency), 0, 20, 0},
		{"a held request's word is old", 1, rate(20, 3, 60*s), nil, 55 * s, 20, 0},
		{"a slow answer's too", 1, rate(20, 3, 60*s), nil, 5 * s, 20, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			began := time.Now()
			p := paced(20, false, tt.calls-1, began)
			goes(p, began, 0)
			now := began.Add(tt.after)
			p.onResponse(began, now, tt.rate, tt.err)
			if got := p.bound(now); got != tt.bound && (tt.bound != fewer || got >= 20) {
				t.Errorf("%d calls a minute, want %d", got, tt.bound)
			}
			if got := p.next(now, 0).Sub(now); got != tt.next {
				t.Errorf("the next may go after %v, want %v", got, tt.next)
			}
		})
	}
}

// Remaining 0 is heeded although there is room by our own count.
func TestLimiterWaitsForTheReset(t *testing.T) {
	now := time.Now()
	p := paced(120, false, 0, now)
	goes(p, now, 0)
	p.onResponse(now, now, rate(120, 2, 20*time.Second), nil)
	p.others = nil // Only what is left is of interest here.
	for before, want := range []time.Duration{0, 0, 20 * time.Second, 20 * time.Second} {
		if got := p.next(now, before).Sub(now); got < want || want == 0 && got > 0 {
			t.Errorf("with 2 left, one after %d others may go after %v, want %v", before, got, want)
		}
	}
	if got := p.next(now.Add(20*time.Second), 3); got.After(now.Add(20 * time.Second)) {
		t.Errorf("after the reset it waits until %v", got.Sub(now))
	}
}

// A pause is never shortened by a later answer.
func TestLimiterKeepsTheLongestPause(t *testing.T) {
	now := time.Now()
	p := paced(20, false, 2, now)
	for _, wait := range []time.Duration{40 * time.Second, 5 * time.Second} {
		p.pause(&dafty.CallError{Kind: dafty.KindRateLimit, RetryAfter: wait}, now)
	}
	p.onResponse(now, now, rate(20, 18, time.Minute), nil)
	if got := p.next(now, 0).Sub(now); got != 40*time.Second {
		t.Errorf("the next may go after %v", got)
	}
}

// Long polls were counted when they came: an answer's word on what is left includes them already.
func TestLimiterCountsLongPollsOnce(t *testing.T) {
	began := time.Now()
	p := paced(120, false, 0, began)
	for range 100 {
		p.acquire(began, 0) // and is held
	}
	now := began.Add(30 * time.Second)
	goes(p, now, 0)
	p.onResponse(now, now, rate(120, 19, 30*time.Second), nil)
	if got := p.next(now, 0).Sub(now); got != 0 {
		t.Errorf("with 19 left the next may go after %v", got)
	}
}

// Somebody else is reckoned with until 75 s after the last sign.
func TestLimiterNoticesOthersAndForgetsThem(t *testing.T) {
	began := time.Now()
	p := paced(20, true, 1, began)
	for _, tt := range []struct {
		at   time.Duration
		rate dafty.Rate
		want int
	}{
		{0, rate(20, 19, 60*time.Second), 20},
		{1 * time.Second, rate(20, 12, 59*time.Second), 20 - 6 - 1}, // 2 are ours
		{2 * time.Second, rate(20, 7, 58*time.Second), 20 - 10 - 1}, // 3 are ours
		{62 * time.Second, rate(20, 19, 60*time.Second), 20 - 10 - 1},
		{76 * time.Second, dafty.Rate{}, 20 - 10 - 1},
		{77 * time.Second, dafty.Rate{}, 20},
	} {
		now := began.Add(tt.at)
		if tt.rate.Limit > 0 {
			if tt.at > 0 {
				p.next(now, 0)
				goes(p, now, 0)
			}
			p.onResponse(now, now, tt.rate, nil)
		}
		if got := p.bound(now); got != tt.want {
			t.Errorf("after %v: %d calls a minute, want %d", tt.at, got, tt.want)
		}
	}
}

// The first call after a quiet minute goes alone, until it is answered or for 2 s.
func TestLimiterSendsOneAhead(t *testing.T) {
	began := time.Now()
	p := paced(20, true, 0, began)
	if got := p.next(began, 0); got != began {
		t.Fatalf("the first may go after %v", got.Sub(began))
	}
	goes(p, began, 5)
	if got := p.next(began, 0).Sub(began); got != solo {
		t.Errorf("the second may go after %v", got)
	}
	now := began.Add(300 * time.Millisecond)
	p.onResponse(began, now, dafty.Rate{}, nil)
	if got := p.next(now, 0); got != now {
		t.Errorf("after the answer the second waits %v", got.Sub(now))
	}
	p.acquire(now, 5)
	if got := p.next(now, 0); got != now {
		t.Errorf("the third waits %v", got.Sub(now))
	}
	later := now.Add(WindowLength)
	p.next(later, 0)
	p.acquire(later, 5)
	if got := p.next(later, 0).Sub(later); got != solo {
		t.Errorf("a minute later the second may go after %v", got)
	}
}

// What is more than the limit is spread over the minute, and what is less isn't.
func TestLimiterSpreadsWhatIsTooMuch(t *testing.T) {
	now := time.Now()
	p := paced(20, true, 0, now)
	var gone []time.Duration
	began := now
	for range 60 {
		now = p.next(now, 0)
		goes(p, now, 10)
		p.onResponse(now, now, dafty.Rate{}, nil)
		gone = append(gone, now.Sub(began))
	}
	if gone[19] != 0 {
		t.Errorf("the first minute's go until %v", gone[19])
	}
	for i := 21; i < len(gone); i++ {
		if apart := gone[i] - gone[i-1]; apart != 3*time.Second {
			t.Errorf("the %dth goes %v after the one before", i+1, apart)
		}
	}
	// Once they are few again, they go at once.
	for range 5 {
		now = now.Add(30 * time.Second)
		if at := p.next(now, 0); at != now {
			t.Errorf("one of few waits %v", at.Sub(now))
		}
		goes(p, now, 0)
		p.onResponse(now, now, dafty.Rate{}, nil)
	}
	for range 5 {
		if at := p.next(now, 0); at != now {
			t.Errorf("one of five at once waits %v", at.Sub(now))
		}
		goes(p, now, 0)
		p.onResponse(now, now, dafty.Rate{}, nil)
	}
}

// Who is the only one to use a key, and is told so by each answer, sees nobody else, and is never over the limit: however long
// the answers take, and whichever way the minute is counted.
func TestLimiterSeesNobodyWhoIsNotThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 20).Draw(t, "limit")
		fixed := rapid.Bool().Draw(t, "fixed window")
		p := paced(limit, rapid.Bool().Draw(t, "scarce"), 0, time.Time{})
		now := time.Date(2026, 1, 1, 0, 0, rapid.IntRange(0, 59).Draw(t, "second"), 0, time.UTC)
		var counted []time.Time
		count := func(at time.Time) dafty.Rate {
			counted = append(counted, at)
			slices.SortFunc(counted, time.Time.Compare)
			since, reset := at.Add(-WindowLength), time.Duration(0)
			if fixed {
				since = at.Truncate(WindowLength).Add(-1)
				reset = since.Add(WindowLength + 1).Sub(at)
			}
			n := 0
			for _, c := range counted {
				if c.After(since) && !c.After(at) {
					if n++; n == 1 && !fixed {
						reset = c.Add(WindowLength).Sub(at)
					}
				}
			}
			if n > limit {
				t.Fatalf("%d calls within a minute of %d", n, limit)
			}
			return rate(limit, limit-n, (reset + time.Second - 1).Truncate(time.Second))
		}
		type event struct {
			at, taken time.Time
			rate      dafty.Rate
			counts    bool
		}
		var events []event
		until := func(at time.Time) {
			for len(events) > 0 && !events[0].at.After(at) {
				e := events[0]
				events = events[1:]
				if e.counts {
					back := time.Duration(rapid.IntRange(1, 500).Draw(t, "back in ms")) * time.Millisecond
					events = append(events, event{at: e.at.Add(back), taken: e.taken, rate: count(e.at)})
					slices.SortStableFunc(events, func(a, b event) int { return a.at.Compare(b.at) })
					continue
				}
				p.onResponse(e.taken, e.at, e.rate, nil)
			}
		}
		for range rapid.IntRange(1, 80).Draw(t, "calls") {
			// Most come together, as they do.
			now = now.Add(time.Duration(max(0, rapid.IntRange(-20, 20).Draw(t, "idle in s"))) * time.Second)
			for until(now); p.next(now, 0).After(now); until(now) {
				at := p.next(now, 0)
				if len(events) > 0 && events[0].at.Before(at) {
					at = events[0].at
				}
				now = at
			}
			goes(p, now, 0)
			way := time.Duration(rapid.IntRange(1, 500).Draw(t, "way in ms")) * time.Millisecond
			events = append(events, event{at: now.Add(way), taken: now, counts: true})
			slices.SortStableFunc(events, func(a, b event) int { return a.at.Compare(b.at) })
			if n := p.others.used(now); n > 0 {
				t.Fatalf("%d calls of others are seen", n)
			}
		}
	})
}
