package simulation

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/budget"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// knownWithin is how soon a process heeds what it sees of DaftyAccounts: what was decided before is written by then.
const knownWithin = 20 * time.Second

// attempt is one of a DaftyJob.
type attempt struct {
	job types.UID
	n   int32
}

// charge is what an attempt is counted in.
type charge struct {
	account                   types.UID
	budget, namespace, period string
}

func (c charge) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s of %s %s", c.budget, c.period, c.namespace))
}

// sized is a budget of an account, whatever its size.
type sized struct {
	account types.UID
	budget  string
}

// accountRecords is what is known of DaftyAccounts.
type accountRecords struct {
	// largest is the largest size that each budget ever had.
	largest map[sized]int64
	// charged is what each attempt was reserved for as its request came on record.
	charged map[attempt][]charge
	// reserved are all charges that an attempt was ever reserved with.
	reserved map[attempt]map[charge]bool
	// resubmitted are the attempts that a user has said to have made no job. What a person says is no proof: they stay counted.
	resubmitted map[attempt]bool
	// denied is how a namespace was told that an account isn't for it.
	denied map[accountUse]string
}

func newAccountRecords() accountRecords {
	return accountRecords{
		largest: map[sized]int64{}, charged: map[attempt][]charge{}, reserved: map[attempt]map[charge]bool{},
		resubmitted: map[attempt]bool{}, denied: map[accountUse]string{},
	}
}

// chargesOf are those of a reservation.
func chargesOf(account *v1alpha1.DaftyAccount, r *v1alpha1.Reservation) (charges []charge) {
	for _, each := range r.Charges {
		namespace := r.Namespace
		if strings.HasPrefix(each.Budget, string(v1alpha1.PerAccount)+"/") {
			namespace = ""
		}
		charges = append(charges, charge{account.UID, each.Budget, namespace, each.Period})
	}
	return charges
}

// checkAccountVersion checks each version of each DaftyAccount.
func (inv *invariants) checkAccountVersion(before *v1alpha1.DaftyAccount, after accountVersion) {
	account, a := after.object, &inv.accounts
	inv.noAPIKey("DaftyAccount "+account.Name, string(after.raw))
	for i := range account.Spec.Budgets {
		b := &account.Spec.Budgets[i]
		of := sized{account.UID, b.Key()}
		a.largest[of] = max(a.largest[of], *b.Submissions)
	}
	known := map[attempt]bool{}
	if before != nil && before.UID == account.UID {
		for i := range before.Status.Reservations {
			known[attempt{before.Status.Reservations[i].UID, before.Status.Reservations[i].Attempt}] = true
		}
	}
	for i := range account.Status.Reservations {
		r := &account.Status.Reservations[i]
		of := attempt{r.UID, r.Attempt}
		if known[of] {
			continue
		}
		if a.reserved[of] == nil {
			a.reserved[of] = map[charge]bool{}
		}
		for _, each := range chargesOf(account, r) {
			a.reserved[of][each] = true
		}
		inv.checkCharges(account, r)
	}
}

// checkCharges checks that a new reservation is counted in each budget, in the period that it is.
func (inv *invariants) checkCharges(account *v1alpha1.DaftyAccount, r *v1alpha1.Reservation) {
	in := map[string]string{}
	for _, each := range r.Charges {
		in[each.Budget] = each.Period
	}
	for i := range account.Spec.Budgets {
		b := &account.Spec.Budgets[i]
		right := false
		for _, off := range []time.Duration{-maxSkew, 0, maxSkew} {
			period, _, err := budget.Period(b, time.Now().Add(inv.env.clockOff+off))
			right = right || err == nil && in[b.Key()] == period
		}
		if !right && !inv.env.clocksJumped && !inv.pausedWithin(knownWithin) {
			inv.violated("overspent: attempt %d of %s is counted in %v, and not as it is", r.Attempt, r.Name, in)
		}
	}
}

// pausedWithin reports whether a process was paused a moment ago: what it writes may have been decided long before.
func (inv *invariants) pausedWithin(d time.Duration) bool {
	o := inv.env.lastPause
	return !o.from.IsZero() && (o.to.Before(o.from) || time.Since(o.to) < d)
}

// inDoubt reports whether a request of an attempt is on record, and its answer isn't.
func inDoubt(job *v1alpha1.DaftyJob, n int32) bool {
	return job.Status.InDoubt() && job.Status.Submission.Attempt == n
}

// checkBudgets checks an attempt as its request comes on record: it is reserved for this very version of the DaftyJob, no budget is
// exceeded, and the account may be used.
func (inv *invariants) checkBudgets(was, job *v1alpha1.DaftyJob) {
	ref := job.Spec.AccountRef
	if ref == nil || !job.Status.InDoubt() || inDoubt(was, job.Status.Submission.Attempt) {
		return
	}
	of, writer := attempt{job.UID, job.Status.Submission.Attempt}, inv.writer
	if since, held := writer.held[accountUse{ref.Name, job.Namespace}]; held && time.Since(since) > knownWithin && !inv.pausedWithin(knownWithin) {
		inv.violated("paid unasked: %s is submitted with DaftyAccount %s, which isn't to be used from %s since %s", job.Name, ref.Name, job.Namespace,
			time.Since(since))
	}
	account := inv.env.api.account(ref.Name)
	var r *v1alpha1.Reservation
	if account != nil {
		for i := range account.Status.Reservations {
			if each := &account.Status.Reservations[i]; each.UID == of.job && each.Attempt == of.n && each.ResourceVersion == was.ResourceVersion {
				r = each
			}
		}
	}
	if r == nil {
		if !inv.mayGoUnreserved(writer, ref.Name, account) {
			inv.violated("overspent: attempt %d of %s is submitted, and isn't reserved for version %s", of.n, job.Name, was.ResourceVersion)
		}
		delete(inv.accounts.charged, of)
		return
	}
	inv.accounts.charged[of] = chargesOf(account, r)
	taken := inv.taken()
	for _, each := range inv.accounts.charged[of] {
		most := inv.accounts.largest[sized{each.account, each.budget}]
		if n := int64(taken[each]); n > most {
			inv.violated("overspent: with attempt %d of %s, %d submissions are in %s, of %d that there may be at most", of.n, job.Name, n, each, most)
		}
	}
}

// mayGoUnreserved reports whether a process can't know that a submission is to be counted: it had the account as one without budgets, or
// it was deleted meanwhile.
func (inv *invariants) mayGoUnreserved(p *process, name string, account *v1alpha1.DaftyAccount) bool {
	seen := p.accounts.get(name)
	unbounded := account == nil || len(account.Spec.Budgets) == 0 // the budgets read past the cache after a conflict
	return unbounded || seen == nil || seen.UID != account.UID || time.Since(account.CreationTimestamp.Time) < knownWithin ||
		time.Since(p.unbudgeted[name]) < knownWithin || inv.pausedWithin(knownWithin)
}

// attemptOf is the attempt that a job was made for, from its idempotency key.
func attemptOf(entry daftysim.Entry) attempt {
	key, _, _ := strings.Cut(strings.TrimPrefix(entry.IdempotencyKey, ownKeys), ".")
	uid, n, _ := strings.Cut(key, "-")
	number, err := strconv.ParseInt(n, 10, 32)
	if err != nil {
		return attempt{}
	}
	return attempt{types.UID(uid), int32(number)}
}

// taken counts the attempts that Dafty took or may have taken, by what they are counted in.
func (inv *invariants) taken() map[charge]int {
	made := map[attempt]bool{}
	for _, entry := range inv.env.sim.Ledger() {
		if !inv.refusedBefore[entry.IdempotencyKey] {
			made[attemptOf(entry)] = true
		}
	}
	counts := map[charge]int{}
	for of, charges := range inv.accounts.charged {
		if job := inv.latest[of.job]; made[of] || inDoubt(job, of.n) && !inv.gone(job) {
			for _, each := range charges {
				counts[each]++
			}
		}
	}
	return counts
}
