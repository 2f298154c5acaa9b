package budget

import (
	"cmp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// turnLife is how long room is kept for one that was woken or may be reserved. It may be held up by something else.
const turnLife = 30 * time.Second

// waiter is a Submission that met Exhausted.
type waiter struct {
	Submission
	// told is what it waits for, as it was told last.
	told *Exhausted
	// due is set where it is to be woken.
	due bool
	// turn is since when it has its turn: it was woken, or may be reserved. It is zero where it wasn't told since it met Exhausted.
	turn time.Time
}

// lapsed reports whether it had its turn and hasn't used it.
func (w *waiter) lapsed(now time.Time) bool { return !w.turn.IsZero() && now.Sub(w.turn) >= turnLife }

// waiters are those of one account, the oldest first.
type waiters struct {
	byAge []*waiter
	byUID map[types.UID]*waiter
}

func newWaiters() *waiters { return &waiters{byUID: map[types.UID]*waiter{}} }

// byAge orders submissions by the creation of their DaftyJobs.
func byAge(a, b *Submission) int {
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Reservation.UID, b.Reservation.UID))
}

func (w *waiters) find(s *Submission) (at int, found bool) {
	return slices.BinarySearchFunc(w.byAge, s, func(each *waiter, s *Submission) int { return byAge(&each.Submission, s) })
}

// put adds one, or takes note that it has come again and waits on.
func (w *waiters) put(s Submission, told *Exhausted) {
	if known := w.byUID[s.Reservation.UID]; known != nil {
		s.Created = known.Created // it keeps its place
		*known = waiter{Submission: s, told: told}
		return
	}
	at, _ := w.find(&s)
	each := &waiter{Submission: s, told: told}
	w.byAge = slices.Insert(w.byAge, at, each)
	w.byUID[s.Reservation.UID] = each
}

// remove forgets one, and reports whether it was there.
func (w *waiters) remove(uid types.UID) bool {
	each := w.byUID[uid]
	if each == nil {
		return false
	}
	delete(w.byUID, uid)
	if at, found := w.find(&each.Submission); found {
		w.byAge = slices.Delete(w.byAge, at, at+1)
	}
	return true
}

// takeTurn notes that one may be reserved now.
func (w *waiters) takeTurn(uid types.UID, now time.Time) {
	if each := w.byUID[uid]; each != nil {
		each.turn, each.due = now, false
	}
}

func (w *waiters) wakeAll() {
	for _, each := range w.byAge {
		each.due = true
	}
}

// wakeOutdated makes those due that would be told something else now.
func (w *waiters) wakeOutdated(t *tally, now time.Time) {
	granted := map[usageKey]int64{}
	for _, each := range w.byAge {
		namespace := each.Reservation.Namespace
		is := t.exhausted(namespace)
		if is == nil {
			is = t.keptForOlder(namespace, granted)
		}
		if is == nil || is.String() != each.told.String() {
			each.due = true
		}
		if !each.lapsed(now) {
			t.grant(namespace, granted)
		}
	}
}

// before returns why a submission must wait for older ones, nil where there is room for it beside them.
func (w *waiters) before(s *Submission, t *tally, now time.Time) *Exhausted {
	granted := map[usageKey]int64{}
	for _, each := range w.byAge {
		if byAge(&each.Submission, s) >= 0 {
			break
		}
		if !each.lapsed(now) {
			t.grant(each.Reservation.Namespace, granted)
		}
	}
	return t.keptForOlder(s.Reservation.Namespace, granted)
}

// keptForOlder returns why a submission of a namespace must wait for what was granted to older ones, nil where there is room for it beside them.
func (t *tally) keptForOlder(namespace string, granted map[usageKey]int64) (latest *Exhausted) {
	for i := range t.budgets {
		c := &t.budgets[i]
		used, older := t.used(c, namespace), granted[c.usageKey(namespace)]
		if older > 0 && used+older >= c.limit && (latest == nil || c.until.After(latest.Until)) {
			latest = &Exhausted{Budget: c.Budget, Namespace: c.namespace(namespace), Used: used, Limit: c.limit, Until: c.until, Older: int(older)}
		}
	}
	return latest
}

// grant takes room for a submission of a namespace out of what granted has left, and reports whether there was any.
func (t *tally) grant(namespace string, granted map[usageKey]int64) bool {
	for i := range t.budgets {
		if c := &t.budgets[i]; c.behind != "" || t.used(c, namespace)+granted[c.usageKey(namespace)] >= c.limit {
			return false
		}
	}
	for i := range t.budgets {
		granted[t.budgets[i].usageKey(namespace)]++
	}
	return true
}
