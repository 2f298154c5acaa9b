package ratelimit

import (
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

// Load is what a class has to do.
type Load struct {
	// InFlight counts the jobs that Dafty has, or may be getting.
	InFlight int
	// Waiting counts those who wait for their turn to submit, of whom Oldest has waited longest.
	Waiting int
	Oldest  time.Duration
	// Remaining is how many calls of the minute Dafty said last are left, nil where it has said none.
	Remaining *int
}

// Load returns the load of each class.
func (g *Gate) Load(now time.Time) map[dafty.Class]Load {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := map[dafty.Class]Load{}
	for name, c := range g.classes {
		load := Load{InFlight: len(c.concurrency.inFlight)}
		for _, w := range c.queue {
			if !w.lapsed(now) {
				load.Waiting++
				load.Oldest = max(load.Oldest, now.Sub(w.joined))
			}
		}
		if c.limiter.limit > 0 {
			load.Remaining = new(c.limiter.remaining)
		}
		all[name] = load
	}
	return all
}
