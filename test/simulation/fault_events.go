package simulation

import (
	"time"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// pickProcess picks one that lives: mostly the leader, as that is where it hurts.
func (e *env) pickProcess(p *picker) *process {
	if e.leader != nil && !e.leader.dead && p.n(4) != 0 {
		return e.leader
	}
	if len(e.processes) == 0 {
		return nil
	}
	return e.processes[p.n(len(e.processes))]
}

func crashNow(e *env, p picker) {
	if victim := e.pickProcess(&p); victim != nil {
		victim.crash("killed")
	}
}

func crashSoon(e *env, p picker) {
	e.crashAt = point{effect: e.effects + 1 + p.n(6), after: p.n(2) == 0}
}

func pauseProcess(e *env, p picker) {
	victim := e.pickProcess(&p)
	if victim == nil {
		return
	}
	most := pick(&p, 5*time.Second, 30*time.Second, time.Minute, 2*time.Minute, time.Hour)
	pause := func() { victim.pause(most/8 + time.Duration(p.n(int(most)))*7/8) }
	// Now, or in the midst of something: between a write and what follows it, say.
	if p.n(3) == 0 {
		pause()
		return
	}
	e.afterFunc(time.Duration(p.n(int(400*time.Millisecond))), pause)
}

// clockJump sets the clocks of all machines wrong, or right. The operator's promises hold for
// clocks that are within 15 s of each other and of the past: no request may be on its way.
func clockJump(e *env, p picker) {
	off := pick(&p, -25*time.Minute, -5*time.Minute, 0, 5*time.Minute, 25*time.Minute)
	for _, job := range e.api.jobs {
		if job.object.Status.InDoubt() {
			return
		}
	}
	e.trace.add("env", "the clocks are set to %s off", off)
	e.clockOff, e.clocksJumped = off, e.clocksJumped || off != 0
}

func changeDaftyFaults(e *env, p picker) {
	name := pick(&p, faultSetNames...)
	most := pick(&p, 10*time.Second, time.Minute, time.Minute, 5*time.Minute, 20*time.Minute)
	if p.n(40) == 0 {
		most = 26 * time.Hour
	}
	e.daftyFaults = faults{kinds: faultSets[name], odds: uint64(1 + p.n(8)), until: time.Now().Add(most)} //nolint:gosec // Small.
	e.trace.add("env", "Dafty %s, for %s, %d of 8 calls", name, most, e.daftyFaults.odds)
}

func changeAPIFaults(e *env, p picker) {
	most := pick(&p, 10*time.Second, time.Minute, 5*time.Minute)
	e.apiFaults = faults{odds: uint64(1 + p.n(8)), until: time.Now().Add(most)} //nolint:gosec // Small.
	e.trace.add("env", "the API server fails, for %s, %d of 8 calls", most, e.apiFaults.odds)
}

func watchLags(e *env, p picker) {
	victim := e.pickProcess(&p)
	if victim == nil {
		return
	}
	victim.jobs.lag = pick(&p, time.Second, 10*time.Second, time.Minute)
	e.trace.add(victim.id, "sees changes %s late", victim.jobs.lag)
	e.afterFunc(pick(&p, 20*time.Second, 3*time.Minute), func() { victim.jobs.lag = 0 })
}

func watchBreaks(e *env, p picker) {
	victim := e.pickProcess(&p)
	if victim == nil {
		return
	}
	e.trace.add(victim.id, "sees no changes")
	victim.jobs.breakWatch()
	e.afterFunc(pick(&p, 5*time.Second, time.Minute, 10*time.Minute), func() {
		if victim.jobs.broken && !victim.dead {
			e.trace.add(victim.id, "sees changes again")
			victim.relistJobs()
		}
	})
}

func changeAccount(e *env, p picker) {
	what := pick(&p, "has no credits", "has no subscription", "has no allowance left", "may have one job in flight", "is well")
	e.trace.add("env", "the account %s", what)
	switch what {
	case "has no credits":
		e.sim.SetCredits(acme, 0)
	case "has no subscription":
		e.sim.SetSubscribed(acme, false)
	case "has no allowance left":
		e.sim.SetAllowance(acme, 0)
	case "may have one job in flight":
		e.sim.SetCeilings(daftysim.Ceilings{Images: 1, Videos: 1, Styles: 1})
	default:
		e.sim.SetCredits(acme, daftysim.DefaultCredits)
		e.sim.SetSubscribed(acme, true)
		e.sim.SetAllowance(acme, daftysim.Unlimited)
		e.sim.SetCeilings(daftysim.Ceilings{})
	}
}

func revokeKey(e *env, p picker) {
	key := pick(&p, keyOne, keyTwo)
	e.trace.add("env", "key %s… is revoked", key[:len("dk_live_acme_one")])
	e.sim.RevokeKey(key)
}

// moveJob does to a running job what time would, or has its next cancel meet its end.
func moveJob(e *env, p picker) {
	running := e.sim.Running()
	if len(running) == 0 {
		return
	}
	id := running[p.n(len(running))].JobID
	switch p.n(4) {
	case 0:
		e.trace.add("env", "job %s starts", shortID(id))
		_ = e.sim.Start(id) // it may have
	case 1:
		e.trace.add("env", "job %s fails", shortID(id))
		_ = e.sim.Finish(id, daftysim.Fail)
	case 2:
		e.trace.add("env", "job %s completes", shortID(id))
		_ = e.sim.Finish(id, daftysim.Succeed)
	default:
		e.trace.add("env", "a cancel of job %s will meet its end", shortID(id))
		_ = e.sim.RaceCancel(id)
	}
}
