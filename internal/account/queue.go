package account

import (
	"slices"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

// queueGrace is how long after the time that it was told a tracker may come for its turn. One
// that doesn't, as its DaftyJob was suspended meanwhile, loses its place.
const queueGrace = 30 * time.Second

// queue are the trackers that wait to submit, those first whose DaftyJobs were created first. Each is told
// the time of its own turn, so that a long queue isn't woken as a whole for one turn.
type queue []queued

type queued struct {
	tracker *Tracker
	due     time.Time
	// joined is since when it waits, and why for what, for metrics.
	joined time.Time
	why    dafty.Kind
}

// lapsed says that it has lost its place.
func (w queued) lapsed(now time.Time) bool { return now.After(w.due.Add(queueGrace)) }

// place is how many are before t, which joins the end if it isn't there.
func (q *queue) place(t *Tracker, now time.Time) int {
	*q = slices.DeleteFunc(*q, func(w queued) bool { return w.tracker != t && w.lapsed(now) })
	place := slices.IndexFunc(*q, func(w queued) bool { return w.tracker == t })
	if place < 0 {
		place = len(*q)
		for place > 0 && (*q)[place-1].tracker.created.After(t.created) {
			place--
		}
		*q = slices.Insert(*q, place, queued{tracker: t, due: now, joined: now})
	}
	return place
}

func (q *queue) remove(t *Tracker) {
	*q = slices.DeleteFunc(*q, func(w queued) bool { return w.tracker == t })
}

// first is the one whose turn is next, if any.
func (q *queue) first() []*Tracker {
	if len(*q) == 0 {
		return nil
	}
	return []*Tracker{(*q)[0].tracker}
}

func (q *queue) all() []*Tracker {
	var all []*Tracker
	for _, w := range *q {
		all = append(all, w.tracker)
	}
	return all
}
