package simulation

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// TestAccountCrashPoints crashes the operator before and after every effect of every scenario with a DaftyAccount: under the contract's
// default reading, and with SIMULATE_N under every reading. In each, no more jobs are made than the budget has room for.
func TestAccountCrashPoints(t *testing.T) {
	start := time.Now()
	var cases, effects atomic.Int64
	t.Run("crash", func(t *testing.T) {
		for _, variant := range daftysim.AllVariants() {
			if variant.Name != "defaults" && os.Getenv("SIMULATE_N") == "" {
				continue
			}
			for _, s := range accountScenarios() {
				t.Run(s.name+", "+variant.Name, func(t *testing.T) {
					t.Parallel()
					n, points := crashAll(t, s.scenario, variant, s.most)
					cases.Add(int64(n))
					effects.Add(int64(points))
				})
			}
		}
	})
	t.Logf("%d cases: before and after each of %d effects of %d scenarios, in %s",
		cases.Load(), effects.Load(), len(accountScenarios()), time.Since(start).Round(time.Second))
}

// TestTwoLeadersOfAccounts stops a leader as it has reserved a submission and as it has put one on record, for less and for more than the
// lease; a second leads meanwhile. The budget isn't exceeded.
func TestTwoLeadersOfAccounts(t *testing.T) {
	t.Parallel()
	cases := 0
	for _, where := range []string{"account written", "before"} {
		for _, at := range []int{1, 2, 3} {
			for _, pause := range []time.Duration{time.Second, 14 * time.Second, 17 * time.Second, 20 * time.Second, time.Minute} {
				for seed := range uint64(4) {
					cases++
					o := options{seed: seed, replicas: 2, variants: allVariants[0].Variants, pending: time.Second, processing: time.Second, creating: time.Second}
					r := run(t, o, func(e *env) {
						met := 0
						e.onMoment = func(moment string) {
							if moment != where {
								return
							}
							if met++; met == at && e.leader != nil {
								e.onMoment = nil
								e.leader.accounts.breakWatch()
								e.leader.pause(pause)
							}
						}
						e.createAgency(2)
						e.createUsers("one", "two", "three")
						e.advance(pause + 2*time.Minute)
					})
					if len(r.problems) > 0 || r.paid != 2 {
						t.Errorf("paused as %s, the %d. time, for %s, seed %d: %d jobs made, %q\n%s", where, at, pause, seed, r.paid, r.problems, fmt.Sprint(r.trace))
					}
				}
			}
		}
	}
	t.Logf("%d cases", cases)
}
