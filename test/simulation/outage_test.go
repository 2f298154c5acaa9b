package simulation

import (
	"testing"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// longOutage loses the answer of a request that reached Dafty, and lets nothing of Dafty be heard until
// it has forgotten the request's key.
func longOutage(e *env) {
	e.injectFault(hangAfter)
	e.create(image)
	e.advance(8 * time.Second)
	e.do(func() {
		e.daftyFaults = faults{kinds: []fault{refused, hang, badGateway}, odds: 8, until: time.Now().Add(24*time.Hour + 30*time.Minute)}
	})
	e.advance(25 * time.Hour)
}

// TestLongOutage checks that a request is never repeated once Dafty may have forgotten its
// key: a user is asked to look.
func TestLongOutage(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		o := draw(seed).options
		o.processing = forever
		r := run(t, o, func(e *env) {
			longOutage(e)
			e.do(func() {
				if got := readyOf(e.api.get("one")).Reason; got != v1alpha1.ReasonSubmissionUnknown {
					e.invariants.violated("stuck: after the outage it is %s", got)
				}
			})
		})
		if len(r.problems) > 0 || r.paid != 1 {
			t.Errorf("seed %d: %d jobs made, %q\n%s", seed, r.paid, r.problems, r.trace)
		}
	}
}
