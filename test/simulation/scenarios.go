package simulation

import (
	"slices"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// scenario is a short life of one DaftyJob, to be crashed at each point.
type scenario struct {
	name string
	// manual: jobs stay where they are until they are moved, or the world is healed.
	manual bool
	play   func(w *world)
}

// The moments in which a user can act: so long after the object was created.
const (
	beforeWrite = 10 * time.Millisecond
	posting     = 500 * time.Millisecond
	queued      = 4 * time.Second
)

// scenarios are the fixed list. In all of them the creation takes Dafty a second, and jobs in
// worlds that aren't manual are pending for 4 s and processing for 5 s.
func scenarios() []scenario {
	list := []scenario{
		{"submit", false, func(w *world) { w.begin(image) }},
		{"submit, and it fails", false, func(w *world) { w.begin(impossible) }},
		{"submit what Dafty refuses", false, func(w *world) { w.begin(invalid) }},
		{"submit a video", false, func(w *world) { w.begin(video) }},
		{"submit a style", false, func(w *world) { w.begin(style) }},
		{"submit, and the Secret comes later", false, func(w *world) {
			w.do(func() { w.cluster.create(image()) })
			w.pass(20 * time.Second)
			w.do(func() { w.cluster.putSecret(keyOne) })
		}},
		{"suspend and release", false, func(w *world) {
			w.begin(suspended)
			w.pass(5 * time.Second)
			w.do(func() { w.desireOne(v1alpha1.DesiredCompleted) })
		}},
		{"suspend, release and suspend again", false, func(w *world) {
			w.begin(suspended)
			w.pass(time.Second)
			w.do(func() { w.desireOne(v1alpha1.DesiredCompleted) })
			w.pass(30 * time.Millisecond)
			w.do(func() { w.desireOne(v1alpha1.DesiredSuspended) })
		}},
		{"cancel while suspended", false, func(w *world) { w.begin(suspended); w.pass(time.Second); w.do(w.cancelOne) }},
		{"delete while suspended", false, func(w *world) { w.begin(suspended); w.pass(time.Second); w.do(w.deleteOne) }},
		{"delete after the end", false, func(w *world) { w.begin(image); w.pass(20 * time.Second); w.do(w.deleteOne) }},
		{"cancel after the end", false, func(w *world) { w.begin(image); w.pass(20 * time.Second); w.do(w.cancelOne) }},
		{"orphan", true, func(w *world) { w.begin(orphan); w.pass(queued); w.do(w.deleteOne) }},
		{"orphan, called off before", true, func(w *world) {
			w.begin(orphan)
			w.pass(queued)
			w.do(w.cancelOne)
			w.do(w.deleteOne)
			w.pass(time.Minute)
		}},
		{"orphan, called off in doubt", true, func(w *world) {
			w.meet(hangAfter)
			w.begin(orphan)
			w.pass(5 * time.Second)
			w.do(w.cancelOne)
			w.do(w.deleteOne)
			w.pass(2 * time.Minute)
		}},
		{"cancel meets the end", true, func(w *world) { w.begin(image); w.raceOne(); w.do(w.cancelOne) }},
		{"delete meets the end", true, func(w *world) { w.begin(image); w.raceOne(); w.do(w.deleteOne) }},
		{"cancel, then delete", true, func(w *world) {
			w.begin(image)
			w.pass(queued)
			w.do(w.cancelOne)
			w.pass(200 * time.Millisecond)
			w.do(w.deleteOne)
		}},
		{"the namespace goes", true, func(w *world) {
			w.begin(image)
			w.pass(queued)
			w.do(func() { namespaceGone(w, picker{0}) })
		}},
		{"the Secret goes, then the object", true, func(w *world) {
			w.begin(image)
			w.pass(queued)
			w.do(func() { secretGone(w, picker{}) })
			w.pass(5 * time.Second)
			w.do(w.deleteOne)
			w.pass(time.Minute)
		}},
	}
	list = append(list, meddled()...)
	list = append(list, whole()...)
	list = append(list, refusedScenarios()...)
	list = append(list, takenBack()...)
	list = append(list, restoredScenarios()...)
	list = append(list, campaigns()...)
	for _, moment := range []struct {
		name  string
		after time.Duration
		start bool
	}{
		{"before it is written", beforeWrite, false},
		{"while it is posted", posting, false},
		{"while queued", queued, false},
		{"while processing", queued, true},
	} {
		wait := func(w *world) {
			w.pass(moment.after)
			if moment.start {
				w.do(w.startAll)
				w.pass(7 * time.Second)
			}
		}
		list = append(list,
			scenario{"cancel " + moment.name, true, func(w *world) { w.begin(image); wait(w); w.do(w.cancelOne) }},
			scenario{"delete " + moment.name, true, func(w *world) { w.begin(image); wait(w); w.do(w.deleteOne) }},
			scenario{"the Secret is rotated " + moment.name, false, func(w *world) {
				w.begin(image)
				wait(w)
				w.do(func() { w.cluster.putSecret(keyTwo) })
			}},
			scenario{"the Secret gets another account's key " + moment.name, false, func(w *world) {
				w.begin(image)
				wait(w)
				w.do(func() { w.cluster.putSecret(keyOther) })
				w.pass(20 * time.Second)
			}},
		)
	}
	for _, f := range []fault{refused, reset, resetWithin, resetAfter, hang, hangAfter, truncated, badGateway, badGatewayAfter, broken, brokenAfter,
		garbageAfter, unauthorized, tooMany} {
		list = append(list,
			scenario{"submit meets " + string(f), false, func(w *world) { w.meet(f); w.begin(image); w.pass(time.Minute) }},
			scenario{"cancel meets " + string(f), true, func(w *world) {
				w.begin(image)
				w.pass(queued)
				w.meet(f)
				w.do(w.cancelOne)
				w.pass(time.Minute)
			}},
			scenario{"delete in doubt after " + string(f), true, func(w *world) {
				w.meet(f)
				w.begin(image)
				w.pass(2 * time.Second)
				w.do(w.deleteOne)
				w.pass(time.Minute)
			}},
		)
	}
	for _, trouble := range []struct {
		name       string
		make, mend func(*daftysim.Simulator)
	}{
		{"no credits", func(s *daftysim.Simulator) { s.SetCredits(acme, 0) }, func(s *daftysim.Simulator) { s.SetCredits(acme, 1000) }},
		{"no subscription", func(s *daftysim.Simulator) { s.SetSubscribed(acme, false) }, func(s *daftysim.Simulator) { s.SetSubscribed(acme, true) }},
		{"no allowance", func(s *daftysim.Simulator) { s.SetAllowance(acme, 0) }, func(s *daftysim.Simulator) { s.SetAllowance(acme, 10) }},
		{"a revoked key", func(s *daftysim.Simulator) { s.RevokeKey(keyOne) }, func(s *daftysim.Simulator) { s.AddKey(acme, keyOne) }},
	} {
		list = append(list, scenario{"submit meets " + trouble.name, false, func(w *world) {
			trouble.make(w.sim)
			w.begin(image)
			w.pass(20 * time.Second)
			trouble.mend(w.sim)
			w.pass(time.Minute)
		}})
	}
	return list
}

// whole are the scenarios of what a spec says beside its operation.
func whole() []scenario {
	both := func(first, second func() *v1alpha1.DaftyJob) func(*world) {
		return func(w *world) {
			w.begin(first)
			w.pass(200 * time.Millisecond)
			w.do(func() { w.trace.add("user", "creates two"); w.cluster.create(second()) })
		}
	}
	upscale := func(name, of string) func() *v1alpha1.DaftyJob {
		return func() *v1alpha1.DaftyJob {
			job := named(v1alpha1.DaftyJobSpec{ImageUpscale: &v1alpha1.ImageUpscale{Image: v1alpha1.ImageTarget{JobRef: &v1alpha1.JobReference{Name: of}}}})
			job.Name = name
			return job
		}
	}
	called := func(name string, of func() *v1alpha1.DaftyJob) func() *v1alpha1.DaftyJob {
		return func() *v1alpha1.DaftyJob { job := of(); job.Name = name; return job }
	}
	withLogo := func() *v1alpha1.DaftyJob {
		job := image()
		job.Spec.ImageGenerate.References = []v1alpha1.ImageReference{logoReference()}
		return job
	}
	stubborn := func() *v1alpha1.DaftyJob {
		job := impossible()
		job.Spec.BackoffLimit = new(int32(2))
		return job
	}
	hurried := func() *v1alpha1.DaftyJob {
		job := image()
		job.Spec.ActiveDeadlineSeconds = new(int64(6))
		return job
	}
	deleteTwo := func(w *world) { w.trace.add("user", "deletes two"); w.cluster.delete("two") }
	return []scenario{
		{"a chain", false, func(w *world) { both(image, upscale("two", "one"))(w); w.pass(time.Minute) }},
		{"a chain, applied in reverse", false, func(w *world) { both(upscale("one", "two"), called("two", image))(w); w.pass(time.Minute) }},
		{"a chain whose first fails", false, func(w *world) { both(impossible, upscale("two", "one"))(w); w.pass(time.Minute) }},
		{"a chain whose first is cancelled", true, func(w *world) {
			both(image, upscale("two", "one"))(w)
			w.pass(queued)
			w.do(w.cancelOne)
			w.pass(time.Minute)
		}},
		{"a chain whose first is deleted", true, func(w *world) {
			both(image, upscale("two", "one"))(w)
			w.pass(queued)
			w.do(w.deleteOne)
			w.pass(time.Minute)
		}},
		{"a chain whose first is deleted after it was used", false, func(w *world) {
			both(image, upscale("two", "one"))(w)
			w.pass(12 * time.Second)
			w.do(w.deleteOne)
			w.pass(time.Minute)
		}},
		{"a chain whose second is deleted while it waits", true, func(w *world) {
			both(image, upscale("two", "one"))(w)
			w.pass(queued)
			w.do(func() { deleteTwo(w) })
			w.pass(time.Minute)
		}},
		{"a circle that is broken", false, func(w *world) {
			both(upscale("one", "two"), upscale("two", "one"))(w)
			w.pass(20 * time.Second)
			w.do(func() { deleteTwo(w) })
			w.pass(time.Minute)
		}},
		{"a picture is uploaded", false, func(w *world) {
			w.do(func() { w.cluster.putPicture(logo) })
			w.begin(withLogo)
			w.pass(time.Minute)
		}},
		{"a picture comes later", false, func(w *world) {
			w.begin(withLogo)
			w.pass(20 * time.Second)
			w.do(func() { w.cluster.putPicture(logo) })
			w.pass(time.Minute)
		}},
		{"it fails and is tried again", false, func(w *world) { w.begin(stubborn); w.pass(3 * time.Minute) }},
		{"it fails and is cancelled before it is tried again", false, func(w *world) {
			w.begin(stubborn)
			w.pass(15 * time.Second)
			w.do(w.cancelOne)
			w.pass(time.Minute)
		}},
		{"it fails and is deleted while it is tried again", false, func(w *world) {
			w.begin(stubborn)
			w.pass(28 * time.Second)
			w.do(w.deleteOne)
			w.pass(time.Minute)
		}},
		{"its status is lost while it is tried again", false, func(w *world) {
			w.begin(stubborn)
			w.pass(28 * time.Second)
			w.do(w.loseStatusOfOne)
			w.pass(3 * time.Minute)
		}},
		{"past its deadline", true, func(w *world) { w.begin(hurried); w.pass(time.Minute) }},
		{"past its deadline in doubt", true, func(w *world) { w.meet(hangAfter); w.begin(hurried); w.pass(2 * time.Minute) }},
		{"deleted when it has been kept for long enough", false, func(w *world) {
			w.begin(func() *v1alpha1.DaftyJob {
				job := image()
				job.Spec.TTLSecondsAfterFinished = new(int32(5))
				return job
			})
			w.pass(time.Minute)
		}},
		{"a result is stored", false, func(w *world) {
			w.begin(func() *v1alpha1.DaftyJob { job := image(); job.Spec.ResultConfigMap = "result"; return job })
			w.pass(time.Minute)
		}},
		{"a result is deleted", false, resultDeleted},
		{"a result is replaced", false, resultReplaced},
		{"a result loses its owner", false, resultDisowned},
		{"adopt, and cancel", true, func(w *world) { w.begin(w.adopted); w.pass(queued); w.do(w.cancelOne); w.pass(time.Minute) }},
		{"adopt, and delete", true, func(w *world) { w.begin(w.adopted); w.pass(queued); w.do(w.deleteOne); w.pass(time.Minute) }},
		{"adopted twice", true, func(w *world) {
			both(w.adopted, called("two", w.adopted))(w)
			w.pass(queued)
			w.do(w.deleteOne)
			w.pass(2 * time.Minute)
		}},
	}
}

// adopted is an object for the job that a person made.
func (w *world) adopted() *v1alpha1.DaftyJob {
	job := image()
	job.Spec.AdoptJobID = w.madeByPerson(false)
	return job
}

// meddled are the scenarios in which somebody takes away what the operator goes by, and those in which it asks a
// person.
func meddled() []scenario {
	// found has a person answer for the request that everybody has lost track of: its answer was lost, with a crash,
	// and the key it was sent with is gone.
	found := func(f fault) func(*world) {
		return func(w *world) {
			w.meet(f)
			w.begin(image)
			w.pass(5 * time.Second)
			w.do(func() {
				w.cluster.putSecret(keyTwo)
				for _, p := range w.processes {
					p.crash("while the answer is awaited")
				}
			})
			w.pass(2*time.Minute + carefully)
			w.do(w.person)
			w.pass(time.Minute)
		}
	}
	return []scenario{
		{"the status is lost while queued", true, func(w *world) { w.begin(image); w.pass(queued); w.do(w.loseStatusOfOne); w.pass(time.Minute) }},
		{"the status is lost while processing", true, func(w *world) {
			w.begin(image)
			w.pass(queued)
			w.do(w.startAll)
			w.pass(7 * time.Second)
			w.do(w.loseStatusOfOne)
			w.pass(time.Minute)
		}},
		{"the status is lost after the end", false, func(w *world) { w.begin(image); w.pass(20 * time.Second); w.do(w.loseStatusOfOne) }},
		{"the status is lost, and it is deleted", true, func(w *world) {
			w.begin(image)
			w.pass(queued)
			w.do(w.loseStatusOfOne)
			w.pass(50 * time.Millisecond)
			w.do(w.deleteOne)
		}},
		{"restored from a backup without status", true, func(w *world) {
			w.begin(image)
			w.pass(queued)
			w.do(func() {
				if backup := w.cluster.get("one"); backup != nil {
					w.trace.add("user", "restores one, without status")
					w.cluster.vanish("one")
					w.cluster.createFrom(backup, true)
				}
			})
			w.pass(time.Minute)
		}},
		{"orphaned, and re-created with its annotation", true, func(w *world) {
			w.begin(orphan)
			w.pass(queued)
			w.do(w.deleteOne)
			w.pass(time.Minute)
			w.do(func() {
				if w.cluster.get("one") == nil {
					w.trace.add("user", "creates one again, with the annotations that it had")
					w.cluster.createFrom(w.cluster.lastOf("one"), false)
				}
			})
			w.pass(time.Minute)
			w.do(w.cancelOne)
		}},
		{"the finalizer is taken off, and it is deleted later", true, finalizerTakenOff},
		{"the annotation is taken off, and the status is lost later", true, func(w *world) {
			w.begin(image)
			w.pass(queued)
			w.do(func() { w.cluster.takeAnnotationOff("one") })
			w.pass(time.Minute)
			w.do(w.wantHeld)
			w.do(w.loseStatusOfOne)
		}},
		{"a refusal is repeated whose cause is gone", false, refusalRemembered},
		{"a person finds the job", true, found(hangAfter)},
		{"a person finds that there is none", false, found(hang)},
	}
}

// finalizerTakenOff has somebody take the finalizer off a running job, and delete it later.
func finalizerTakenOff(w *world) {
	w.begin(image)
	w.pass(queued)
	w.do(func() { w.cluster.takeFinalizerOff("one") })
	w.pass(time.Minute)
	w.do(w.wantHeld)
	w.do(w.deleteOne)
}

// wantHeld is asked when the operator has had time to put back what was taken off.
func (w *world) wantHeld() {
	job := w.cluster.get("one")
	if job == nil {
		w.judge.find("stuck: one is gone")
		return
	}
	if !slices.Contains(job.Finalizers, v1alpha1.CancelFinalizer) || lifecycle.Annotated(job) != job.Status.JobID {
		w.judge.find("left running: if one goes or its status is lost, nobody cancels its job: finalizers %q, annotation %q", job.Finalizers, lifecycle.Annotated(job))
	}
}

// refusalRemembered has a request refused whose answer is lost, and Dafty repeat the refusal when its cause is gone.
func refusalRemembered(w *world) {
	v := w.variants
	v.RefusedKey = daftysim.RefusedKeySame
	w.sim.SetVariants(v)
	w.sim.SetCredits(acme, 0)
	w.meet(hangAfter)
	w.begin(image)
	w.pass(2 * time.Minute)
	w.sim.SetCredits(acme, daftysim.DefaultCredits)
	w.pass(carefully)
	w.do(w.person)
	w.pass(time.Minute)
}

// loseStatusOfOne does nothing before the annotation is there, without which nothing is promised.
func (w *world) loseStatusOfOne() {
	if job := w.cluster.get("one"); job != nil && lifecycle.Annotated(job) != "" {
		w.trace.add("user", "empties the status of one")
		w.cluster.loseStatus("one")
	}
}

// options are those of a scenario's world.
func (s scenario) options(variants daftysim.Variants) options {
	return options{seed: 1, slots: 1, variants: variants, pending: 4 * time.Second, processing: 5 * time.Second, manual: s.manual, creating: time.Second}
}

// meet has every call to Dafty go wrong in this way for 10 s.
func (w *world) meet(f fault) {
	w.do(func() { w.weather = faults{faults: []fault{f}, odds: 8, until: time.Now().Add(10 * time.Second)} })
}

// begin creates the Secret and the object.
func (w *world) begin(job func() *v1alpha1.DaftyJob) {
	w.do(func() {
		w.cluster.putSecret(keyOne)
		w.trace.add("user", "creates one")
		w.cluster.create(job())
	})
}

func named(spec v1alpha1.DaftyJobSpec) *v1alpha1.DaftyJob {
	job := &v1alpha1.DaftyJob{Spec: spec}
	job.Name = "one"
	return job
}

func image() *v1alpha1.DaftyJob {
	return named(v1alpha1.DaftyJobSpec{ImageGenerate: &v1alpha1.ImageGenerate{Prompt: "a mountain"}})
}

func impossible() *v1alpha1.DaftyJob {
	return named(v1alpha1.DaftyJobSpec{ImageGenerate: &v1alpha1.ImageGenerate{Prompt: daftysim.DefaultFailWord}})
}

func invalid() *v1alpha1.DaftyJob {
	return named(v1alpha1.DaftyJobSpec{ImageGenerate: &v1alpha1.ImageGenerate{Prompt: "too many", Variations: new(int32(99))}})
}

func video() *v1alpha1.DaftyJob {
	return named(v1alpha1.DaftyJobSpec{ImageToVideo: &v1alpha1.ImageToVideo{Image: v1alpha1.ImageReference{URL: "https://example.com/a.png"}, Prompt: "it moves"}})
}

func style() *v1alpha1.DaftyJob {
	return named(v1alpha1.DaftyJobSpec{StyleExtract: &v1alpha1.StyleExtract{URL: "https://example.com/brand"}})
}

func suspended() *v1alpha1.DaftyJob {
	job := image()
	job.Spec.DesiredState = v1alpha1.DesiredSuspended
	return job
}

func orphan() *v1alpha1.DaftyJob {
	job := image()
	job.Spec.DeletionPolicy = v1alpha1.DeletionOrphan
	return job
}

func (w *world) desireOne(state v1alpha1.DesiredState) {
	if w.cluster.get("one") == nil {
		return
	}
	w.trace.add("user", "wants one to be %s", state)
	w.cluster.change("one", func(job *v1alpha1.DaftyJob) { job.Spec.DesiredState = state })
}

func (w *world) cancelOne() { w.desireOne(v1alpha1.DesiredCancelled) }

func (w *world) deleteOne() {
	w.trace.add("user", "deletes one")
	w.cluster.delete("one")
}

// startAll has Dafty begin with every job.
func (w *world) startAll() {
	for _, entry := range w.sim.Running() {
		w.trace.add("world", "job %s starts", brief(entry.JobID))
		_ = w.sim.Start(entry.JobID) // it may have
	}
}

// raceOne has the job process, and its next cancel meet its end.
func (w *world) raceOne() {
	w.pass(queued)
	w.do(func() {
		w.startAll()
		for _, entry := range w.sim.Running() {
			_ = w.sim.RaceCancel(entry.JobID) // it may have ended
		}
	})
}
