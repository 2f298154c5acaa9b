package ratelimit

import (
	"context"
	"slices"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

// cancelQueueCheck is how often a cancel looks whether its turn has come sooner than it was told, as others have left.
const cancelQueueCheck = 5 * time.Second

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

// AcquireForCancel waits for the turn of a cancel. again is set where it was tried before. It fails when ctx ends.
func (g *Gate) AcquireForCancel(ctx context.Context, again bool) (*Turn, error) {
	g.mu.Lock()
	cancel := g.cancels.join(again)
	g.mu.Unlock()
	for {
		if err := ctx.Err(); err != nil {
			g.mu.Lock()
			g.cancels.remove(cancel)
			g.mu.Unlock()
			return nil, err
		}
		turn, at := g.tryCancel(cancel)
		if turn != nil {
			return turn, nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(time.Until(at), cancelQueueCheck)):
		}
	}
}

// tryCancel takes the turn of a cancel in the queue, or returns when it comes.
func (g *Gate) tryCancel(cancel *queuedCancel) (turn *Turn, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now, c := time.Now(), g.classes[dafty.ClassOther]
	before := slices.Index(g.cancels.waiting, cancel)
	if cancel.again {
		before += min(ReservedForLooks, c.limiter.bound(now)/2)
	}
	if block := c.rateBlock(now, before); block != nil {
		return nil, block.Until
	}
	g.cancels.remove(cancel)
	return g.take(c, dafty.ClassOther, false, now), now
}
