package budget

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

const (
	// settleAfter is how long what is only settled waits for a write to go with, and maxSettleAfter how long where writes
	// fail.
	settleAfter    = 3 * time.Second
	maxSettleAfter = time.Minute
	// writeTimeout bounds a write with all its tries, and maxConflicts how many these are.
	writeTimeout = 30 * time.Second
	maxConflicts = 10
)

// reserve is a submission that waits to be reserved.
type reserve struct {
	Submission
	exhausted *Exhausted
	err       error
	// done is closed once it is decided.
	done chan struct{}
}

func (r *reserve) finish(exhausted *Exhausted, err error) {
	r.exhausted, r.err = exhausted, err
	close(r.done)
}

// settleKey names a reservation that is to be settled.
type settleKey struct {
	uid     types.UID
	attempt int32
	version string
}

// batch is what goes into one write. settles has whether each was taken.
type batch struct {
	reserves []*reserve
	settles  map[settleKey]bool
}

func errGone(account string) error {
	return fmt.Errorf("DaftyAccount %q is gone; nothing is submitted with it", account)
}

// enqueue has a submission reserved with the next write.
func (p *page) enqueue(s Submission) *reserve {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := &reserve{Submission: s, done: make(chan struct{})}
	if p.closed {
		r.finish(nil, errGone(p.account))
		return r
	}
	p.reserves = append(p.reserves, r)
	p.startWrite()
	return r
}

// settle has a reservation settled with the next write: at once where somebody waits for what it frees.
func (p *page) settle(r v1alpha1.Reservation, taken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	key := settleKey{uid: r.UID, attempt: r.Attempt, version: r.ResourceVersion}
	if len(p.settles) == 0 {
		p.settleAt = p.book.clock.Now().Add(settleAfter)
	}
	p.settles[key] = p.settles[key] || taken
	if !taken && len(p.waiters.byAge) > 0 && p.failures == 0 {
		p.settleAt = p.book.clock.Now()
		p.startWrite()
	}
	p.reschedule()
}

// settleDue reports whether what is only settled is to be written, as it is where the clock was set back.
func (p *page) settleDue(now time.Time) bool {
	return len(p.settles) > 0 && (!now.Before(p.settleAt) || p.settleAt.Sub(now) > maxSettleAfter)
}

// startWrite starts to write what waits, unless that is under way.
func (p *page) startWrite() {
	if !p.writing {
		p.writing = true
		p.book.start(p.account, p.writeAll)
	}
}

// writeAll writes until nothing waits that is urgent.
func (p *page) writeAll() {
	for {
		next, known := p.takeBatch()
		if next == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
		result := p.write(ctx, known, next)
		cancel()
		p.finish(next, result)
	}
}

// takeBatch takes what waits, the oldest submissions first. It is nil where nothing is urgent.
func (p *page) takeBatch() (*batch, *v1alpha1.DaftyAccount) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.reserves) == 0 && !p.settleDue(p.book.clock.Now()) {
		p.writing = false
		p.reschedule()
		return nil, nil
	}
	next := &batch{reserves: p.reserves, settles: p.settles}
	p.reserves, p.settles = nil, map[settleKey]bool{}
	slices.SortFunc(next.reserves, func(a, b *reserve) int { return byAge(&a.Submission, &b.Submission) })
	return next, p.known
}

// written is what came of a write.
type written struct {
	// account is the newest that is known after it, and live whether it was read past the cache.
	account *v1alpha1.DaftyAccount
	live    bool
	err     error
}

// write decides about a batch and writes what was decided, on what the account was when it was last known. Where that is no longer so, it decides
// again on what the account is.
func (p *page) write(ctx context.Context, known *v1alpha1.DaftyAccount, todo *batch) written {
	return p.book.write(ctx, p.account, known, func(next *v1alpha1.DaftyAccount) (changed bool) {
		t := newTally(&next.Spec, &next.Status, p.book.clock.Now())
		todo.apply(t)
		return t.changed
	})
}

// apply decides about a batch. What it frees is there for what it reserves.
func (b *batch) apply(t *tally) {
	for key, taken := range b.settles {
		t.settle(v1alpha1.Reservation{UID: key.uid, Attempt: key.attempt, ResourceVersion: key.version}, taken)
	}
	for _, r := range b.reserves {
		r.exhausted, r.err = t.reserve(r.Reservation)
	}
}

// finish tells what came of a write to all who wait for it.
func (p *page) finish(todo *batch, result written) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.book.clock.Now()
	if result.err != nil {
		p.retrySettles(todo, result.err, now)
	} else {
		p.failures = 0
	}
	for _, r := range todo.reserves {
		switch {
		case result.err != nil:
			r.exhausted, r.err = nil, result.err
		case r.err != nil:
		case r.exhausted != nil:
			p.wait(r.Submission, r.exhausted, now)
		default:
			p.waiters.remove(r.Reservation.UID)
		}
		r.finish(r.exhausted, r.err)
	}
	if result.account != nil && result.account != p.known &&
		(result.live || p.known == nil || newer(result.account.ResourceVersion, p.known.ResourceVersion)) {
		p.adopt(result.account)
	}
}

// retrySettles puts back what wasn't settled, as nobody else waits for that.
func (p *page) retrySettles(todo *batch, err error, now time.Time) {
	if p.closed || apierrors.IsNotFound(err) || len(todo.settles) == 0 {
		return
	}
	for key, taken := range p.settles {
		todo.settles[key] = todo.settles[key] || taken
	}
	p.settles = todo.settles
	p.failures++
	p.settleAt = now.Add(dafty.Backoff(settleAfter, p.failures, maxSettleAfter))
}
