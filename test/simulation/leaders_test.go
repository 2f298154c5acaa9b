package simulation

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestTwoLeaders stops a leader between its write-ahead and its POST, and within the POST, for
// less and for more than the lease, the POST's deadline and the wait of whoever repeats it; a
// second leads meanwhile. In any case Dafty is paid once, and no two POSTs run in parallel.
func TestTwoLeaders(t *testing.T) {
	t.Parallel()
	cases := 0
	for _, creating := range []time.Duration{10 * time.Millisecond, maxProcessing} {
		for _, where := range []string{"before", "within", "after"} {
			for _, pause := range []time.Duration{time.Second, 14 * time.Second, 20 * time.Second, 28 * time.Second, 31 * time.Second,
				44 * time.Second, 46 * time.Second, 50 * time.Second, 2 * time.Minute, time.Hour} {
				for seed := range uint64(4) {
					cases++
					o := options{seed: seed, replicas: 2, variants: allVariants[0].Variants, pending: time.Second, processing: time.Second, creating: creating}
					stopped := false
					r := run(t, o, func(e *env) {
						stopLeaderAt(e, where, pause)
						e.create(image)
						e.advance(pause + 3*time.Minute)
						stopped = e.onMoment == nil
					})
					name := fmt.Sprintf("paused %s its POST for %s, create %s, seed %d", where, pause, creating, seed)
					if !stopped {
						t.Errorf("%s: the leader was never stopped", name)
					}
					if len(r.problems) > 0 || r.paid != 1 {
						t.Errorf("%s: %d jobs made, %q\n%s", name, r.paid, r.problems, r.trace)
					}
				}
			}
		}
	}
	t.Logf("%d cases", cases)
}

// stopLeaderAt pauses the leader as soon as its write-ahead has had its effect, the POST has
// left, or Dafty has made the job.
func stopLeaderAt(e *env, where string, d time.Duration) {
	e.onMoment = func(moment string) {
		if moment == where {
			e.onMoment = nil
			e.leader.pause(d)
		}
	}
}

// A leader that wakes up deposed, and whose watch has broken, doesn't take the result of the DaftyJob that has come in place of
// the one that it knows.
func TestADeposedLeaderTakesNoResult(t *testing.T) {
	t.Parallel()
	woke := 0
	for seed := range uint64(20) {
		o := options{seed: seed, replicas: 2, variants: allVariants[0].Variants, pending: 20 * time.Second, processing: 2 * time.Second, creating: time.Second}
		r := run(t, o, func(e *env) {
			e.create(aResult)
			e.advance(10 * time.Second) // it follows the job
			e.do(func() {
				deposed := e.leader
				deposed.jobs.breakWatch()
				deposed.pause(5 * time.Minute)
			})
			e.advance(time.Minute) // another leads, and stores the result
			e.do(func() {
				backup := e.api.get("one")
				e.api.vanish("one")
				e.api.createFrom(backup, false)
			})
			e.advance(10 * time.Minute)
		})
		if strings.Contains(fmt.Sprint(r.trace), "patch status of one: Conflict") {
			woke++
		}
		if len(r.problems) > 0 || r.paid != 1 {
			t.Errorf("seed %d: %d jobs made, %q\n%s", seed, r.paid, r.problems, r.trace)
		}
	}
	if woke == 0 {
		t.Error("no deposed leader ever acted")
	}
	t.Logf("%d deposed leaders acted", woke)
}
