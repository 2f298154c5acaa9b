package budget

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// current is a budget in the period of a tally.
type current struct {
	v1alpha1.Budget
	key, period string
	limit       int64
	until       time.Time
	// behind is the oldest period on record where this one is before it, and may be gone from there.
	behind string
}

// namespace returns whose submissions are counted together with those of a namespace.
func (c *current) namespace(of string) string {
	if c.Per == v1alpha1.PerAccount {
		return ""
	}
	return of
}

// usageKey names the entry of status.usage that a namespace is counted in.
func (c *current) usageKey(of string) usageKey { return usageKey{c.key, c.namespace(of), c.period} }

// tally counts in the status of one account, at one time. It changes the status that it is given.
type tally struct {
	status  *v1alpha1.DaftyAccountStatus
	budgets []current
	// err is why nothing can be counted.
	err error
	// changed reports whether the status was.
	changed bool

	usage        map[usageKey]int
	reservations map[types.UID]int
	// kept are the newest periods on record, by budget; crowded is set where there are older ones.
	kept    map[string][]string
	crowded bool
}

func newTally(spec *v1alpha1.DaftyAccountSpec, status *v1alpha1.DaftyAccountStatus, now time.Time) *tally {
	t := &tally{status: status, reservations: make(map[types.UID]int, len(status.Reservations))}
	t.indexUsage()
	for i := range status.Reservations {
		t.reservations[status.Reservations[i].UID] = i
	}
	for i := range spec.Budgets {
		b := &spec.Budgets[i]
		c := current{Budget: *b, key: b.Key()}
		if b.Submissions != nil {
			c.limit = *b.Submissions
		}
		var err error
		if c.period, c.until, err = Period(b, now); err != nil {
			t.err = err
			return t
		}
		if oldest := t.oldestKept(c.key); c.period < oldest {
			c.behind = oldest
			if day, err := time.Parse(time.DateOnly, oldest); err == nil {
				c.until = firstInstant(day, now.In(c.until.Location()))
			}
		}
		t.budgets = append(t.budgets, c)
	}
	return t
}

// exhausted returns why a namespace can submit nothing, nil where it can.
func (t *tally) exhausted(namespace string) (latest *Exhausted) {
	for i := range t.budgets {
		c := &t.budgets[i]
		used := t.used(c, namespace)
		if c.behind == "" && used < c.limit || latest != nil && !c.until.After(latest.Until) {
			continue
		}
		latest = &Exhausted{Budget: c.Budget, Namespace: c.namespace(namespace), Used: used, Limit: c.limit, Until: c.until, Behind: c.behind}
	}
	return latest
}

// reserved reports whether an attempt is counted already.
func (t *tally) reserved(uid types.UID, attempt int32) bool {
	at, found := t.reservations[uid]
	return found && t.status.Reservations[at].Attempt == attempt
}

// reserve counts a submission, once however often it is reserved. One of another attempt of the same DaftyJob that wasn't settled
// stays counted, as it may have been sent.
func (t *tally) reserve(r v1alpha1.Reservation) (*Exhausted, error) {
	at, found := t.reservations[r.UID]
	if found && t.status.Reservations[at].Attempt == r.Attempt {
		return nil, t.renew(&t.status.Reservations[at], r.ResourceVersion)
	}
	if t.err != nil {
		return nil, t.err
	}
	if exhausted := t.exhausted(r.Namespace); exhausted != nil || len(t.budgets) == 0 {
		return exhausted, nil
	}
	r.Charges = nil
	for i := range t.budgets {
		c := &t.budgets[i]
		t.add(c.usageKey(r.Namespace), 1)
		r.Charges = append(r.Charges, v1alpha1.Charge{Budget: c.key, Period: c.period})
	}
	t.dropOldPeriods()
	if found {
		t.status.Reservations[at] = r
	} else {
		t.reservations[r.UID] = len(t.status.Reservations)
		t.status.Reservations = append(t.status.Reservations, r)
	}
	return nil, nil
}

// renew has a reservation be for a newer version of the DaftyJob. For an older one, it stays as it is: nothing can be put on
// record there, and whoever has reserved it for the newer one relies on it.
func (t *tally) renew(r *v1alpha1.Reservation, version string) error {
	order, err := resourceversion.CompareResourceVersion(version, r.ResourceVersion)
	if err != nil {
		return fmt.Errorf("status.reservations: DaftyJob %s/%s: %w", r.Namespace, r.Name, err)
	}
	if order > 0 {
		r.ResourceVersion, t.changed = version, true
	}
	return nil
}

// settle takes a reservation off the record, if it is still for the same version of the DaftyJob. What wasn't taken is given
// back where it was counted.
func (t *tally) settle(r v1alpha1.Reservation, taken bool) {
	at, found := t.reservations[r.UID]
	if !found {
		return
	}
	all := t.status.Reservations
	if all[at].Attempt != r.Attempt || all[at].ResourceVersion != r.ResourceVersion {
		return
	}
	if !taken {
		for _, charge := range all[at].Charges {
			t.giveBack(charge, all[at].Namespace)
		}
	}
	last := len(all) - 1
	all[at] = all[last]
	t.reservations[all[at].UID] = at
	delete(t.reservations, r.UID)
	t.status.Reservations, t.changed = all[:last], true
}

func (t *tally) giveBack(charge v1alpha1.Charge, namespace string) {
	if strings.HasPrefix(charge.Budget, string(v1alpha1.PerAccount)+"/") {
		namespace = ""
	}
	key := usageKey{charge.Budget, namespace, charge.Period}
	if at, found := t.usage[key]; found && t.status.Usage[at].Submissions != nil && *t.status.Usage[at].Submissions > 0 {
		t.add(key, -1)
	}
}

// ended reports whether the period of a budget is over.
func (t *tally) ended(now time.Time) bool {
	return slices.ContainsFunc(t.budgets, func(c current) bool { return !now.Before(c.until) })
}
