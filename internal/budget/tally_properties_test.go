package budget

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// counted counts submissions apart from the code: what is out or spent, by whom and in which period it was charged.
type counted map[usageKey]int64

// Whatever the clock does, and however budgets come and go, no period of a budget has more than its size.
func TestNoClockLetsOneThroughTooMany(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		status := &v1alpha1.DaftyAccountStatus{}
		spec := &v1alpha1.DaftyAccountSpec{}
		all := rapid.SliceOfNDistinct(rapid.Custom(drawBudget), 1, 3, func(b v1alpha1.Budget) string { return b.Key() }).Draw(t, "budgets")
		spec.Budgets = all
		count := counted{}
		now := noon
		var out []v1alpha1.Reservation
		for i := range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"reserve", "reserve", "reserve", "settle", "clock", "budgets"}).Draw(t, "step") {
			case "clock":
				now = now.Add(time.Duration(rapid.IntRange(-24*40, 24*40).Draw(t, "hours")) * time.Hour)
			case "budgets":
				spec.Budgets = all[:rapid.IntRange(0, len(all)).Draw(t, "of them")]
			case "settle":
				if len(out) == 0 {
					continue
				}
				r, taken := rapid.SampledFrom(out).Draw(t, "which"), rapid.Bool().Draw(t, "taken")
				tally := newTally(spec, status, now)
				if tally.settle(r, taken); tally.changed && !taken {
					count.add(r, -1)
				}
			default:
				r := reservationOf(fmt.Sprint("uid-", i), 1, "5")
				r.Namespace = rapid.SampledFrom([]string{"shop", "blog"}).Draw(t, "namespace")
				exhausted, err := newTally(spec, status, now).reserve(r)
				if err != nil {
					t.Fatal(err)
				}
				if exhausted != nil || len(spec.Budgets) == 0 {
					continue
				}
				// What it is charged to is by the calendar.
				for _, b := range spec.Budgets {
					period, _, _ := Period(&b, now)
					r.Charges = append(r.Charges, v1alpha1.Charge{Budget: b.Key(), Period: period})
				}
				count.add(r, 1)
				out = append(out, r)
			}
			for _, b := range all {
				for key, n := range count {
					if key.budget == b.Key() && n > *b.Submissions {
						t.Fatalf("step %d: %d submissions of %+v, which allows %d", i, n, key, *b.Submissions)
					}
				}
				if periods := periodsOf(status, b.Key()); len(periods) > keptPeriods {
					t.Fatalf("step %d: periods %v are on record", i, periods)
				}
			}
		}
	})
}

func drawBudget(t *rapid.T) v1alpha1.Budget {
	b := budgetOf(rapid.SampledFrom([]v1alpha1.BudgetScope{v1alpha1.PerNamespace, v1alpha1.PerAccount}).Draw(t, "per"),
		rapid.SampledFrom(periods).Draw(t, "period"), rapid.Int64Range(0, 3).Draw(t, "submissions"))
	b.TimeZone = rapid.SampledFrom(zones).Draw(t, "zone")
	return b
}

func (c counted) add(r v1alpha1.Reservation, n int64) {
	for _, charge := range r.Charges {
		namespace := r.Namespace
		if charge.Budget[0] == 'A' {
			namespace = ""
		}
		c[usageKey{charge.Budget, namespace, charge.Period}] += n
	}
}

func periodsOf(status *v1alpha1.DaftyAccountStatus, budget string) map[string]bool {
	all := map[string]bool{}
	for _, u := range status.Usage {
		if u.Budget == budget {
			all[u.Period] = true
		}
	}
	return all
}
