package account

import (
	"context"
	"crypto/sha256"
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

// Limits are the calls that Dafty allows an API key each minute, by class. A class that is
// missing has its default.
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
//
// Trackers are never told anything under its lock: what is to be woken is collected under
// it, and woken after.
type Account struct {
	id [sha256.Size]byte
	// key is a function so that no way of printing an Account shows the API key.
	key    func() string
	client Dafty

	mu      sync.Mutex
	classes map[dafty.Class]*class
	// general holds back the submissions of every class.
	general *hold

	// users counts the trackers and calls that refer to the account; the registry guards it.
	users int
}

// class is what is counted and held by class of call.
type class struct {
	window window
	paused time.Time
	hold   *hold
	queue  queue
}

func newAccount(apiKey string, client Dafty, limits Limits) *Account {
	a := &Account{
		id:      sha256.Sum256([]byte(apiKey)),
		key:     func() string { return apiKey },
		client:  client,
		classes: map[dafty.Class]*class{},
	}
	for name, limit := range DefaultLimits {
		if own, ok := limits[name]; ok {
			limit = own
		}
		a.classes[name] = &class{window: window{limit: max(1, limit)}}
	}
	return a
}

// claim takes a turn to submit for t, or says what it waits for. A repeat of a request in
// doubt waits for its share of the rate limit alone: what became of it must be found out
// even when nothing new would be accepted.
func (a *Account) claim(t *Tracker, name dafty.Class, repeat bool) (*lifecycle.Hold, time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, c := time.Now(), a.classes[name]
	if repeat {
		if wait := c.rate(now, 0); wait != nil {
			return wait, time.Time{}
		}
		c.window.take(now)
		return nil, now
	}

	place := c.queue.place(t, now)
	alone := a.alone(t)
	wait := a.general.blocks(t, alone, now)
	if wait == nil {
		wait = c.hold.blocks(t, alone, now)
	}
	if wait == nil {
		wait = c.rate(now, place)
	}
	if wait != nil {
		c.queue[place].due = wait.Until
		return wait, time.Time{}
	}
	c.queue.leave(t)
	c.window.take(now)
	a.general.try(t, now)
	c.hold.try(t, now)
	return nil, now
}

// alone says that no submission waits but t's.
func (a *Account) alone(t *Tracker) bool {
	for _, c := range a.classes {
		for _, w := range c.queue {
			if w.tracker != t {
				return false
			}
		}
	}
	return true
}

// rate says until when the class has no call left for one that so many others are before.
func (c *class) rate(now time.Time, others int) *lifecycle.Hold {
	at := c.window.next(now, others)
	if c.paused.After(at) {
		at = c.paused
	}
	if !at.After(now) {
		return nil
	}
	return &lifecycle.Hold{Kind: dafty.KindRateLimit, Until: at}
}

// submitted learns from the answer to a submission of t, whose turn was taken at taken. One
// that was given up says nothing about Dafty.
func (a *Account) submitted(t *Tracker, name dafty.Class, taken time.Time, err *dafty.CallError, givenUp bool) {
	a.mu.Lock()
	now, c := time.Now(), a.classes[name]
	c.window.answered(taken, now)
	wake := a.back(t)
	switch {
	case err == nil:
		wake = c.accepted(now)
		if a.general != nil {
			a.general = nil
			wake = a.waiting()
		}
	case givenUp:
	case err.Kind == dafty.KindRateLimit:
		c.pause(err, now)
	case err.Kind == dafty.KindConcurrency, err.Kind == dafty.KindSubscriptionRequired:
		// Of this class alone: fewer videos than images may run, and a plan may lack one of them.
		c.hold = c.hold.refuse(t, err, now)
		wake = nil
	case err.Kind.Advice() == dafty.AdviceAskPerson, err.Kind == dafty.KindUsageLimit,
		err.Kind == dafty.KindUnavailable && err.Unsent:
		a.general = a.general.refuse(t, err, now)
		wake = nil
	}
	if len(wake) == 0 {
		wake = a.hasten(c, now)
	}
	a.mu.Unlock()
	wakeAll(wake)
}

// accepted learns that Dafty took a submission of the class. There was room for this one:
// the next tries whether there is more.
func (c *class) accepted(now time.Time) []*Tracker {
	switch {
	case c.hold == nil:
		return nil
	case c.hold.kind != dafty.KindConcurrency || len(c.queue) == 0:
		c.hold = nil
		return c.queue.all()
	default:
		c.hold.until, c.hold.failures, c.hold.refused = now, 0, nil
		return c.queue.first()
	}
}

// back takes note that t doesn't try any more, and says who is to try in its place.
func (a *Account) back(t *Tracker) []*Tracker {
	var wake []*Tracker
	general := a.general.tried(t)
	for _, c := range a.classes {
		if c.hold.tried(t) || general {
			wake = append(wake, c.queue.first()...)
		}
	}
	return wake
}

// waiting are all trackers that wait to submit.
func (a *Account) waiting() []*Tracker {
	var all []*Tracker
	for _, c := range a.classes {
		all = append(all, c.queue.all()...)
	}
	return all
}

func wakeAll(trackers []*Tracker) {
	for _, t := range trackers {
		t.wake()
	}
}

// ended lets the next job in when one of its class has ended.
func (a *Account) ended(name dafty.Class) {
	a.mu.Lock()
	var wake []*Tracker
	if c := a.classes[name]; c != nil && c.hold != nil && c.hold.kind == dafty.KindConcurrency {
		c.hold.until, c.hold.probe, c.hold.refused = time.Now(), nil, nil
		wake = c.queue.first()
	}
	a.mu.Unlock()
	wakeAll(wake)
}

// leave drops t, and says who is to be woken in its place.
func (a *Account) leave(t *Tracker) []*Tracker {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.classes {
		c.queue.leave(t)
	}
	wake := a.back(t)
	if len(wake) == 0 {
		for _, c := range a.classes {
			wake = append(wake, a.hasten(c, time.Now())...)
		}
	}
	return wake
}

// hasten is the first of a queue where its turn is sooner than it was told, as those before
// it went away.
func (a *Account) hasten(c *class, now time.Time) []*Tracker {
	if len(c.queue) == 0 || a.general != nil || c.hold != nil {
		return nil
	}
	at := now
	if wait := c.rate(now, 0); wait != nil {
		at = wait.Until
	}
	if first := &c.queue[0]; first.due.After(at.Add(time.Second)) {
		first.due = at
		return c.queue.first()
	}
	return nil
}

// pause heeds a Retry-After for everyone who uses the key.
func (c *class) pause(err *dafty.CallError, now time.Time) {
	wait := err.RetryAfter
	if wait == 0 {
		wait = rateLimitPause
	}
	if until := now.Add(wait); until.After(c.paused) {
		c.paused = until
	}
}

// turn waits until a call that isn't a submission may go, leaving spare calls of the minute
// alone, and says when it took its turn.
func (a *Account) turn(ctx context.Context, spare int) (taken time.Time, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return time.Time{}, err
		}
		a.mu.Lock()
		now, c := time.Now(), a.classes[dafty.ClassOther]
		wait := c.rate(now, min(spare, c.window.limit/2))
		if wait == nil {
			c.window.take(now)
			a.mu.Unlock()
			return now, nil
		}
		a.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(wait.Until.Sub(now)):
		}
	}
}

// called learns from the answer to a call that isn't a submission, whose turn was taken at
// taken.
func (a *Account) called(taken time.Time, err *dafty.CallError) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, c := time.Now(), a.classes[dafty.ClassOther]
	if now.Sub(taken) < windowLength/2 {
		// What takes longer was held, and counted when it came.
		c.window.answered(taken, now)
	}
	if err != nil && err.Kind == dafty.KindRateLimit {
		c.pause(err, now)
	}
}

// quietAt is when nothing that the account remembers matters any more.
func (a *Account) quietAt() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	var at time.Time
	later := func(other time.Time) {
		if other.After(at) {
			at = other
		}
	}
	for _, c := range a.classes {
		later(c.paused)
		if c.hold != nil {
			later(c.hold.until)
		}
		if n := len(c.window.taken); n > 0 {
			later(c.window.taken[n-1].Add(windowLength))
		}
	}
	if a.general != nil {
		later(a.general.until)
	}
	return at
}
