package account

import (
	"context"
	"slices"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

// cancelQueue are the cancels that wait for their share of the rate limit: those that were never tried before those that are
// tried again, and each in the order in which they came. No look goes before one that was never tried. One that is tried again
// leaves room for the looks that tell whether its job has ended, or many of them would keep all looks waiting.
type cancelQueue struct{ waiting []*cancelTurn }

// cancelTurn is a cancel in the line-up. again says that it was tried before.
type cancelTurn struct{ again bool }

func (l *cancelQueue) join(again bool) *cancelTurn {
	turn := &cancelTurn{again: again}
	at := len(l.waiting)
	for at > 0 && !again && l.waiting[at-1].again {
		at--
	}
	l.waiting = slices.Insert(l.waiting, at, turn)
	return turn
}

func (l *cancelQueue) remove(turn *cancelTurn) {
	l.waiting = slices.DeleteFunc(l.waiting, func(other *cancelTurn) bool { return other == turn })
}

// untried returns how many wait that were never tried. They come first.
func (l *cancelQueue) untried() int {
	for i, turn := range l.waiting {
		if turn.again {
			return i
		}
	}
	return len(l.waiting)
}

// lineupCheck is how often a cancel looks again whether its turn has come sooner than it was told, as others have left.
const lineupCheck = 5 * time.Second

// acquireForCancel waits until a cancel may go, and returns when it took its turn.
func (a *Account) acquireForCancel(ctx context.Context, again bool) (taken time.Time, err error) {
	a.mu.Lock()
	turn := a.cancels.join(again)
	a.mu.Unlock()
	for {
		a.mu.Lock()
		if err := ctx.Err(); err != nil {
			a.cancels.remove(turn)
			a.mu.Unlock()
			return time.Time{}, err
		}
		now, c := time.Now(), a.classes[dafty.ClassOther]
		before := slices.Index(a.cancels.waiting, turn)
		if again {
			before += min(spareForLooks, c.limiter.bound(now)/2)
		}
		wait := c.rateBlock(now, before)
		if wait == nil {
			a.cancels.remove(turn)
			c.limiter.acquire(now, 0)
			c.limiter.onSent()
			a.mu.Unlock()
			return now, nil
		}
		a.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(min(wait.Until.Sub(now), lineupCheck)):
		}
	}
}
