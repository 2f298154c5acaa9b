package ratelimit

import (
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

func refusal(kind dafty.Kind) *dafty.CallError {
	return &dafty.CallError{Kind: kind, Status: 429, Message: "no"}
}

// filled returns a concurrency with so many jobs in flight, and whose they are.
func filled(jobs int) (*concurrency, []*Caller) {
	r := newConcurrency()
	callers := make([]*Caller, jobs)
	for i := range callers {
		callers[i] = &Caller{}
		r.enter(callers[i])
		r.onResponse(callers[i], nil, time.Time{})
	}
	return &r, callers
}

// What becomes of a ceiling that was learnt with three jobs in flight, when a fourth was refused.
func TestConcurrency(t *testing.T) {
	m := firstProbe
	retryAfter := refusal(dafty.KindConcurrency)
	retryAfter.RetryAfter = 4 * m
	for _, tt := range []struct {
		name string
		// then is what happens from the refusal on, and it returns when.
		then func(r *concurrency, in []*Caller, now time.Time) time.Time
		full bool
		wait time.Duration // until the next try, where it is full
	}{
		{"nothing: full, until it is tried again", func(_ *concurrency, _ []*Caller, now time.Time) time.Time { return now }, true, m},
		{"its time goes by", func(_ *concurrency, _ []*Caller, now time.Time) time.Time { return now.Add(m) }, false, 0},
		{"a job ends", func(r *concurrency, in []*Caller, now time.Time) time.Time { r.remove(in[0]); return now }, false, 0},
		{"a job ends, and one takes its place", func(r *concurrency, in []*Caller, now time.Time) time.Time {
			r.remove(in[0])
			r.enter(&Caller{})
			return now
		}, true, m},
		{"a try that is on its way keeps the others", func(r *concurrency, _ []*Caller, now time.Time) time.Time {
			now = now.Add(m)
			r.startProbe(&Caller{}, now)
			return now
		}, true, probeTimeout},
		{"a try that is refused: the next one is twice as much later", func(r *concurrency, _ []*Caller, now time.Time) time.Time {
			now = now.Add(m)
			probing := &Caller{}
			r.startProbe(probing, now)
			r.enter(probing)
			r.onResponse(probing, refusal(dafty.KindConcurrency), now)
			return now
		}, true, 2 * m},
		{"a try that is refused with Retry-After", func(r *concurrency, _ []*Caller, now time.Time) time.Time {
			now = now.Add(m)
			probing := &Caller{}
			r.startProbe(probing, now)
			r.enter(probing)
			r.onResponse(probing, retryAfter, now)
			return now
		}, true, 4 * m},
		{"a try that is accepted: the next follows soon", func(r *concurrency, _ []*Caller, now time.Time) time.Time {
			now = now.Add(m)
			probing := &Caller{}
			r.startProbe(probing, now)
			r.enter(probing)
			r.onResponse(probing, nil, now)
			return now
		}, true, nextProbe},
		{"a try that is never made: another follows", func(r *concurrency, _ []*Caller, now time.Time) time.Time {
			now = now.Add(m)
			r.startProbe(&Caller{}, now)
			return now.Add(probeTimeout)
		}, false, 0},
		{"a refusal with fewer in flight: the ceiling is lower than it seemed", func(r *concurrency, in []*Caller, now time.Time) time.Time {
			r.remove(in[0])
			r.remove(in[1])
			refused := &Caller{}
			r.enter(refused)
			r.onResponse(refused, refusal(dafty.KindConcurrency), now)
			return now
		}, true, m},
		{"one that is refused for itself takes no place", func(r *concurrency, in []*Caller, now time.Time) time.Time {
			r.remove(in[0])
			refused := &Caller{}
			r.enter(refused)
			r.onResponse(refused, refusal(dafty.KindInvalid), now)
			return now
		}, false, 0},
		{"one that is in doubt takes a place", func(r *concurrency, in []*Caller, now time.Time) time.Time {
			r.remove(in[0])
			doubtful := &Caller{}
			r.enter(doubtful)
			r.onResponse(doubtful, &dafty.CallError{Kind: dafty.KindUnavailable}, now)
			return now
		}, true, m},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Now()
			r, in := filled(3)
			fourth := &Caller{}
			if hold := r.full(now); hold != nil {
				t.Fatalf("full before anything was refused: %+v", hold)
			}
			r.enter(fourth)
			r.onResponse(fourth, refusal(dafty.KindConcurrency), now)
			at := tt.then(r, in, now)
			hold := r.full(at)
			if (hold != nil) != tt.full {
				t.Fatalf("full: %t, want %t (%d in flight, ceiling %d)", hold != nil, tt.full, len(r.inFlight), r.ceiling)
			}
			if hold != nil && (hold.Kind != dafty.KindConcurrency || hold.Until.Sub(at) != tt.wait) {
				t.Errorf("held for %v as %s, want %v", hold.Until.Sub(at), hold.Kind, tt.wait)
			}
		})
	}
}

// Several that are refused together, as they were on their way together, are one lesson.
func TestConcurrencyRefusalsAtOnceCountOnce(t *testing.T) {
	now := time.Now()
	r, _ := filled(3)
	var sent []*Caller
	for range 7 {
		sent = append(sent, &Caller{})
		r.enter(sent[len(sent)-1])
	}
	for i, each := range sent {
		r.onResponse(each, refusal(dafty.KindConcurrency), now.Add(time.Duration(i)*time.Millisecond))
	}
	if r.ceiling != 3 {
		t.Errorf("the ceiling is %d", r.ceiling)
	}
	if got := r.probe.Sub(now).Round(time.Second); got != firstProbe {
		t.Errorf("it is tried again after %v", got)
	}
}
