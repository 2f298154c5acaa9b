package poll

import (
	"context"
	"time"

	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
)

// decision is what the Poller decides at one time: the call to make, or when to decide again.
type decision struct {
	*Poller
	plan plan
	now  time.Time
	// at is when to decide again at the latest.
	at time.Time
}

// next returns the call to make now, or nil and when to decide again at the latest: looks at single jobs come first, the urgent
// ones before the others, then long polls and lists, as the plan has it.
func (p *Poller) next(now time.Time) (call func(), at time.Time) {
	d := &decision{Poller: p, plan: p.plan(now), now: now, at: now.Add(time.Minute)}
	due, idle := d.candidates()
	if due != nil {
		return d.tryLook(due), d.at
	}
	order := []func() func(){func() func() { return d.tryLongPoll(idle) }, d.tryList}
	if d.plan.crowded {
		order[0], order[1] = order[1], order[0]
	}
	for _, choose := range order {
		if call := choose(); call != nil {
			return call, d.at
		}
	}
	return nil, d.at
}

// candidates returns the job that is to be looked at by itself now, and the one that is to have the next long poll; nil where
// there is none.
func (d *decision) candidates() (due, idle *Target) {
	inTurn := !d.plan.crowded || d.failures > 2 // the lists don't tell of the others
	var likeliest float64
	for t := range d.targets {
		switch {
		case t.busy:
		case t.LookAt.IsZero() && t.rest.After(d.now):
			d.by(t.rest)
		case t.LookAt.IsZero() && inTurn:
			if idle == nil || t.waitsLonger(idle) {
				idle = t
			}
		case t.LookAt.IsZero():
			likely := d.mayEnd(t, d.now, d.plan.ages[t.Class])
			if likely > 0 && (idle == nil || likely > likeliest || likely == likeliest && t.before(idle)) {
				idle, likeliest = t, likely
			}
		case t.LookAt.After(d.now):
			d.by(t.LookAt)
		case due == nil || t.Urgent && !due.Urgent || t.Urgent == due.Urgent && t.before(due):
			due = t
		}
	}
	return due, idle
}

// by has the Poller decide again at a time at the latest.
func (d *decision) by(at time.Time) {
	if at.Before(d.at) {
		d.at = at
	}
}

// acquire takes a turn that leaves so many reserved calls, nil where none is there.
func (d *decision) acquire(reserved int, long bool) *ratelimit.Turn {
	turn, at := d.gate.TryAcquire(dafty.ClassOther, reserved, long)
	if turn == nil {
		d.by(at)
	}
	return turn
}

func (d *decision) tryLook(t *Target) func() {
	reserved := ratelimit.ReservedForLooks
	if t.Urgent {
		reserved = ratelimit.ReservedForCancels
	}
	turn := d.acquire(reserved, false)
	if turn == nil {
		return nil
	}
	t.busy = true
	return func() { d.look(t, turn, d.now) }
}

func (d *decision) tryLongPoll(t *Target) func() {
	if t == nil || d.longPolls >= d.plan.longPolls {
		return nil
	}
	if d.nextEven.After(d.now) {
		d.by(d.nextEven)
		return nil
	}
	turn := d.acquire(ratelimit.ReservedForLooks, true)
	if turn == nil {
		return nil
	}
	d.longPolls++
	d.nextEven = d.now.Add(d.plan.spacing)
	t.busy = true
	ctx, release := context.WithCancel(t.ctx)
	t.release = release
	return func() { d.longPoll(ctx, t, turn, d.now) }
}

func (d *decision) tryList() func() {
	if !d.sweepDue() {
		return nil
	}
	if d.plan.crowded && d.nextEven.After(d.now) {
		d.by(d.nextEven)
		return nil
	}
	turn := d.acquire(ratelimit.ReservedForLooks, false)
	if turn == nil {
		return nil
	}
	if d.plan.crowded {
		d.nextEven = d.now.Add(d.plan.spacing)
	}
	if d.sweep == nil {
		d.begin(d.plan, d.now)
	}
	d.sweep.busy = true
	return func() { d.page(turn) }
}

// sweepDue reports whether a sweep is to begin, or to go on with its next page.
func (d *decision) sweepDue() bool {
	if d.sweep != nil {
		return !d.sweep.busy
	}
	if len(d.plan.lists) == 0 {
		return false
	}
	due := d.first
	if !d.swept.IsZero() {
		due = d.swept.Add(max(d.plan.every, dafty.Backoff(time.Second, d.failures, MaxBackoff)))
	}
	if due.After(d.now) {
		d.by(due)
		return false
	}
	return true
}
