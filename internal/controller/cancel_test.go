package controller_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/controller"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// cancelVariants returns the readings of the contract that a cancel can meet.
func cancelVariants() []daftysim.NamedVariants {
	concerns := map[string]bool{
		"cancel-terminal": true, "cancel-race": true, "after-cancel": true, "cancel-error": true,
		"repeat-answer": true, "job-retention": true, "error-body": true, "unknown-job": true,
	}
	for name := range concerns {
		if _, there := daftysim.AllVariants()[0].Variants.Readings()[name]; !there {
			panic("no reading is called " + name)
		}
	}
	var variants []daftysim.NamedVariants
	for _, named := range daftysim.AllVariants() {
		defaults, differs := daftysim.AllVariants()[0].Variants.Readings(), named.Name == "defaults"
		for name, reading := range named.Variants.Readings() {
			differs = differs || concerns[name] && reading != defaults[name]
		}
		if differs {
			variants = append(variants, named)
		}
	}
	return variants
}

// howCancelled are the ways to call a job off.
var howCancelled = []string{"by spec", "by delete"}

func (w *world) callOff(how, name string) {
	w.t.Helper()
	if how == "by delete" {
		w.delete(name)
	} else {
		w.cancel(name)
	}
}

// wantCalledOff waits for the end that calling off in this way brings, and checks that
// nothing runs on at Dafty.
func (w *world) wantCalledOff(how, name, reason string) {
	w.t.Helper()
	if how == "by delete" {
		w.eventuallyGone(longPatience, name)
	} else {
		phase, condition := v1alpha1.PhaseCancelled, v1alpha1.ConditionCancelled
		if reason == v1alpha1.ReasonCompletedBeforeCancel {
			phase, condition = v1alpha1.PhaseCompleted, v1alpha1.ConditionComplete
		}
		job := w.eventuallyWithin(longPatience, name, phase, reason)
		w.Expect(meta.IsStatusConditionTrue(job.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
		w.Expect(meta.IsStatusConditionTrue(job.Status.Conditions, condition)).To(BeTrue())
		w.Expect(meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionReconciling)).To(BeNil())
	}
	w.Expect(w.sim.Running()).To(BeEmpty(), "nothing that was called off keeps running")
}

// A job is called off in every phase, by spec and by delete, under every reading of the
// contract that concerns it.
func TestCancelInEveryPhase(t *testing.T) {
	t.Parallel()
	phases := []struct {
		name string
		opts daftysim.Options
		// before runs first; reach brings the job to the phase; after runs once it is called off.
		before, reach, after func(w *world)
		charges              int
		reason               string
	}{
		{
			name: "queued", opts: daftysim.Options{Manual: true}, charges: 1, reason: v1alpha1.ReasonCancelled,
			reach: func(w *world) { w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued) },
		},
		{
			name: "processing", opts: daftysim.Options{Manual: true}, charges: 1, reason: v1alpha1.ReasonCancelled,
			reach: func(w *world) {
				id := w.submitted("job")
				w.Expect(w.sim.Start(id)).To(Succeed())
				_ = w.sim.Start(id) // past the status that nobody knows, in the variant that has one
				w.eventually("job", v1alpha1.PhaseProcessing, v1alpha1.ReasonProcessing)
			},
		},
		{
			name: "completed unseen", opts: daftysim.Options{Manual: true}, charges: 1, reason: v1alpha1.ReasonCompletedBeforeCancel,
			before: func(w *world) {
				fault := w.sim.Inject(daftysim.Fault{Operation: daftysim.GetJob, Kind: daftysim.FaultHang, Count: daftysim.Forever, For: time.Second})
				w.t.Cleanup(func() { w.sim.ClearFaults(fault) })
			},
			reach: func(w *world) { w.Expect(w.sim.Finish(w.submitted("job"), daftysim.Succeed)).To(Succeed()) },
			after: func(w *world) {
				w.eventuallyAsked(daftysim.CancelJob)
				w.sim.ClearFaults()
			},
		},
		{
			name: "completed seen", charges: 1, reason: v1alpha1.ReasonCompleted,
			reach: func(w *world) { w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted) },
		},
	}
	for _, phase := range phases {
		for _, how := range howCancelled {
			for _, variant := range cancelVariants() {
				t.Run(fmt.Sprintf("%s/%s/%s", phase.name, how, variant.Name), func(t *testing.T) {
					opts := phase.opts
					opts.Variants = variant.Variants
					w := newWorld(t, opts)
					if phase.before != nil {
						phase.before(w)
					}
					w.apply("job", aLogo)
					phase.reach(w)
					w.callOff(how, "job")
					if phase.after != nil {
						phase.after(w)
					}
					if opts.Manual && variant.Variants.AfterCancel == daftysim.AfterCancelLater {
						w.eventuallyAsked(daftysim.CancelJob)
						w.sim.FinishAll(daftysim.Fail)
					}
					if phase.reason == v1alpha1.ReasonCompleted && how == "by spec" {
						// Final is final; only what status is about moves on.
						w.Eventually(func() int64 { job, _ := w.watched("job"); return job.Status.ObservedGeneration }).WithTimeout(patience).Should(BeEquivalentTo(2))
						w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
					} else {
						w.wantCalledOff(how, "job", phase.reason)
					}
					w.wantCharges(phase.charges)
				})
			}
		}
	}
}

// eventuallyAsked waits until Dafty was asked for the operation.
func (w *world) eventuallyAsked(operation daftysim.Operation) {
	w.t.Helper()
	w.Eventually(func() int { return w.requests(operation) }).WithTimeout(patience).Should(BeNumerically(">=", 1))
}

func (w *world) requests(operation daftysim.Operation) int {
	n := 0
	for _, r := range w.sim.Requests() {
		if r.Operation == operation {
			n++
		}
	}
	return n
}

// A cancel that meets the job's completion: Dafty's answer decides.
func TestCancelRacesCompletion(t *testing.T) {
	t.Parallel()
	for _, how := range howCancelled {
		for race, reason := range map[daftysim.CancelRace]string{
			daftysim.CancelRaceCompleted: v1alpha1.ReasonCompletedBeforeCancel,
			daftysim.CancelRaceFailed:    v1alpha1.ReasonCancelled,
		} {
			t.Run(how+"/"+string(race), func(t *testing.T) {
				w := newWorld(t, daftysim.Options{Manual: true, Variants: daftysim.Variants{CancelRace: race}})
				w.apply("job", aLogo)
				id := w.submitted("job")
				w.Expect(w.sim.Start(id)).To(Succeed())
				w.eventually("job", v1alpha1.PhaseProcessing, v1alpha1.ReasonProcessing)
				w.Expect(w.sim.RaceCancel(id)).To(Succeed())
				w.callOff(how, "job")
				w.wantCalledOff(how, "job", reason)
				w.wantCharges(1)
			})
		}
	}
}

// Before anything is sent, calling off costs nothing and asks nobody.
func TestCancelBeforeSubmission(t *testing.T) {
	t.Parallel()
	for _, how := range howCancelled {
		t.Run("waiting for credentials/"+how, func(t *testing.T) {
			w := newWorldWithoutSecret(t, daftysim.Options{})
			w.apply("job", aLogo)
			w.eventually("job", v1alpha1.PhasePending, v1alpha1.ReasonWaitingForCredentials)
			w.callOff(how, "job")
			w.wantCalledOff(how, "job", v1alpha1.ReasonCancelledBeforeSubmission)
			w.Expect(w.sim.Requests()).To(BeEmpty())
		})
		t.Run("suspended/"+how, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{})
			w.apply("job", `{desiredState: Suspended, imageGenerate: {prompt: A logo}}`)
			w.eventually("job", v1alpha1.PhasePending, v1alpha1.ReasonSuspended)
			w.callOff(how, "job")
			w.wantCalledOff(how, "job", v1alpha1.ReasonCancelledBeforeSubmission)
			w.Expect(w.sim.Requests()).To(BeEmpty())
		})
		t.Run("out of credits/"+how, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{})
			w.sim.SetCredits(accountName, 0)
			w.apply("job", aLogo)
			w.eventually("job", v1alpha1.PhasePending, v1alpha1.ReasonInsufficientCredits)
			w.callOff(how, "job")
			w.wantCalledOff(how, "job", v1alpha1.ReasonCancelledBeforeSubmission)
			w.wantCharges(0)
		})
	}
	t.Run("born cancelled", func(t *testing.T) {
		w := newWorld(t, daftysim.Options{})
		w.apply("job", `{desiredState: Cancelled, imageGenerate: {prompt: A logo}}`)
		w.eventually("job", v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelledBeforeSubmission)
		w.Expect(w.sim.Requests()).To(BeEmpty())
	})
}

// While the request is on its way: its answer, or a repeat of it, tells the job's id first.
func TestCancelWhileSubmitting(t *testing.T) {
	t.Parallel()
	for _, how := range howCancelled {
		for name, fault := range map[string]daftysim.Fault{
			"answer is slow":               {Kind: daftysim.FaultSlow, For: 3 * time.Second},
			"effect and answer are slow":   {Kind: daftysim.FaultDelay, For: 3 * time.Second},
			"answer lost":                  {Kind: daftysim.FaultResetAfter},
			"request lost":                 {Kind: daftysim.FaultResetBefore},
			"failed by Dafty's own word":   {Kind: daftysim.FaultAnswer, Status: 500},
			"done, and failed by its word": {Kind: daftysim.FaultAnswer, Status: 500, Effect: true},
		} {
			for _, repeat := range []daftysim.RepeatAnswer{daftysim.RepeatAnswerCurrent, daftysim.RepeatAnswerFirst} {
				t.Run(fmt.Sprintf("%s/%s/%s", name, how, repeat), func(t *testing.T) {
					w := newWorld(t, daftysim.Options{Manual: true, Variants: daftysim.Variants{RepeatAnswer: repeat}})
					fault := fault
					fault.Operation = daftysim.GenerateImage
					w.sim.Inject(fault)
					w.apply("job", aLogo)
					w.eventuallyAsked(daftysim.GenerateImage)
					w.callOff(how, "job")
					w.wantCalledOff(how, "job", v1alpha1.ReasonCancelled)
					w.wantCharges(1)
				})
			}
		}
	}
}

// A cancel that fails is tried again until it is confirmed.
func TestCancelIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, how := range howCancelled {
		for name, fault := range map[string]daftysim.Fault{
			"server error":   {Kind: daftysim.FaultAnswer, Status: 500, Count: 2},
			"garbage":        {Kind: daftysim.FaultGarbage, Count: 2},
			"reset before":   {Kind: daftysim.FaultResetBefore, Count: 2},
			"reset after":    {Kind: daftysim.FaultResetAfter},
			"rate limited":   {Kind: daftysim.FaultAnswer, Status: 429, Code: "RATE_LIMIT_ERROR", Header: map[string]string{"Retry-After": "2"}},
			"proxy says 404": {Kind: daftysim.FaultGarbage, Status: 404},
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				w := newWorld(t, daftysim.Options{Manual: true})
				w.apply("job", aLogo)
				w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
				fault := fault
				fault.Operation = daftysim.CancelJob
				w.sim.Inject(fault)
				w.callOff(how, "job")
				w.wantCalledOff(how, "job", v1alpha1.ReasonCancelled)
				w.wantCharges(1)
			})
		}
	}
}

func TestOrphan(t *testing.T) {
	w := newWorld(t, daftysim.Options{Manual: true})
	w.apply("job", `{deletionPolicy: Orphan, imageGenerate: {prompt: A logo}}`)
	w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
	w.delete("job")
	w.eventuallyGone(patience, "job")
	w.Expect(w.sim.Running()).To(HaveLen(1))
	w.Expect(w.requests(daftysim.CancelJob)).To(BeZero())
	w.Eventually(w.eventReasons).WithTimeout(patience).Should(ContainElement(v1alpha1.EventJobOrphaned))
}

// The Secret goes first, as it may when a namespace is deleted: the key that was used last
// cancels the job.
func TestDeleteAfterSecretIsGone(t *testing.T) {
	t.Parallel()
	for _, how := range howCancelled {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{Manual: true})
			w.apply("job", aLogo)
			w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
			w.deleteSecret()
			w.callOff(how, "job")
			w.wantCalledOff(how, "job", v1alpha1.ReasonCancelled)
		})
	}
}

// Where nothing can cancel the job, the deletion ends all the same, and says what it leaves.
func TestDeletionGivesUp(t *testing.T) {
	// The counter is the whole process's: no test outside this one runs beside it, as it isn't parallel, but its parts do.
	before, abandoned := abandonedJobs(t), atomic.Int32{}
	t.Cleanup(func() {
		if counted := abandonedJobs(t) - before; !t.Failed() && counted != float64(abandoned.Load()) {
			t.Errorf("%v jobs are counted as abandoned; want %d", counted, abandoned.Load())
		}
	})
	for name, prevent := range map[string]func(w *world){
		"Secret gone, operator restarted": func(w *world) { w.deleteSecret(); w.restartOperator() },
		"key revoked":                     func(w *world) { w.sim.RevokeKey(apiKey) },
		// No look at the job brings news: the deletion must come back to it by itself.
		"cancel accepted, but the job runs on": func(w *world) {
			w.sim.Inject(daftysim.Fault{
				Operation: daftysim.CancelJob, Kind: daftysim.FaultAnswer, Count: daftysim.Forever, Status: 200,
				Body: fmt.Sprintf(`{"data":{"id":%q,"type":"image.generate","status":"pending","createdAt":"2026-01-02T03:04:05Z"}}`, w.submitted("job")),
			})
		},
		"Dafty away": func(w *world) {
			w.sim.Inject(daftysim.Fault{Kind: daftysim.FaultResetBefore, Count: daftysim.Forever})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, daftysim.Options{Manual: true})
			w.stop()
			w.extra = func(r *controller.Reconciler) { r.DeletionTimeout = 6 * time.Second }
			w.startOperator()
			w.apply("job", aLogo)
			w.eventually("job", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
			id := w.submitted("job")
			prevent(w)
			w.delete("job")
			w.eventuallyGone(patience, "job")
			abandoned.Add(1)
			w.Eventually(func() string {
				for _, event := range w.events() {
					if event.Reason == v1alpha1.EventCancelAbandoned {
						return event.Type + " " + event.Note
					}
				}
				return ""
			}).WithTimeout(patience).Should(And(HavePrefix("Warning"), ContainSubstring(id), ContainSubstring("may still run and cost")))
		})
	}
}

// abandonedJobs returns the metric that tells an operator of a cluster what to look after at Dafty.
func abandonedJobs(t *testing.T) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "dafty_jobs_abandoned_total" {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("there is no such metric")
	return 0
}
