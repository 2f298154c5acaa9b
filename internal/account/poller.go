package account

import (
	"context"
	"slices"
	"strings"
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

// poll is a job at Dafty that is followed until it has ended. The account's lock guards it.
type poll struct {
	tracker *Tracker
	account *Account
	jobID   string
	class   dafty.Class
	ctx     context.Context //nolint:containedctx // The poll is what it stands for.
	stop    context.CancelFunc

	// status is as last seen, empty where this process hasn't seen any, and made when Dafty made the job, as far as
	// that is known.
	status dafty.JobStatus
	made   time.Time
	// cancelling says that the cancel must be confirmed.
	cancelling bool
	// look is when the job is asked about by itself, zero where a held request or the lists tell of it. An urgent
	// look is at a job that is ending.
	look   time.Time
	urgent bool
	// rest is before when no request is held, asked when the job was last asked about.
	rest, asked time.Time
	// looks counts those since the last that was wanted at once.
	looks int
	// busy is set while a call is on its way. release gives a held one up, nil where none is held.
	busy    bool
	release context.CancelFunc
	// absent counts the sweeps that didn't have the job although it runs; it isn't judged by one before unlisted.
	absent   int
	unlisted time.Time
}

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

// sweep is one look at the lists, page by page.
type sweep struct {
	// members are the polls that it can judge: those that were there before it began.
	members map[*poll]bool
	lists   []dafty.JobStatus // that are left
	cursor  string
	pages   int
	seen    map[string]bool
	whole   bool
	busy    bool
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

// before puts the jobs that began first first: they end first.
func (w *poll) before(other *poll) bool {
	if (w.status == dafty.Processing) != (other.status == dafty.Processing) {
		return w.status == dafty.Processing
	}
	a, b := w.tracker, other.tracker
	if !a.created.Equal(b.created) {
		return a.created.Before(b.created)
	}
	return a.name.String() < b.name.String()
}

// mayEnd is how likely the job ends while a request that begins now is held; ages are those of all of its class.
func (w *poll) mayEnd(now time.Time, ages []time.Duration) float64 {
	c := w.account.classes[w.class]
	if c == nil || w.made.IsZero() {
		return 1
	}
	return c.durations.mayEnd(now.Sub(w.made), ages)
}

// waitsLonger puts the jobs first that nobody has asked about for longest.
func (w *poll) waitsLonger(other *poll) bool {
	if !w.asked.Equal(other.asked) {
		return w.asked.Before(other.asked)
	}
	return w.before(other)
}

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

// ask looks at the job once.
func (w *poll) ask(taken time.Time) {
	ctx, rate := dafty.WithRate(w.ctx)
	job, err := w.account.client.Job(ctx, w.jobID, false)
	callErr := dafty.AsError(err)
	w.account.onResponse(dafty.ClassOther, taken, *rate, callErr)
	w.tracker.looked(w, taken, false, job, callErr)
}

// longPoll asks, and is answered when the job has ended, or after about 55 s.
func (w *poll) longPoll(ctx context.Context, taken time.Time) {
	asked, rate := dafty.WithRate(ctx)
	job, err := w.account.client.Job(asked, w.jobID, true)
	callErr := dafty.AsError(err)
	w.account.onLongPoll(taken, *rate, callErr)
	if w.released(ctx, err, time.Since(taken)) {
		return
	}
	w.tracker.looked(w, taken, true, job, callErr)
}

// released ends a held request, and says whether it was given up for the sake of a look at once.
func (w *poll) released(ctx context.Context, err error, lasted time.Duration) bool {
	w.account.mu.Lock()
	defer w.account.mu.Unlock()
	poller := &w.account.poller
	poller.held--
	poller.lasts += (lasted - poller.lasts) / 16
	givenUp := err != nil && ctx.Err() != nil && w.ctx.Err() == nil
	w.release()
	w.release = nil
	if givenUp {
		w.busy, w.look, w.urgent = false, time.Now(), true
	}
	w.account.poller.kick()
	return givenUp
}

// again has the job looked at by itself.
func (w *poll) again(at time.Time, urgent bool) {
	w.account.mu.Lock()
	defer w.account.mu.Unlock()
	w.busy, w.look, w.urgent, w.asked = false, at, urgent, time.Now()
	w.account.poller.kick()
}

// goesOn follows a look that found the job running.
func (w *poll) goesOn(job *dafty.Job, cancelling, held bool, taken time.Time) {
	w.account.mu.Lock()
	defer w.account.mu.Unlock()
	w.busy, w.status, w.made, w.cancelling, w.asked = false, job.Status, job.CreatedAt, cancelling, time.Now()
	w.look, w.rest = time.Time{}, time.Time{}
	switch now := time.Now(); {
	case cancelling:
		w.looks++
		w.look, w.urgent = now.Add(lifecycle.Backoff(cancelledLook, w.looks, pollInterval)), true
	case held:
		// A request that Dafty didn't hold is nothing but a poll.
		w.rest = taken.Add(pollInterval)
	}
	w.account.poller.kick()
}

// endsByItself learns how long the job took.
func (w *poll) endsByItself(job *dafty.Job) {
	w.account.mu.Lock()
	defer w.account.mu.Unlock()
	if c := w.account.classes[w.class]; c != nil && !job.CreatedAt.IsZero() {
		c.durations.add(time.Since(job.CreatedAt))
	}
}

// lookNow has a job that is being cancelled looked at at once, in place of a held request.
func (w *poll) lookNow() {
	w.account.mu.Lock()
	defer w.account.mu.Unlock()
	w.looks, w.cancelling = 0, true
	switch {
	case w.release != nil:
		w.release()
	case !w.busy:
		w.look, w.urgent = time.Now(), true
		w.account.poller.kick()
	}
}

// begin begins a sweep.
func (w *poller) begin(plan plan, now time.Time) {
	w.swept = now
	w.sweep = &sweep{lists: plan.lists, members: map[*poll]bool{}, seen: map[string]bool{}, whole: plan.whole}
	for each := range w.polls {
		if !each.busy {
			w.sweep.members[each] = true
		}
	}
}

// page asks for the next page of a sweep.
func (w *poller) page(taken time.Time) {
	w.account.mu.Lock()
	s := w.sweep
	status, cursor, parent := s.lists[0], s.cursor, w.ctx
	w.account.mu.Unlock()

	ctx, rate := dafty.WithRate(parent)
	page, err := w.account.client.List(ctx, status, cursor)
	callErr := dafty.AsError(err)
	w.account.onResponse(dafty.ClassOther, taken, *rate, callErr)

	w.account.mu.Lock()
	s.busy = false
	var news []*poll
	if err != nil {
		w.failures++
		w.sweep = nil
	} else {
		news = w.read(s, status, page)
	}
	w.kick()
	w.account.mu.Unlock()
	for _, each := range news {
		each.tracker.listed(each, status)
	}
}

// read takes a page, and gives those whose status it changes.
func (w *poller) read(s *sweep, status dafty.JobStatus, page *dafty.JobPage) []*poll {
	s.pages++
	here := map[string]bool{}
	for _, id := range page.IDs {
		id = strings.ToLower(id)
		here[id], s.seen[id] = true, true
	}
	var news []*poll
	for each := range w.polls {
		if here[strings.ToLower(each.jobID)] && each.status != status && each.status != dafty.Processing {
			each.status = status
			news = append(news, each)
		}
	}
	s.cursor = page.Next
	if s.pages >= maxPages {
		// A list that doesn't end tells nothing, and costs as much as one that fails.
		w.sweep, w.failures = nil, w.failures+1
		return news
	}
	if page.Next == "" {
		s.lists = s.lists[1:]
	}
	if len(s.lists) == 0 {
		w.conclude(s)
	}
	return news
}

// maxPages bounds a sweep, against lists that don't end.
const maxPages = 200

// conclude ends a sweep: who isn't among those that run has ended, or is listed under no status that is known.
func (w *poller) conclude(s *sweep) {
	w.sweep, w.pages, w.failures = nil, s.pages, 0
	if !s.whole {
		return
	}
	now := time.Now()
	for each := range s.members {
		if w.polls[each] && !each.busy && each.look.IsZero() && !s.seen[strings.ToLower(each.jobID)] && !now.Before(each.unlisted) {
			each.absent++
			each.unlisted = now.Add(lifecycle.Backoff(2*sweepEvery, each.absent, maxTrouble))
			each.look, each.urgent = now, true
		}
	}
}
