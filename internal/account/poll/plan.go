package poll

import (
	"slices"
	"time"

	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
)

// plan is how the minute's calls are divided.
type plan struct {
	// longPolls is how many there may be at once, spacing the time between two that begin.
	longPolls int
	spacing   time.Duration
	// lists are those to be swept, every so often.
	lists []dafty.JobStatus
	every time.Duration
	// whole is set where the lists tell of the ends, too: not every job has a long poll.
	whole bool
	// crowded is set where not every job can have one.
	crowded bool
	// ages are those of the jobs of each class, as far as they are known, the youngest first; where it is crowded.
	ages map[dafty.Class][]time.Duration
}

// demand is what the jobs ask of a minute.
type demand struct {
	// jobs counts those that aren't being cancelled, idle those of them that have no call on its way.
	jobs, idle int
	// waiting is set where one of them hasn't begun.
	waiting bool
	// calls is how many the minute has for them, and cost how many of those it takes to have a long poll for one job.
	calls, cost float64
	// pages is how many calls a sweep takes.
	pages int
}

const minute = float64(ratelimit.WindowLength)

func (p *Poller) demand(now time.Time) demand {
	d := demand{pages: max(p.pages, 1)}
	for t := range p.targets {
		if t.Cancelling {
			continue
		}
		d.jobs++
		if !t.busy && t.LookAt.IsZero() {
			d.idle++
		}
		d.waiting = d.waiting || t.Status != dafty.Processing && t.LookAt.IsZero()
	}
	bound := p.gate.Bound(now, dafty.ClassOther)
	d.calls = float64(max(1, bound-min(ratelimit.ReservedForLooks, bound/2)))
	d.cost = minute / float64(max(p.lasting, pollInterval))
	return d
}

func (p *Poller) plan(now time.Time) plan {
	d := p.demand(now)
	// Where not each can have a long poll at any time, the lists tell of those that are too young to end meanwhile.
	const reach = 0.85
	if float64(d.jobs)*d.cost > reach*d.calls {
		crowded := d.crowded()
		crowded.ages = p.ages(now)
		return crowded
	}
	return d.uncrowded()
}

// uncrowded plans a long poll for each job.
func (d demand) uncrowded() plan {
	p := plan{longPolls: d.jobs, every: sweepInterval}
	if float64(d.jobs) > d.calls/2 {
		// Many that begin at once would end at once, and want more of the next minute than it has.
		p.spacing = time.Duration(minute / d.calls)
	}
	switch {
	case d.idle > d.jobs/5 && p.spacing > 0:
		p.lists, p.whole = []dafty.JobStatus{dafty.Pending, dafty.Processing}, true
	case d.waiting:
		// Whether it has begun: the long poll tells of the end.
		p.lists = []dafty.JobStatus{dafty.Processing}
	}
	left := max(d.calls-float64(d.jobs)*d.cost, 1)
	p.every = max(p.every, time.Duration(minute*float64(d.pages)/left))
	return p
}

// crowded plans the lists first. Where there are far more jobs than the minute has long polls for, the lists tell of most of the
// ends.
func (d demand) crowded() plan {
	const far = 1.5
	pages := max(d.pages, 1+(d.jobs+dafty.PageSize-1)/dafty.PageSize)
	// Three quarters for the lists at the most.
	const most = 0.75
	p := plan{
		crowded: true, whole: true, lists: []dafty.JobStatus{dafty.Pending, dafty.Processing}, longPolls: d.jobs,
		every: max(crowdedSweepInterval, time.Duration(minute*float64(pages)/(most*d.calls))),
		// An even flow leaves a place for a look at any time.
		spacing: time.Duration(minute / d.calls),
	}
	if float64(d.jobs)*d.cost > far*d.calls {
		// A fifth is for looks at those that have ended without a long poll.
		const looks = 0.2
		lists := minute * float64(pages) / float64(p.every)
		left := (1-looks)*d.calls - lists
		p.longPolls = max(0, int(left/max(d.cost-looks*d.calls/float64(d.jobs), 0.1)))
	}
	return p
}

// ages returns those of the jobs of each class, as far as they are known, the youngest first.
func (p *Poller) ages(now time.Time) map[dafty.Class][]time.Duration {
	ages := map[dafty.Class][]time.Duration{}
	for t := range p.targets {
		if !t.Cancelling && !t.Made.IsZero() {
			ages[t.Class] = append(ages[t.Class], now.Sub(t.Made))
		}
	}
	for _, of := range ages {
		slices.Sort(of)
	}
	return ages
}
