package simulation

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// A DaftyJob with a key of the user's own whose requests were refused goes on when the cause is gone, also where Dafty
// remembers refusals and the API key is busy: with another program's requests, or with those of other DaftyJobs. Created
// again, it finds its job.
func TestOwnKeyAfterRefusals(t *testing.T) {
	t.Parallel()
	for _, remembers := range []daftysim.RefusedKey{daftysim.RefusedKeyFresh, daftysim.RefusedKeySame} {
		for _, busy := range []string{"alone", "another program", "other DaftyJobs"} {
			t.Run(fmt.Sprint(remembers, ", ", busy), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					v := allVariants[0].Variants
					v.RefusedKey = remembers
					e := newEnv(options{seed: 1, replicas: 1, variants: v, pending: time.Second, processing: time.Second, creating: 100 * time.Millisecond})
					own := func() *v1alpha1.DaftyJob {
						job := image()
						job.Spec.IdempotencyKey = "spring"
						return job
					}
					e.do(func() { e.sim.SetCredits(acme, 0) })
					e.create(own)
					e.advance(2 * time.Minute)
					e.do(func() { e.sim.SetCredits(acme, 100_000) })
					if busy == "other DaftyJobs" {
						e.do(func() {
							for i := range 40 {
								job := image()
								job.Name = fmt.Sprintf("other-%02d", i)
								e.api.create(job)
							}
						})
					}
					phase := func() (is v1alpha1.Phase) {
						e.do(func() { is = e.api.get("one").Status.Phase })
						return is
					}
					for step := 0; step < 20*6 && !phase().Final(); step++ {
						if busy == "another program" && step%3 == 0 {
							makeImage(t, e)
						}
						e.advance(10 * time.Second)
					}
					if is := phase(); is != v1alpha1.PhaseCompleted {
						e.do(func() {
							t.Errorf("20 minutes after the cause is gone it is %s\n%s", describe(e.api.get("one")), e.trace)
						})
					}
					var first string
					e.do(func() {
						first = e.api.get("one").Status.JobID
						e.api.delete("one")
					})
					e.advance(time.Minute)
					e.do(func() { e.api.create(own()) })
					e.advance(10 * time.Minute)
					e.do(func() {
						if again := e.api.get("one").Status; again.JobID != first {
							t.Errorf("created again it is %s of job %s, and was of %s\n%s", again.Phase, again.JobID, first, e.trace)
						}
						e.over = true
						for _, p := range e.processes {
							p.dead = true
							p.stop()
						}
					})
					e.sim.Close()
					time.Sleep(time.Minute)
				})
			})
		}
	}
}

// makeImage is another program's request with the same API key.
func makeImage(t *testing.T, e *env) {
	t.Helper()
	request := httptest.NewRequest(http.MethodPost, daftyURL+"/images/generate", strings.NewReader(`{"prompt":"theirs"}`))
	request.Header.Set("X-Api-Key", keyOne)
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	e.sim.ServeHTTP(answer, request)
	if answer.Code != http.StatusAccepted {
		t.Errorf("another program's request: %d %s", answer.Code, answer.Body)
	}
}
