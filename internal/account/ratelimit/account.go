package ratelimit

import (
	"cmp"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

// Credits is what the newest create that tells of them has shown of the account's credits and plan.
type Credits struct {
	// Refusal is nil where Dafty took the create, else why it refused it for want of credits or a plan.
	Refusal *dafty.CallError
	At      time.Time
}

// Credits returns what creates have shown, nil while none has told.
func (g *Gate) Credits() *Credits {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.credits
}

// learnCredits learns from the answer to a create.
func (g *Gate) learnCredits(err *dafty.CallError, now time.Time) {
	switch {
	case err == nil:
		g.credits = &Credits{At: now}
	case err.Kind == dafty.KindInsufficientCredits || err.Kind == dafty.KindSubscriptionRequired:
		g.credits = &Credits{Refusal: err, At: now}
	}
}

// Minute is what is left of a class's calls in the present minute.
type Minute struct {
	// Limit is how many calls a minute may have.
	Limit int
	// Remaining is how many Dafty said are left until ResetsAt. Both are nil and zero where it hasn't said so of this minute.
	Remaining *int
	ResetsAt  time.Time
}

// Minutes returns the minute of each class.
func (g *Gate) Minutes(now time.Time) map[dafty.Class]Minute {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := map[dafty.Class]Minute{}
	for name, c := range g.classes {
		m := Minute{Limit: cmp.Or(c.limiter.limit, c.limiter.documented)}
		if c.limiter.limit > 0 && now.Before(c.limiter.leftUntil) {
			m.Remaining, m.ResetsAt = new(c.limiter.remaining), c.limiter.leftUntil
		}
		all[name] = m
	}
	return all
}
