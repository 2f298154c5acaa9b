package account

import (
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/metrics"
	"dafty.ai/dafty-operator/internal/tracing"
)

// urgency is what a submission waits for.
type urgency int

const (
	// inTurn : for its turn among all others.
	inTurn urgency = iota
	// repeats : for its share of the rate limit alone, as it repeats a request in doubt. What became of that must be found
	// out even when nothing new would be accepted.
	repeats
	// atOnce : for the rate limit alone, not spread over the minute, as it follows a request that was just refused.
	atOnce
)

// claim takes a turn to submit under an idempotency key for t, or says what it waits for, and who is to be woken in its
// place.
func (a *Account) claim(t *Tracker, name dafty.Class, key string, how urgency) (hold *lifecycle.Block, taken time.Time, wake []*Tracker) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if wait := a.keys.blocks(t, key, now); wait != nil {
		return wait, time.Time{}, a.leaveQueues(t) // it can't use its turn
	}
	if wait := a.claimClass(t, name, how, now); wait != nil {
		return wait, time.Time{}, nil
	}
	a.keys.reserve(t.uid, key, now.Add(claimLife), now)
	return nil, now, nil
}

// reserveKey has a turn that was taken hold its key on, and says whether it does.
func (a *Account) reserveKey(t *Tracker, key string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	return a.keys.reserve(t.uid, key, now.Add(claimLife), now)
}

// giveBack takes back a turn of t that isn't used, and says who is to be woken in its place.
func (a *Account) giveBack(t *Tracker, name dafty.Class, taken time.Time) []*Tracker {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.classes[name]
	c.limiter.giveBack(taken)
	c.concurrency.releaseProbe(t)
	if wake := a.releaseProbes(t); len(wake) > 0 {
		return wake
	}
	return a.hasten(c, time.Now())
}

// claimClass is claim without the key.
func (a *Account) claimClass(t *Tracker, name dafty.Class, how urgency, now time.Time) *lifecycle.Block {
	c := a.classes[name]
	if how != inTurn {
		at := c.limiter.next(now, 0)
		if how == atOnce {
			at = c.limiter.unspread(now)
		}
		if at.After(now) {
			return &lifecycle.Block{Kind: dafty.KindRateLimit, Until: at}
		}
		c.limiter.acquire(now, len(c.queue))
		return nil
	}

	if wait := a.refusals.blocks(t, now); wait != nil {
		return wait
	}
	place := c.queue.place(t, now)
	alone := a.alone(t)
	asks := a.breaker.goesAhead(t, now) || c.breaker.goesAhead(t, now)
	wait := a.breaker.blocks(t, alone, now)
	if wait == nil {
		wait = c.breaker.blocks(t, alone, now)
	}
	if wait == nil {
		wait = c.concurrency.full(now)
	}
	if wait == nil && asks {
		wait = c.rateBlock(now, 0) // before those who wait for what it meets
	} else if wait == nil {
		wait = c.rateBlock(now, place)
	}
	if wait != nil {
		c.queue[place].waits(wait.Until, wait.Kind)
		return wait
	}
	metrics.RecordQueueWait(name, c.queue[place].why, now.Sub(c.queue[place].joined))
	tracing.Waited(t.callContext.span, string(name), string(c.queue[place].why), c.queue[place].joined, now)
	c.queue.remove(t)
	c.limiter.acquire(now, len(c.queue))
	c.concurrency.startProbe(t, now)
	a.breaker.startProbe(t, now)
	c.breaker.startProbe(t, now)
	if asks {
		a.breaker.ask(now)
		c.breaker.ask(now)
	}
	return nil
}

// alone says that no submission waits but t's.
func (a *Account) alone(t *Tracker) bool {
	for _, c := range a.classes {
		for _, w := range c.queue {
			if w.tracker != t {
				return false
			}
		}
	}
	return true
}

// rateBlock says until when the class has no call left for one that so many others are before.
func (c *class) rateBlock(now time.Time, others int) *lifecycle.Block {
	at := c.limiter.next(now, others)
	if !at.After(now) {
		return nil
	}
	return &lifecycle.Block{Kind: dafty.KindRateLimit, Until: at}
}

// sends notes that a submission of t leaves under an idempotency key, and says whether it may: its turn may have lapsed
// while it was written down, and another have the key since.
func (a *Account) sends(t *Tracker, name dafty.Class, key string) bool {
	a.mu.Lock()
	now, c := time.Now(), a.classes[name]
	if !a.keys.reserve(t.uid, key, now.Add(lifecycle.RepeatAfter), now) {
		c.concurrency.remove(t)
		wake := a.releaseProbes(t)
		a.mu.Unlock()
		wakeAll(wake)
		return false
	}
	c.limiter.onSent()
	c.concurrency.enter(t)
	a.mu.Unlock()
	return true
}

// releaseKey gives the key of a submission of t back whose answer leaves nothing in doubt.
func (a *Account) releaseKey(t *Tracker, key string) {
	a.mu.Lock()
	wake := a.keys.release(t.uid, key)
	a.mu.Unlock()
	wakeAll(wake)
}

// submitted learns from the answer to a submission of t, whose turn was taken at taken. One
// that was given up says nothing about Dafty.
func (a *Account) submitted(t *Tracker, name dafty.Class, taken time.Time, rate dafty.Rate, err *dafty.CallError, givenUp bool) {
	a.mu.Lock()
	now, c := time.Now(), a.classes[name]
	c.limiter.onResponse(taken, now, rate, err)
	c.concurrency.onResponse(t, err, now)
	wake := a.releaseProbes(t)
	confirmed := a.refusals.hear(t, err, a.breaker != nil && a.breaker.kind == dafty.KindUnauthorized, now)
	switch {
	case err == nil:
		wake = c.accepted(now)
		if a.breaker != nil {
			a.breaker = nil
			wake = a.waiting()
		}
	case givenUp, err.Kind == dafty.KindRateLimit:
	case err.Kind == dafty.KindUnauthorized && !confirmed:
	case err.Kind == dafty.KindUnavailable && !err.Unsent:
	case lifecycle.MeaningOf(err.Kind).Blocks == lifecycle.BlocksClass:
		c.breaker = c.breaker.refuse(t, err, taken, now)
		wake = nil
	case lifecycle.MeaningOf(err.Kind).Blocks == lifecycle.BlocksAccount:
		a.breaker = a.breaker.refuse(t, err, taken, now)
		wake = nil
	}
	if len(wake) == 0 {
		wake = a.hasten(c, now)
	}
	a.mu.Unlock()
	wakeAll(wake)
}

// accepted learns that Dafty took a submission of the class. There was room for this one:
// the next tries whether there is more.
func (c *class) accepted(now time.Time) []*Tracker {
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

// releaseProbes takes note that t doesn't try any more, and says who is to try in its place.
func (a *Account) releaseProbes(t *Tracker) []*Tracker {
	var wake []*Tracker
	general := a.breaker.probed(t)
	for _, c := range a.classes {
		if c.breaker.probed(t) || general {
			wake = append(wake, c.queue.first()...)
		}
	}
	return wake
}

// waiting are all trackers that wait to submit.
func (a *Account) waiting() []*Tracker {
	var all []*Tracker
	for _, c := range a.classes {
		all = append(all, c.queue.all()...)
	}
	return all
}

func wakeAll(trackers []*Tracker) {
	for _, t := range trackers {
		t.wake()
	}
}

// ended lets the next job in when one of its class has ended.
func (a *Account) ended(t *Tracker, name dafty.Class) {
	a.mu.Lock()
	var wake []*Tracker
	if c := a.classes[name]; c != nil {
		c.concurrency.remove(t)
		if c.breaker != nil && c.breaker.kind == dafty.KindConcurrency {
			c.breaker.until, c.breaker.probe, c.breaker.refused = time.Now(), nil, nil
			wake = c.queue.first()
		} else if c.concurrency.ceiling > 0 {
			wake = c.queue.first()
		}
	}
	a.mu.Unlock()
	wakeAll(wake)
}

// remove drops t, and says who is to be woken in its place.
func (a *Account) remove(t *Tracker) []*Tracker {
	a.uploads.leave(t)
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.refusals.by, t)
	for _, c := range a.classes {
		c.queue.remove(t)
		c.concurrency.remove(t)
	}
	wake := a.releaseProbes(t)
	if len(wake) == 0 {
		for _, c := range a.classes {
			wake = append(wake, a.hasten(c, time.Now())...)
		}
	}
	return wake
}

// withdraw takes t out of the queues, as its DaftyJob isn't to be submitted now, and says who is to be woken in its
// place.
func (a *Account) withdraw(t *Tracker) []*Tracker {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leaveQueues(t)
}

// leaveQueues is withdraw with the account locked.
func (a *Account) leaveQueues(t *Tracker) []*Tracker {
	var wake []*Tracker
	for _, c := range a.classes {
		if before := len(c.queue); before > 0 {
			if c.queue.remove(t); len(c.queue) < before {
				wake = append(wake, c.queue.first()...)
			}
		}
	}
	return wake
}

// hasten are those of a queue whose turn is sooner than they were told, as others went away or more is known of the
// minute.
func (a *Account) hasten(c *class, now time.Time) []*Tracker {
	if len(c.queue) == 0 || a.breaker != nil || c.breaker != nil {
		return nil
	}
	var wake []*Tracker
	for place := range min(len(c.queue), c.limiter.bound(now)) {
		at := now
		if wait := c.concurrency.full(now); wait != nil {
			at = wait.Until
		}
		if wait := c.rateBlock(now, place); wait != nil && wait.Until.After(at) {
			at = wait.Until
		}
		if waits := &c.queue[place]; waits.due.After(at.Add(time.Second)) {
			waits.due = at
			wake = append(wake, waits.tracker)
		}
	}
	return wake
}
