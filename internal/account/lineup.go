package account

import (
	"context"
	"slices"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

// lineup are the cancels that wait for their share of the rate limit: those that were never tried before those that are
// tried again, and each in the order in which they came. No look at another job goes before one of them.
type lineup struct{ waiting []*cancelTurn }

// cancelTurn is a cancel in the line-up. again says that it was tried before.
type cancelTurn struct{ again bool }

func (l *lineup) join(again bool) *cancelTurn {
	turn := &cancelTurn{again: again}
	at := len(l.waiting)
	for at > 0 && !again && l.waiting[at-1].again {
		at--
	}
	l.waiting = slices.Insert(l.waiting, at, turn)
	return turn
}

func (l *lineup) leave(turn *cancelTurn) {
	l.waiting = slices.DeleteFunc(l.waiting, func(other *cancelTurn) bool { return other == turn })
}

// lineupCheck is how often a cancel looks again whether its turn has come sooner than it was told, as others have left.
const lineupCheck = 5 * time.Second

// cancelTurn waits until a cancel may go, and returns when it took its turn.
func (a *Account) cancelTurn(ctx context.Context, again bool) (taken time.Time, err error) {
	a.mu.Lock()
	turn := a.cancels.join(again)
	a.mu.Unlock()
	for {
		a.mu.Lock()
		if err := ctx.Err(); err != nil {
			a.cancels.leave(turn)
			a.mu.Unlock()
			return time.Time{}, err
		}
		now, c := time.Now(), a.classes[dafty.ClassOther]
		wait := c.rate(now, slices.Index(a.cancels.waiting, turn))
		if wait == nil {
			a.cancels.leave(turn)
			c.pace.take(now, 0)
			c.pace.sent()
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
