package poll

import (
	"strings"
	"time"

	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
)

// begin begins a sweep.
func (p *Poller) begin(plan plan, now time.Time) {
	p.swept = now
	p.sweep = &sweep{lists: plan.lists, members: map[*Target]bool{}, seen: map[string]bool{}, listed: map[dafty.JobStatus][]dafty.ListedJob{}, whole: plan.whole}
	for t := range p.targets {
		if !t.busy {
			p.sweep.members[t] = true
		}
	}
}

// page asks for the next page of a sweep.
func (p *Poller) page(turn *ratelimit.Turn) {
	p.mu.Lock()
	s := p.sweep
	status, cursor := s.lists[0], s.cursor
	p.mu.Unlock()

	page, err := p.calls.List(p.ctx, turn, status, cursor)

	p.mu.Lock()
	s.busy = false
	var news []*Target
	if err != nil {
		p.failures++
		p.sweep = nil
	} else {
		news = p.read(s, status, page)
	}
	p.kick()
	p.mu.Unlock()
	for _, t := range news {
		t.follower.OnListed(t, status)
	}
}

// read takes a page, and returns those whose status it changes.
func (p *Poller) read(s *sweep, status dafty.JobStatus, page *dafty.JobPage) []*Target {
	s.pages++
	here := map[string]bool{}
	for _, job := range page.Jobs {
		id := strings.ToLower(job.ID)
		if !s.seen[id] {
			s.listed[status] = append(s.listed[status], job)
		}
		here[id], s.seen[id] = true, true
	}
	var news []*Target
	for t := range p.targets {
		if here[strings.ToLower(t.ID)] && t.Status != status && t.Status != dafty.Processing {
			t.Status = status
			news = append(news, t)
		}
	}
	s.cursor = page.Next
	if s.pages >= maxPages {
		// A list that doesn't end tells nothing, and costs as much as one that fails.
		p.sweep, p.failures = nil, p.failures+1
		return news
	}
	if page.Next == "" {
		s.lists = s.lists[1:]
		p.strangers.listed(status, s.listed[status], p.targets, time.Now())
	}
	if len(s.lists) == 0 {
		p.conclude(s)
	}
	return news
}

// conclude ends a sweep: who isn't among those that run has ended, or is listed under no status that is known.
func (p *Poller) conclude(s *sweep) {
	p.sweep, p.pages, p.failures = nil, s.pages, 0
	if !s.whole {
		return
	}
	now := time.Now()
	for t := range s.members {
		if p.targets[t] && !t.busy && t.LookAt.IsZero() && !s.seen[strings.ToLower(t.ID)] && !now.Before(t.unlisted) {
			t.absent++
			t.unlisted = now.Add(dafty.Backoff(2*sweepInterval, t.absent, MaxBackoff))
			t.LookAt, t.Urgent = now, true
		}
	}
}
