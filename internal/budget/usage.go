package budget

import (
	"slices"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// keptPeriods is how many periods of each budget are on record, the newest. A clock that shows an older one finds nothing that it
// could count on.
const keptPeriods = 2

// usageKey names an entry of status.usage.
type usageKey struct{ budget, namespace, period string }

// indexUsage finds what is on record of each budget.
func (t *tally) indexUsage() {
	t.usage = make(map[usageKey]int, len(t.status.Usage))
	t.kept = map[string][]string{}
	for i := range t.status.Usage {
		u := &t.status.Usage[i]
		t.usage[usageKey{u.Budget, u.Namespace, u.Period}] = i
		t.keep(u.Budget, u.Period)
	}
}

// keep adds a period to those that are kept of a budget, in place of the oldest if there are too many. What isn't a day doesn't count.
func (t *tally) keep(budget, period string) {
	kept := t.kept[budget]
	at, found := slices.BinarySearch(kept, period)
	if found {
		return
	}
	if _, err := time.Parse(time.DateOnly, period); err != nil {
		return
	}
	kept = slices.Insert(kept, at, period)
	if len(kept) > keptPeriods {
		kept, t.crowded = kept[1:], true
	}
	t.kept[budget] = kept
}

// oldestKept returns the oldest period that is kept of a budget, empty where there is room for another one.
func (t *tally) oldestKept(budget string) string {
	if kept := t.kept[budget]; len(kept) == keptPeriods {
		return kept[0]
	}
	return ""
}

// used returns how much of a budget is used.
func (t *tally) used(c *current, namespace string) int64 {
	at, found := t.usage[c.usageKey(namespace)]
	if !found || t.status.Usage[at].Submissions == nil {
		return 0
	}
	return *t.status.Usage[at].Submissions
}

func (t *tally) add(key usageKey, n int64) {
	at, found := t.usage[key]
	if !found {
		at = len(t.status.Usage)
		t.usage[key] = at
		t.status.Usage = append(t.status.Usage, v1alpha1.BudgetUsage{Budget: key.budget, Namespace: key.namespace, Period: key.period})
		t.keep(key.budget, key.period)
	}
	entry := &t.status.Usage[at]
	if entry.Submissions == nil {
		entry.Submissions = new(int64)
	}
	*entry.Submissions += n
	t.changed = true
}

// dropOldPeriods drops what is older than the periods that are kept. Of a budget that is no longer in the spec these stay too, as
// it may come back.
func (t *tally) dropOldPeriods() {
	if !t.crowded {
		return
	}
	t.status.Usage = slices.DeleteFunc(t.status.Usage, func(u v1alpha1.BudgetUsage) bool { return u.Period < t.oldestKept(u.Budget) })
	t.crowded = false
	t.indexUsage()
}
