package ratelimit

import (
	"slices"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

// queueGrace is how long after the time that it was told a Caller may come for its turn. One that doesn't, as it was suspended
// meanwhile, loses its place.
const queueGrace = 30 * time.Second

// queue holds those who wait to submit, the oldest first. Each is told the time of its own turn, so that a long queue isn't
// woken as a whole for one turn.
type queue []queued

type queued struct {
	by *Caller
	// due is when it was told to come.
	due time.Time
	// joined is since when it waits, and why what for.
	joined time.Time
	why    dafty.Kind
}

// lapsed reports whether it has lost its place.
func (w queued) lapsed(now time.Time) bool { return now.After(w.due.Add(queueGrace)) }

// waits notes until when it waits, and what for: the rate limit only where there is nothing else.
func (w *queued) waits(until time.Time, why dafty.Kind) {
	w.due = until
	if w.why == "" || why != dafty.KindRateLimit {
		w.why = why
	}
}

// place returns how many are before a Caller, which joins the queue if it isn't there.
func (q *queue) place(by *Caller, now time.Time) int {
	*q = slices.DeleteFunc(*q, func(w queued) bool { return w.by != by && w.lapsed(now) })
	place := slices.IndexFunc(*q, func(w queued) bool { return w.by == by })
	if place < 0 {
		place = len(*q)
		for place > 0 && (*q)[place-1].by.Created.After(by.Created) {
			place--
		}
		*q = slices.Insert(*q, place, queued{by: by, due: now, joined: now})
	}
	return place
}

func (q *queue) remove(by *Caller) {
	*q = slices.DeleteFunc(*q, func(w queued) bool { return w.by == by })
}

// first returns the one whose turn is next, if any.
func (q *queue) first() Callers {
	if len(*q) == 0 {
		return nil
	}
	return Callers{(*q)[0].by}
}

func (q *queue) all() Callers {
	var all Callers
	for _, w := range *q {
		all = append(all, w.by)
	}
	return all
}
