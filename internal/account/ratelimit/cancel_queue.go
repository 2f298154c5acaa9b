package ratelimit

import (
	"slices"
)

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
