package ratelimit

import (
	"sync"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

// Gate decides when the calls of one API key may leave. It is safe for concurrent use.
type Gate struct {
	mu      sync.Mutex
	classes map[dafty.Class]*class
	// breaker blocks the submissions of every class.
	breaker  *breaker
	refusals keyRefusals
	leases   leases
	cancels  cancelQueue
	// credits is what creates have shown, nil while none has told.
	credits *Credits
}

// New returns the Gate of an API key that may make so many calls a minute, by class. Calls of the process before this one may
// still count until previousUntil.
func New(limits map[dafty.Class]int, previousUntil time.Time) *Gate {
	g := &Gate{classes: map[dafty.Class]*class{}, refusals: keyRefusals{by: map[*Caller]*keyRefusal{}}, leases: leases{}}
	for name, limit := range limits {
		c := &class{limiter: newLimiter(limit, name != dafty.ClassOther), concurrency: newConcurrency()}
		if name == dafty.ClassOther || name == dafty.ClassUpload {
			// Submissions are on record, and are recalled one by one.
			c.limiter.previousUntil = previousUntil
		}
		g.classes[name] = c
	}
	return g
}

// Enter counts a job of a Caller among those that Dafty has.
func (g *Gate) Enter(by *Caller, name dafty.Class) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.classes[name]; c != nil {
		c.concurrency.enter(by)
	}
}

// Leave takes back Enter.
func (g *Gate) Leave(by *Caller, name dafty.Class) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.classes[name]; c != nil {
		c.concurrency.remove(by)
	}
}

// Finished lets the next job in, as one of the class has ended.
func (g *Gate) Finished(by *Caller, name dafty.Class) Callers {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.classes[name]
	if c == nil {
		return nil
	}
	return c.finished(by, time.Now())
}

// Withdraw takes a Caller out of the queues, as it isn't to submit now.
func (g *Gate) Withdraw(by *Caller) Callers {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.leaveQueues(by)
}

func (g *Gate) leaveQueues(by *Caller) Callers {
	var wake Callers
	for _, c := range g.classes {
		if before := len(c.queue); before > 0 {
			if c.queue.remove(by); len(c.queue) < before {
				wake = append(wake, c.queue.first()...)
			}
		}
	}
	return wake
}

// Remove forgets a Caller that is gone.
func (g *Gate) Remove(by *Caller) Callers {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.refusals.by, by)
	for _, c := range g.classes {
		c.queue.remove(by)
		c.concurrency.remove(by)
	}
	wake := g.releaseProbes(by)
	if len(wake) == 0 {
		for _, c := range g.classes {
			wake = append(wake, g.movedUp(c, time.Now())...)
		}
	}
	return wake
}

// releaseProbes notes that a Caller doesn't probe any more, and returns who is to probe in its place.
func (g *Gate) releaseProbes(by *Caller) Callers {
	var wake Callers
	general := g.breaker.releaseProbe(by)
	for _, c := range g.classes {
		if c.breaker.releaseProbe(by) || general {
			wake = append(wake, c.queue.first()...)
		}
	}
	return wake
}

func (g *Gate) movedUp(c *class, now time.Time) Callers {
	if len(c.queue) == 0 || g.breaker != nil || c.breaker != nil {
		return nil
	}
	return c.movedUp(now)
}

// waiting returns all who wait to submit.
func (g *Gate) waiting() Callers {
	var all Callers
	for _, c := range g.classes {
		all = append(all, c.queue.all()...)
	}
	return all
}

// QuietAt returns when nothing that the Gate remembers matters any more.
func (g *Gate) QuietAt() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	var at time.Time
	later := func(other time.Time) {
		if other.After(at) {
			at = other
		}
	}
	for _, c := range g.classes {
		later(c.limiter.quietAt())
		if c.breaker != nil {
			later(c.breaker.until)
		}
	}
	if g.breaker != nil {
		later(g.breaker.until)
	}
	return at
}
