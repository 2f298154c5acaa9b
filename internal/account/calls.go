package account

import (
	"context"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

// acquire waits until a call that isn't a submission may go, leaving spare calls of its class's
// minute alone, and says when it took its turn.
func (a *Account) acquire(ctx context.Context, name dafty.Class, spare int) (taken time.Time, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return time.Time{}, err
		}
		a.mu.Lock()
		now, c := time.Now(), a.classes[name]
		wait := c.rateBlock(now, a.keepFree(name, spare, now))
		if wait == nil {
			c.limiter.acquire(now, 0)
			c.limiter.onSent()
			a.mu.Unlock()
			return now, nil
		}
		a.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(wait.Until.Sub(now)):
		}
	}
}

// keepFree returns how many calls of a class's minute are left alone by a call that leaves so many spare: those, and one for
// each cancel that waits and was never tried.
func (a *Account) keepFree(name dafty.Class, spare int, now time.Time) int {
	reserved := min(spare, a.classes[name].limiter.bound(now)/2)
	if name == dafty.ClassOther {
		reserved += a.cancels.untried()
	}
	return reserved
}

// onResponse learns from the answer to a call that isn't a submission, whose turn was taken at
// taken.
func (a *Account) onResponse(name dafty.Class, taken time.Time, rate dafty.Rate, err *dafty.CallError) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.classes[name].limiter.onResponse(taken, time.Now(), rate, err)
}

// onLongPoll is called for a request that Dafty was asked to hold.
func (a *Account) onLongPoll(taken time.Time, rate dafty.Rate, err *dafty.CallError) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.classes[dafty.ClassOther].limiter.observe(taken, time.Now(), rate, err)
}

// quietAt is when nothing that the account remembers matters any more.
func (a *Account) quietAt() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	var at time.Time
	later := func(other time.Time) {
		if other.After(at) {
			at = other
		}
	}
	for _, c := range a.classes {
		later(c.limiter.quietAt())
		if c.breaker != nil {
			later(c.breaker.until)
		}
	}
	if a.breaker != nil {
		later(a.breaker.until)
	}
	return at
}
