package ratelimit

import (
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// class decides about the calls of one class. The Gate's lock guards it.
type class struct {
	limiter     limiter
	breaker     *breaker
	queue       queue
	concurrency concurrency
}

// rateBlock returns until when the class has no call left for one that so many others go before, nil if it has one now.
func (c *class) rateBlock(now time.Time, others int) *lifecycle.Block {
	at := c.limiter.next(now, others)
	if !at.After(now) {
		return nil
	}
	return &lifecycle.Block{Kind: dafty.KindRateLimit, Until: at}
}

// accepted learns that Dafty took a submission of the class. There was room for this one: the next tries whether there is
// more.
func (c *class) accepted(now time.Time) Callers {
	switch {
	case c.breaker == nil:
		return nil
	case c.breaker.kind != dafty.KindConcurrency || len(c.queue) == 0:
		c.breaker = nil
		return c.queue.all()
	default:
		c.breaker.until, c.breaker.failures, c.breaker.refused = now, 0, nil
		return c.queue.first()
	}
}

// finished learns that a job of the class has ended, which makes room for the next.
func (c *class) finished(by *Caller, now time.Time) Callers {
	c.concurrency.remove(by)
	switch {
	case c.breaker != nil && c.breaker.kind == dafty.KindConcurrency:
		c.breaker.until, c.breaker.probe, c.breaker.refused = now, nil, nil
		return c.queue.first()
	case c.concurrency.ceiling > 0:
		return c.queue.first()
	}
	return nil
}

// movedUp returns those of the queue whose turn is sooner than they were told, as others went away or more is known of the
// minute.
func (c *class) movedUp(now time.Time) Callers {
	var wake Callers
	for place := range min(len(c.queue), c.limiter.bound(now)) {
		at := now
		if block := c.concurrency.full(now); block != nil {
			at = block.Until
		}
		if block := c.rateBlock(now, place); block != nil && block.Until.After(at) {
			at = block.Until
		}
		if waits := &c.queue[place]; waits.due.After(at.Add(time.Second)) {
			waits.due = at
			wake = append(wake, waits.by)
		}
	}
	return wake
}
