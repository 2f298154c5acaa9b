package budget

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// viewLife is how long a tally is used for checks.
const viewLife = time.Second

// page has the budgets of one account.
type page struct {
	book    *Book
	account string

	mu sync.Mutex
	// known is the account as it was last written or read. It is never changed.
	known *v1alpha1.DaftyAccount
	// view is the tally of known, as of viewed.
	view   *tally
	viewed time.Time
	closed bool

	// reserves and settles wait for the next write; writing is set while one is under way. settleAt is when what is only settled
	// is written.
	reserves []*reserve
	settles  map[settleKey]bool
	writing  bool
	settleAt time.Time
	failures int

	waiters *waiters
	// woken is when those that were due were last woken, and backstopAt when those are looked for that were missed.
	woken, backstopAt time.Time
	timer             clock.Timer
	timerAt           time.Time
}

// load reads the account where it isn't known yet.
func (p *page) load(ctx context.Context) error {
	p.mu.Lock()
	known := p.known
	p.mu.Unlock()
	if known != nil {
		return nil
	}
	account, err := p.book.readAccount(ctx, p.book.client, p.account)
	if err == nil {
		p.changed(account)
	}
	return err
}

// changed takes note of a version of the account, if it is the newest.
func (p *page) changed(account *v1alpha1.DaftyAccount) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known != nil && !newer(account.ResourceVersion, p.known.ResourceVersion) {
		return
	}
	p.adopt(account.DeepCopy())
	p.reschedule()
}

// adopt makes a version of the account the known one, and has woken whom that concerns.
func (p *page) adopt(account *v1alpha1.DaftyAccount) {
	before := p.known
	p.known, p.view = account, nil
	if before != nil && !equality.Semantic.DeepEqual(before.Spec.Budgets, account.Spec.Budgets) {
		p.waiters.wakeAll()
	}
	p.offer(p.book.clock.Now())
}

// tally returns that of the known account. It must not be changed.
func (p *page) tally(now time.Time) *tally {
	if p.view != nil && !now.Before(p.viewed) && now.Sub(p.viewed) < viewLife && !p.view.ended(now) {
		return p.view
	}
	p.view, p.viewed = newTally(&p.known.Spec, &p.known.Status, now), now
	return p.view
}

func (p *page) check(s Submission) (*Exhausted, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		return nil, nil // it was forgotten this moment, which Reserve will find
	}
	now := p.book.clock.Now()
	t := p.tally(now)
	if t.reserved(s.Reservation.UID, s.Reservation.Attempt) {
		return nil, nil
	}
	if t.err != nil {
		return nil, t.err
	}
	exhausted := t.exhausted(s.Reservation.Namespace)
	if exhausted == nil {
		exhausted = p.waiters.before(&s, t, now)
	}
	if exhausted == nil {
		p.waiters.takeTurn(s.Reservation.UID, now)
	} else {
		p.wait(s, exhausted, now)
	}
	p.reschedule()
	return exhausted, nil
}

func (p *page) counts(uid types.UID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		return true
	}
	t := p.tally(p.book.clock.Now())
	_, reserved := t.reservations[uid] // as where its budgets were taken away since
	return reserved || t.err != nil || len(t.budgets) > 0
}

// wait remembers a submission that met Exhausted.
func (p *page) wait(s Submission, exhausted *Exhausted, now time.Time) {
	if len(p.waiters.byAge) == 0 {
		p.backstopAt = now.Add(backstopAfter)
	}
	p.waiters.put(s, exhausted)
}

func (p *page) withdraw(uid types.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiters.remove(uid) {
		p.offer(p.book.clock.Now())
		p.reschedule()
	}
}

// reservation returns that of a DaftyJob, nil where none is known.
func (p *page) reservation(uid types.UID) *v1alpha1.Reservation {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		return nil
	}
	t := p.tally(p.book.clock.Now())
	at, found := t.reservations[uid]
	if !found {
		return nil
	}
	return t.status.Reservations[at].DeepCopy()
}

func (p *page) reservations() []v1alpha1.Reservation {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		return nil
	}
	return p.known.Status.DeepCopy().Reservations
}

// close ends what waits for an account that is gone.
func (p *page) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.settles = map[settleKey]bool{}
	p.waiters = newWaiters()
	if p.timer != nil {
		p.timer.Stop()
	}
	for _, r := range p.reserves {
		r.finish(nil, errGone(p.account))
	}
	p.reserves = nil
}
