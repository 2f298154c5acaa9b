package ratelimit

import (
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

// Submit notes that a submission leaves whose claim was taken at claimed. It returns nil where it may not: its claim may have
// lapsed while it was written down, and another have the key since. The key is leased until the request has surely passed.
func (g *Gate) Submit(s Submission, claimed, until time.Time) (*Turn, Callers) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.classes[s.Class]
	if !g.leases.acquire(s.By.UID, s.Key, until, time.Now()) {
		c.concurrency.remove(s.By)
		return nil, g.releaseProbes(s.By)
	}
	c.limiter.onSent()
	c.concurrency.enter(s.By)
	return &Turn{gate: g, class: s.Class, at: claimed, by: s.By}, nil
}

// ReleaseKey gives back the key of a submission whose answer leaves nothing in doubt.
func (g *Gate) ReleaseKey(by *Caller, key string) Callers {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.leases.release(by.UID, key)
}

// KeyRefusals returns how often in a row the API key was refused to a Caller.
func (g *Gate) KeyRefusals(by *Caller) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if it := g.refusals.by[by]; it != nil {
		return it.count
	}
	return 0
}

// onSubmission learns from the answer to a submission. One that was given up tells nothing of Dafty.
func (g *Gate) onSubmission(t *Turn, rate dafty.Rate, err *dafty.CallError, givenUp bool) Callers {
	now, c := time.Now(), g.classes[t.class]
	c.limiter.onResponse(t.at, now, rate, err)
	c.concurrency.onResponse(t.by, err, now)
	wake := g.releaseProbes(t.by)
	confirmed := g.refusals.onResponse(t.by, err, g.breaker != nil && g.breaker.kind == dafty.KindUnauthorized, now)
	switch {
	case err == nil:
		wake = c.accepted(now)
		if g.breaker != nil {
			g.breaker = nil
			wake = g.waiting()
		}
	case givenUp, err.Kind == dafty.KindRateLimit:
	case err.Kind == dafty.KindUnauthorized && !confirmed:
	case err.Kind == dafty.KindConcurrency, err.Kind == dafty.KindSubscriptionRequired:
		// Only of this class: fewer videos than images may run, and a plan may lack one of them.
		c.breaker = c.breaker.refuse(t.by, err, t.at, now)
		wake = nil
	case err.Kind.Advice() == dafty.AdviceAskPerson, err.Kind == dafty.KindUsageLimit,
		err.Kind == dafty.KindUnavailable && err.Unsent:
		g.breaker = g.breaker.refuse(t.by, err, t.at, now)
		wake = nil
	}
	if len(wake) == 0 {
		wake = g.movedUp(c, now)
	}
	return wake
}
