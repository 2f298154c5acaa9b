package account

import (
	"context"
	"time"

	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// searchRetry is how soon a search that failed may be made again at first, and maxSearchRetry after many failures.
const (
	searchRetry    = time.Second
	maxSearchRetry = time.Minute
)

// search is what came of a search in a style.
type search struct {
	lifecycle.Search
	endedAt, retryAt time.Time
}

// Search makes a search in a style with the key in the Secret. The DaftyJob is woken when it is answered. It changes nothing while
// the search is on its way, or has failed and may not be made again yet.
func (t *Tracker) Search(query lifecycle.StyleQuery) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.secret
	if a == nil || t.closed || t.shared.draining() {
		return
	}
	it := t.searches[query]
	if it != nil && (it.Underway || time.Now().Before(it.retryAt)) {
		return
	}
	if it == nil {
		it = &search{}
		if t.searches == nil {
			t.searches = map[lifecycle.StyleQuery]*search{}
		}
		t.searches[query] = it
	}
	it.Underway = true
	go t.search(t.callContext.into(t.ctx), t.shared.accounts.retain(a), query, it)
}

func (t *Tracker) search(ctx context.Context, a *Account, query lifecycle.StyleQuery, it *search) {
	defer t.shared.accounts.release(a)
	ctx, giveUp := context.WithCancel(ctx)
	defer context.AfterFunc(t.shared.open, giveUp)()
	defer giveUp()
	assets, failure := a.search(ctx, query)
	t.mu.Lock()
	it.Underway = false
	if failure != nil && ctx.Err() != nil || t.searches[query] != it {
		t.mu.Unlock()
		return // given up with the process or the DaftyJob, or made with another key
	}
	it.onAnswer(assets, failure)
	t.mu.Unlock()
	t.Wake()
}

func (a *Account) search(ctx context.Context, query lifecycle.StyleQuery) ([]dafty.StyleAsset, *dafty.CallError) {
	turn, err := a.gate.Acquire(ctx, dafty.ClassOther, ratelimit.ReservedForLooks)
	if err != nil {
		return nil, dafty.AsError(err)
	}
	return a.client.Search(ctx, turn, query)
}

// onAnswer keeps the answer to a search.
func (it *search) onAnswer(assets []dafty.StyleAsset, failure *dafty.CallError) {
	it.endedAt, it.retryAt = time.Now(), time.Time{}
	before := it.Failures
	it.Search = lifecycle.Search{Answered: true, Assets: assets, Err: failure}
	if failure != nil {
		it.Failures = before + 1
		it.retryAt = it.endedAt.Add(max(dafty.Backoff(searchRetry, it.Failures, maxSearchRetry), failure.RetryAfter))
	}
}

// knownSearches returns what is known of the searches. It is called with the tracker locked.
func (t *Tracker) knownSearches() map[lifecycle.StyleQuery]lifecycle.Search {
	if len(t.searches) == 0 {
		return nil
	}
	known := map[lifecycle.StyleQuery]lifecycle.Search{}
	for query, it := range t.searches {
		known[query] = it.Search
		if it.Answered {
			search := it.Search
			search.Age, search.RetryIn = time.Since(it.endedAt), max(time.Until(it.retryAt), 0)
			known[query] = search
		}
	}
	return known
}

// forgetSearches has searches made again, as a person has changed something. It is called with the tracker locked.
func (t *Tracker) forgetSearches() {
	for query, it := range t.searches {
		if !it.Underway {
			delete(t.searches, query)
		}
	}
}
