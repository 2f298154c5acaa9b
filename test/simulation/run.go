package simulation

import (
	"testing"
	"testing/synctest"
	"time"

	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// result is what came of a history.
type result struct {
	problems []string
	trace    *trace
	effects  int
	// paid is how many jobs Dafty made.
	paid int
	// crashed says that a process crashed where crashAt said.
	crashed bool
}

// run plays a history in an env of its own, heals it, and checks the invariants.
func run(t *testing.T, o options, play func(*env)) result {
	t.Helper()
	var r result
	synctest.Test(t, func(*testing.T) {
		e := newEnv(o)
		play(e)
		e.conclude()
		r = result{problems: e.invariants.problems, trace: e.trace, effects: e.effects, paid: len(e.sim.Ledger()), crashed: e.crashed}
	})
	return r
}

// heal ends everything that is wrong, but for the namespace's end and the crash of processes
// that are about to be back.
func (e *env) heal() {
	e.trace.add("env", "is healed")
	e.healed = true
	e.daftyFaults, e.apiFaults, e.refusals = faults{}, faults{}, nil
	for _, name := range []string{acme, other} {
		e.sim.SetCredits(name, daftysim.DefaultCredits)
		e.sim.SetAllowance(name, daftysim.Unlimited)
		e.sim.SetSubscribed(name, true)
	}
	e.sim.SetCeilings(daftysim.Ceilings{})
	e.sim.AddKey(acme, keyOne)
	e.sim.AddKey(acme, keyTwo)
	e.sim.AddKey(other, keyOther)
	if !e.api.terminating {
		e.api.putSecret(keyOne)
		e.api.putImage(logo)
	}
	e.healAccounts()
	for _, p := range e.processes {
		p.resume()
		p.relistAccounts()
		p.relistJobs()
		p.relistAssets()
	}
}

// setClocksRight does so while no request is on its way: a jump meanwhile is more than the operator promises to survive.
func (e *env) setClocksRight() bool {
	for _, job := range e.api.jobs {
		if status := &job.object.Status; e.clockOff != 0 && status.InDoubt() && status.Submission.SentAt != nil &&
			time.Now().Add(e.clockOff).Sub(status.Submission.SentAt.Time) < lifecycle.SubmitTimeout+time.Minute {
			return false
		}
	}
	e.clockOff = 0
	return true
}

// conclude heals the env, waits until it is quiet, and checks the invariants.
func (e *env) conclude() {
	e.scrape()
	e.do(e.heal)
	e.advanceUntil(time.Hour, e.setClocksRight)
	// Also for who is down at this moment, and because the healed clocks may date what is on its way too early.
	e.advance(userPatience)
	// What nobody wants must stop by itself.
	e.advanceUntil(2*time.Hour, func() bool { return len(e.invariants.unwantedJobs()) == 0 && len(e.invariants.pendingDeletions()) == 0 })
	e.do(e.invariants.checkStopped)
	// What is wanted ends when Dafty is done with it; those that waited come one by one. What rightly waits may go on a
	// moment later all the same, as with a job that Dafty needn't, but does, remember.
	for range 3 {
		quiet := false
		e.advanceUntil(3*time.Hour, func() bool {
			e.answerMessages()
			e.sim.FinishAll(daftysim.Succeed)
			return e.invariants.allFinished()
		})
		e.do(func() { e.sim.FinishAll(daftysim.Succeed) })
		e.advance(2 * time.Minute)
		e.do(func() { quiet = e.invariants.allFinished() })
		if quiet {
			break
		}
	}
	// Whom an API key belongs to is asked again 5 min after many failures.
	e.advanceUntil(10*time.Minute, func() bool { return len(e.invariants.untoldAccounts()) == 0 })
	// A ConfigMap that has just gone, with whose it was, is taken by another within 30 s.
	e.advanceUntil(time.Minute, func() bool { return len(e.invariants.unstoredResults())+len(e.invariants.unstoredAssetResults()) == 0 })
	// Nor does an end leave anything to do, once no thumbnail is looked for any more.
	e.advanceUntil(3*time.Minute, func() bool { return len(e.invariants.unreleased()) == 0 })
	e.do(e.invariants.checkEnd)
	e.expectRest()

	e.do(func() {
		e.over = true
		for _, p := range e.processes {
			p.dead = true
			p.stop()
		}
	})
	e.sim.Close()
	time.Sleep(time.Minute) // until all that is still on its way has arrived, or noticed
}
