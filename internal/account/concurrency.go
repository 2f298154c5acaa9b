package account

import (
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

const (
	// firstProbe is how soon after it was learnt it is tried whether a ceiling is still there, and maxProbe how
	// seldom that becomes: each try that fails is a create of the minute's.
	firstProbe = 30 * time.Second
	maxProbe   = 10 * time.Minute
	// nextProbe is how soon a ceiling that gave way is tried again.
	nextProbe = 15 * time.Second
)

// concurrency is how many jobs of a class may be in flight at once. Dafty doesn't say it: a refusal teaches it.
type concurrency struct {
	// inFlight are the jobs of this API key that Dafty has, or may be getting.
	inFlight map[*Tracker]bool
	// ceiling is how many there were when one more was refused, 0 where that never happened.
	ceiling int
	// probe is when one more is tried, wait the time between two tries, and probing who tries.
	probe   time.Time
	wait    time.Duration
	probing *Tracker
}

func newConcurrency() concurrency { return concurrency{inFlight: map[*Tracker]bool{}} }

// full says until when a submission waits, nil where there is room.
func (r *concurrency) full(now time.Time) *lifecycle.Block {
	if r.ceiling == 0 || len(r.inFlight) < r.ceiling || !now.Before(r.probe) {
		return nil
	}
	return &lifecycle.Block{Kind: dafty.KindConcurrency, Until: r.probe}
}

// startProbe notes that t has a turn, though there may be no room.
func (r *concurrency) startProbe(t *Tracker, now time.Time) {
	if r.ceiling > 0 && len(r.inFlight) >= r.ceiling {
		r.probing, r.probe = t, now.Add(probeTimeout)
	}
}

// releaseProbe notes that t doesn't use its turn.
func (r *concurrency) releaseProbe(t *Tracker) {
	if r.probing == t {
		r.probing = nil
	}
}

// enter gives a place to t, whose job Dafty has or may be getting.
func (r *concurrency) enter(t *Tracker) { r.inFlight[t] = true }

// onResponse learns from the answer to a submission of t.
func (r *concurrency) onResponse(t *Tracker, err *dafty.CallError, now time.Time) {
	probed := r.probing == t
	if probed {
		r.probing = nil
	}
	switch {
	case err == nil && probed:
		r.ceiling, r.wait = len(r.inFlight), 0
		r.probe = now.Add(nextProbe)
	case err == nil:
	case err.Kind == dafty.KindConcurrency:
		delete(r.inFlight, t)
		r.ceiling = len(r.inFlight)
		if probed || !now.Before(r.probe) {
			// What was on its way before is no further try.
			r.wait = min(max(firstProbe, 2*r.wait), maxProbe)
			r.probe = now.Add(r.wait)
		}
		if asked := now.Add(err.RetryAfter); asked.After(r.probe) {
			r.probe = asked
		}
	case err.Refused():
		delete(r.inFlight, t)
	}
}

// remove gives the place of t back.
func (r *concurrency) remove(t *Tracker) {
	delete(r.inFlight, t)
	r.releaseProbe(t)
}
