package account

import (
	"context"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
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
