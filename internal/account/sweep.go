package account

import (
	"strings"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

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
