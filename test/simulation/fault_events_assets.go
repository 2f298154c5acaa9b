package simulation

import "time"

func assetWatchLags(e *env, p picker) {
	victim := e.pickProcess(&p)
	if victim == nil {
		return
	}
	victim.assets.lag = pick(&p, time.Second, 10*time.Second, time.Minute)
	e.trace.add(victim.id, "sees changes of DaftyAssets %s late", victim.assets.lag)
	e.afterFunc(pick(&p, 20*time.Second, 3*time.Minute), func() { victim.assets.lag = 0 })
}

func assetWatchBreaks(e *env, p picker) {
	victim := e.pickProcess(&p)
	if victim == nil {
		return
	}
	e.trace.add(victim.id, "sees no changes of DaftyAssets")
	victim.assets.breakWatch()
	e.afterFunc(pick(&p, 5*time.Second, time.Minute, 10*time.Minute), func() {
		if victim.assets.broken && !victim.dead {
			e.trace.add(victim.id, "sees changes of DaftyAssets again")
			victim.relistAssets()
		}
	})
}
