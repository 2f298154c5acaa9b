package metrics

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/budget"
)

// maxAccounts is how many DaftyAccounts have series of their own, by their names in order. All others are shown together as other.
const maxAccounts = 100

// daftyAccounts has the DaftyAccounts as they are in the cache.
type daftyAccounts struct {
	mu     sync.Mutex
	byName map[string]*v1alpha1.DaftyAccount
}

// accountState is what is shown of a DaftyAccount.
type accountState struct {
	ready, suspended  bool
	waiting, inFlight int
	budgets           map[string]budgetState
}

// budgetState is what is used of a budget in its present period.
type budgetState struct{ limit, used int64 }

// nearer reports whether a budget is nearer to its end than another.
func (b budgetState) nearer(than budgetState) bool { return b.used*than.limit > than.used*b.limit }

// accountStates has what is shown, by the name of the DaftyAccount.
type accountStates map[string]accountState

// add adds a DaftyAccount under a name that others may have too: they are ready if all are, suspended if one is, and of their budgets
// the one that is nearest to its end is shown.
func (s accountStates) add(name string, more accountState) {
	is, found := s[name]
	if !found {
		s[name] = more
		return
	}
	is.ready, is.suspended = is.ready && more.ready, is.suspended || more.suspended
	is.waiting, is.inFlight = is.waiting+more.waiting, is.inFlight+more.inFlight
	for key, of := range more.budgets {
		if before, found := is.budgets[key]; !found || of.nearer(before) {
			is.budgets[key] = of
		}
	}
	s[name] = is
}

func newDaftyAccounts() *daftyAccounts {
	return &daftyAccounts{byName: map[string]*v1alpha1.DaftyAccount{}}
}

// move is called as moves tells.
func (a *daftyAccounts) move(from, to any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if account, ok := from.(*v1alpha1.DaftyAccount); ok {
		delete(a.byName, account.Name)
	}
	if account, ok := to.(*v1alpha1.DaftyAccount); ok {
		a.byName[account.Name] = account
	}
}

// states returns what is shown, by name.
func (a *daftyAccounts) states(now time.Time) accountStates {
	a.mu.Lock()
	accounts := make([]*v1alpha1.DaftyAccount, 0, len(a.byName))
	for _, account := range a.byName {
		accounts = append(accounts, account)
	}
	a.mu.Unlock()
	slices.SortFunc(accounts, func(a, b *v1alpha1.DaftyAccount) int { return strings.Compare(a.Name, b.Name) })
	states := accountStates{}
	for i, account := range accounts {
		name := account.Name
		if i >= maxAccounts {
			name = other
		}
		states.add(name, stateOf(account, now))
	}
	return states
}

// stateOf returns what is shown of a DaftyAccount.
func stateOf(account *v1alpha1.DaftyAccount, now time.Time) accountState {
	state := accountState{
		ready:     meta.IsStatusConditionTrue(account.Status.Conditions, v1alpha1.ConditionReady),
		suspended: account.Spec.Suspend,
		budgets:   map[string]budgetState{},
	}
	if n := account.Status.Waiting; n != nil {
		state.waiting = int(*n)
	}
	if n := account.Status.InFlight; n != nil {
		state.inFlight = int(*n)
	}
	for i := range account.Spec.Budgets {
		of := &account.Spec.Budgets[i]
		period, _, err := budget.Period(of, now)
		if err != nil || of.Submissions == nil {
			continue // which the account's status tells
		}
		is := budgetState{limit: *of.Submissions}
		for _, usage := range account.Status.Usage {
			if usage.Budget == of.Key() && usage.Period == period && usage.Submissions != nil {
				is.used = max(is.used, *usage.Submissions) // of the namespaces, the one that has used most
			}
		}
		state.budgets[of.Key()] = is
	}
	return state
}

// collectAccounts shows what there is of DaftyAccounts.
func collectAccounts(show func(desc *prometheus.Desc, value float64, labels ...string), states accountStates) {
	number := map[bool]float64{true: 1}
	for name, state := range states {
		show(accountReadyDesc, number[state.ready], name)
		show(accountSuspendedDesc, number[state.suspended], name)
		show(accountWaitingDesc, float64(state.waiting), name)
		show(accountInFlightDesc, float64(state.inFlight), name)
		for key, of := range state.budgets {
			show(budgetLimitDesc, float64(of.limit), name, key)
			show(budgetUsedDesc, float64(of.used), name, key)
		}
	}
}
