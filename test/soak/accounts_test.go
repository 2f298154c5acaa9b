package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/budget"
	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// payer is a DaftyAccount with its account at Dafty, which has the same name.
type payer struct {
	name, key, image string
	// tenants may use it.
	tenants []*tenant

	mu      sync.Mutex
	budgets []v1alpha1.Budget
	// raises counts how often a budget was raised that was used up.
	raises int
}

// The budgets of the agency, which are raised again and again, and of the studio, whose only one isn't. Each ends within seconds.
const (
	agency, studio = "agency", "studio"

	ofNamespace, ofAccount = 0, 1
	smallest               = 3
)

// raised returns how often a budget was raised that was used up.
func (p *payer) raised() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.raises
}

// newPayers creates the DaftyAccounts, with their Secrets in a namespace of their own.
func (e *env) newPayers(t *testing.T) {
	t.Helper()
	keys := kubetest.Start(t).Namespace
	zone := quietZone(time.Now())
	size := func(per v1alpha1.BudgetScope, period v1alpha1.BudgetPeriod, submissions int64) v1alpha1.Budget {
		return v1alpha1.Budget{Per: per, Period: period, TimeZone: zone, Submissions: &submissions}
	}
	e.payers = []*payer{{
		name: agency, tenants: e.tenants, image: "2f7e8d3a-5b4c-4d9e-9c32-3e4f5a6b7c8d",
		budgets: []v1alpha1.Budget{
			ofNamespace: size(v1alpha1.PerNamespace, v1alpha1.PeriodDay, smallest),
			ofAccount:   size(v1alpha1.PerAccount, v1alpha1.PeriodMonth, smallest),
		},
	}, {
		name: studio, tenants: e.tenants[:1], image: "3a8f9e4b-6c5d-4eaf-8d43-4f5a6b7c8d9e",
		budgets: []v1alpha1.Budget{size(v1alpha1.PerAccount, v1alpha1.PeriodWeek, smallest)},
	}}
	for _, p := range e.payers {
		p.key = fmt.Sprintf("dk_soak_%s_9b27f60ce8d3", p.name)
		var namespaces []string
		for _, tenant := range p.tenants {
			namespaces = append(namespaces, tenant.namespace)
		}
		for _, object := range []client.Object{
			&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: keys, Name: p.name}, StringData: map[string]string{v1alpha1.DefaultSecretKey: p.key}},
			&v1alpha1.DaftyAccount{ObjectMeta: metav1.ObjectMeta{Name: p.name}, Spec: v1alpha1.DaftyAccountSpec{
				APIKeySecretRef: v1alpha1.NamespacedSecretKeyReference{Namespace: keys, Name: p.name},
				Namespaces: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
					{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: namespaces}}},
				Budgets: p.budgets,
			}},
		} {
			if err := e.client.Create(t.Context(), object); err != nil {
				t.Fatalf("creating %s: %v", object.GetName(), err)
			}
			if object.GetNamespace() == "" { // the next soak has accounts of the same names
				t.Cleanup(func() {
					if err := e.client.Delete(context.WithoutCancel(t.Context()), object); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
}

// quietZone returns a time zone in which the day has begun an hour ago, so that no period ends for most of a day.
func quietZone(now time.Time) string {
	west := now.UTC().Hour() - 1 // the names of these zones count to the west
	if west > 12 {
		west -= 24
	}
	return fmt.Sprintf("Etc/GMT%+d", west)
}

// budgetKey names a budget of an account, of a namespace if it is per Namespace.
type budgetKey struct{ account, budget, namespace string }

func keyOf(account string, b *v1alpha1.Budget, namespace string) budgetKey {
	if b.Per == v1alpha1.PerAccount {
		namespace = ""
	}
	return budgetKey{account, b.Key(), namespace}
}

// limits returns the size of each budget. No budget has ever been larger.
func (e *env) limits() map[budgetKey]int64 {
	limits := map[budgetKey]int64{}
	for _, p := range e.payers {
		p.mu.Lock()
		for i := range p.budgets {
			for _, tenant := range p.tenants {
				limits[keyOf(p.name, &p.budgets[i], tenant.namespace)] = *p.budgets[i].Submissions
			}
		}
		p.mu.Unlock()
	}
	return limits
}

// payer returns one by its name.
func (e *env) payer(name string) *payer {
	for _, p := range e.payers {
		if p.name == name {
			return p
		}
	}
	return nil
}

// playBuyers acts as those who use the DaftyAccounts: they want more than the budgets have.
func (r *run) playBuyers(ctx context.Context, chance *rand.Rand) {
	for pause(ctx, between(chance, 200*time.Millisecond, 2*time.Second)) {
		tenant := r.env.tenants[chance.IntN(len(r.env.tenants))]
		which := fmt.Sprintf("order-%d", max(1, tenant.orders-chance.IntN(6)))
		switch dice := chance.IntN(100); {
		case dice < 60:
			// The studio isn't for the second tenant, whose orders wait for good.
			from := r.env.payers[chance.IntN(4)/3]
			r.order(tenant, from, from.drawOrder(chance))
		case dice < 70:
			r.patch(tenant, which, v1alpha1.DesiredCancelled)
		case dice < 74:
			r.patch(tenant, which, v1alpha1.DesiredSuspended)
		case dice < 80:
			r.patch(tenant, which, v1alpha1.DesiredCompleted)
		case dice < 88:
			r.delete(tenant, which)
		default:
			r.applyAsset(tenant, frontPage, []string{"A bakery", "A forge", "A mill"}[chance.IntN(3)])
		}
	}
}

// order creates the next DaftyJob that a DaftyAccount pays for.
func (r *run) order(tenant *tenant, from *payer, spec v1alpha1.DaftyJobSpec) {
	tenant.orders++
	job := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Namespace: tenant.namespace, Name: fmt.Sprintf("order-%d", tenant.orders)}, Spec: spec}
	job.Spec.AccountRef = &v1alpha1.AccountReference{Name: from.name}
	r.recordUserAction(tenant, "orders "+job.Name+" from "+from.name, r.env.client.Create(r.t.Context(), job))
}

func generate(prompt v1alpha1.Prompt) v1alpha1.DaftyJobSpec {
	return v1alpha1.DaftyJobSpec{ImageGenerate: &v1alpha1.ImageGenerate{Prompt: prompt}}
}

// drawOrder draws what is ordered. A job that Dafty fails counts as any other.
func (p *payer) drawOrder(chance *rand.Rand) v1alpha1.DaftyJobSpec {
	target := v1alpha1.ImageTarget{ID: p.image}
	switch chance.IntN(6) {
	case 0:
		return v1alpha1.DaftyJobSpec{ImageEdit: &v1alpha1.ImageEdit{Image: target, Prompt: "A tram at night"}}
	case 1:
		return v1alpha1.DaftyJobSpec{ImageResize: &v1alpha1.ImageResize{Image: target, AspectRatio: "21:9"}}
	case 2:
		return generate(daftysim.DefaultFailWord + " A tram")
	default:
		return generate("A tram")
	}
}

// raiseBudgets acts as the one who runs the agency's account: where all of it is used up, there is soon more, for a namespace and for the
// account by turns.
func (r *run) raiseBudgets(ctx context.Context, chance *rand.Rand) {
	p := r.env.payer(agency)
	for pause(ctx, between(chance, time.Second, 4*time.Second)) {
		total := keyOf(agency, &p.budgets[ofAccount], "")
		if r.spent()[total] < r.env.limits()[total] {
			continue
		}
		each, all := *p.budgets[ofNamespace].Submissions, *p.budgets[ofAccount].Submissions
		if whole := each * int64(len(p.tenants)); all < whole {
			r.raise(p, ofAccount, min(whole, all+1+chance.Int64N(3)))
		} else {
			r.raise(p, ofNamespace, each+1+chance.Int64N(2))
		}
		p.mu.Lock()
		p.raises++
		p.mu.Unlock()
	}
}

// raise has a budget be larger. From then on it may be used, whether or not the operator knows.
func (r *run) raise(p *payer, which int, to int64) {
	p.mu.Lock()
	r.timeline.add("user", "%s: raises budget %s to %d", p.name, p.budgets[which].Key(), to)
	p.budgets[which].Submissions = &to
	p.mu.Unlock()
	patch := fmt.Appendf(nil, `[{"op": "replace", "path": "/spec/budgets/%d/submissions", "value": %d}]`, which, to)
	account := &v1alpha1.DaftyAccount{ObjectMeta: metav1.ObjectMeta{Name: p.name}}
	if err := r.env.client.Patch(r.t.Context(), account, client.RawPatch(types.JSONPatchType, patch)); err != nil {
		r.t.Errorf("raising a budget of %s: %v", p.name, err)
	}
}

// wantMore has each budget end: it raises those of the agency a last time, so that all of them can, and orders more than there is.
func (r *run) wantMore() {
	p := r.env.payer(agency)
	each := *p.budgets[ofNamespace].Submissions + 1
	r.raise(p, ofNamespace, each)
	r.raise(p, ofAccount, each*int64(len(p.tenants)))
	spent, limits := r.spent(), r.env.limits()
	for _, p := range r.env.payers {
		for _, tenant := range p.tenants {
			left := int64(0)
			for i := range p.budgets {
				of := keyOf(p.name, &p.budgets[i], tenant.namespace)
				left = max(left, limits[of]-spent[of])
			}
			for range left + 2 {
				r.order(tenant, p, generate("A tram"))
			}
		}
	}
}

// frontPage is a DaftyAsset that the agency's account pays for.
const frontPage = "front-page"

// spent returns how many submissions Dafty took, by the budgets that they are of.
func (r *run) spent() map[budgetKey]int64 {
	spent := map[budgetKey]int64{}
	jobs := r.records.newest()
	for _, entry := range r.dafty.Ledger() {
		job := jobs[owner(entry)]
		if job == nil || job.Spec.AccountRef == nil {
			continue
		}
		for _, of := range r.env.budgetsOf(job) {
			spent[of]++
		}
	}
	return spent
}

// budgetsOf returns the budgets that a DaftyJob is counted in.
func (e *env) budgetsOf(job *v1alpha1.DaftyJob) (all []budgetKey) {
	p := e.payer(job.Spec.AccountRef.Name)
	for i := range p.budgets {
		all = append(all, keyOf(p.name, &p.budgets[i], job.Namespace))
	}
	return all
}

// lookAtLedger looks again and again whether Dafty took more than a budget has.
func (r *run) lookAtLedger(ctx context.Context) {
	for told := map[budgetKey]bool{}; pause(ctx, 300*time.Millisecond); {
		spent := r.spent()
		limits := r.env.limits() // after the ledger, as they only grow
		for of, n := range spent {
			if n > limits[of] && !told[of] {
				told[of] = true
				r.records.addProblem("overspent: Dafty took %d of %d submissions of %v", n, limits[of], of)
			}
		}
	}
}

// periods returns the present period of each budget.
func (e *env) periods(t *testing.T) map[string]string {
	periods := map[string]string{}
	for _, p := range e.payers {
		for i := range p.budgets {
			period, _, err := budget.Period(&p.budgets[i], time.Now())
			if err != nil {
				t.Error(err)
			}
			periods[p.budgets[i].Key()] = period
		}
	}
	return periods
}

func asJSON(object any) string {
	raw, err := json.Marshal(object)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}
