package controller_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

const proxyPage = "<html><body><h1>401 Authorization Required</h1></body></html>"

// oddAnswers are answers that are out of line, each given once.
var oddAnswers = map[string]daftysim.Fault{
	"401":             {Status: 401, Code: "UNAUTHORIZED", Message: "The API key is invalid"},
	"a proxy's 401":   {Kind: daftysim.FaultGarbage, Status: 401, Body: proxyPage},
	"402":             {Status: 402, Code: "INSUFFICIENT_CREDITS", Message: "Not enough credits"},
	"403":             {Status: 403, Code: "FORBIDDEN", Message: "Not allowed"},
	"a proxy's 403":   {Kind: daftysim.FaultGarbage, Status: 403, Body: proxyPage},
	"404":             {Status: 404, Code: "NOT_FOUND", Message: "No such job"},
	"a proxy's 404":   {Kind: daftysim.FaultGarbage, Status: 404, Body: proxyPage},
	"not Dafty's 200": {Kind: daftysim.FaultGarbage, Status: 200, Body: `{"status":"ok"}`},
}

// wantNoTrouble sees to it that nothing was ever told to be wrong with any DaftyJob.
func (w *world) wantNoTrouble() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, history := range w.seen {
		for _, job := range history {
			if meta.IsStatusConditionTrue(job.Status.Conditions, v1alpha1.ConditionStalled) || ready(job).Reason == v1alpha1.ReasonAPIUnavailable {
				w.t.Errorf("%s is told to be in trouble: %s", job.Name, toJSON(job.Status))
			}
		}
	}
	for _, event := range w.events() {
		if event.Type == corev1.EventTypeWarning {
			w.t.Errorf("a warning: %s: %s", event.Reason, event.Note)
		}
	}
}

// One answer to a look that is out of line is no verdict: the job is looked at again within seconds.
func TestOneOddLook(t *testing.T) {
	t.Parallel()
	for name, fault := range oddAnswers {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{Manual: true})
			fault := fault
			fault.Operation = daftysim.GetJob
			w.sim.Inject(fault)
			w.apply("job", aLogo)
			w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
			id := w.submitted("job")
			// The second look: the first met the fault.
			w.Eventually(func() int { return w.requests(daftysim.GetJob) }).WithTimeout(patience).Should(BeNumerically(">=", 2))
			w.Expect(w.sim.Finish(id, daftysim.Succeed)).To(Succeed())
			w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
			w.wantCharges(1)
			w.wantNoTrouble()
		})
	}
}

// One create among many whose key is refused is sent again within seconds, and holds up none of the others.
func TestOneOddCreate(t *testing.T) {
	t.Parallel()
	for name, fault := range oddAnswers {
		if fault.Status != 401 && fault.Status != 403 || name == "a proxy's 403" {
			continue // 402 and 404 are Dafty's own word, and the others leave the request in doubt
		}
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{})
			fault := fault
			fault.Operation, fault.Nth = daftysim.GenerateImage, 3
			w.sim.Inject(fault)
			for i := range 8 {
				w.apply(fmt.Sprint("job-", i), aLogo)
			}
			for i := range 8 {
				w.eventually(fmt.Sprint("job-", i), v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
			}
			w.wantCharges(8)
			w.wantNoTrouble()
		})
	}
}

// A cancel that meets one is sent again, and nobody is alarmed.
func TestOneOddCancel(t *testing.T) {
	t.Parallel()
	for name, fault := range oddAnswers {
		if fault.Status == 404 || fault.Status == 200 || name == "a proxy's 403" {
			continue // the look that follows tells, or it is told as APIUnavailable
		}
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{Manual: true})
			w.apply("job", aLogo)
			w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
			fault := fault
			fault.Operation = daftysim.CancelJob
			w.sim.Inject(fault)
			w.cancel("job")
			w.eventually("job", v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelled)
			w.wantNoTrouble()
		})
	}
}

// A key that is really revoked shows within 15 s of the first call that is refused.
func TestRevokedKeyShowsSoon(t *testing.T) {
	w := newWorld(t, daftysim.Options{Manual: true})
	w.sim.Inject(daftysim.Fault{Operation: daftysim.GetJob, Status: 401, Code: "UNAUTHORIZED", Message: "The API key is invalid", Count: daftysim.Forever})
	w.apply("job", aLogo)
	w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonCredentialsRejected)
	looks := w.requestsTo("GET", w.submitted("job"))
	w.Expect(time.Since(looks[0].Time)).To(BeNumerically("<", 15*time.Second))
	w.sim.ClearFaults()
}

// Credits are back: the first DaftyJob that is created or touched after that asks, and those that wait follow.
func TestAccountMended(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		breaks, mends func(w *world)
		reason        string
		// tries are those after which the account's own next one is more than 15 s away.
		tries int
	}{
		"credits": {
			func(w *world) { w.sim.SetCredits(accountName, 0) }, func(w *world) { w.sim.TopUp(accountName, 100) }, v1alpha1.ReasonInsufficientCredits, 3,
		},
		"a subscription": {
			func(w *world) { w.sim.SetSubscribed(accountName, false) }, func(w *world) { w.sim.SetSubscribed(accountName, true) }, v1alpha1.ReasonSubscriptionRequired, 3,
		},
		"the allowance": {
			func(w *world) { w.sim.SetAllowance(accountName, 0) }, func(w *world) { w.sim.SetAllowance(accountName, 100) }, v1alpha1.ReasonUsageLimitExceeded, 1, // Dafty asks for a minute
		},
	} {
		for how, does := range map[string]func(w *world){
			"a new DaftyJob": func(w *world) { w.apply("new", aLogo) },
			"an annotation":  func(w *world) { w.MustKubectl(w.t, "annotate", "daftyjob", "job-1", "example.com/credits=bought") },
			"the Secret is touched": func(w *world) {
				w.MustKubectl(w.t, "annotate", "secret", v1alpha1.DefaultSecretName, "example.com/credits=bought")
			},
		} {
			if name != "credits" && how != "a new DaftyJob" {
				continue // they differ in nothing
			}
			t.Run(name+", "+how, func(t *testing.T) {
				w := newWorld(t, daftysim.Options{})
				tt.breaks(w)
				for i := range 3 {
					w.apply(fmt.Sprint("job-", i), aLogo)
				}
				for i := range 3 {
					w.eventually(fmt.Sprint("job-", i), v1alpha1.PhasePending, tt.reason)
				}
				// The account is asked less and less often, so that what follows isn't its own next try.
				w.Eventually(func() int { return w.requests(daftysim.GenerateImage) }).WithTimeout(patience).Should(BeNumerically(">=", tt.tries))
				w.eventually("job-0", v1alpha1.PhasePending, tt.reason)
				tt.mends(w)
				mended := time.Now()
				does(w)
				for i := range 3 {
					w.eventually(fmt.Sprint("job-", i), v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
				}
				asked := slices.DeleteFunc(w.requestsTo("POST", "/images/generate"), func(r daftysim.Request) bool { return r.Time.Before(mended) })
				w.Expect(asked[0].Time.Sub(mended)).To(BeNumerically("<", 15*time.Second), "how soon Dafty is asked")
			})
		}
	}
}
