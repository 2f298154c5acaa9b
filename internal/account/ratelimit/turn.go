package ratelimit

import (
	"context"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

const (
	// ReservedForCancels is how many calls of a minute are left for cancels by all others, and ReservedForLooks how many for
	// cancels and looks at jobs that are ending: a flood of other calls never keeps those waiting.
	ReservedForCancels = 6
	ReservedForLooks   = ReservedForCancels + 3
)

// Turn is a call's share of the minute. A nil Turn is of a call that counts against no limit.
type Turn struct {
	gate  *Gate
	class dafty.Class
	at    time.Time
	// long is set for a request that Dafty is asked to hold: it was counted when it came.
	long bool
	// by is set for a submission.
	by *Caller
}

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

// Acquire waits for the turn of a call that isn't a submission, leaving so many reserved calls of its class's minute. It fails
// when ctx ends.
func (g *Gate) Acquire(ctx context.Context, name dafty.Class, reserved int) (*Turn, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		turn, at := g.TryAcquire(name, reserved, false)
		if turn != nil {
			return turn, nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(at)):
		}
	}
}

// TryAcquire is Acquire without the wait: where no turn is there, it returns when to try again. long is set for a request that
// Dafty is asked to hold.
func (g *Gate) TryAcquire(name dafty.Class, reserved int, long bool) (turn *Turn, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now, c := time.Now(), g.classes[name]
	if block := c.rateBlock(now, g.keepFree(name, reserved, now)); block != nil {
		return nil, block.Until
	}
	return g.take(c, name, long, now), now
}

func (g *Gate) take(c *class, name dafty.Class, long bool, now time.Time) *Turn {
	c.limiter.acquire(now, 0)
	if !long {
		c.limiter.onSent()
	}
	return &Turn{gate: g, class: name, at: now, long: long}
}

// keepFree returns how many calls of a class's minute are left by a call that leaves so many reserved ones: those, and one for
// each cancel that waits and was never tried.
func (g *Gate) keepFree(name dafty.Class, reserved int, now time.Time) int {
	free := min(reserved, g.classes[name].limiter.bound(now)/2)
	if name == dafty.ClassOther {
		free += g.cancels.untried()
	}
	return free
}

// Bound returns how many calls of a class a minute may have now.
func (g *Gate) Bound(now time.Time, name dafty.Class) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.classes[name].limiter.bound(now)
}
