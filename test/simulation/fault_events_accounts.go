package simulation

import "time"

// refuseAccountWrites makes the API server refuse the writes of DaftyAccounts' status.
func refuseAccountWrites(e *env, p picker) {
	most := pick(&p, 10*time.Second, time.Minute, 10*time.Minute)
	e.refuse(refusedWrites{kinds: []string{statusWrites}, object: "account " + accountNames[0], code: pick(&p, refusalCodes...)}, most)
}

func accountWatchLags(e *env, p picker) {
	victim := e.pickProcess(&p)
	if victim == nil {
		return
	}
	lag := pick(&p, time.Second, 10*time.Second, time.Minute)
	victim.accounts.lag, victim.namespaces.lag = lag, lag
	e.trace.add(victim.id, "sees changes of DaftyAccounts and namespaces %s late", lag)
	e.afterFunc(pick(&p, 20*time.Second, 3*time.Minute), func() { victim.accounts.lag, victim.namespaces.lag = 0, 0 })
}

func accountWatchBreaks(e *env, p picker) {
	victim := e.pickProcess(&p)
	if victim == nil {
		return
	}
	e.trace.add(victim.id, "sees no changes of DaftyAccounts and namespaces")
	victim.accounts.breakWatch()
	victim.namespaces.breakWatch()
	e.afterFunc(pick(&p, 5*time.Second, time.Minute, 10*time.Minute), func() {
		if victim.accounts.broken && !victim.dead {
			e.trace.add(victim.id, "sees changes of DaftyAccounts and namespaces again")
			victim.relistAccounts()
		}
	})
}
