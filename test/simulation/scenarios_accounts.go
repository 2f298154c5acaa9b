package simulation

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// accountScenario is one with a DaftyAccount.
type accountScenario struct {
	scenario
	// most is how many jobs Dafty makes at most.
	most int
}

// accountScenarios are short lives of DaftyJobs with a DaftyAccount.
func accountScenarios() []accountScenario {
	return append(lostAndGoneScenarios(), []accountScenario{
		{scenario{"two of a budget of one", false, twoOfOne}, 1},
		{scenario{"a budget that is raised", false, func(e *env) {
			twoOfOne(e)
			e.size(2)
			e.advance(time.Minute)
		}}, 2},
		{scenario{"a budget that is lowered", false, func(e *env) {
			e.createAgency(3)
			e.createUsers("one", "two")
			e.size(1)
			e.advance(time.Minute)
		}}, 3},
		{scenario{"what Dafty refuses is given back", false, func(e *env) {
			e.createAgency(1)
			e.do(func() { e.createUser("one", invalid()) })
			e.advance(20 * time.Second)
			e.createUsers("two")
			e.advance(time.Minute)
		}}, 1},
		{scenario{"no credits, and then some", false, func(e *env) {
			e.createAgency(1)
			e.do(func() { e.sim.SetCredits(acme, 0) })
			e.createUsers("one", "two")
			e.advance(30 * time.Second)
			e.do(func() { e.sim.SetCredits(acme, 1000) })
			e.advance(2 * time.Minute)
		}}, 1},
		{scenario{"a failed attempt is tried again", false, func(e *env) {
			e.createAgency(2)
			e.do(func() {
				job := impossible()
				job.Spec.BackoffLimit = new(int32(2))
				e.createUser("one", job)
			})
			e.advance(2 * time.Minute)
		}}, 2},
		{scenario{"suspended and resumed", false, func(e *env) {
			e.createAgency(1)
			e.suspendAgency(true)
			e.createUsers("one")
			e.advance(20 * time.Second)
			e.suspendAgency(false)
			e.advance(30 * time.Second)
		}}, 1},
		{scenario{"a period that ends", false, func(e *env) {
			e.advance(23*time.Hour + 59*time.Minute)
			twoOfOne(e)
			e.advance(2 * time.Minute)
		}}, 2},
		{scenario{"an account that is made anew", false, func(e *env) {
			twoOfOne(e)
			e.do(func() { e.api.deleteAccount("agency") })
			e.advance(10 * time.Second)
			e.createAgency(1)
			e.advance(time.Minute)
		}}, 2},
	}...)
}

// lostAndGoneScenarios are those in which an answer is lost, or a DaftyJob is deleted.
func lostAndGoneScenarios() []accountScenario {
	return []accountScenario{
		{scenario{"an answer that is lost", false, func(e *env) {
			e.createAgency(1)
			e.injectFault(hangAfter)
			e.createUsers("one", "two")
			e.advance(2 * time.Minute)
		}}, 1},
		{scenario{"a deletion in doubt", false, func(e *env) {
			e.createAgency(1)
			e.injectFault(hangAfter)
			e.createUsers("one")
			e.advance(5 * time.Second)
			e.do(func() { e.api.delete("one") })
			e.createUsers("two")
			e.advance(2 * time.Minute)
		}}, 1},
		{scenario{"a deletion as it is submitted", false, func(e *env) {
			e.createAgency(1)
			e.onMoment = func(moment string) {
				if moment == "account written" && len(e.api.account("agency").Status.Reservations) > 0 {
					e.onMoment = nil
					e.api.delete("one")
				}
			}
			e.createUsers("one")
			e.advance(10 * time.Second)
			e.createUsers("two")
			e.advance(time.Minute)
		}}, 1},
	}
}

// createAgency creates a DaftyAccount for all namespaces, with a budget for a day.
func (e *env) createAgency(submissions int64) {
	e.do(func() {
		e.api.label(namespace, nil)
		e.api.putAccountSecret("agency", keyOne)
		account := &v1alpha1.DaftyAccount{}
		account.Name, account.Spec.Namespaces = "agency", &metav1.LabelSelector{}
		account.Spec.Budgets = []v1alpha1.Budget{
			{Per: v1alpha1.PerAccount, Period: v1alpha1.PeriodDay, TimeZone: "Etc/UTC", Submissions: &submissions},
		}
		e.trace.add("user", "creates DaftyAccount agency:%s", describeBudgets(account.Spec.Budgets))
		e.api.createAccount(account)
	})
	e.advance(time.Second)
}

// size sets the size of its budget.
func (e *env) size(submissions int64) {
	e.do(func() {
		e.trace.add("user", "sets its budget to %d", submissions)
		e.api.changeAccount("agency", func(spec *v1alpha1.DaftyAccountSpec) { spec.Budgets[0].Submissions = &submissions })
	})
}

func (e *env) suspendAgency(to bool) {
	e.do(func() {
		e.trace.add("user", "sets suspend to %t", to)
		e.api.changeAccount("agency", func(spec *v1alpha1.DaftyAccountSpec) { spec.Suspend = to })
	})
	e.advance(time.Second)
}

// createUser creates a DaftyJob that uses the account. The caller holds the lock.
func (e *env) createUser(name string, job *v1alpha1.DaftyJob) {
	job.Name, job.Spec.AccountRef = name, &v1alpha1.AccountReference{Name: "agency"}
	e.trace.add("user", "creates %s", name)
	e.api.create(job)
}

// createUsers creates images that use the account.
func (e *env) createUsers(names ...string) {
	e.do(func() {
		for _, name := range names {
			e.createUser(name, image())
		}
	})
}

func twoOfOne(e *env) {
	e.createAgency(1)
	e.createUsers("one", "two")
	e.advance(30 * time.Second)
}

// countedAgain crashes the operator as what it has submitted is settled. The next may see it as it was before.
func countedAgain(e *env) {
	e.createAgency(3)
	e.createUsers("one")
	e.advance(10 * time.Second)
	e.do(func() { e.leader.crash("as it is settled") })
	e.advance(time.Minute)
}

// deposedLeaderReserves has a leader that doesn't see what becomes of an account wake up as another has reserved all that there was.
func deposedLeaderReserves(e *env) {
	e.createAgency(1)
	e.advance(time.Minute)
	e.do(func() {
		e.leader.accounts.breakWatch()
		e.leader.pause(time.Minute)
	})
	e.advance(30 * time.Second)
	e.createUsers("one")
	e.advance(29 * time.Second)
	e.createUsers("two")
	e.advance(2 * time.Minute)
}
