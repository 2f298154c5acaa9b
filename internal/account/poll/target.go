package poll

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
)

// Job is a job at Dafty that is to be polled, as far as it is known.
type Job struct {
	ID    string
	Class dafty.Class
	// Name and Created are of whom it is for: the oldest is asked about first.
	Name    types.NamespacedName
	Created time.Time

	// Status is as last seen, empty where this process hasn't seen any, and Made when Dafty made the job, zero where that isn't
	// known.
	Status dafty.JobStatus
	Made   time.Time
	// Cancelling is set where a cancel must be confirmed.
	Cancelling bool
	// LookAt is when the job is asked about by itself, zero where a long poll or the lists tell of it. An Urgent look is at a job
	// that is ending.
	LookAt time.Time
	Urgent bool
}

// Look is the answer to one look at a job.
type Look struct {
	Job *dafty.Job
	Err *dafty.CallError
	// At is when it was decided on, and Long set where Dafty was asked to hold it.
	At   time.Time
	Long bool
}

// Follower is told what becomes of a job. It is called without locks.
type Follower interface {
	// OnLook is told of a look, and tells the Target how to go on: Again, GoesOn or, by Unfollow, not at all.
	OnLook(t *Target, look Look)
	// OnListed is told that a list has the job under another status.
	OnListed(t *Target, status dafty.JobStatus)
}

// Target is a job that is polled until it has ended. The Poller's lock guards it.
type Target struct {
	Job
	poller   *Poller
	follower Follower
	ctx      context.Context //nolint:containedctx // It ends the target's calls.
	stop     context.CancelFunc

	// rest is before when there is no long poll, asked when the job was last asked about.
	rest, asked time.Time
	// looks counts those since the last that was wanted at once.
	looks int
	// busy is set while a call is on its way. release gives up a long poll, nil where there is none.
	busy    bool
	release context.CancelFunc
	// absent counts the sweeps that didn't have the job although it runs; it isn't judged by one before unlisted.
	absent   int
	unlisted time.Time
}

// before puts the jobs that began first first: they end first.
func (t *Target) before(other *Target) bool {
	if (t.Status == dafty.Processing) != (other.Status == dafty.Processing) {
		return t.Status == dafty.Processing
	}
	if !t.Created.Equal(other.Created) {
		return t.Created.Before(other.Created)
	}
	return t.Name.String() < other.Name.String()
}

// waitsLonger puts the jobs first that nobody has asked about for longest.
func (t *Target) waitsLonger(other *Target) bool {
	if !t.asked.Equal(other.asked) {
		return t.asked.Before(other.asked)
	}
	return t.before(other)
}

// mayEnd returns how likely the job ends within a long poll that begins now; ages are those of all of its class.
func (t *Target) mayEnd(now time.Time, ages []time.Duration) float64 {
	if t.Made.IsZero() {
		return 1
	}
	return t.poller.durationsOf(t.Class).mayEnd(now.Sub(t.Made), ages)
}

func (t *Target) look(turn *ratelimit.Turn, at time.Time) {
	job, err := t.poller.calls.Job(t.ctx, turn, t.ID, false)
	t.follower.OnLook(t, Look{Job: job, Err: err, At: at})
}

func (t *Target) longPoll(ctx context.Context, turn *ratelimit.Turn, at time.Time) {
	job, err := t.poller.calls.Job(ctx, turn, t.ID, true)
	if t.released(ctx, err != nil, time.Since(at)) {
		return
	}
	t.follower.OnLook(t, Look{Job: job, Err: err, At: at, Long: true})
}

// released ends a long poll, and reports whether it was given up for a look at once.
func (t *Target) released(ctx context.Context, failed bool, lasted time.Duration) bool {
	p := t.poller
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

// Again has the job looked at by itself, after a look that failed.
func (t *Target) Again(at time.Time, urgent bool) {
	t.poller.mu.Lock()
	defer t.poller.mu.Unlock()
	t.busy, t.LookAt, t.Urgent, t.asked = false, at, urgent, time.Now()
	t.poller.kick()
}

// GoesOn has the job polled on, after a look that found it running.
func (t *Target) GoesOn(look Look, cancelling bool) {
	t.poller.mu.Lock()
	defer t.poller.mu.Unlock()
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
	t.poller.kick()
}

// EndedByItself learns how long the job took.
func (t *Target) EndedByItself(job *dafty.Job) {
	t.poller.mu.Lock()
	defer t.poller.mu.Unlock()
	if !job.CreatedAt.IsZero() {
		t.poller.durationsOf(t.Class).add(time.Since(job.CreatedAt))
	}
}

// LookNow has a job that is being cancelled looked at at once, in place of a long poll.
func (t *Target) LookNow() {
	t.poller.mu.Lock()
	defer t.poller.mu.Unlock()
	t.looks, t.Cancelling = 0, true
	switch {
	case t.release != nil:
		t.release()
	case !t.busy:
		t.LookAt, t.Urgent = time.Now(), true
		t.poller.kick()
	}
}
