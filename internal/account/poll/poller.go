package poll

import (
	"context"
	"sync"
	"time"

	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
)

const (
	// longPollTime is how long Dafty holds a long poll, about.
	longPollTime = 55 * time.Second
	// sweepInterval is the time between two sweeps, so that Processing shows within 10 s.
	sweepInterval = 8 * time.Second
	// crowdedSweepInterval is the same where the lists tell of the ends, too.
	crowdedSweepInterval = 10 * time.Second
	// firstSweep is how long after the first job the lists are read first.
	firstSweep = 2 * time.Second
	// confirmInterval is the time between looks at a job whose cancel must be confirmed, at first.
	confirmInterval = time.Second
	// pollInterval is the least time between two long polls that Dafty didn't hold, and the most between looks at a job that is
	// being cancelled.
	pollInterval = 5 * time.Second
	// Debounce is how long the poller waits for more of what makes it decide again: jobs often begin or end together, and each
	// is to be known before the first gets the call that should be another's.
	Debounce = time.Millisecond
	// MaxBackoff is the longest time between two looks that fail.
	MaxBackoff = time.Minute
)

// Calls are those to Dafty. Each ends the turn that it is given.
type Calls interface {
	// Job looks at a job, with a long poll where wait is set.
	Job(ctx context.Context, turn *ratelimit.Turn, id string, wait bool) (*dafty.Job, *dafty.CallError)
	// List reads a page of the jobs with a status.
	List(ctx context.Context, turn *ratelimit.Turn, status dafty.JobStatus, cursor string) (*dafty.JobPage, *dafty.CallError)
}

// Poller looks at the jobs in flight of an API key, as many calls as the minute carries: a long poll for each where that is
// possible, which tells of the end at once; beyond that, lists of those that haven't ended, and a look at each that is no longer
// among them. It is safe for concurrent use.
type Poller struct {
	ctx   context.Context //nolint:containedctx // It ends what the Poller runs.
	gate  *ratelimit.Gate
	calls Calls

	mu      sync.Mutex
	targets map[*Target]bool
	kicked  chan struct{}
	running bool
	// durations are how long the jobs of each class take.
	durations map[dafty.Class]*durations

	// longPolls counts those that are on their way, and lasting is how long they last, on the average: one whose job ends
	// costs as much as any other.
	longPolls int
	lasting   time.Duration
	// nextEven is when the next call may go that is spread evenly over the minute.
	nextEven time.Time

	sweep *sweep
	// swept is when the last sweep began, and first when the first may where there was none for long; pages is what it cost,
	// and failures how many failed in a row.
	swept    time.Time
	first    time.Time
	pages    int
	failures int
}

// New returns a Poller that follows nothing yet. What it runs ends with ctx.
func New(ctx context.Context, gate *ratelimit.Gate, calls Calls) *Poller {
	return &Poller{
		ctx: ctx, gate: gate, calls: calls, lasting: longPollTime,
		targets: map[*Target]bool{}, kicked: make(chan struct{}, 1), durations: map[dafty.Class]*durations{},
	}
}

// LongPolls returns how many are on their way.
func (p *Poller) LongPolls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.longPolls
}

// Follow begins to poll a job. Its calls end with ctx.
func (p *Poller) Follow(ctx context.Context, job Job, follower Follower) *Target {
	t := &Target{Job: job, poller: p, follower: follower}
	t.ctx, t.stop = context.WithCancel(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.targets[t] = true
	if !p.running {
		p.start()
	}
	p.kick()
	return t
}

// Unfollow ends the polling of a job, and the call that is on its way for it.
func (p *Poller) Unfollow(t *Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.targets, t)
	t.stop()
	p.kick()
}

func (p *Poller) start() {
	if p.sweep != nil && !p.sweep.busy {
		p.sweep = nil // of jobs that have ended long since
	}
	if now := time.Now(); p.failures == 0 && now.Sub(p.swept) > sweepInterval {
		// What was just submitted has hardly begun.
		p.swept, p.first = time.Time{}, now.Add(firstSweep)
	}
	p.running = true
	go p.run()
}

// kick has the Poller decide again.
func (p *Poller) kick() {
	select {
	case p.kicked <- struct{}{}:
	default:
	}
}

func (p *Poller) run() {
	p.debounce()
	for {
		p.mu.Lock()
		if len(p.targets) == 0 || p.ctx.Err() != nil {
			p.running = false
			p.mu.Unlock()
			return
		}
		call, at := p.next(time.Now())
		p.mu.Unlock()
		if call != nil {
			go call()
			continue
		}
		timer := time.NewTimer(time.Until(at))
		select {
		case <-p.kicked:
			p.debounce()
		case <-timer.C:
		case <-p.ctx.Done():
		}
		timer.Stop()
	}
}

func (p *Poller) debounce() {
	timer := time.NewTimer(Debounce)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.ctx.Done():
	}
}
