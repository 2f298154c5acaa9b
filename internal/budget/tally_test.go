package budget

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// noon is a Thursday's.
var noon = at("2026-12-03T12:00:00Z")

func budgetOf(per v1alpha1.BudgetScope, period v1alpha1.BudgetPeriod, submissions int64) v1alpha1.Budget {
	return v1alpha1.Budget{Per: per, Period: period, TimeZone: "Etc/UTC", Submissions: &submissions}
}

// reservationOf returns one of DaftyJob shop/uid.
func reservationOf(uid string, attempt int32, version string) v1alpha1.Reservation {
	return v1alpha1.Reservation{UID: types.UID(uid), Namespace: "shop", Name: uid, Attempt: attempt, ResourceVersion: version}
}

// usageOf describes what is used, as "budget namespace period: n".
func usageOf(status *v1alpha1.DaftyAccountStatus) (all []string) {
	for _, u := range status.Usage {
		all = append(all, fmt.Sprintf("%s %s %s: %d", u.Budget, u.Namespace, u.Period, *u.Submissions))
	}
	slices.Sort(all)
	return all
}

// reservationsOf describes reservations as "uid-attempt@version".
func reservationsOf(status *v1alpha1.DaftyAccountStatus) (all []string) {
	for _, r := range status.Reservations {
		all = append(all, fmt.Sprintf("%s-%d@%s", r.UID, r.Attempt, r.ResourceVersion))
	}
	slices.Sort(all)
	return all
}

// A story is told in lines: what is done, and what comes of it.
func TestTally(t *testing.T) {
	day2 := []v1alpha1.Budget{budgetOf(v1alpha1.PerAccount, v1alpha1.PeriodDay, 2)}
	const used = "Account/Day/Etc/UTC  2026-12-03: "
	type line struct {
		at      time.Time // noon if zero
		budgets []v1alpha1.Budget
		settle  string // taken or back; empty: reserve
		r       v1alpha1.Reservation
		// What comes of it: whether there is something to write, and what is exhausted.
		unchanged bool
		exhausted string
	}
	for _, tt := range []struct {
		name         string
		budgets      []v1alpha1.Budget
		story        []line
		usage        []string
		reservations []string
	}{
		{"no budgets", nil, []line{{r: reservationOf("a", 1, "5"), unchanged: true}}, nil, nil},
		{"one is counted", day2, []line{{r: reservationOf("a", 1, "5")}}, []string{used + "1"}, []string{"a-1@5"}},
		{"in each budget that applies", []v1alpha1.Budget{budgetOf(v1alpha1.PerAccount, v1alpha1.PeriodMonth, 9), budgetOf(v1alpha1.PerNamespace, v1alpha1.PeriodDay, 9), budgetOf(v1alpha1.PerNamespace, v1alpha1.PeriodWeek, 9)},
			[]line{{r: reservationOf("a", 1, "5")}},
			[]string{"Account/Month/Etc/UTC  2026-12-01: 1", "Namespace/Day/Etc/UTC shop 2026-12-03: 1", "Namespace/Week/Etc/UTC shop 2026-11-30: 1"}, []string{"a-1@5"}},
		{"again for the same version", day2, []line{{r: reservationOf("a", 1, "5")}, {r: reservationOf("a", 1, "5"), unchanged: true}}, []string{used + "1"}, []string{"a-1@5"}},
		{"again for a newer version", day2, []line{{r: reservationOf("a", 1, "9")}, {r: reservationOf("a", 1, "10")}}, []string{used + "1"}, []string{"a-1@10"}},
		{"again for an older version: the newer one is relied on", day2, []line{{r: reservationOf("a", 1, "10")}, {r: reservationOf("a", 1, "9"), unchanged: true}}, []string{used + "1"}, []string{"a-1@10"}},
		{"again in the next period: it stays where it was counted", day2, []line{{r: reservationOf("a", 1, "5")}, {at: noon.AddDate(0, 0, 1), r: reservationOf("a", 1, "6")}}, []string{used + "1"}, []string{"a-1@6"}},
		{"again where nothing is left", day2, []line{{r: reservationOf("a", 1, "5")}, {r: reservationOf("b", 1, "5")}, {r: reservationOf("a", 1, "6")}}, []string{used + "2"}, []string{"a-1@6", "b-1@5"}},
		{"another attempt: the one before may have been sent", day2, []line{{r: reservationOf("a", 1, "5")}, {r: reservationOf("a", 2, "7")}}, []string{used + "2"}, []string{"a-2@7"}},
		{"an earlier attempt, of a status that was set back", day2, []line{{r: reservationOf("a", 2, "7")}, {r: reservationOf("a", 1, "9")}}, []string{used + "2"}, []string{"a-1@9"}},
		{"another attempt, and nothing left for it", day2, []line{{r: reservationOf("a", 1, "5")}, {r: reservationOf("b", 1, "5")}, {r: reservationOf("a", 2, "7"), exhausted: "Account/Day/Etc/UTC  2/2 until 2026-12-04T00:00:00Z", unchanged: true}},
			[]string{used + "2"}, []string{"a-1@5", "b-1@5"}},
		{"a budget of 0", []v1alpha1.Budget{budgetOf(v1alpha1.PerAccount, v1alpha1.PeriodDay, 0)}, []line{{r: reservationOf("a", 1, "5"), unchanged: true, exhausted: "Account/Day/Etc/UTC  0/0 until 2026-12-04T00:00:00Z"}}, nil, nil},
		{"a budget that was set below what is used", day2, []line{{r: reservationOf("a", 1, "5")}, {r: reservationOf("b", 1, "5")},
			{budgets: []v1alpha1.Budget{budgetOf(v1alpha1.PerAccount, v1alpha1.PeriodDay, 1)}, r: reservationOf("c", 1, "5"), unchanged: true, exhausted: "Account/Day/Etc/UTC  2/1 until 2026-12-04T00:00:00Z"}},
			[]string{used + "2"}, []string{"a-1@5", "b-1@5"}},
		{"of several, the one that ends last", []v1alpha1.Budget{budgetOf(v1alpha1.PerAccount, v1alpha1.PeriodDay, 0), budgetOf(v1alpha1.PerNamespace, v1alpha1.PeriodMonth, 0), budgetOf(v1alpha1.PerAccount, v1alpha1.PeriodWeek, 0)},
			[]line{{r: reservationOf("a", 1, "5"), unchanged: true, exhausted: "Namespace/Month/Etc/UTC shop 0/0 until 2027-01-01T00:00:00Z"}}, nil, nil},
		{"settled as taken", day2, []line{{r: reservationOf("a", 1, "5")}, {settle: "taken", r: reservationOf("a", 1, "5")}}, []string{used + "1"}, nil},
		{"given back", day2, []line{{r: reservationOf("a", 1, "5")}, {settle: "back", r: reservationOf("a", 1, "5")}}, []string{used + "0"}, nil},
		{"given back twice", day2, []line{{r: reservationOf("a", 1, "5")}, {r: reservationOf("b", 1, "5")}, {settle: "back", r: reservationOf("a", 1, "5")}, {settle: "back", r: reservationOf("a", 1, "5"), unchanged: true}}, []string{used + "1"}, []string{"b-1@5"}},
		{"given back, but somebody has reserved it for another version", day2, []line{{r: reservationOf("a", 1, "5")}, {r: reservationOf("a", 1, "6")}, {settle: "back", r: reservationOf("a", 1, "5"), unchanged: true}}, []string{used + "1"}, []string{"a-1@6"}},
		{"given back, but another attempt is there", day2, []line{{r: reservationOf("a", 1, "5")}, {r: reservationOf("a", 2, "7")}, {settle: "back", r: reservationOf("a", 1, "5"), unchanged: true}}, []string{used + "2"}, []string{"a-2@7"}},
		{"given back, but it is of another attempt", day2, []line{{r: reservationOf("a", 1, "5")}, {settle: "back", r: reservationOf("a", 2, "5"), unchanged: true}}, []string{used + "1"}, []string{"a-1@5"}},
		{"settled, and never reserved", day2, []line{{settle: "back", r: reservationOf("a", 1, "5"), unchanged: true}}, nil, nil},
		{"given back in the next period: where it was counted", day2, []line{{r: reservationOf("a", 1, "5")}, {at: noon.AddDate(0, 0, 1), r: reservationOf("b", 1, "5")}, {at: noon.AddDate(0, 0, 1), settle: "back", r: reservationOf("a", 1, "5")}},
			[]string{used + "0", "Account/Day/Etc/UTC  2026-12-04: 1"}, []string{"b-1@5"}},
		{"given back, of a budget that is no longer there", day2, []line{{r: reservationOf("a", 1, "5")}, {budgets: []v1alpha1.Budget{}, settle: "back", r: reservationOf("a", 1, "5")}}, []string{used + "0"}, nil},
		{"given back and reserved anew", day2, []line{{r: reservationOf("a", 1, "5")}, {settle: "back", r: reservationOf("a", 1, "5")}, {r: reservationOf("a", 1, "7")}}, []string{used + "1"}, []string{"a-1@7"}},
		{"the two newest periods stay", day2, []line{{r: reservationOf("a", 1, "5")}, {at: noon.AddDate(0, 0, 1), r: reservationOf("b", 1, "5")}, {at: noon.AddDate(0, 0, 2), r: reservationOf("c", 1, "5")}},
			[]string{"Account/Day/Etc/UTC  2026-12-04: 1", "Account/Day/Etc/UTC  2026-12-05: 1"}, []string{"a-1@5", "b-1@5", "c-1@5"}},
		{"given back in a period that is off the record", day2, []line{{r: reservationOf("a", 1, "5")}, {at: noon.AddDate(0, 0, 1), r: reservationOf("b", 1, "5")}, {at: noon.AddDate(0, 0, 2), r: reservationOf("c", 1, "5")}, {settle: "back", r: reservationOf("a", 1, "5")}},
			[]string{"Account/Day/Etc/UTC  2026-12-04: 1", "Account/Day/Etc/UTC  2026-12-05: 1"}, []string{"b-1@5", "c-1@5"}},
		{"a clock that is behind the record", day2, []line{{at: noon.AddDate(0, 0, 1), r: reservationOf("b", 1, "5")}, {at: noon.AddDate(0, 0, 2), r: reservationOf("c", 1, "5")}, {r: reservationOf("a", 1, "5"), unchanged: true, exhausted: "Account/Day/Etc/UTC  0/2 until 2026-12-04T00:00:00Z behind 2026-12-04"}},
			[]string{"Account/Day/Etc/UTC  2026-12-04: 1", "Account/Day/Etc/UTC  2026-12-05: 1"}, []string{"b-1@5", "c-1@5"}},
		{"behind the record, of what was given back", day2, []line{{at: noon.AddDate(0, 0, 1), r: reservationOf("b", 1, "5")}, {at: noon.AddDate(0, 0, 2), r: reservationOf("c", 1, "5")}, {settle: "back", r: reservationOf("b", 1, "5")}, {r: reservationOf("a", 1, "5"), unchanged: true, exhausted: "Account/Day/Etc/UTC  0/2 until 2026-12-04T00:00:00Z behind 2026-12-04"}},
			[]string{"Account/Day/Etc/UTC  2026-12-04: 0", "Account/Day/Etc/UTC  2026-12-05: 1"}, []string{"c-1@5"}},
		{"between the two on record", day2, []line{{r: reservationOf("a", 1, "5")}, {at: noon.AddDate(0, 0, 2), r: reservationOf("c", 1, "5")}, {at: noon.AddDate(0, 0, 1), r: reservationOf("b", 1, "5")}},
			[]string{"Account/Day/Etc/UTC  2026-12-04: 1", "Account/Day/Etc/UTC  2026-12-05: 1"}, []string{"a-1@5", "b-1@5", "c-1@5"}},
		{"back to the older of the two on record", day2, []line{{r: reservationOf("a", 1, "5")}, {at: noon.AddDate(0, 0, 2), r: reservationOf("c", 1, "5")}, {r: reservationOf("b", 1, "5")}, {r: reservationOf("d", 1, "5"), unchanged: true, exhausted: "Account/Day/Etc/UTC  2/2 until 2026-12-04T00:00:00Z"}},
			[]string{used + "2", "Account/Day/Etc/UTC  2026-12-05: 1"}, []string{"a-1@5", "b-1@5", "c-1@5"}},
		{"a budget that is taken away and comes back", day2, []line{{r: reservationOf("a", 1, "5")}, {budgets: []v1alpha1.Budget{budgetOf(v1alpha1.PerAccount, v1alpha1.PeriodWeek, 5)}, r: reservationOf("b", 1, "5")}, {r: reservationOf("c", 1, "5")}, {r: reservationOf("d", 1, "5"), unchanged: true, exhausted: "Account/Day/Etc/UTC  2/2 until 2026-12-04T00:00:00Z"}},
			[]string{used + "2", "Account/Week/Etc/UTC  2026-11-30: 1"}, []string{"a-1@5", "b-1@5", "c-1@5"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status := &v1alpha1.DaftyAccountStatus{}
			for i, line := range tt.story {
				if line.at.IsZero() {
					line.at = noon
				}
				if line.budgets == nil {
					line.budgets = tt.budgets
				}
				tally := newTally(&v1alpha1.DaftyAccountSpec{Budgets: line.budgets}, status, line.at)
				var exhausted *Exhausted
				var err error
				if line.settle == "" {
					exhausted, err = tally.reserve(line.r)
				} else {
					tally.settle(line.r, line.settle == "taken")
				}
				if err != nil || describe(exhausted) != line.exhausted || tally.changed == line.unchanged {
					t.Errorf("line %d: exhausted is %q, changed is %t, and the error is %v", i, describe(exhausted), tally.changed, err)
				}
			}
			if diff := cmp.Diff(tt.usage, usageOf(status)); diff != "" {
				t.Errorf("usage is (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.reservations, reservationsOf(status)); diff != "" {
				t.Errorf("the reservations are (-want +got):\n%s", diff)
			}
		})
	}
}

func describe(e *Exhausted) string {
	if e == nil {
		return ""
	}
	words := fmt.Sprintf("%s %s %d/%d until %s", e.Budget.Key(), e.Namespace, e.Used, e.Limit, e.Until.UTC().Format(time.RFC3339))
	if e.Behind != "" {
		words += " behind " + e.Behind
	}
	return words
}

func TestTallyErrors(t *testing.T) {
	zone := budgetOf(v1alpha1.PerAccount, v1alpha1.PeriodDay, 5)
	zone.TimeZone = "Europe/Atlantis"
	status := &v1alpha1.DaftyAccountStatus{}
	_, err := newTally(&v1alpha1.DaftyAccountSpec{Budgets: []v1alpha1.Budget{zone}}, status, noon).reserve(reservationOf("a", 1, "5"))
	if err == nil || !strings.Contains(err.Error(), "Europe/Atlantis") || len(status.Reservations) > 0 {
		t.Errorf("a time zone that isn't: %v, %v", err, status)
	}
	status.Reservations = []v1alpha1.Reservation{reservationOf("a", 1, "x")}
	_, err = newTally(&v1alpha1.DaftyAccountSpec{}, status, noon).reserve(reservationOf("a", 1, "5"))
	if err == nil || !strings.Contains(err.Error(), "status.reservations: DaftyJob shop/a") {
		t.Errorf("a version that isn't one: %v", err)
	}
}

// What somebody has written into status by hand is taken as far as it makes sense.
func TestTallyOfAnEditedStatus(t *testing.T) {
	n := int64(7)
	status := &v1alpha1.DaftyAccountStatus{Usage: []v1alpha1.BudgetUsage{
		{Budget: "Account/Day/Etc/UTC", Period: "2026-12-03"},                    // without a number
		{Budget: "Account/Day/Etc/UTC", Period: "tomorrow", Submissions: &n},     // no day
		{Budget: "Account/Day/Etc/UTC", Period: "yesterday", Submissions: &n},    // neither
		{Budget: "Account/Day/Etc/UTC", Period: "2026-12-01", Submissions: &n},   // of three periods the oldest
		{Budget: "Account/Day/Etc/UTC", Period: "2026-12-02", Submissions: &n},   // stays
		{Budget: "Account/Month/Etc/UTC", Period: "2020-01-01", Submissions: &n}, // of no budget
	}}
	spec := &v1alpha1.DaftyAccountSpec{Budgets: []v1alpha1.Budget{budgetOf(v1alpha1.PerAccount, v1alpha1.PeriodDay, 1)}}
	if exhausted, err := newTally(spec, status, noon).reserve(reservationOf("a", 1, "5")); exhausted != nil || err != nil {
		t.Errorf("%v, %v", exhausted, err)
	}
	want := []string{"Account/Day/Etc/UTC  2026-12-02: 7", "Account/Day/Etc/UTC  2026-12-03: 1", "Account/Day/Etc/UTC  tomorrow: 7",
		"Account/Day/Etc/UTC  yesterday: 7", "Account/Month/Etc/UTC  2020-01-01: 7"}
	if diff := cmp.Diff(want, usageOf(status)); diff != "" {
		t.Errorf("usage is (-want +got):\n%s", diff)
	}
}

func TestExhaustedInWords(t *testing.T) {
	day, month := budgetOf(v1alpha1.PerNamespace, v1alpha1.PeriodDay, 5), budgetOf(v1alpha1.PerAccount, v1alpha1.PeriodMonth, 5)
	until := at("2026-12-04T00:00:00Z")
	for want, e := range map[string]*Exhausted{
		"5 of 5 submissions of the budget of namespace shop for a day (Etc/UTC) are used; its period ends at 2026-12-04T00:00:00Z": {Budget: day, Namespace: "shop", Used: 5, Limit: 5, Until: until},
		"3 of 5 submissions of the budget of the account for a month (Etc/UTC) are used, and the rest is for 2 older DaftyJobs that wait; its period ends at 2026-12-04T00:00:00Z": {
			Budget: month, Used: 3, Limit: 5, Until: until, Older: 2},
		"the budget of the account for a month (Etc/UTC) is kept until 2026-12-04T00:00:00Z, as the operator's clock is behind the record: status.usage of the DaftyAccount has the period 2026-12-04 already. If that was written by a clock that was wrong, delete the entries of later periods": {
			Budget: month, Limit: 5, Until: until, Behind: "2026-12-04"},
	} {
		if got := e.String(); got != want {
			t.Errorf("says %q,\nnot   %q", got, want)
		}
	}
}
