package controller_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/controller"
	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/operatortest"
)

// What the user has to mend is said, and once it is mended the job goes on by itself.
func TestCredentials(t *testing.T) {
	t.Parallel()
	t.Run("no Secret", func(t *testing.T) {
		w := newWorldWithoutSecret(t, daftysim.Options{})
		w.apply("job", aLogo)
		job := w.eventually("job", v1alpha1.PhasePending, v1alpha1.ReasonWaitingForCredentials)
		w.Expect(ready(job).Message).To(ContainSubstring("kubectl create secret generic -n %s dafty-credentials --from-literal=apiKey=", w.Namespace))
		w.putSecret(apiKey)
		w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
		w.wantCharges(1)
	})
	t.Run("no such key in the Secret", func(t *testing.T) {
		w := newWorld(t, daftysim.Options{})
		w.apply("job", `{credentialsSecretRef: {key: token}, imageGenerate: {prompt: A logo}}`)
		job := w.eventually("job", v1alpha1.PhasePending, v1alpha1.ReasonWaitingForCredentials)
		w.Expect(ready(job).Message).To(ContainSubstring(`Secret "dafty-credentials" has no key "token"`))
		w.MustKubectl(t, "patch", "secret", "dafty-credentials", "-p", fmt.Sprintf(`{"stringData":{"token":%q}}`, apiKey))
		w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	})
	// A key that can't be sent is quoted nowhere: it may be the right one but for a slip.
	for name, value := range map[string]string{"empty": " \n", "with a blank inside": apiKey + " " + apiKey, "not ASCII": apiKey + "é"} {
		t.Run("a key "+name, func(t *testing.T) {
			w := newWorldWithoutSecret(t, daftysim.Options{})
			w.putSecret(value)
			w.apply("job", aLogo)
			job := w.eventually("job", v1alpha1.PhasePending, v1alpha1.ReasonWaitingForCredentials)
			w.Expect(ready(job).Message).To(And(ContainSubstring(`key "apiKey" of Secret "dafty-credentials"`), Not(ContainSubstring(apiKey))))
			w.Expect(w.sim.Requests()).To(BeEmpty())
			w.putSecret(apiKey)
			w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
		})
	}
	t.Run("another name and key", func(t *testing.T) {
		w := newWorldWithoutSecret(t, daftysim.Options{})
		// The newline is what echo leaves behind.
		w.MustApply(t, fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: brand}\nstringData: {token: \"%s\\n\"}\n", apiKey))
		w.apply("job", `{credentialsSecretRef: {name: brand, key: token}, imageGenerate: {prompt: A logo}}`)
		w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	})
	t.Run("a key that Dafty rejects", func(t *testing.T) {
		w := newWorldWithoutSecret(t, daftysim.Options{})
		w.putSecret("dk_test_wrong")
		w.apply("job", aLogo)
		job := w.eventually("job", v1alpha1.PhasePending, v1alpha1.ReasonCredentialsRejected)
		w.Expect(meta.IsStatusConditionTrue(job.Status.Conditions, v1alpha1.ConditionStalled)).To(BeTrue())
		w.Expect(ready(job).Message).To(ContainSubstring(`put a valid one into key "apiKey" of Secret "dafty-credentials"`))
		w.Expect(job.Status.Attempts).To(BeZero())
		w.putSecret(apiKey)
		w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
		w.wantCharges(1)
	})
	t.Run("a key revoked while the job runs", func(t *testing.T) {
		w := newWorld(t, daftysim.Options{Manual: true})
		w.apply("job", aLogo)
		w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
		id := w.submitted("job")
		w.sim.RevokeKey(apiKey)
		w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonCredentialsRejected)
		w.sim.AddKey(accountName, "dk_test_next")
		w.putSecret("dk_test_next")
		w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
		w.Expect(w.sim.Finish(id, daftysim.Succeed)).To(Succeed())
		w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
		w.wantCharges(1)
	})
	t.Run("another account's key while the job runs", func(t *testing.T) {
		w := newWorld(t, daftysim.Options{Manual: true, Accounts: []daftysim.Account{{Name: "other", APIKeys: []string{"dk_test_other"}}}})
		w.apply("job", aLogo)
		w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
		id := w.submitted("job")
		w.putSecret("dk_test_other")
		w.sim.RevokeKey(apiKey) // what makes the operator look at the Secret
		job := w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonCredentialsRejected)
		w.Eventually(func() string { job, _ = w.watched("job"); return ready(job).Message }).WithTimeout(patience).Should(ContainSubstring("isn't the one it was submitted with"))
		w.sim.AddKey(accountName, "dk_test_next")
		w.putSecret("dk_test_next")
		w.Expect(w.sim.Finish(id, daftysim.Succeed)).To(Succeed())
		w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
		w.wantCharges(1)
	})
}

// A Secret that the API server can't give, as where it can't decrypt it, is told, and holds
// up no deletion.
func TestSecretUnreadable(t *testing.T) {
	t.Parallel()
	broken := func(t *testing.T, timeout time.Duration) (*world, *atomic.Bool) {
		w := newWorld(t, daftysim.Options{Manual: true})
		w.stop()
		unreadable := &atomic.Bool{}
		secrets := &meddled{read: func(types.NamespacedName) error {
			if unreadable.Load() {
				return apierrors.NewInternalError(errors.New("unable to decrypt"))
			}
			return nil
		}}
		w.extra = func(r *controller.Reconciler) {
			secrets.Client, r.Client, r.DeletionTimeout = r.Client, secrets, timeout
		}
		w.startOperator()
		return w, unreadable
	}
	t.Run("before the submission", func(t *testing.T) {
		w, unreadable := broken(t, 5*time.Minute)
		unreadable.Store(true)
		w.apply("job", aLogo)
		job := w.eventually("job", v1alpha1.PhasePending, v1alpha1.ReasonWaitingForCredentials)
		w.Expect(ready(job).Message).To(ContainSubstring("unable to decrypt"))
		unreadable.Store(false)
		w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
		w.wantCharges(1)
	})
	t.Run("in flight, by the key that was read before", func(t *testing.T) {
		w, unreadable := broken(t, 5*time.Minute)
		w.apply("job", aLogo)
		w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
		unreadable.Store(true)
		w.delete("job")
		w.eventuallyGone(patience, "job")
		w.Expect(w.sim.Running()).To(BeEmpty())
	})
	t.Run("in flight, after a restart", func(t *testing.T) {
		w, unreadable := broken(t, 6*time.Second)
		w.apply("job", aLogo)
		w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
		unreadable.Store(true)
		w.restartOperator()
		w.delete("job")
		w.eventuallyGone(patience, "job")
		w.Eventually(w.eventReasons).WithTimeout(patience).Should(ContainElement(v1alpha1.EventCancelAbandoned))
	})
}

// Where the job's id can't be written into the annotations, it is followed and called off
// all the same.
func TestAnnotationsFull(t *testing.T) {
	t.Parallel()
	full := func(t *testing.T) (w *world, id string) {
		w = newWorld(t, daftysim.Options{Manual: true})
		w.Expect(w.Client.Create(t.Context(), &v1alpha1.DaftyJob{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: w.Namespace, Name: "job",
				Annotations: map[string]string{"notes": strings.Repeat("x", 256<<10-len("notes"))},
			},
			Spec: v1alpha1.DaftyJobSpec{ImageGenerate: &v1alpha1.ImageGenerate{Prompt: "A logo"}},
		})).To(Succeed())
		return w, w.submitted("job")
	}
	t.Run("completes", func(t *testing.T) {
		w, id := full(t)
		w.Expect(w.sim.Finish(id, daftysim.Succeed)).To(Succeed())
		w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
		w.wantCharges(1)
	})
	for _, how := range howCancelled {
		t.Run(how, func(t *testing.T) {
			w, _ := full(t)
			w.callOff(how, "job")
			w.wantCalledOff(how, "job", v1alpha1.ReasonCancelled)
			w.wantCharges(1)
		})
	}
}

// Dafty refuses for now: nothing was made, nothing is charged, and the job goes on when the
// cause is gone, under both readings of what a refused key does.
func TestRefusedForNow(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name         string
		refuse, mend func(w *world) // mend is nil where it passes by itself
		reason       string
		ready        metav1.ConditionStatus
	}{
		{
			name:   "out of credits",
			refuse: func(w *world) { w.sim.SetCredits(accountName, 0) },
			mend:   func(w *world) { w.sim.TopUp(accountName, 100) },
			reason: v1alpha1.ReasonInsufficientCredits, ready: metav1.ConditionFalse,
		},
		{
			name:   "no subscription",
			refuse: func(w *world) { w.sim.SetSubscribed(accountName, false) },
			mend:   func(w *world) { w.sim.SetSubscribed(accountName, true) },
			reason: v1alpha1.ReasonSubscriptionRequired, ready: metav1.ConditionFalse,
		},
		{
			name:   "allowance used up",
			refuse: func(w *world) { w.sim.SetAllowance(accountName, 0) },
			mend:   func(w *world) { w.sim.SetAllowance(accountName, 100) },
			reason: v1alpha1.ReasonUsageLimitExceeded, ready: metav1.ConditionUnknown,
		},
		{
			name: "too many jobs in flight",
			refuse: func(w *world) {
				w.sim.SetCeilings(daftysim.Ceilings{Images: 1})
				w.apply("in-flight", `{imageEdit: {prompt: Make it pink, image: {id: `+knownImage+`}}}`)
				w.submitted("in-flight")
			},
			mend:   func(w *world) { w.sim.SetCeilings(daftysim.Ceilings{}) },
			reason: v1alpha1.ReasonWaitingForConcurrency, ready: metav1.ConditionUnknown,
		},
		{
			name: "rate limited",
			refuse: func(w *world) {
				w.sim.Inject(daftysim.Fault{Operation: daftysim.GenerateImage, Status: 429, Code: "RATE_LIMIT_ERROR", Header: map[string]string{"Retry-After": "3"}})
			},
			reason: v1alpha1.ReasonWaitingForRateLimit, ready: metav1.ConditionUnknown,
		},
	} {
		for _, refusedKey := range []daftysim.RefusedKey{daftysim.RefusedKeyFresh, daftysim.RefusedKeySame} {
			t.Run(tc.name+"/"+string(refusedKey), func(t *testing.T) {
				w := newWorld(t, daftysim.Options{
					// The job in flight, which takes the place of ours.
					PendingFor: daftysim.PerOperation(map[daftysim.Operation]time.Duration{daftysim.EditImage: time.Hour}, 100*time.Millisecond),
					Variants:   daftysim.Variants{RefusedKey: refusedKey, LimitRetryAfter: daftysim.LimitRetryAfterAbsent},
				})
				tc.refuse(w)
				before := len(w.sim.Ledger())
				w.apply("job", aLogo)
				job := w.passes("job", v1alpha1.PhasePending, tc.reason)
				w.Expect(ready(job).Status).To(Equal(tc.ready))
				w.Expect(job.Status.Attempts).To(BeZero(), "what Dafty refused is no attempt")
				if tc.mend != nil {
					w.wantCharges(before)
					tc.mend(w)
				}
				job = w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
				w.Expect(job.Status.Attempts).To(BeEquivalentTo(1))
				w.wantCharges(before + 1)
			})
		}
	}
}

// A Retry-After stops everyone who uses the key, not only the job that met it.
func TestRetryAfterIsHeeded(t *testing.T) {
	const retryAfter = 20 * time.Second // time enough to apply another
	w := newWorld(t, daftysim.Options{})
	w.sim.Inject(daftysim.Fault{Operation: daftysim.GenerateImage, Status: 429, Code: "RATE_LIMIT_ERROR", Header: map[string]string{"Retry-After": "20"}})
	w.apply("first", aLogo)
	w.passes("first", v1alpha1.PhasePending, v1alpha1.ReasonWaitingForRateLimit)
	w.apply("second", aLogo)
	w.passes("second", v1alpha1.PhasePending, v1alpha1.ReasonWaitingForRateLimit)
	w.eventually("second", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.eventually("first", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	var refused time.Time
	for _, r := range w.sim.Requests() {
		if r.Operation != daftysim.GenerateImage {
			continue
		}
		if r.Status == http.StatusTooManyRequests {
			refused = r.Time
		} else {
			w.Expect(r.Time).To(BeTemporally(">=", refused.Add(retryAfter)))
		}
	}
	w.wantCharges(2)
}

// No answer, or none that can be understood, proves nothing: the same key is sent again, and
// there is one job in the end.
func TestSubmissionInDoubt(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]daftysim.Fault{
		"reset before the effect":   {Kind: daftysim.FaultResetBefore},
		"reset after the effect":    {Kind: daftysim.FaultResetAfter},
		"garbage":                   {Kind: daftysim.FaultGarbage},
		"garbage after the effect":  {Kind: daftysim.FaultGarbage, Effect: true},
		"truncated":                 {Kind: daftysim.FaultTruncate},
		"500":                       {Status: 500},
		"500 after the effect":      {Status: 500, Effect: true},
		"502 from a proxy":          {Kind: daftysim.FaultGarbage, Status: 502, Effect: true},
		"404 from a proxy":          {Kind: daftysim.FaultGarbage, Status: 404},
		"hang":                      {Kind: daftysim.FaultHang},
		"hang after the effect":     {Kind: daftysim.FaultHang, Effect: true},
		"huge":                      {Kind: daftysim.FaultHuge, Effect: true},
		"redirect":                  {Kind: daftysim.FaultRedirect, Location: "/elsewhere"},
		"effect after we gave up":   {Kind: daftysim.FaultDelay, For: 32 * time.Second},
		"three failures in a row":   {Kind: daftysim.FaultAnswer, Status: 500, Count: 3},
		"unknown status and no job": {Status: 299, Body: `{"data":{}}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{})
			fault := fault
			fault.Operation = daftysim.GenerateImage
			w.sim.Inject(fault)
			w.apply("job", aLogo)
			job := w.eventuallyWithin(longPatience, "job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
			w.Expect(job.Status.Submission.IdempotencyKey).To(Equal(string(job.UID) + "-1"))
			w.wantCharges(1)
			w.Expect(w.requests(daftysim.GenerateImage)).To(BeNumerically(">=", 2))
		})
	}
}

// A repeat that is refused for now says nothing about the first request.
func TestRefusedRepeatStaysInDoubt(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]daftysim.Fault{
		"402": {Status: 402, Code: "INSUFFICIENT_CREDITS"},
		"429": {Status: 429, Code: "RATE_LIMIT_ERROR", Header: map[string]string{"Retry-After": "1"}},
		"401": {Status: 401, Code: "UNAUTHORIZED"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{})
			w.sim.Inject(daftysim.Fault{Operation: daftysim.GenerateImage, Status: 500, Effect: true})
			refusal := refusal
			refusal.Operation = daftysim.GenerateImage
			w.sim.Inject(refusal)
			w.apply("job", aLogo)
			w.eventuallyWithin(longPatience, "job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
			w.wantCharges(1)
		})
	}
}

// An operator that knows nothing finds an attempt begun: it waits until no other request can
// be on its way, and repeats it with the same key.
func TestRestartWhileSubmitting(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]daftysim.Fault{
		"before the effect": {Kind: daftysim.FaultHang},
		"after the effect":  {Kind: daftysim.FaultHang, Effect: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{})
			fault := fault
			fault.Operation = daftysim.GenerateImage
			w.sim.Inject(fault)
			w.apply("job", aLogo)
			w.eventuallyAsked(daftysim.GenerateImage)
			w.restartOperator()
			job := w.eventuallyWithin(longPatience, "job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
			w.wantCharges(1)
			recorded := w.sees("job", isWriteAhead).Status.Submission.SentAt
			var sent []time.Time
			for _, r := range w.sim.Requests() {
				if r.Operation == daftysim.GenerateImage {
					w.Expect(r.IdempotencyKey()).To(Equal(string(job.UID) + "-1"))
					sent = append(sent, r.Time)
				}
			}
			w.Expect(sent).To(HaveLen(2))
			w.Expect(sent[1]).To(BeTemporally(">=", recorded.Add(45*time.Second)), "45 s after the write-ahead of the first")
		})
	}
}

// Where Dafty can't tell any more what became of a request, a person can: the commands in the message do
// what it says, word for word.
func TestWaysOutOfSubmissionUnknown(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault    daftysim.Fault
		attempts int32
	}{
		"the job is there": {daftysim.Fault{Kind: daftysim.FaultResetAfter}, 1},
		"there is no job":  {daftysim.Fault{Kind: daftysim.FaultResetBefore}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{})
			tc.fault.Operation = daftysim.GenerateImage
			w.sim.Inject(tc.fault)
			w.apply("job", aLogo)
			w.eventuallyAsked(daftysim.GenerateImage)
			w.eventually("job", v1alpha1.PhaseSubmitting, v1alpha1.ReasonAPIUnavailable)
			w.stop()
			w.extra = func(r *controller.Reconciler) { r.Clock = aheadBy(24 * time.Hour) }
			w.startOperator()
			job := w.eventually("job", v1alpha1.PhaseSubmitting, v1alpha1.ReasonSubmissionUnknown)

			ways := regexp.MustCompile(`If it is there, run: kubectl (.*); if not, .* with: kubectl (.*)$`).FindStringSubmatch(ready(job).Message)
			w.Expect(ways).To(HaveLen(3), ready(job).Message)
			command := ways[2]
			if made := w.sim.Ledger(); len(made) > 0 {
				command = strings.TrimSuffix(ways[1], "ID") + made[0].JobID
			}
			w.MustKubectl(t, strings.Fields(command)...)
			job = w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
			w.Expect(job.Status.Attempts).To(Equal(tc.attempts))
			w.wantCharges(1)
		})
	}
}

// aheadBy is a clock that is so much ahead.
type aheadBy time.Duration

func (a aheadBy) Now() time.Time                  { return time.Now().Add(time.Duration(a)) }
func (a aheadBy) Since(t time.Time) time.Duration { return a.Now().Sub(t) }

// A restart in flight loses nothing and pays nothing again.
func TestRestartInFlight(t *testing.T) {
	w := newWorld(t, daftysim.Options{Manual: true})
	w.apply("job", aLogo)
	w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
	id := w.submitted("job")
	w.stop()
	w.Expect(w.sim.Finish(id, daftysim.Succeed)).To(Succeed())
	w.startOperator()
	w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.wantCharges(1)
}

// A status that was lost, as a backup or a re-creation loses it, is found again by the
// annotation; an object that was copied to another name has a job of its own.
func TestAnnotationSurvivesStatus(t *testing.T) {
	w := newWorld(t, daftysim.Options{Manual: true})
	w.apply("job", aLogo)
	w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
	id := w.submitted("job")
	w.Eventually(func() map[string]string { job, _ := w.watched("job"); return job.Annotations }).WithTimeout(patience).Should(HaveKey(v1alpha1.JobAnnotation))
	w.apply("unwanted", aLogo)
	w.eventually("unwanted", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
	w.Eventually(func() map[string]string { job, _ := w.watched("unwanted"); return job.Annotations }).WithTimeout(patience).Should(HaveKey(v1alpha1.JobAnnotation))
	w.cancel("unwanted")
	w.eventually("unwanted", v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelled)

	w.stop()
	var objects []client.Object
	restore := func(name, as string) {
		job, err := w.get(name)
		w.Expect(err).NotTo(HaveOccurred())
		if name == as {
			job.Finalizers = nil
			w.Expect(w.Client.Update(t.Context(), job)).To(Succeed())
			w.Expect(w.Client.Delete(t.Context(), job)).To(Succeed())
		}
		objects = append(objects, &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: as, Annotations: job.Annotations}, Spec: job.Spec})
	}
	restore("job", "copy")
	restore("job", "job")
	restore("unwanted", "unwanted")
	for _, object := range objects {
		w.Expect(w.Client.Create(t.Context(), object)).To(Succeed())
	}
	w.startOperator()

	w.Expect(w.submitted("job")).To(Equal(id))
	w.Expect(w.submitted("copy")).NotTo(Equal(id))
	w.eventually("unwanted", v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelled)
	w.sim.FinishAll(daftysim.Succeed)
	w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.eventually("copy", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.wantCharges(3)
}

// Trouble while a job is followed is told, and ends nothing.
func TestTroubleInFlight(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]daftysim.Fault{
		"500":              {Status: 500},
		"garbage":          {Kind: daftysim.FaultGarbage},
		"reset":            {Kind: daftysim.FaultResetBefore},
		"404 from a proxy": {Kind: daftysim.FaultGarbage, Status: 404},
		"redirect":         {Kind: daftysim.FaultRedirect, Location: "https://example.com/"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{Manual: true})
			fault := fault
			fault.Operation, fault.Count = daftysim.GetJob, daftysim.Forever
			w.sim.Inject(fault)
			w.apply("job", aLogo)
			job := w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonAPIUnavailable)
			w.Expect(ready(job).Status).To(Equal(metav1.ConditionUnknown))
			w.sim.ClearFaults()
			w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
			w.sim.FinishAll(daftysim.Succeed)
			w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
			w.wantCharges(1)
		})
	}
}

func TestJobNotFound(t *testing.T) {
	w := newWorld(t, daftysim.Options{Manual: true})
	w.sim.Inject(daftysim.Fault{Operation: daftysim.GetJob, Count: daftysim.Forever, Status: 404, Code: "NOT_FOUND", Message: "No such job"})
	w.apply("job", aLogo)
	job := w.eventually("job", v1alpha1.PhaseFailed, v1alpha1.ReasonJobNotFound)
	w.Expect(job.Status.Error.Code).To(Equal("NOT_FOUND"))
	w.wantCharges(1)
}

// Dafty can't be reached at all: nothing was sent, so that the job can still be called off
// for nothing, and goes on when Dafty is back.
func TestDaftyDown(t *testing.T) {
	w := newWorld(t, daftysim.Options{})
	w.stop()
	address := operatortest.FreeAddress(t)
	w.url = "http://" + address + daftysim.BasePath
	w.startOperator()

	w.apply("job", aLogo)
	w.apply("called-off", aLogo)
	job := w.eventually("job", v1alpha1.PhasePending, v1alpha1.ReasonAPIUnavailable)
	w.Expect(job.Status.Attempts).To(BeZero())
	w.eventually("called-off", v1alpha1.PhasePending, v1alpha1.ReasonAPIUnavailable)
	w.cancel("called-off")
	w.eventually("called-off", v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelledBeforeSubmission)

	listener, err := net.Listen("tcp", address)
	w.Expect(err).NotTo(HaveOccurred())
	back := &httptest.Server{Listener: listener, Config: &http.Server{Handler: w.sim.Simulator, ReadHeaderTimeout: time.Minute}}
	back.Start()
	t.Cleanup(back.Close)
	w.eventuallyWithin(longPatience, "job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.wantCharges(1)
}

// The API key goes to the configured URL and nowhere else.
func TestRedirectIsNotFollowed(t *testing.T) {
	var followed atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	t.Cleanup(elsewhere.Close)
	w := newWorld(t, daftysim.Options{})
	for operation, code := range map[daftysim.Operation]int{daftysim.GenerateImage: 307, daftysim.GetJob: 301} {
		w.sim.Inject(daftysim.Fault{Operation: operation, Kind: daftysim.FaultRedirect, Status: code, Location: elsewhere.URL})
	}
	w.apply("job", aLogo)
	w.eventuallyWithin(longPatience, "job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.Expect(followed.Load()).To(BeZero())
	w.wantCharges(1)
}
