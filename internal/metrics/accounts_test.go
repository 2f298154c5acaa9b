package metrics

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/metricstest"
)

// someAccount returns a DaftyAccount that is Ready, with a budget for each namespace and one for all.
func someAccount(name string) *v1alpha1.DaftyAccount {
	account := &v1alpha1.DaftyAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	account.Spec.Budgets = []v1alpha1.Budget{
		{Per: v1alpha1.PerNamespace, Period: v1alpha1.PeriodDay, TimeZone: "Etc/UTC", Submissions: new(int64(100))},
		{Per: v1alpha1.PerAccount, Period: v1alpha1.PeriodMonth, TimeZone: "Pacific/Auckland", Submissions: new(int64(2000))},
	}
	account.Status = v1alpha1.DaftyAccountStatus{
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAccepted}},
		InFlight:   new(int32(12)), Waiting: new(int32(40)),
		Usage: []v1alpha1.BudgetUsage{
			{Budget: "Namespace/Day/Etc/UTC", Namespace: "shop", Period: "2026-03-31", Submissions: new(int64(81))},
			{Budget: "Namespace/Day/Etc/UTC", Namespace: "blog", Period: "2026-03-31", Submissions: new(int64(7))},
			{Budget: "Namespace/Day/Etc/UTC", Namespace: "shop", Period: "2026-03-30", Submissions: new(int64(100))},
			{Budget: "Account/Month/Pacific/Auckland", Period: "2026-03-01", Submissions: new(int64(1999))},
			{Budget: "Account/Month/Pacific/Auckland", Period: "2026-04-01", Submissions: new(int64(3))},
			{Budget: "Account/Day/Etc/UTC", Period: "2026-03-31", Submissions: new(int64(5))}, // no longer in the spec
		},
	}
	return account
}

// accountsNow is in April already in Auckland.
var accountsNow = time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)

// What is used of a budget is shown of its present period, and of namespaces the one that has used most.
func TestAccounts(t *testing.T) {
	agency := accountState{ready: true, waiting: 40, inFlight: 12, budgets: map[string]budgetState{
		"Namespace/Day/Etc/UTC": {limit: 100, used: 81}, "Account/Month/Pacific/Auckland": {limit: 2000, used: 3},
	}}
	for name, row := range map[string]struct {
		when func(cache.ResourceEventHandler)
		want accountStates
	}{
		"one that is used": {
			func(h cache.ResourceEventHandler) { h.OnAdd(someAccount("agency"), true) },
			accountStates{"agency": agency},
		},
		"one that nobody has looked at": {
			func(h cache.ResourceEventHandler) {
				h.OnAdd(&v1alpha1.DaftyAccount{ObjectMeta: metav1.ObjectMeta{Name: "new"}}, true)
			},
			accountStates{"new": {budgets: map[string]budgetState{}}},
		},
		"one that was suspended": {
			func(h cache.ResourceEventHandler) {
				before, after := someAccount("agency"), someAccount("agency")
				after.Spec.Suspend, after.Spec.Budgets = true, nil
				h.OnAdd(before, true)
				h.OnUpdate(before, after)
			},
			accountStates{"agency": {ready: true, suspended: true, waiting: 40, inFlight: 12, budgets: map[string]budgetState{}}},
		},
		"one whose time zone there isn't": {
			func(h cache.ResourceEventHandler) {
				account := someAccount("agency")
				account.Spec.Budgets[0].TimeZone = "Mars/Olympus"
				h.OnAdd(account, true)
			},
			accountStates{"agency": {ready: true, waiting: 40, inFlight: 12, budgets: map[string]budgetState{"Account/Month/Pacific/Auckland": {limit: 2000, used: 3}}}},
		},
		"one that is gone": {
			func(h cache.ResourceEventHandler) {
				h.OnAdd(someAccount("agency"), true)
				h.OnDelete(cache.DeletedFinalStateUnknown{Obj: someAccount("agency")})
			},
			accountStates{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			counted := newDaftyAccounts()
			row.when(moves(counted.move))
			if diff := cmp.Diff(row.want, counted.states(accountsNow), cmp.AllowUnexported(accountState{}, budgetState{})); diff != "" {
				t.Errorf("shown (-want +got):\n%s", diff)
			}
		})
	}
}

// However many accounts there are, there are series of a hundred and one, and an account called other is among the rest.
func TestAccountsAreBounded(t *testing.T) {
	counted := newDaftyAccounts()
	for i := range maxAccounts {
		counted.move(nil, someAccount(fmt.Sprintf("a%03d", i)))
	}
	rejected, worse := someAccount("other"), someAccount("z")
	rejected.Status.Conditions = nil
	worse.Spec.Suspend = true
	worse.Status.Usage[0].Submissions = new(int64(99))
	counted.move(nil, rejected)
	counted.move(nil, worse)
	states := counted.states(accountsNow)
	if len(states) != maxAccounts+1 {
		t.Fatalf("%d accounts are shown", len(states))
	}
	want := accountState{suspended: true, waiting: 80, inFlight: 24, budgets: map[string]budgetState{
		"Namespace/Day/Etc/UTC": {limit: 100, used: 99}, "Account/Month/Pacific/Auckland": {limit: 2000, used: 3},
	}}
	if diff := cmp.Diff(want, states[other], cmp.AllowUnexported(accountState{}, budgetState{})); diff != "" {
		t.Errorf("shown of the rest (-want +got):\n%s", diff)
	}
}

// An account called other has the series of the rest, and no other series has its name twice, which a scrape would fail at.
func TestAccountSeries(t *testing.T) {
	r := NewRunning(nil, accounts(NewLoad()), Kinds{Accounts: true})
	for i := range maxAccounts + 20 {
		r.daftyAccounts.move(nil, someAccount(fmt.Sprintf("n%03d", i)))
	}
	r.daftyAccounts.move(nil, someAccount("other"))
	defer shown.add(r)()
	scrape := metricstest.Read(t, metrics.Registry)
	if n := strings.Count(scrape.Text, "\ndafty_account_ready{"); n != maxAccounts+1 {
		t.Errorf("%d series", n)
	}
}
