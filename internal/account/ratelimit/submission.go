package ratelimit

import (
	"time"
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

// Recall counts a submission that a process before this one made, or may have made, at a time, and leases its idempotency key
// until its request has surely passed.
func (g *Gate) Recall(s Submission, at, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.classes[s.Class]
	if c == nil {
		return
	}
	c.limiter.window.recall(at)
	if s.Key != "" {
		// It may still be on its way, and another Caller may have the same key.
		g.leases.acquire(s.By.UID, s.Key, until, time.Now())
	}
}
