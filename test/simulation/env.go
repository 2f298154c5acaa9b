package simulation

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

const (
	deletionTimeout = 5 * time.Minute
	// maxSkew is how far a clock is off at most.
	maxSkew = 4 * time.Second
	// forever is longer than any history.
	forever = 10_000 * time.Hour
	// maxProcessing is how long Dafty works on a create before it is made, at most.
	maxProcessing = 5 * time.Second

	// keyOne and keyTwo are of one account, keyOther of another; keyBad was never valid.
	keyOne   = "dk_live_acme_one_5f0c4c3e8b1d"
	keyTwo   = "dk_live_acme_two_9d9c0d7a3a1c"
	keyOther = "dk_live_other_2b4f6e8091a3c5"
	keyBad   = "dk_live_nobody_77aa66bb55cc44"

	acme  = "acme"
	other = "other"
)

var allKeys = []string{keyOne, keyTwo, keyOther, keyBad}

// options say what a world is like.
type options struct {
	seed uint64
	// replicas are how many operator processes run.
	replicas int
	// variants are how Dafty reads its contract.
	variants daftysim.Variants
	// pending, processing are how long jobs take; a manual world's stay where they are until
	// they are moved.
	pending, processing time.Duration
	manual              bool
	// creating is how long Dafty works on a create before it is made.
	creating time.Duration
	mutation mutation
}

// mutation breaks the operator on purpose, to see that the judge finds it.
type mutation struct {
	// patch changes or drops what the operator writes of job.
	patch func(job *v1alpha1.DaftyJob, patch map[string]any) (drop bool)
	// read changes what the operator reads of job.
	read func(job *v1alpha1.DaftyJob)
	// readResult changes what it reads of a ConfigMap.
	readResult func(*corev1.ConfigMap)
	// request changes what it sends, dafty how it calls with an API key.
	request func(*http.Request)
	dafty   func(calls account.Dafty, apiKey string) account.Dafty
	// skew is how much further the clock of slot B is off.
	skew time.Duration
	// deletionTimeout is instead of the one that is told.
	deletionTimeout time.Duration
	// refusal is how a refused status write shows, blind has nothing read past the cache, mute are the reasons of events
	// that aren't told, and maxRetry is the longest time between two tries of what fails.
	refusal     func(name string) error
	noLiveReads bool
	muted       []string
	maxRetry    time.Duration
	// dropWakes has answers of Dafty's wake nobody.
	dropWakes bool
	// noResultWatch has nobody see what becomes of the ConfigMaps of results.
	noResultWatch bool
	// play is what finds it, where that is rare in random histories.
	play func(*env)
}

// env is all there is.
type env struct {
	options
	random     *random
	trace      *trace
	invariants *invariants
	sim        *daftysim.Simulator

	mu        sync.Mutex
	api       *apiServer
	slots     []string
	starts    int
	processes []*process // those that live
	leader    *process   // may be dead, until its lease runs out
	// daftyFaults is what is wrong on the way to Dafty; apiWeather on the way to the API server.
	daftyFaults, apiFaults faults
	// refusals are the writes that the API server refuses; refusedCount counts them.
	refusals     []refusedWrites
	refusedCount int
	// clockOff is how wrong the clocks of all machines are set.
	clockOff time.Duration
	// clocksJumped says that they were, or are: what was decided then may be told later.
	clocksJumped bool
	// lastPause is the last pause of a process.
	lastPause pausePeriod
	// effects counts API writes and Dafty calls; crashAt is where to crash, and crashed says that it did there.
	effects int
	crashAt point
	crashed bool
	// onMoment is told each moment of a submission: "before" its POST, as its write-ahead is done,
	// "within" it, and "after" it had its effect. Nil where nobody asks.
	onMoment func(moment string)
	// lastUserJob is the newest job that a person made at Dafty.
	lastUserJob string
	// healed is set once nothing is to go wrong any more, over stops all that is still due.
	healed, over bool
}

// point is before or after an effect, counted from 1.
type point struct {
	effect int
	after  bool
}

// creates are the operations that make jobs.
var creates = []daftysim.Operation{
	daftysim.GenerateImage, daftysim.EditImage, daftysim.ResizeImage, daftysim.UpscaleImage,
	daftysim.ImageToVideo, daftysim.VideoFrames, daftysim.ExtractStyle,
}

func newEnv(o options) *env {
	e := &env{options: o, random: newRandom(o.seed), trace: &trace{began: time.Now()}}
	if o.manual {
		o.pending, o.processing = forever, forever
	}
	e.invariants = newInvariants(e)
	e.api = newAPIServer(e)
	e.sim = daftysim.New(daftysim.Options{
		Seed: o.seed | 1,
		Accounts: []daftysim.Account{
			{Name: acme, APIKeys: []string{keyOne, keyTwo}},
			{Name: other, APIKeys: []string{keyOther}},
		},
		// Not its own manual mode, where a cancel that settles later waits for a hand too.
		PendingFor: daftysim.Fixed(o.pending), ProcessingFor: daftysim.Fixed(o.processing),
		Variants: o.variants, StrictRequests: true,
		// Its own tests validate its answers.
		SkipAnswerValidation: true, RequestLog: -1,
	})
	for _, operation := range creates {
		// While it works on one, another with the same key is in parallel, and makes a second job.
		e.sim.Inject(daftysim.Fault{Operation: operation, Kind: daftysim.FaultDelay, For: o.creating, Count: daftysim.Forever})
	}
	e.slots = []string{"A", "B"}[:o.replicas]
	e.do(func() {
		for _, slot := range e.slots {
			e.start(slot)
		}
	})
	return e
}

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

// run plays a history in a world of its own, heals the world, and judges.
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

// reached tells whoever watches. The caller holds the lock.
func (e *env) reached(name string) {
	if e.onMoment != nil {
		e.onMoment(name)
	}
}

// afterFunc does f later, under the lock.
func (e *env) afterFunc(d time.Duration, f func()) {
	time.AfterFunc(max(d, 0), func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if !e.over {
			f()
		}
	})
}

// do does f now, and lets everyone react.
func (e *env) do(f func()) {
	e.mu.Lock()
	f()
	e.mu.Unlock()
	synctest.Wait()
}

// advance lets time go by.
func (e *env) advance(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// advanceUntil lets time go by until something holds, or for so long at most.
func (e *env) advanceUntil(most time.Duration, holds func() bool) {
	for waited := time.Duration(0); ; waited += 30 * time.Second {
		e.mu.Lock()
		held := holds()
		e.mu.Unlock()
		if held || waited >= most {
			return
		}
		e.advance(30 * time.Second)
	}
}

// heal ends everything that is wrong, but for the namespace's end and the crash of processes
// that are about to be back.
func (e *env) heal() {
	e.trace.add("world", "everything is well again")
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
	for _, p := range e.processes {
		p.resume()
		p.jobs.relist()
	}
}

// setClocksRight does so while no request is on its way: a jump meanwhile is more than the operator promises to survive.
func (e *env) setClocksRight() bool {
	for _, job := range e.api.jobs {
		if status := &job.job.Status; e.clockOff != 0 && status.InDoubt() && status.Submission.SentAt != nil &&
			time.Now().Add(e.clockOff).Sub(status.Submission.SentAt.Time) < lifecycle.SubmitTimeout+time.Minute {
			return false
		}
	}
	e.clockOff = 0
	return true
}

// conclude heals the world, waits until it is quiet, and has it judged.
func (e *env) conclude() {
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
			return len(e.invariants.unfinished()) == 0
		})
		e.do(func() { e.sim.FinishAll(daftysim.Succeed) })
		e.advance(2 * time.Minute)
		e.do(func() { quiet = len(e.invariants.unfinished()) == 0 })
		if quiet {
			break
		}
	}
	e.do(e.invariants.checkEnd)

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
