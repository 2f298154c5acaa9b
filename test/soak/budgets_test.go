package soak

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/kstatustest"
	"dafty.ai/dafty-operator/internal/test/operatortest"
)

// book has every version that the watches have shown of the DaftyAccounts, and of the DaftyJobs that name one.
type book struct {
	mu       sync.Mutex
	newest   map[string]*v1alpha1.DaftyAccount
	versions []version
}

// version is one of a DaftyAccount or of a DaftyJob.
type version struct {
	revision uint64 // the API server's, which orders all objects
	account  *v1alpha1.DaftyAccount
	job      *v1alpha1.DaftyJob
	gone     bool
}

func (b *book) add(object client.Object, v version) error {
	var err error
	if v.revision, err = strconv.ParseUint(object.GetResourceVersion(), 10, 64); err != nil {
		return fmt.Errorf("the resourceVersion of %s: %w", object.GetName(), err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.versions = append(b.versions, v)
	if v.account != nil {
		b.newest[v.account.Name] = v.account
	}
	return nil
}

func (b *book) account(name string) *v1alpha1.DaftyAccount {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.newest[name]
}

// inOrder returns all versions as they followed each other.
func (b *book) inOrder() []version {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.SortedStableFunc(slices.Values(b.versions), func(a, b version) int { return cmp.Compare(a.revision, b.revision) })
}

type accountWatcher struct{ client client.WithWatch }

func (w accountWatcher) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	return w.client.Watch(ctx, &v1alpha1.DaftyAccountList{}, &client.ListOptions{Raw: &options})
}

// watchAccounts watches the DaftyAccounts until the test ends.
func (r *run) watchAccounts() {
	r.t.Helper()
	list := &v1alpha1.DaftyAccountList{}
	if err := r.env.client.List(r.t.Context(), list); err != nil {
		r.t.Fatal(err)
	}
	events, err := watchtools.NewRetryWatcherWithContext(r.t.Context(), list.ResourceVersion, accountWatcher{r.env.client})
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range list.Items {
		r.observeAccount(&list.Items[i])
	}
	go func() {
		for event := range events.ResultChan() {
			if account, ok := event.Object.(*v1alpha1.DaftyAccount); ok {
				r.observeAccount(account)
			} else {
				r.records.addProblem("the watch of the test broke: %v", event.Object)
			}
		}
	}()
}

// observeAccount records a version of a DaftyAccount, and checks what it says by itself.
func (r *run) observeAccount(account *v1alpha1.DaftyAccount) {
	raw := asJSON(account)
	if key, form := operatortest.FindKey(raw, r.env.keys()...); key != "" {
		r.records.addProblem("leaked: %s is in %s, %s", key, raw, form)
	}
	if problem := kstatustest.AccountProblem(account); problem != "" {
		r.records.addProblem("false: %s: %s", problem, raw)
	}
	reserved := map[budgetKey]int64{}
	for i := range account.Status.Reservations {
		for _, of := range chargesOf(account.Name, &account.Status.Reservations[i]) {
			reserved[of]++
		}
	}
	limits := map[string]int64{}
	for i := range account.Spec.Budgets {
		limits[account.Spec.Budgets[i].Key()] = *account.Spec.Budgets[i].Submissions
	}
	for _, u := range account.Status.Usage {
		of := budgetKey{account.Name, u.Budget, u.Namespace}
		if *u.Submissions > limits[u.Budget] || *u.Submissions < reserved[of] {
			r.records.addProblem("overspent: usage says %d of %v, with %d reserved, of %d that there may be: %s",
				*u.Submissions, of, reserved[of], limits[u.Budget], raw)
		}
		delete(reserved, of)
	}
	for of := range reserved {
		r.records.addProblem("overspent: what is reserved of %v isn't in usage: %s", of, raw)
	}
	if before := r.book.account(account.Name); before == nil || describeAccount(before) != describeAccount(account) {
		r.timeline.add("account", "%s: %s", account.Name, describeAccount(account))
	}
	if err := r.book.add(account, version{account: account}); err != nil {
		r.records.addProblem("%v", err)
	}
}

// chargesOf returns the budgets that a reservation is counted in.
func chargesOf(account string, reservation *v1alpha1.Reservation) (all []budgetKey) {
	for _, charge := range reservation.Charges {
		of := budgetKey{account, charge.Budget, reservation.Namespace}
		if strings.HasPrefix(charge.Budget, string(v1alpha1.PerAccount)+"/") {
			of.namespace = ""
		}
		all = append(all, of)
	}
	return all
}

func describeAccount(account *v1alpha1.DaftyAccount) string {
	text := "no condition"
	if c := meta.FindStatusCondition(account.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		text = c.Reason
	}
	for _, u := range account.Status.Usage {
		text += fmt.Sprintf(", %d of %s %s", *u.Submissions, u.Budget, u.Namespace)
	}
	for _, reserved := range account.Status.Reservations {
		text += fmt.Sprintf(", reserved %s/%s", reserved.Namespace, reserved.Name)
	}
	return strings.ReplaceAll(text, "  ", " ")
}

// waitsForBudget reports whether somebody in a namespace waits rightly for a budget of an account: one is used up, as status.usage has it, and
// what is said names one by the size that it has.
func (r *run) waitsForBudget(name, namespace string, conditions []metav1.Condition) bool {
	account, ready := r.book.account(name), meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	used := map[budgetKey]int64{}
	for _, u := range account.Status.Usage {
		used[budgetKey{name, u.Budget, u.Namespace}] = *u.Submissions
	}
	full, said := false, false
	for i := range account.Spec.Budgets {
		b := &account.Spec.Budgets[i]
		whose := "the account"
		if b.Per == v1alpha1.PerNamespace {
			whose = "namespace " + namespace
		}
		full = full || used[keyOf(name, b, namespace)] >= *b.Submissions
		said = said || strings.Contains(ready.Message, fmt.Sprintf("of %d submissions of the budget of %s for a", *b.Submissions, whose))
	}
	return full && said
}

// waitsForAccount reports whether a DaftyJob waits rightly for its DaftyAccount: a budget is used up, or it isn't for the namespace.
func (r *run) waitsForAccount(job *v1alpha1.DaftyJob) bool {
	if job.Spec.AccountRef == nil {
		return false
	}
	switch reason(job) {
	case v1alpha1.ReasonBudgetExhausted:
		return r.waitsForBudget(job.Spec.AccountRef.Name, job.Namespace, job.Status.Conditions)
	case v1alpha1.ReasonAccountNotFound:
		return !slices.ContainsFunc(r.env.payer(job.Spec.AccountRef.Name).tenants, func(t *tenant) bool { return t.namespace == job.Namespace })
	}
	return false
}

// unsettledAccounts returns the DaftyAccounts of which something is still reserved, or that aren't ready.
func (r *run) unsettledAccounts() (open []string) {
	for _, p := range r.env.payers {
		account := r.book.account(p.name)
		if len(account.Status.Reservations) > 0 || !meta.IsStatusConditionTrue(account.Status.Conditions, v1alpha1.ConditionReady) {
			open = append(open, "DaftyAccount "+p.name+": "+describeAccount(account))
		}
	}
	return open
}

// checkBudgets checks the DaftyAccounts against Dafty's ledger: all that there was to spend is spent, as more is wanted, and no more; usage says
// so; and what waits says what it waits for.
func (r *run) checkBudgets() {
	spent, limits, lost := r.spent(), r.env.limits(), r.lost()
	used := map[budgetKey]int64{}
	for _, p := range r.env.payers {
		for _, u := range r.book.account(p.name).Status.Usage {
			used[budgetKey{p.name, u.Budget, u.Namespace}] = *u.Submissions
			if u.Period != r.periods[u.Budget] {
				r.t.Errorf("%s has usage of another period than that of the soak, %s: %+v", p.name, r.periods[u.Budget], u)
			}
		}
	}
	if now := r.env.periods(r.t); !maps.Equal(now, r.periods) {
		r.t.Errorf("the periods changed while the soak ran, which tells nothing then: from %v to %v", r.periods, now)
	}
	for of, limit := range limits {
		if n := spent[of]; n > limit || n+lost[of] < limit {
			r.t.Errorf("overspent, or stuck: Dafty took %d submissions of %v; there are %d, and more were wanted; %d may be lost", n, of, limit, lost[of])
		}
		if n := used[of]; n < spent[of] || n > spent[of]+lost[of] {
			r.t.Errorf("false: usage says %d of %v, and Dafty took %d; %d may be lost", n, of, spent[of], lost[of])
		}
		delete(used, of)
	}
	if len(used) > 0 {
		r.t.Errorf("false: there is usage of what nobody may use: %v", used)
	}
	waiting := map[string]int{}
	for _, h := range r.records.histories() {
		if !h.gone && reason(h.newest) == v1alpha1.ReasonBudgetExhausted {
			waiting[h.newest.Spec.AccountRef.Name]++
		}
	}
	for _, p := range r.env.payers {
		if waiting[p.name] == 0 {
			r.t.Errorf("nothing waits for the budgets of %s, so that these tell nothing", p.name)
		}
	}
	r.replayBudgets()
}

// lost counts, by budget, the DaftyJobs that were reserved and are gone without a job at Dafty: they may count for good.
func (r *run) lost() map[budgetKey]int64 {
	reserved := map[types.UID][]budgetKey{}
	for _, v := range r.book.inOrder() {
		if v.account == nil {
			continue
		}
		for i := range v.account.Status.Reservations {
			each := &v.account.Status.Reservations[i]
			reserved[each.UID] = chargesOf(v.account.Name, each)
		}
	}
	made := map[types.UID]bool{}
	for _, entry := range r.dafty.Ledger() {
		made[owner(entry)] = true
	}
	lost := map[budgetKey]int64{}
	for _, h := range r.records.histories() {
		if !h.gone || made[h.newest.UID] {
			continue
		}
		for _, of := range reserved[h.newest.UID] {
			lost[of]++
		}
	}
	return lost
}

// replayBudgets goes through all that was on record, in order: what is submitted is reserved for just that version of the DaftyJob before,
// and what Dafty took, or may have taken, was never more than there was.
func (r *run) replayBudgets() {
	accounts, jobs := map[string]*v1alpha1.DaftyAccount{}, map[types.UID]*v1alpha1.DaftyJob{}
	counted, counts := map[types.UID]bool{}, map[budgetKey]int64{}
	for _, v := range r.book.inOrder() {
		if v.account != nil {
			accounts[v.account.Name] = v.account
			continue
		}
		before, job := jobs[v.job.UID], v.job
		jobs[job.UID] = job
		account := accounts[job.Spec.AccountRef.Name]
		if job.Status.InDoubt() && (before == nil || !before.Status.InDoubt() || before.Status.Submission.Attempt != job.Status.Submission.Attempt) &&
			!isReserved(account, before, job) {
			r.t.Errorf("overspent: %s/%s is submitted, and isn't reserved: %s; it is %s", job.Namespace, job.Name, asJSON(account.Status), asJSON(job))
		}
		counting := job.Status.InDoubt() || job.Status.JobID != "" || v.gone && counted[job.UID]
		if counting == counted[job.UID] {
			continue
		}
		counted[job.UID] = counting
		for i := range account.Spec.Budgets {
			of := keyOf(account.Name, &account.Spec.Budgets[i], job.Namespace)
			if !counting {
				counts[of]--
				continue
			}
			counts[of]++
			if limit := *account.Spec.Budgets[i].Submissions; counts[of] > limit {
				r.t.Errorf("overspent: with %s/%s, as of resourceVersion %s, Dafty took or may have taken %d of %d submissions of %v",
					job.Namespace, job.Name, job.ResourceVersion, counts[of], limit, of)
			}
		}
	}
}

// isReserved reports whether an attempt of a DaftyJob is reserved for the version that its request was put on record in.
func isReserved(account *v1alpha1.DaftyAccount, before, job *v1alpha1.DaftyJob) bool {
	return before != nil && slices.ContainsFunc(account.Status.Reservations, func(each v1alpha1.Reservation) bool {
		return each.UID == job.UID && each.Attempt == job.Status.Submission.Attempt && each.ResourceVersion == before.ResourceVersion
	})
}
