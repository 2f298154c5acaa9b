package account

import (
	"context"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

const (
	// heldFor is how long Dafty holds a wait=true, about.
	heldFor = 55 * time.Second
	// sweepEvery is the time between two looks at the lists, so that Processing shows within 10 s.
	sweepEvery = 8 * time.Second
	// crowdedSweepEvery is the same where the lists tell of the ends, too.
	crowdedSweepEvery = 10 * time.Second
	// firstSweep is how long after the first job.
	firstSweep = 2 * time.Second
	// cancelledLook is the time between looks at a job whose cancel must be confirmed, at first.
	cancelledLook = time.Second
	// pollInterval is the least time between two held requests that Dafty didn't hold, and the most between looks
	// at a job that is being cancelled.
	pollInterval = 5 * time.Second
	// gather is how long the poller waits for more of what makes it decide anew: jobs often begin or end together,
	// and each is to be known before the first gets the call that should be another's.
	gather = time.Millisecond
	// maxTrouble is the longest time between two looks that fail.
	maxTrouble = time.Minute

	// spareForCancels is how many calls of a minute are left alone by all but cancels, and spareForLooks how many
	// by all but cancels and looks at jobs that are ending: a flood of other calls never keeps those waiting.
	spareForCancels = 6
	spareForLooks   = spareForCancels + 3
)

// poller looks at an account's jobs in flight, as many calls as the minute carries: a held request for each where
// that is possible, which tells of the end at once; beyond that, lists of those that haven't ended, and a look at each
// that is no longer among them. The account's lock guards it.
type poller struct {
	account *Account
	polls   map[*poll]bool
	kicked  chan struct{}
	running bool
	ctx     context.Context //nolint:containedctx // Of the registry, once it runs.

	// held counts the requests that are held, and nextHold is when the next call that nobody waits for may go. lasts is how long they last,
	// on the average: one whose job ends costs as much as any other.
	held     int
	nextHold time.Time
	lasts    time.Duration

	sweep *sweep
	// swept is when the last sweep began, and first when the first may where there was none for long; pages is what
	// it cost, and failures how many failed in a row.
	swept    time.Time
	first    time.Time
	pages    int
	failures int
}

func newPoller(a *Account) poller {
	return poller{account: a, polls: map[*poll]bool{}, kicked: make(chan struct{}, 1), lasts: heldFor}
}

// follow begins to poll a job.
func (a *Account) follow(ctx context.Context, w *poll) {
	a.enter(w)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.poller.add(ctx, w)
}

// enter counts a job that is watched among those in flight.
func (a *Account) enter(w *poll) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.classes[w.class]; c != nil {
		c.concurrency.enter(w.tracker)
	}
}

// unfollow ends a poll and the call that is on its way for it.
func (a *Account) unfollow(w *poll) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.poller.polls, w)
	if c := a.classes[w.class]; c != nil {
		c.concurrency.remove(w.tracker)
	}
	w.stop()
	a.poller.kick()
}

// kick has the poller decide anew.
func (w *poller) kick() {
	select {
	case w.kicked <- struct{}{}:
	default:
	}
}

// add begins to poll.
func (w *poller) add(ctx context.Context, added *poll) {
	w.polls[added] = true
	if !w.running {
		if w.sweep != nil && !w.sweep.busy {
			w.sweep = nil // of jobs that have ended long since
		}
		if now := time.Now(); w.failures == 0 && now.Sub(w.swept) > sweepEvery {
			// What was just submitted has hardly begun.
			w.swept, w.first = time.Time{}, now.Add(firstSweep)
		}
		w.running, w.ctx = true, ctx
		go w.run(ctx)
	}
	w.kick()
}

func (w *poller) run(ctx context.Context) {
	w.pause(ctx)
	for {
		w.account.mu.Lock()
		if len(w.polls) == 0 || ctx.Err() != nil {
			w.running = false
			w.account.mu.Unlock()
			return
		}
		call, at := w.next(time.Now())
		w.account.mu.Unlock()
		if call != nil {
			go call()
			continue
		}
		timer := time.NewTimer(time.Until(at))
		select {
		case <-w.kicked:
			w.pause(ctx)
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// pause lets the others catch up.
func (w *poller) pause(ctx context.Context) {
	timer := time.NewTimer(gather)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// next is the call to make now, or nil and when to decide anew at the latest: looks at single jobs come first, the
// urgent ones before the others, then held requests and lists, as the plan has it.
func (w *poller) next(now time.Time) (call func(), at time.Time) {
	at = now.Add(time.Minute)
	soonest := func(other time.Time) {
		if other.Before(at) {
			at = other
		}
	}
	plan := w.plan(now)
	inTurn := !plan.crowded || w.failures > 2 // the lists don't tell of the others
	var first, unheld *poll
	var likeliest float64
	for each := range w.polls {
		switch {
		case each.busy:
		case each.look.IsZero() && each.rest.After(now):
			soonest(each.rest)
		case each.look.IsZero() && inTurn:
			if unheld == nil || each.waitsLonger(unheld) {
				unheld = each
			}
		case each.look.IsZero():
			likely := each.mayEnd(now, plan.ages[each.class])
			if likely > 0 && (unheld == nil || likely > likeliest || likely == likeliest && each.before(unheld)) {
				unheld, likeliest = each, likely
			}
		case each.look.After(now):
			soonest(each.look)
		case first == nil || each.urgent && !first.urgent || each.urgent == first.urgent && each.before(first):
			first = each
		}
	}
	take := func(spare int, held bool) bool {
		c := w.account.classes[dafty.ClassOther]
		if wait := c.rateBlock(now, w.account.keepFree(dafty.ClassOther, spare, now)); wait != nil {
			soonest(wait.Until)
			return false
		}
		c.limiter.acquire(now, 0)
		if !held {
			c.limiter.onSent()
		}
		return true
	}
	if first != nil {
		spare := spareForLooks
		if first.urgent {
			spare = spareForCancels
		}
		if !take(spare, false) {
			return nil, at
		}
		first.busy = true
		return func() { first.ask(now) }, at
	}
	hold := func() func() {
		if unheld == nil || w.held >= plan.holds {
			return nil
		}
		if w.nextHold.After(now) {
			soonest(w.nextHold)
			return nil
		}
		if !take(spareForLooks, true) {
			return nil
		}
		w.held++
		w.nextHold = now.Add(plan.spacing)
		unheld.busy = true
		ctx, release := context.WithCancel(unheld.ctx)
		unheld.release = release
		return func() { unheld.longPoll(ctx, now) }
	}
	list := func() func() {
		if w.sweep == nil {
			due := w.first
			if !w.swept.IsZero() {
				due = w.swept.Add(max(plan.every, lifecycle.Backoff(time.Second, w.failures, maxTrouble)))
			}
			if len(plan.lists) == 0 {
				return nil
			}
			if due.After(now) {
				soonest(due)
				return nil
			}
		}
		if w.sweep != nil && w.sweep.busy {
			return nil
		}
		if plan.crowded && w.nextHold.After(now) {
			soonest(w.nextHold)
			return nil
		}
		if !take(spareForLooks, false) {
			return nil
		}
		if plan.crowded {
			w.nextHold = now.Add(plan.spacing)
		}
		if w.sweep == nil {
			w.begin(plan, now)
		}
		w.sweep.busy = true
		return func() { w.page(now) }
	}
	order := []func() func(){hold, list}
	if plan.crowded {
		order = []func() func(){list, hold}
	}
	for _, choose := range order {
		if call := choose(); call != nil {
			return call, at
		}
	}
	return nil, at
}
