package ratelimit

import (
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

const (
	// firstProbe is how soon after it was learnt a ceiling is probed, and maxProbe how seldom that becomes: each probe that
	// fails is a create of the minute's.
	firstProbe = 30 * time.Second
	maxProbe   = 10 * time.Minute
	// nextProbe is how soon a ceiling that gave way is probed again.
	nextProbe = 15 * time.Second
)

// concurrency learns how many jobs of a class may be in flight at once. Dafty doesn't say it: a refusal teaches it.
type concurrency struct {
	// inFlight are those whose jobs Dafty has, or may be getting.
	inFlight map[*Caller]bool
	// ceiling is how many there were when one more was refused, 0 where that never happened.
	ceiling int
	// probe is when one more is tried, wait the time between two probes, and probing who probes.
	probe   time.Time
	wait    time.Duration
	probing *Caller
}

func newConcurrency() concurrency { return concurrency{inFlight: map[*Caller]bool{}} }

// full returns until when a submission waits, nil where there is room.
func (c *concurrency) full(now time.Time) *lifecycle.Block {
	if c.ceiling == 0 || len(c.inFlight) < c.ceiling || !now.Before(c.probe) {
		return nil
	}
	return &lifecycle.Block{Kind: dafty.KindConcurrency, Until: c.probe}
}

// startProbe notes that a Caller has a turn, though there may be no room.
func (c *concurrency) startProbe(by *Caller, now time.Time) {
	if c.ceiling > 0 && len(c.inFlight) >= c.ceiling {
		c.probing, c.probe = by, now.Add(probeTimeout)
	}
}

// releaseProbe notes that a Caller doesn't use its turn.
func (c *concurrency) releaseProbe(by *Caller) {
	if c.probing == by {
		c.probing = nil
	}
}

// enter gives a place to a Caller, whose job Dafty has or may be getting.
func (c *concurrency) enter(by *Caller) { c.inFlight[by] = true }

// onResponse learns from the answer to a submission.
func (c *concurrency) onResponse(by *Caller, err *dafty.CallError, now time.Time) {
	probed := c.probing == by
	if probed {
		c.probing = nil
	}
	switch {
	case err == nil && probed:
		c.ceiling, c.wait = len(c.inFlight), 0
		c.probe = now.Add(nextProbe)
	case err == nil:
	case err.Kind == dafty.KindConcurrency:
		delete(c.inFlight, by)
		c.ceiling = len(c.inFlight)
		if probed || !now.Before(c.probe) {
			// What was on its way before is no further probe.
			c.wait = min(max(firstProbe, 2*c.wait), maxProbe)
			c.probe = now.Add(c.wait)
		}
		if asked := now.Add(err.RetryAfter); asked.After(c.probe) {
			c.probe = asked
		}
	case err.Refused():
		delete(c.inFlight, by)
	}
}

// remove gives a Caller's place back.
func (c *concurrency) remove(by *Caller) {
	delete(c.inFlight, by)
	c.releaseProbe(by)
}
