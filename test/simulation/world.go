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
	// slots are how many operator processes run.
	slots int
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
	refusal  func(name string) error
	blind    bool
	mute     []string
	maxRetry time.Duration
	// deaf has answers of Dafty's wake nobody.
	deaf bool
	// unwatched has nobody see what becomes of the ConfigMaps of results.
	unwatched bool
	// play is what finds it, where that is rare in random histories.
	play func(*world)
}

// world is all there is.
type world struct {
	options
	chance *random
	trace  *trace
	judge  *invariants
	sim    *daftysim.Simulator

	mu        sync.Mutex
	cluster   *cluster
	slots     []string
	starts    int
	processes []*process // those that live
	leader    *process   // may be dead, until its lease runs out
	// weather is what is wrong on the way to Dafty; apiWeather on the way to the API server.
	weather, apiWeather faults
	// refusals are the writes that the API server refuses; refusedCount counts them.
	refusals     []refusedWrites
	refusedCount int
	// clockOff is how wrong the clocks of all machines are set.
	clockOff time.Duration
	// clocksJumped says that they were, or are: what was decided then may be told later.
	clocksJumped bool
	// overslept is the last pause of a process.
	overslept oversleeping
	// effects counts API writes and Dafty calls; crashAt is where to crash, and crashed says that it did there.
	effects int
	crashAt point
	crashed bool
	// watch is told each moment of a submission: "before" its POST, as its write-ahead is done,
	// "within" it, and "after" it had its effect. Nil where nobody asks.
	watch func(moment string)
	// lastByPerson is the newest job that a person made at Dafty.
	lastByPerson string
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

func newWorld(o options) *world {
	w := &world{options: o, chance: newChance(o.seed), trace: &trace{began: time.Now()}}
	if o.manual {
		o.pending, o.processing = forever, forever
	}
	w.judge = newInvariants(w)
	w.cluster = newCluster(w)
	w.sim = daftysim.New(daftysim.Options{
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
		w.sim.Inject(daftysim.Fault{Operation: operation, Kind: daftysim.FaultDelay, For: o.creating, Count: daftysim.Forever})
	}
	w.slots = []string{"A", "B"}[:o.slots]
	w.do(func() {
		for _, slot := range w.slots {
			w.start(slot)
		}
	})
	return w
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
func run(t *testing.T, o options, play func(*world)) result {
	t.Helper()
	var r result
	synctest.Test(t, func(*testing.T) {
		w := newWorld(o)
		play(w)
		w.conclude()
		r = result{problems: w.judge.problems, trace: w.trace, effects: w.effects, paid: len(w.sim.Ledger()), crashed: w.crashed}
	})
	return r
}

// moment tells whoever watches. The caller holds the lock.
func (w *world) moment(name string) {
	if w.watch != nil {
		w.watch(name)
	}
}

// after does f later, under the lock.
func (w *world) after(d time.Duration, f func()) {
	time.AfterFunc(max(d, 0), func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.over {
			f()
		}
	})
}

// do does f now, and lets everyone react.
func (w *world) do(f func()) {
	w.mu.Lock()
	f()
	w.mu.Unlock()
	synctest.Wait()
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// passUntil lets time go by until something holds, or for so long at most.
func (w *world) passUntil(most time.Duration, holds func() bool) {
	for waited := time.Duration(0); ; waited += 30 * time.Second {
		w.mu.Lock()
		held := holds()
		w.mu.Unlock()
		if held || waited >= most {
			return
		}
		w.pass(30 * time.Second)
	}
}

// heal ends everything that is wrong, but for the namespace's end and the crash of processes
// that are about to be back.
func (w *world) heal() {
	w.trace.add("world", "everything is well again")
	w.healed = true
	w.weather, w.apiWeather, w.refusals = faults{}, faults{}, nil
	for _, name := range []string{acme, other} {
		w.sim.SetCredits(name, daftysim.DefaultCredits)
		w.sim.SetAllowance(name, daftysim.Unlimited)
		w.sim.SetSubscribed(name, true)
	}
	w.sim.SetCeilings(daftysim.Ceilings{})
	w.sim.AddKey(acme, keyOne)
	w.sim.AddKey(acme, keyTwo)
	w.sim.AddKey(other, keyOther)
	if !w.cluster.terminating {
		w.cluster.putSecret(keyOne)
		w.cluster.putPicture(logo)
	}
	for _, p := range w.processes {
		p.resume()
		p.view.relist()
	}
}

// setClocksRight does so while no request is on its way: a jump meanwhile is more than the operator promises to survive.
func (w *world) setClocksRight() bool {
	for _, job := range w.cluster.jobs {
		if status := &job.job.Status; w.clockOff != 0 && status.InDoubt() && status.Submission.SentAt != nil &&
			time.Now().Add(w.clockOff).Sub(status.Submission.SentAt.Time) < lifecycle.SubmitTimeout+time.Minute {
			return false
		}
	}
	w.clockOff = 0
	return true
}

// conclude heals the world, waits until it is quiet, and has it judged.
func (w *world) conclude() {
	w.do(w.heal)
	w.passUntil(time.Hour, w.setClocksRight)
	// Also for who is down at this moment, and because the healed clocks may date what is on its way too early.
	w.pass(carefully)
	// What nobody wants must stop by itself.
	w.passUntil(2*time.Hour, func() bool { return len(w.judge.unwanted()) == 0 && len(w.judge.lingering()) == 0 })
	w.do(w.judge.stopped)
	// What is wanted ends when Dafty is done with it; those that waited come one by one. What rightly waits may go on a
	// moment later all the same, as with a job that Dafty needn't, but does, remember.
	for range 3 {
		quiet := false
		w.passUntil(3*time.Hour, func() bool {
			w.person()
			w.sim.FinishAll(daftysim.Succeed)
			return len(w.judge.unfinished()) == 0
		})
		w.do(func() { w.sim.FinishAll(daftysim.Succeed) })
		w.pass(2 * time.Minute)
		w.do(func() { quiet = len(w.judge.unfinished()) == 0 })
		if quiet {
			break
		}
	}
	w.do(w.judge.conclude)

	w.do(func() {
		w.over = true
		for _, p := range w.processes {
			p.dead = true
			p.stop()
		}
	})
	w.sim.Close()
	time.Sleep(time.Minute) // until all that is still on its way has arrived, or noticed
}
