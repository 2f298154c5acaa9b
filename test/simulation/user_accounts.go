package simulation

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// accountNames are the names that DaftyAccounts have: mostly it is the first.
var accountNames = []string{"agency", "agency", "agency", "studio"}

func (p *picker) account() string { return pick(p, accountNames...) }

// selectedLabel is what a namespace is labelled with to be selected.
var selectedLabel = map[string]string{"dafty.ai/account": "agency"}

// createAccount creates a DaftyAccount, and what there is around it the first time.
func createAccount(e *env, p picker) {
	name := p.account()
	if len(e.api.accountHistory) == 0 {
		name = accountNames[0]
		for _, namespace := range placedNamespaces {
			e.api.label(namespace, map[string]string{})
			if namespace == placedNamespaces[0] || p.n(4) != 0 {
				e.api.label(namespace, selectedLabel)
			}
		}
	}
	if e.api.account(name) != nil {
		return
	}
	account := &v1alpha1.DaftyAccount{}
	account.Name = name
	account.Spec.Namespaces = drawSelector(&p)
	for range pick(&p, 1, 1, 1, 2, 2, 3, 0) {
		account.Spec.Budgets = putBudget(account.Spec.Budgets, drawBudget(&p))
	}
	account.Spec.Suspend = p.n(12) == 0
	e.trace.add("user", "creates DaftyAccount %s for %s, suspended %t:%s", name, describeSelector(account.Spec.Namespaces), account.Spec.Suspend,
		describeBudgets(account.Spec.Budgets))
	if e.api.secrets[name] == nil && p.n(10) != 0 {
		e.api.putAccountSecret(name, keyOne)
	}
	e.api.createAccount(account)
}

func drawSelector(p *picker) *metav1.LabelSelector {
	return pick(p, &metav1.LabelSelector{}, &metav1.LabelSelector{MatchLabels: selectedLabel}, &metav1.LabelSelector{MatchLabels: selectedLabel}, nil)
}

func describeSelector(selector *metav1.LabelSelector) string {
	switch {
	case selector == nil:
		return "no namespace"
	case len(selector.MatchLabels) == 0:
		return "all namespaces"
	}
	return "labelled namespaces"
}

func drawBudget(p *picker) v1alpha1.Budget {
	return v1alpha1.Budget{
		Per:         pick(p, v1alpha1.PerAccount, v1alpha1.PerAccount, v1alpha1.PerNamespace),
		Period:      pick(p, v1alpha1.PeriodDay, v1alpha1.PeriodDay, v1alpha1.PeriodWeek, v1alpha1.PeriodMonth),
		TimeZone:    pick(p, "Etc/UTC", "Etc/UTC", "America/New_York", "Pacific/Auckland"),
		Submissions: new(pick(p, int64(1), 1, 2, 2, 3, 4, 0)),
	}
}

// putBudget adds a budget, or puts it in the place of the one that differs in its size.
func putBudget(budgets []v1alpha1.Budget, b v1alpha1.Budget) []v1alpha1.Budget {
	for i := range budgets {
		if budgets[i].Key() == b.Key() {
			budgets[i] = b
			return budgets
		}
	}
	return append(budgets, b)
}

func describeBudgets(budgets []v1alpha1.Budget) string {
	var b strings.Builder
	for i := range budgets {
		fmt.Fprintf(&b, " %s=%d", budgets[i].Key(), *budgets[i].Submissions)
	}
	return b.String()
}

// createWithAccount creates a DaftyJob with an accountRef, or in a few cases without.
func createWithAccount(e *env, p picker) {
	if name := p.job(); e.api.get(name) == nil {
		e.createPlaced(&p, name)
	}
}

// createManyWithAccount creates all DaftyJobs that aren't there.
func createManyWithAccount(e *env, p picker) {
	for _, name := range placedNames {
		if e.api.get(name) == nil && p.n(5) != 0 {
			e.createPlaced(&p, name)
		}
	}
}

func (e *env) createPlaced(p *picker, name string) {
	job := &v1alpha1.DaftyJob{}
	job.Name = name
	what := "an image"
	job.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: "a mountain"}
	switch p.n(12) {
	case 0:
		what = "a style"
		job.Spec.ImageGenerate, job.Spec.StyleExtract = nil, &v1alpha1.StyleExtract{URL: "https://example.com/brand"}
	case 1:
		what = "what Dafty refuses"
		job.Spec.ImageGenerate.Variations = new(int32(99))
	case 2, 3:
		what = "an image that can't be made"
		job.Spec.ImageGenerate.Prompt = daftysim.DefaultFailWord
	case 4:
		what = "what a user made"
		job.Spec.AdoptJobID = e.userJob(p.n(2) == 0)
	}
	drawLimits(e, p, job)
	if p.n(8) != 0 {
		job.Spec.AccountRef = &v1alpha1.AccountReference{Name: p.account()}
		what += " with DaftyAccount " + job.Spec.AccountRef.Name
	}
	e.trace.add("user", "creates %s: %s, %q %s%s", name, what, job.Spec.DesiredState, job.Spec.DeletionPolicy, describeLimits(job))
	e.api.create(job)
}

// changeBudgets raises, lowers, adds or takes away a budget.
func changeBudgets(e *env, p picker) {
	account := e.api.account(p.account())
	if account == nil {
		return
	}
	e.api.changeAccount(account.Name, func(spec *v1alpha1.DaftyAccountSpec) {
		switch n := len(spec.Budgets); {
		case n == 0 || p.n(5) == 0:
			spec.Budgets = putBudget(spec.Budgets, drawBudget(&p))
		case p.n(8) == 0:
			at := p.n(n)
			spec.Budgets = append(spec.Budgets[:at:at], spec.Budgets[at+1:]...)
		default:
			spec.Budgets[p.n(n)].Submissions = new(pick(&p, int64(0), 1, 2, 3, 4, 5, 6))
		}
		e.trace.add("user", "sets the budgets of DaftyAccount %s:%s", account.Name, describeBudgets(spec.Budgets))
	})
}

func suspendAccount(e *env, p picker) {
	name, to := p.account(), p.n(3) == 0
	if account := e.api.account(name); account != nil && account.Spec.Suspend != to {
		e.trace.add("user", "sets suspend of DaftyAccount %s to %t", name, to)
		e.api.changeAccount(name, func(spec *v1alpha1.DaftyAccountSpec) { spec.Suspend = to })
	}
}

func deleteAccount(e *env, p picker) {
	name := p.account()
	if e.api.account(name) == nil {
		return
	}
	e.trace.add("user", "deletes DaftyAccount %s", name)
	e.api.deleteAccount(name)
	if back := pick(&p, time.Second, 20*time.Second, 0); back > 0 {
		e.afterFunc(back, func() {
			if !e.healed {
				createAccount(e, p)
			}
		})
	}
}

func putAccountSecret(e *env, p picker) {
	name, key := p.account(), pick(&p, keyOne, keyOne, keyTwo, keyTwo, keyOther, keyBad)
	e.trace.add("user", "puts key %s… into the Secret of DaftyAccount %s", key[:len("dk_live_acme_one")], name)
	e.api.putAccountSecret(name, key)
}

func deleteAccountSecret(e *env, p picker) {
	name := p.account()
	e.trace.add("user", "deletes the Secret of DaftyAccount %s", name)
	delete(e.api.secrets, name)
}

func labelNamespace(e *env, p picker) {
	name, to := pick(&p, placedNamespaces...), pick(&p, selectedLabel, selectedLabel, map[string]string{})
	e.trace.add("user", "labels namespace %s: %v", name, to)
	e.api.label(name, to)
}

func changeSelector(e *env, p picker) {
	name, to := p.account(), drawSelector(&p)
	if e.api.account(name) == nil {
		return
	}
	e.trace.add("user", "has DaftyAccount %s be for %s", name, describeSelector(to))
	e.api.changeAccount(name, func(spec *v1alpha1.DaftyAccountSpec) { spec.Namespaces = to })
}

// healAccounts has each DaftyAccount that is referred to be there, with an API key.
func (e *env) healAccounts() {
	if len(e.api.accountHistory) == 0 {
		return
	}
	for _, job := range e.invariants.objects() {
		if ref := job.Spec.AccountRef; ref != nil && e.api.account(ref.Name) == nil {
			e.trace.add("user", "creates DaftyAccount %s, without budgets", ref.Name)
			account := &v1alpha1.DaftyAccount{}
			account.Name, account.Spec.Namespaces = ref.Name, &metav1.LabelSelector{}
			e.api.createAccount(account)
		}
	}
	for name := range e.api.accountNames {
		e.api.putAccountSecret(name, keyOne)
	}
}

// describeAccount is the status of a DaftyAccount in a few words.
func describeAccount(account *v1alpha1.DaftyAccount) string {
	var b strings.Builder
	for _, u := range account.Status.Usage {
		fmt.Fprintf(&b, "%s %s %s=%d, ", u.Budget, u.Namespace, u.Period, *u.Submissions)
	}
	b.WriteString("reserved")
	for _, r := range account.Status.Reservations {
		fmt.Fprintf(&b, " %s-%d@%s", r.UID, r.Attempt, r.ResourceVersion)
	}
	return b.String()
}
