package ratelimit

import (
	"context"
	"slices"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

// cancelQueueCheck is how often a cancel looks whether its turn has come sooner than it was told, as others have left.
const cancelQueueCheck = 5 * time.Second

// cancelQueue holds the cancels that wait for their share of the rate limit: those that were never tried before those that are
// tried again, and each in the order in which they came. No look goes before one that was never tried. One that is tried again
// leaves room for the looks that tell whether its job has ended, or many of them would keep all looks waiting.
type cancelQueue struct{ waiting []*queuedCancel }

// queuedCancel is a cancel that waits. again is set where it was tried before.
type queuedCancel struct{ again bool }

func (q *cancelQueue) join(again bool) *queuedCancel {
	cancel := &queuedCancel{again: again}
	at := len(q.waiting)
	for at > 0 && !again && q.waiting[at-1].again {
		at--
	}
	q.waiting = slices.Insert(q.waiting, at, cancel)
	return cancel
}

func (q *cancelQueue) remove(cancel *queuedCancel) {
	q.waiting = slices.DeleteFunc(q.waiting, func(other *queuedCancel) bool { return other == cancel })
}

// untried returns how many wait that were never tried. They come first.
func (q *cancelQueue) untried() int {
	for i, cancel := range q.waiting {
		if cancel.again {
			return i
		}
	}
	return len(q.waiting)
}

// AcquireForCancel waits for the turn of a cancel. again is set where it was tried before. It fails when ctx ends.
func (g *Gate) AcquireForCancel(ctx context.Context, again bool) (*Turn, error) {
	g.mu.Lock()
	cancel := g.cancels.join(again)
	g.mu.Unlock()
	for {
		if err := ctx.Err(); err != nil {
			g.mu.Lock()
			g.cancels.remove(cancel)
			g.mu.Unlock()
			return nil, err
		}
		turn, at := g.tryCancel(cancel)
		if turn != nil {
			return turn, nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(time.Until(at), cancelQueueCheck)):
		}
	}
}

// tryCancel takes the turn of a cancel in the queue, or returns when it comes.
func (g *Gate) tryCancel(cancel *queuedCancel) (turn *Turn, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now, c := time.Now(), g.classes[dafty.ClassOther]
	before := slices.Index(g.cancels.waiting, cancel)
	if cancel.again {
		before += min(ReservedForLooks, c.limiter.bound(now)/2)
	}
	if block := c.rateBlock(now, before); block != nil {
		return nil, block.Until
	}
	g.cancels.remove(cancel)
	return g.take(c, dafty.ClassOther, false, now), now
}
