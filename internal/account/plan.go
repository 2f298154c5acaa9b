package account

import (
	"slices"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

// plan is how the minute's calls are divided.
type plan struct {
	// holds is how many requests may be held at once, spacing the time between two that begin.
	holds   int
	spacing time.Duration
	// lists are those to be swept, every so often.
	lists []dafty.JobStatus
	every time.Duration
	// whole says that the lists tell of the ends, too: not every job has a held request.
	whole bool
	// crowded says that not every job can have one.
	crowded bool
	// ages are those of the jobs of each class, as far as they are known, the youngest first; where it is crowded.
	ages map[dafty.Class][]time.Duration
}

func (w *poller) plan(now time.Time) plan {
	jobs, unheld, waiting := 0, 0, false
	for each := range w.polls {
		if each.cancelling {
			continue
		}
		jobs++
		if !each.busy && each.look.IsZero() {
			unheld++
		}
		waiting = waiting || each.status != dafty.Processing && each.look.IsZero()
	}
	bound := w.account.classes[dafty.ClassOther].limiter.bound(now)
	calls := float64(max(1, bound-min(spareForLooks, bound/2)))
	const minute = float64(windowLength)
	// Where not each can have a held request at any time, the lists tell of those that are too young to end meanwhile.
	// Where there are far more, most of the ends are told by the lists.
	const reach, far = 0.85, 1.5
	holdCost := minute / float64(max(w.lasts, pollInterval)) // calls a minute
	p := plan{holds: jobs, every: sweepEvery}
	if float64(jobs) > calls/2 {
		// Many that begin at once would end at once, and want more of the next minute than it has.
		p.spacing = time.Duration(minute / calls)
	}
	pages := max(w.pages, 1)
	if float64(jobs)*holdCost <= reach*calls {
		switch {
		case unheld > jobs/5 && p.spacing > 0:
			p.lists, p.whole = []dafty.JobStatus{dafty.Pending, dafty.Processing}, true
		case waiting:
			// Whether it has begun: the end is told by the held request.
			p.lists = []dafty.JobStatus{dafty.Processing}
		}
		left := max(calls-float64(jobs)*holdCost, 1)
		p.every = max(p.every, time.Duration(minute*float64(pages)/left))
		return p
	}
	p.crowded, p.whole, p.ages = true, true, w.ages(now)
	p.lists = []dafty.JobStatus{dafty.Pending, dafty.Processing}
	pages = max(pages, 1+(jobs+dafty.PageSize-1)/dafty.PageSize)
	// Three quarters for the lists at the most.
	const most = 0.75
	p.every = max(crowdedSweepEvery, time.Duration(minute*float64(pages)/(most*calls)))
	// An even flow leaves a place for a look at any time.
	p.spacing = time.Duration(minute / calls)
	if float64(jobs)*holdCost > far*calls {
		// A fifth is for looks at those that have ended without a held request.
		const looks = 0.2
		lists := minute * float64(pages) / float64(p.every)
		left := (1-looks)*calls - lists
		p.holds = max(0, int(left/max(holdCost-looks*calls/float64(jobs), 0.1)))
	}
	return p
}

// ages are those of the jobs of each class, as far as they are known, the youngest first.
func (w *poller) ages(now time.Time) map[dafty.Class][]time.Duration {
	ages := map[dafty.Class][]time.Duration{}
	for each := range w.polls {
		if !each.cancelling && !each.made.IsZero() {
			ages[each.class] = append(ages[each.class], now.Sub(each.made))
		}
	}
	for _, of := range ages {
		slices.Sort(of)
	}
	return ages
}
