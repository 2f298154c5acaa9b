package account

import (
	"context"
	"sync"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// Dafty is the part of *dafty.Client that is used here.
type Dafty interface {
	Create(ctx context.Context, create dafty.Create, idempotencyKey string) (*dafty.Job, error)
	Job(ctx context.Context, id string, wait bool) (*dafty.Job, error)
	Cancel(ctx context.Context, id string) (*dafty.Job, error)
}

// Limits are the calls that Dafty allows an API key each minute, by class.
type Limits map[dafty.Class]int

// DefaultLimits are those of Dafty's rate-limits page.
var DefaultLimits = Limits{
	dafty.ClassImageCreate:  20,
	dafty.ClassVideoCreate:  5,
	dafty.ClassStyleExtract: 3,
	dafty.ClassOther:        120,
}

const (
	// spareForCancels is how many calls of a minute no look at a job may use, so that a cancel
	// never waits behind them.
	spareForCancels = 20
	// rateLimitPause is how long a class pauses after a 429 without Retry-After.
	rateLimitPause = 10 * time.Second
)

// Account is one API key: its client, its pacing, and what holds its submissions back.
type Account struct {
	key    string
	client Dafty

	mu      sync.Mutex
	windows map[dafty.Class]*window
	paused  map[dafty.Class]time.Time
	// general holds back all submissions; byClass those of one kind of job.
	general *hold
	byClass map[dafty.Class]*hold
	// waiting are the trackers that were held back and want to know when that ends.
	waiting map[*Tracker]struct{}
	// users counts the trackers that refer to the account; the registry guards it.
	users int
}

func newAccount(key string, client Dafty, limits Limits) *Account {
	a := &Account{
		key:     key,
		client:  client,
		windows: map[dafty.Class]*window{},
		paused:  map[dafty.Class]time.Time{},
		byClass: map[dafty.Class]*hold{},
		waiting: map[*Tracker]struct{}{},
	}
	for class, limit := range limits {
		a.windows[class] = &window{limit: limit}
	}
	return a
}

// claim takes a turn to submit for t, or says what it waits for. A repeat of a request in
// doubt waits for its share of the rate limit alone: what became of it must be found out
// even when nothing new would be accepted.
func (a *Account) claim(t *Tracker, class dafty.Class, repeat bool) *lifecycle.Hold {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	wait := a.rate(class, now)
	if !repeat && wait == nil {
		for _, h := range []*hold{a.general, a.byClass[class]} {
			if h != nil && wait == nil {
				wait = h.admits(t, now)
			}
		}
	}
	if wait != nil {
		a.waiting[t] = struct{}{}
		return wait
	}
	delete(a.waiting, t)
	a.windows[class].take(now, 0)
	return nil
}

// rate says until when the class has no call left.
func (a *Account) rate(class dafty.Class, now time.Time) *lifecycle.Hold {
	at := a.windows[class].next(now, 0)
	if paused := a.paused[class]; paused.After(at) {
		at = paused
	}
	if !at.After(now) {
		return nil
	}
	return &lifecycle.Hold{Kind: dafty.KindRateLimit, Until: at}
}

// submitted learns from the answer to a submission of t.
func (a *Account) submitted(t *Tracker, class dafty.Class, err *dafty.CallError) {
	a.mu.Lock()
	now := time.Now()
	var wake []*Tracker
	switch {
	case err == nil:
		a.general = nil
		if h := a.byClass[class]; h != nil {
			// There was room for this one; the next tries whether there is more.
			h.until, h.probe, h.failures = now, nil, 0
		}
		wake = a.release()
	case err.Kind == dafty.KindRateLimit:
		a.pause(class, err, now)
	case err.Kind == dafty.KindConcurrency:
		a.byClass[class] = refused(a.byClass[class], err, now)
	case err.Kind.Advice() == dafty.AdviceAskPerson, err.Kind == dafty.KindUsageLimit,
		err.Kind == dafty.KindUnavailable && err.Unsent:
		a.general = refused(a.general, err, now)
	case a.general != nil && a.general.probe == t:
		// The probe met something else, which says nothing about the hold.
		a.general.probe = nil
		wake = a.release()
	}
	a.mu.Unlock()
	for _, t := range wake {
		t.wake()
	}
}

// ended lets the next job in when one of its class has ended.
func (a *Account) ended(class dafty.Class) {
	a.mu.Lock()
	var wake []*Tracker
	if h := a.byClass[class]; h != nil {
		h.until, h.probe = time.Now(), nil
		wake = a.release()
	}
	a.mu.Unlock()
	for _, t := range wake {
		t.wake()
	}
}

func (a *Account) release() []*Tracker {
	var wake []*Tracker
	for t := range a.waiting {
		wake = append(wake, t)
	}
	clear(a.waiting)
	return wake
}

func (a *Account) leave(t *Tracker) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, t)
	for _, h := range []*hold{a.general, a.byClass[dafty.ClassImageCreate], a.byClass[dafty.ClassVideoCreate], a.byClass[dafty.ClassStyleExtract]} {
		if h != nil && h.probe == t {
			h.probe = nil
		}
	}
}

// pause heeds a Retry-After for everyone who uses the key.
func (a *Account) pause(class dafty.Class, err *dafty.CallError, now time.Time) {
	wait := err.RetryAfter
	if wait == 0 {
		wait = rateLimitPause
	}
	if until := now.Add(wait); until.After(a.paused[class]) {
		a.paused[class] = until
	}
}

// turn waits until a call of the class may go, leaving spare calls of the minute alone.
func (a *Account) turn(ctx context.Context, class dafty.Class, spare int) error {
	for {
		a.mu.Lock()
		now := time.Now()
		at := a.paused[class]
		if !at.After(now) {
			var ok bool
			if at, ok = a.windows[class].take(now, spare); ok {
				a.mu.Unlock()
				return nil
			}
		}
		a.mu.Unlock()
		if err := sleep(ctx, at.Sub(now)); err != nil {
			return err
		}
	}
}

// called learns from the answer to a call that isn't a submission.
func (a *Account) called(err *dafty.CallError) {
	if err == nil || err.Kind != dafty.KindRateLimit {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pause(dafty.ClassOther, err, time.Now())
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
