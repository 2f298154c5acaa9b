package poll

import (
	"context"
	"time"

	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
)

// mayEnd returns how likely a job ends within a long poll that begins now; ages are those of all of its class.
func (p *Poller) mayEnd(t *Target, now time.Time, ages []time.Duration) float64 {
	if t.Made.IsZero() {
		return 1
	}
	return p.durationsOf(t.Class).mayEnd(now.Sub(t.Made), ages)
}

func (p *Poller) look(t *Target, turn *ratelimit.Turn, at time.Time) {
	job, err := p.calls.Job(t.ctx, turn, t.ID, false)
	t.follower.OnLook(t, Look{Job: job, Err: err, At: at})
}

func (p *Poller) longPoll(ctx context.Context, t *Target, turn *ratelimit.Turn, at time.Time) {
	job, err := p.calls.Job(ctx, turn, t.ID, true)
	if p.released(ctx, t, err != nil, time.Since(at)) {
		return
	}
	t.follower.OnLook(t, Look{Job: job, Err: err, At: at, Long: true})
}

// released ends a long poll, and reports whether it was given up for a look at once.
func (p *Poller) released(ctx context.Context, t *Target, failed bool, lasted time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.longPolls--
	p.lasting += (lasted - p.lasting) / 16
	givenUp := failed && ctx.Err() != nil && t.ctx.Err() == nil
	t.release()
	t.release = nil
	if givenUp {
		t.busy, t.LookAt, t.Urgent = false, time.Now(), true
	}
	p.kick()
	return givenUp
}

// Again has a job looked at by itself, after a look that failed.
func (p *Poller) Again(t *Target, at time.Time, urgent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.busy, t.LookAt, t.Urgent, t.asked = false, at, urgent, time.Now()
	p.kick()
}

// GoOn has a job polled on, after a look that found it running.
func (p *Poller) GoOn(t *Target, look Look, cancelling bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.busy, t.Status, t.Made, t.Cancelling, t.asked = false, look.Job.Status, look.Job.CreatedAt, cancelling, time.Now()
	t.LookAt, t.rest = time.Time{}, time.Time{}
	switch now := time.Now(); {
	case cancelling:
		t.looks++
		t.LookAt, t.Urgent = now.Add(dafty.Backoff(confirmInterval, t.looks, pollInterval)), true
	case look.Long:
		// A long poll that Dafty didn't hold is nothing but a look.
		t.rest = look.At.Add(pollInterval)
	}
	p.kick()
}

// EndedByItself learns how long a job took.
func (p *Poller) EndedByItself(t *Target, job *dafty.Job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !job.CreatedAt.IsZero() {
		p.durationsOf(t.Class).add(time.Since(job.CreatedAt))
	}
}

// LookNow has a job that is being cancelled looked at at once, in place of a long poll.
func (p *Poller) LookNow(t *Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.looks, t.Cancelling = 0, true
	switch {
	case t.release != nil:
		t.release()
	case !t.busy:
		t.LookAt, t.Urgent = time.Now(), true
		p.kick()
	}
}
