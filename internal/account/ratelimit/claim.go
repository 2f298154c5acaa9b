package ratelimit

import (
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// ClaimLife is how long a claim may be used: what was free or blocked then need not be so later.
const ClaimLife = 30 * time.Second

// Urgency is what a submission waits for.
type Urgency int

const (
	// InTurn waits for the Caller's turn among all others.
	InTurn Urgency = iota
	// Repeat waits only for its share of the rate limit, as it repeats a request in doubt. What became of that must be found
	// out even when nothing new would be accepted.
	Repeat
	// AtOnce waits only for the rate limit, not spread over the minute, as it follows a request that was just refused.
	AtOnce
)

// Submission is a request for a job that is to be sent.
type Submission struct {
	By    *Caller
	Class dafty.Class
	// Key is its idempotency key.
	Key     string
	Urgency Urgency
	// Changed is when a person last changed something that it depends on, zero where nobody did.
	Changed time.Time
}

// Claim is a turn to submit that was taken.
type Claim struct {
	// At is when it was taken.
	At time.Time
	// Joined is since when the Caller waited in the queue, zero where it didn't have to queue, and Why what for last.
	Joined time.Time
	Why    dafty.Kind
}

// Claim takes a turn to submit, or returns why the submission waits.
func (g *Gate) Claim(s Submission) (claim Claim, block *lifecycle.Block, wake Callers) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if block := g.leases.blocks(s.By, s.Key, now); block != nil {
		return Claim{}, block, g.leaveQueues(s.By) // it can't use its turn
	}
	if s.Urgency == InTurn {
		claim, block = g.claimInTurn(s, now)
	} else {
		claim, block = g.claimAtOnce(s, now)
	}
	if block != nil {
		return Claim{}, block, nil
	}
	g.leases.acquire(s.By.UID, s.Key, now.Add(ClaimLife), now)
	return claim, nil, nil
}

// KeepClaim leases the key of a claim that wasn't used yet for longer, and reports whether it could.
func (g *Gate) KeepClaim(by *Caller, key string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	return g.leases.acquire(by.UID, key, now.Add(ClaimLife), now)
}

// GiveBack takes back a claim that isn't used.
func (g *Gate) GiveBack(by *Caller, name dafty.Class, claimed time.Time) Callers {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.classes[name]
	c.limiter.giveBack(claimed)
	c.concurrency.releaseProbe(by)
	if wake := g.releaseProbes(by); len(wake) > 0 {
		return wake
	}
	return g.movedUp(c, time.Now())
}

func (g *Gate) claimAtOnce(s Submission, now time.Time) (Claim, *lifecycle.Block) {
	c := g.classes[s.Class]
	at := c.limiter.next(now, 0)
	if s.Urgency == AtOnce {
		at = c.limiter.unspread(now)
	}
	if at.After(now) {
		return Claim{}, &lifecycle.Block{Kind: dafty.KindRateLimit, Until: at}
	}
	c.limiter.acquire(now, len(c.queue))
	return Claim{At: now}, nil
}

func (g *Gate) claimInTurn(s Submission, now time.Time) (Claim, *lifecycle.Block) {
	if block := g.refusals.blocks(s.By, now); block != nil {
		return Claim{}, block
	}
	c := g.classes[s.Class]
	place := c.queue.place(s.By, now)
	early := g.breaker.probesEarly(s.By, s.Changed, now) || c.breaker.probesEarly(s.By, s.Changed, now)
	if block := g.blocks(s, c, place, early, now); block != nil {
		c.queue[place].waits(block.Until, block.Kind)
		return Claim{}, block
	}
	claim := Claim{At: now, Joined: c.queue[place].joined, Why: c.queue[place].why}
	c.queue.remove(s.By)
	c.limiter.acquire(now, len(c.queue))
	c.concurrency.startProbe(s.By, now)
	g.breaker.startProbe(s.By, now)
	c.breaker.startProbe(s.By, now)
	if early {
		g.breaker.startEarlyProbe(now)
		c.breaker.startEarlyProbe(now)
	}
	return claim, nil
}

// blocks returns what the one at a place of a queue waits for, nil if it may go. early is set where it probes a breaker before
// its time is up.
func (g *Gate) blocks(s Submission, c *class, place int, early bool, now time.Time) *lifecycle.Block {
	alone := g.waitsAlone(s.By)
	if block := g.breaker.blocks(s.By, s.Changed, alone, now); block != nil {
		return block
	}
	if block := c.breaker.blocks(s.By, s.Changed, alone, now); block != nil {
		return block
	}
	if block := c.concurrency.full(now); block != nil {
		return block
	}
	if early {
		place = 0 // before those who wait for what it meets
	}
	return c.rateBlock(now, place)
}

// waitsAlone reports whether no submission waits but the Caller's.
func (g *Gate) waitsAlone(by *Caller) bool {
	for _, c := range g.classes {
		for _, w := range c.queue {
			if w.by != by {
				return false
			}
		}
	}
	return true
}
