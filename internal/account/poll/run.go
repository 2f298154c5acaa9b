package poll

import (
	"context"
	"time"
)

// Follow begins to poll a job. Its calls end with ctx.
func (p *Poller) Follow(ctx context.Context, job Job, follower Follower) *Target {
	t := &Target{Job: job, follower: follower}
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
