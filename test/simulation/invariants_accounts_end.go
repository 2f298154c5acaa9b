package simulation

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/budget"
)

// apiKeyOf is the API key that a DaftyJob is to be submitted and followed with, empty where there is none.
func (inv *invariants) apiKeyOf(job *v1alpha1.DaftyJob) string {
	name := v1alpha1.DefaultSecretName
	if ref := job.Spec.AccountRef; ref != nil {
		name = ref.Name
	}
	if secret := inv.env.api.secrets[name]; secret != nil {
		return string(secret.Data[v1alpha1.DefaultSecretKey])
	}
	return ""
}

// isSelected reports whether the account of a DaftyJob is for its namespace.
func (inv *invariants) isSelected(job *v1alpha1.DaftyJob) bool {
	account := inv.env.api.account(job.Spec.AccountRef.Name)
	return account != nil && selects(account, inv.env.api.namespaces[job.Namespace].object)
}

// checkAccountTold checks what a namespace that may not use an account is told: the same words, whatever the cause.
func (inv *invariants) checkAccountTold(job *v1alpha1.DaftyJob) {
	ref, ready := job.Spec.AccountRef, readyOf(job)
	if s := job.Status.Submission; job.Status.InDoubt() && job.Annotations[v1alpha1.ResubmitAnnotation] == s.IdempotencyKey {
		inv.accounts.resubmitted[attempt{job.UID, s.Attempt}] = true
	}
	if ref == nil || inv.userWrites {
		return
	}
	use := accountUse{ref.Name, job.Namespace}
	if ready.Reason == v1alpha1.ReasonAccountNotFound && job.Spec.AdoptJobID == "" && job.Status.JobID == "" && !job.Status.InDoubt() {
		if before, told := inv.accounts.denied[use]; told && before != ready.Message {
			inv.violated("leaked: namespace %s learns of DaftyAccount %s: %s, and before %s", use.namespace, use.account, ready.Message, before)
		}
		inv.accounts.denied[use] = ready.Message
	}
	learns := ready.Reason == v1alpha1.ReasonAccountSuspended || ready.Reason == v1alpha1.ReasonBudgetExhausted
	if learns && !inv.everSelected(job) {
		inv.violated("leaked: namespace %s was never selected, and learns of DaftyAccount %s: %s", use.namespace, use.account, ready.Message)
	}
}

// everSelected reports whether any account of that name was ever for the namespace of a DaftyJob, as some cache may have it.
func (inv *invariants) everSelected(job *v1alpha1.DaftyJob) bool {
	for _, account := range inv.env.api.accountHistory {
		if account.object == nil || account.name != job.Spec.AccountRef.Name {
			continue
		}
		for _, namespace := range inv.env.api.namespaceHistory {
			if namespace.name == job.Namespace && selects(account.object, namespace.object) {
				return true
			}
		}
	}
	return false
}

// waitsForAccount reports whether a DaftyJob says that its account holds it up, and rightly so.
func (inv *invariants) waitsForAccount(job *v1alpha1.DaftyJob) bool {
	if job.Spec.AccountRef == nil {
		return false
	}
	account := inv.env.api.account(job.Spec.AccountRef.Name)
	switch readyOf(job).Reason {
	case v1alpha1.ReasonAccountNotFound:
		return !inv.isSelected(job)
	case v1alpha1.ReasonAccountSuspended:
		return account != nil && account.Spec.Suspend
	case v1alpha1.ReasonBudgetExhausted:
		return account != nil && inv.isExhausted(account, job.Namespace)
	}
	return false
}

// isExhausted reports whether a budget has no room for a submission from a namespace, by what Dafty took.
func (inv *invariants) isExhausted(account *v1alpha1.DaftyAccount, namespace string) bool {
	taken, lost := inv.taken(), inv.lost()
	for i := range account.Spec.Budgets {
		b := &account.Spec.Budgets[i]
		whose := namespace
		if b.Per == v1alpha1.PerAccount {
			whose = ""
		}
		period, _, err := budget.Period(b, time.Now())
		in := charge{account.UID, b.Key(), whose, period}
		if err != nil || int64(taken[in]+lost[in]) >= *b.Submissions {
			return true
		}
	}
	return false
}

// lost counts the attempts that were reserved and may count for good though nothing was made: those of DaftyJobs that are gone, or whose
// status was lost, and those that a user gave up.
func (inv *invariants) lost() map[charge]int {
	counts, made := map[charge]int{}, map[attempt]bool{}
	for _, entry := range inv.env.sim.Ledger() {
		made[attemptOf(entry)] = true
	}
	for of, charges := range inv.accounts.reserved {
		job := inv.latest[of.job]
		again := job != nil && inv.lostStatus[job.UID] // an attempt that was made may be reserved and found once more
		certain := made[of] && len(charges) == len(inv.accounts.charged[of]) && !again
		if certain || job != nil && !inv.gone(job) && !again && !inv.accounts.resubmitted[of] {
			continue
		}
		for each := range charges {
			counts[each]++
		}
	}
	return counts
}

// leftByAccount reports whether a running job is rightly left to itself: its account is no longer for the namespace, and what is on record
// doesn't prove that it was submitted with the account's key; or it was never followed for that cause.
func (inv *invariants) leftByAccount(job *v1alpha1.DaftyJob) bool {
	if job.Spec.AccountRef == nil {
		return false
	}
	if job.Spec.AdoptJobID != "" && job.Status.JobID == "" {
		return job.Status.Phase.Final() || readyOf(job).Reason == v1alpha1.ReasonAccountNotFound && !inv.isSelected(job)
	}
	if inv.deniedPickUp(job) {
		return true
	}
	return !inv.isSelected(job) && readyOf(job).Reason == v1alpha1.ReasonAccountNotFound &&
		(job.Status.Submission == nil || !inv.sentWith(job, inv.apiKeyOf(job)))
}

// deniedPickUp reports whether a DaftyJob that lost its status was called off while its account wasn't for it: anybody can write an id into
// an annotation, so the job is left as it is, as the message says.
func (inv *invariants) deniedPickUp(job *v1alpha1.DaftyJob) bool {
	return job.Spec.AccountRef != nil && job.Status.JobID == "" && inv.lostStatus[job.UID] && strings.Contains(readyOf(job).Message, "is left as it is")
}

// checkAccountsEnd checks the DaftyAccounts at the very end: usage is what Dafty took, and nothing is reserved any more but for requests
// in doubt.
func (inv *invariants) checkAccountsEnd() {
	taken, lost := inv.taken(), inv.lost()
	for in, n := range taken {
		if most := inv.accounts.largest[sized{in.account, in.budget}]; int64(n) > most {
			inv.violated("overspent: %d submissions are in %s, of %d that there may be at most", n, in, most)
		}
	}
	for _, account := range all(inv.env.api.accounts) {
		oldest := map[string]string{}
		used := map[charge]int64{}
		for _, u := range account.Status.Usage {
			used[charge{account.UID, u.Budget, u.Namespace, u.Period}] = *u.Submissions
			if first, known := oldest[u.Budget]; !known || u.Period < first {
				oldest[u.Budget] = u.Period
			}
		}
		for in, n := range taken {
			if in.account == account.UID && in.period >= oldest[in.budget] && used[in] < int64(n) {
				inv.violated("overspent: usage says %d of %s, and Dafty took %d", used[in], in, n)
			}
		}
		for in, n := range used {
			if n > int64(taken[in]+lost[in]) {
				inv.violated("false: usage says %d of %s, and Dafty took %d, with %d that can't be known", n, in, taken[in], lost[in])
			}
		}
		for _, r := range account.Status.Reservations {
			if job := inv.latest[r.UID]; job == nil || inv.gone(job) || !inDoubt(job, r.Attempt) {
				inv.violated("stuck: attempt %d of %s is still reserved: %s", r.Attempt, r.Name, inv.describeUID(r.UID))
			}
		}
	}
	for _, what := range inv.untoldAccounts() {
		inv.violated("stuck: %s", what)
	}
}

// untoldAccounts are the DaftyAccounts whose status doesn't say what is, beside their usage, as the env is healed.
func (inv *invariants) untoldAccounts() (found []string) {
	for _, account := range all(inv.env.api.accounts) {
		ready := readyOfAccount(account)
		if ready.Reason != v1alpha1.ReasonAccepted || account.Status.ObservedGeneration != account.Generation {
			found = append(found, fmt.Sprintf("DaftyAccount %s is %s, of generation %d, and is at %d", account.Name, ready.Reason,
				account.Status.ObservedGeneration, account.Generation))
		}
		inFlight, waiting := inv.usersOf(account.Name)
		if said := account.Status.InFlight; said == nil || *said != inFlight {
			found = append(found, fmt.Sprintf("DaftyAccount %s doesn't say that %d jobs are in flight", account.Name, inFlight))
		}
		if said := account.Status.Waiting; said == nil || *said != waiting {
			found = append(found, fmt.Sprintf("DaftyAccount %s doesn't say that %d DaftyJobs wait", account.Name, waiting))
		}
	}
	return found
}

// usersOf counts the DaftyJobs of an account that Dafty has a job of, and those that wait for their turn, credits, a budget or for the account
// to be resumed.
func (inv *invariants) usersOf(account string) (inFlight, waiting int32) {
	for _, job := range inv.objects() {
		if ref := job.Spec.AccountRef; ref == nil || ref.Name != account || job.Status.Phase.Final() {
			continue
		}
		if job.Status.JobID != "" {
			inFlight++
			continue
		}
		switch readyOf(job).Reason {
		case v1alpha1.ReasonWaitingForRateLimit, v1alpha1.ReasonWaitingForConcurrency, v1alpha1.ReasonUsageLimitExceeded,
			v1alpha1.ReasonInsufficientCredits, v1alpha1.ReasonSubscriptionRequired, v1alpha1.ReasonBudgetExhausted, v1alpha1.ReasonAccountSuspended:
			waiting++
		}
	}
	return inFlight, waiting
}

func readyOfAccount(account *v1alpha1.DaftyAccount) metav1.Condition {
	if c := meta.FindStatusCondition(account.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// describeUID is the status of the object of a UID in a few words.
func (inv *invariants) describeUID(uid types.UID) string {
	for _, job := range inv.objects() {
		if job.UID == uid {
			return describe(job)
		}
	}
	return "it is gone"
}
