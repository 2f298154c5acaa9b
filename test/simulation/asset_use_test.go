package simulation

import (
	"testing"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// A DaftyJob that refers to a DaftyAsset takes one of its results, once: the one of before, where it is created while the operator hasn't
// seen a change of the DaftyAsset yet, and that of the change otherwise. It is paid for once, and what it took stays on record.
func TestUseOfAChangingAsset(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name            string
		lag, afterwards time.Duration
		before          bool
	}{
		{"the change isn't seen yet", time.Minute, 0, true},
		{"the change is seen, and not made yet", 0, time.Second, false},
		{"the change is seen late, and before the DaftyJob is created", 5 * time.Second, 7 * time.Second, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := options{seed: 1, replicas: 1, variants: allVariants[0].Variants, pending: 4 * time.Second, processing: 5 * time.Second, creating: time.Second}
			var before, after, took, stays string
			r := run(t, o, func(e *env) {
				e.createHero(picture("a mountain"))
				current := func() string { return e.api.asset("hero").Status.Current.JobID }
				input := func() string {
					if in := e.api.get("one").Status.Inputs; len(in) == 1 {
						return in[0].JobID
					}
					return ""
				}
				use := func() {
					job := named(v1alpha1.DaftyJobSpec{ImageUpscale: &v1alpha1.ImageUpscale{Image: v1alpha1.ImageTarget{AssetRef: &v1alpha1.AssetReference{Name: "hero"}}}})
					job.Name = "one"
					e.api.create(job)
				}
				e.do(func() {
					before = current()
					e.leader.assets.lag = tc.lag
					e.editNow("hero", picture("a lake"))
					if tc.afterwards == 0 {
						use()
					}
				})
				if tc.afterwards > 0 {
					e.advance(tc.afterwards)
					e.do(use)
				}
				e.advanceUntil(10*time.Minute, func() bool { return e.api.get("one").Status.Phase.Final() })
				e.do(func() { took, e.leader.assets.lag = input(), 0 })
				e.advance(5 * time.Minute)
				e.do(func() { after, stays = current(), input() })
			})
			want := after
			if tc.before {
				want = before
			}
			if len(r.problems) > 0 || before == after || took != want || stays != took || r.paid != 3 {
				t.Errorf("it took %s, and has %s; the results are %s and %s, %d jobs were made: %q\n%s", took, stays, before, after, r.paid, r.problems, r.trace)
			}
		})
	}
}
