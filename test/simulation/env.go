package simulation

import (
	"sync"
	"testing/synctest"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
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

// options configure an env.
type options struct {
	seed uint64
	// replicas are how many operator processes run.
	replicas int
	// variants are how Dafty reads its contract.
	variants daftysim.Variants
	// pending is how long jobs are queued.
	pending time.Duration
	// processing is how long jobs take after that.
	processing time.Duration
	// manual makes jobs stay where they are until they are moved.
	manual bool
	// creating is how long Dafty works on a create before it is made.
	creating time.Duration
	// searches has some jobs search in a style.
	searches bool
	// accounts has the objects be in several namespaces, by their names, for histories with DaftyAccounts.
	accounts bool
	mutation mutation
}

// env is one simulated cluster with Dafty, and what is wrong in it.
type env struct {
	options
	random     *random
	trace      *trace
	invariants *invariants
	sim        *daftysim.Simulator

	// mu guards what follows.
	mu  sync.Mutex
	api *apiServer
	// slots are where processes run: "A", "B".
	slots []string
	// starts counts the processes that were ever started.
	starts    int
	processes []*process // those that live
	leader    *process   // may be dead, until its lease runs out
	// daftyFaults is what is wrong on the way to Dafty.
	daftyFaults faults
	// apiFaults is what is wrong on the way to the API server.
	apiFaults faults
	// refusals are the writes that the API server refuses.
	refusals []refusedWrites
	// refusedCount counts the writes that it refused.
	refusedCount int
	// clockOff is how wrong the clocks of all machines are set.
	clockOff time.Duration
	// clocksJumped is set once they were wrong: what was decided then may be written later.
	clocksJumped bool
	// lastPause is the last pause of a process.
	lastPause pausePeriod
	// effects counts API writes and Dafty calls.
	effects int
	// crashAt is the crash point, none if its effect is 0.
	crashAt point
	// crashed is set once a process crashed there.
	crashed bool
	// onMoment is called at each moment of a submission: "before" its POST, as its write-ahead is done,
	// "within" it, and "after" it had its effect. May be nil.
	onMoment func(moment string)
	// assetReconciles counts the reconciles of DaftyAssets.
	assetReconciles int
	// git is what Git has of DaftyAssets.
	git map[string]v1alpha1.DaftyAssetSpec
	// lastUserJob is the newest job that a user made at Dafty.
	lastUserJob string
	// healed is set once nothing goes wrong any more.
	healed bool
	// over stops all that is still due.
	over bool
}

// point is a crash point: before or after an effect, counted from 1.
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
	e := &env{options: o, random: newRandom(o.seed), trace: &trace{began: time.Now()}, git: map[string]v1alpha1.DaftyAssetSpec{}}
	if o.manual {
		o.pending, o.processing = forever, forever
	}
	e.invariants = newInvariants(e)
	e.api = newAPIServer(e)
	e.sim = daftysim.New(daftysim.Options{
		Seed: o.seed | 1,
		Accounts: []daftysim.Account{
			{Name: acme, APIKeys: []string{keyOne, keyTwo}, Styles: []daftysim.Style{newStyle()}},
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

// reached calls onMoment. The caller holds the lock.
func (e *env) reached(name string) {
	if e.onMoment != nil {
		e.onMoment(name)
	}
}

// afterFunc calls f after d, under the lock.
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
