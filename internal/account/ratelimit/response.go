package ratelimit

import (
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// OnResponse ends the turn, and learns from the answer to its call. givenUp is set where the call was ended by this process.
func (t *Turn) OnResponse(rate dafty.Rate, err *dafty.CallError, givenUp bool) Callers {
	if t == nil {
		return nil
	}
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	limiter := &t.gate.classes[t.class].limiter
	switch {
	case t.by != nil:
		return t.gate.onSubmission(t, rate, err, givenUp)
	case t.long:
		limiter.observe(t.at, time.Now(), rate, err)
	default:
		limiter.onResponse(t.at, time.Now(), rate, err)
	}
	return nil
}

// onSubmission learns from the answer to a submission. One that was given up tells nothing of Dafty.
func (g *Gate) onSubmission(t *Turn, rate dafty.Rate, err *dafty.CallError, givenUp bool) Callers {
	now, c := time.Now(), g.classes[t.class]
	c.limiter.onResponse(t.at, now, rate, err)
	c.concurrency.onResponse(t.by, err, now)
	g.learnCredits(err, now)
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
	case err.Kind == dafty.KindUnavailable && !err.Unsent:
	case lifecycle.MeaningOf(err.Kind).Blocks == lifecycle.BlocksClass:
		c.breaker = c.breaker.refuse(t.by, err, t.at, now)
		wake = nil
	case lifecycle.MeaningOf(err.Kind).Blocks == lifecycle.BlocksAccount:
		g.breaker = g.breaker.refuse(t.by, err, t.at, now)
		wake = nil
	}
	if len(wake) == 0 {
		wake = g.movedUp(c, now)
	}
	return wake
}
