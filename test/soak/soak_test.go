// Package soak runs the built operator as a process, on a real API server and against a simulated Dafty, kills it at
// random moments with kill -9, and checks what is left of it against the operator's promises.
//
// What users, Dafty and the kills do is drawn from a seed; when exactly they meet the operator depends on the machine, so a seed repeats a
// schedule, not a run. A failure prints the seed and where the timeline is.
//
//	make soak                        # some minutes, with a seed of its own
//	make soak SEED=7 FOR=10m
//	SOAK_TRACE=1 go test -v ./test/soak            # the timeline also if nothing fails
//	SOAK_MANAGER=/tmp/broken go test ./test/soak   # another binary, to see whether it is caught
package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

const (
	// The short form, a part of make test: a takeover by a standby, which takes the lease's 15 s and more on a busy
	// machine, and kills of single processes.
	defaultSeed = 1
	defaultFor  = 60 * time.Second

	// longestExtension is how much longer a soak may take, until enough has happened: how much happens in a given time
	// depends on the machine.
	longestExtension = 2 * time.Minute

	// settleWithin bounds how long all may take to end once nothing disturbs it: a request in doubt is repeated after 45 s, twice if
	// the repeat's answer is lost too, and a person may be needed in between.
	settleWithin = 4 * time.Minute
)

func TestMain(m *testing.M) { kubetest.Main(m, kubetest.Options{ControllerManager: true}) } // whose garbage collector deletes what an asset leaves

// run is a soak with its parts.
type run struct {
	t        *testing.T
	seed     uint64
	length   time.Duration
	timeline *timeline
	env      *env
	dafty    *daftyServer
	fleet    *fleet
	records  *records
	assets   *assetRecords
	book     *book
	// periods has the period of each budget, which doesn't change.
	periods map[string]string
}

// random returns random numbers of a part's own, so that none depends on how fast another part is.
func (r *run) random(part uint64) *rand.Rand { return rand.New(rand.NewPCG(r.seed, part)) }

const (
	randomUsers = iota + 1
	randomFaults
	randomKills
	randomAssets
	randomBuyers
	randomRaises
)

func TestSoak(t *testing.T) {
	r := &run{t: t, seed: defaultSeed, length: defaultFor, timeline: newTimeline()}
	if text := os.Getenv("SOAK_SEED"); text != "" {
		var err error
		if r.seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("SOAK_SEED: %v", err)
		}
	}
	if text := os.Getenv("SOAK_FOR"); text != "" {
		var err error
		if r.length, err = time.ParseDuration(text); err != nil {
			t.Fatalf("SOAK_FOR: %v", err)
		}
	}
	t.Logf("seed %d, for %s", r.seed, r.length)

	manager := program(t)
	// Registered first, so that it runs last and has the logs to their end.
	t.Cleanup(r.reportFailure)
	r.env = newEnv(t)
	r.dafty = newDafty(t, r.env)
	r.book, r.periods = &book{newest: map[string]*v1alpha1.DaftyAccount{}}, r.env.periods(t)
	r.records, r.assets = r.watchRecords(), r.watchAssets()
	r.watchResults()
	r.watchAccounts()
	r.fleet = newFleet(t, r.timeline, manager, r.env.kubeconfig, r.dafty.url)

	ctx, cancel := context.WithTimeout(t.Context(), r.length+longestExtension)
	defer cancel()
	persons, dismiss := context.WithCancel(t.Context())
	defer dismiss()
	var during, always sync.WaitGroup
	during.Go(func() { r.playUsers(ctx, r.random(randomUsers)) })
	during.Go(func() { r.playAssets(ctx, r.random(randomAssets)) })
	during.Go(func() { r.playBuyers(ctx, r.random(randomBuyers)) })
	during.Go(func() { r.raiseBudgets(ctx, r.random(randomRaises)) })
	during.Go(func() { r.injectFaults(ctx, r.random(randomFaults)) })
	during.Go(func() { r.killOperators(ctx, r.random(randomKills)) })
	during.Go(func() { r.endOnceEnough(ctx, cancel) })
	always.Go(func() { r.lookAtLedger(persons) })
	always.Go(func() { r.resolveUnknownSubmissions(persons) })
	during.Wait()

	r.timeline.add("soak", "all is well from here on")
	r.wantMore()
	r.wantResults()
	end := r.settle(t.Context())
	dismiss()
	always.Wait()
	r.fleet.finish()
	r.checkInvariants(end)

	enough, summary := r.enough()
	t.Logf("%s; settled in %s", summary, end.took.Round(time.Second))
	if !enough {
		t.Errorf("too little has happened to tell anything: %s", summary)
	}
}

// endOnceEnough ends the soak after its length, once enough has happened.
func (r *run) endOnceEnough(ctx context.Context, end func()) {
	defer end()
	if !pause(ctx, r.length) {
		return
	}
	for {
		if enough, _ := r.enough(); enough || !pause(ctx, time.Second) {
			return
		}
	}
}

// enough reports whether enough has happened for a result, with a summary. Its counts never go down.
func (r *run) enough() (bool, string) {
	paid, objects := len(r.dafty.Ledger()), len(r.records.histories())
	made, uploaded := r.chained()
	raises := r.env.payer(agency).raised()
	changes, reverts := r.assets.changed()
	summary := fmt.Sprintf("%d DaftyJobs, %d made of another's image, %d of a picture; %d paid jobs, %d changes of DaftyAssets, %d of them reverts, %d raises of budgets, %s",
		objects, made, uploaded, paid, changes, reverts, raises, r.fleet.summary())
	return raises > 0 && paid >= 10 && objects >= 15 && made > 0 && uploaded > 0 && changes >= 6 && reverts > 0 &&
		r.fleet.times(kills)+r.fleet.times(pauses) >= 3 && r.fleet.times(takeovers) > 0, summary
}

// chained returns how many DaftyJobs were submitted with the result of another, and with an uploaded image.
func (r *run) chained() (made, uploaded int) {
	for _, h := range r.records.histories() {
		for _, in := range h.newest.Status.Inputs {
			switch {
			case h.newest.Status.JobID == "" || in.ID == "":
			case in.UID != "":
				made++
			default:
				uploaded++
			}
		}
	}
	return made, uploaded
}

// reportFailure prints the end of the timeline and of the logs, and where all of them are.
func (r *run) reportFailure() {
	if !r.t.Failed() && os.Getenv("SOAK_TRACE") == "" {
		return
	}
	dir, err := os.MkdirTemp("", fmt.Sprintf("dafty-soak-%d-", r.seed))
	if err != nil {
		r.t.Error(err)
		return
	}
	if r.dafty != nil {
		r.timeline.addRequests(r.dafty.Requests())
	}
	file, end := r.timeline.write(r.t, dir, 100)
	r.t.Logf("the end of the timeline, which is %s:\n%s", file, end)
	if r.fleet != nil {
		r.t.Log(r.fleet.writeLogs(dir))
	}
	r.t.Logf("once more: SOAK_SEED=%d SOAK_FOR=%s go test ./test/soak", r.seed, r.length)
}

// pause waits. It returns false if ctx is done first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// between draws a duration.
func between(chance *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(chance.Int64N(int64(most-least)+1))
}
