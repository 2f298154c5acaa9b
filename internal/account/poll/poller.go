package poll

import (
	"context"
	"sync"
	"time"

	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
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
	ctx   context.Context // It ends what the Poller runs.
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

	strangers strangers
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

// Unfollow ends the polling of a job, and the call that is on its way for it.
func (p *Poller) Unfollow(t *Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.targets, t)
	t.stop()
	p.kick()
}

// kick has the Poller decide again.
func (p *Poller) kick() {
	select {
	case p.kicked <- struct{}{}:
	default:
	}
}

// durationsOf returns those of a class.
func (p *Poller) durationsOf(class dafty.Class) *durations {
	if p.durations[class] == nil {
		p.durations[class] = &durations{}
	}
	return p.durations[class]
}
