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
	play   func(e *env)
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
		{"submit", false, func(e *env) { e.create(image) }},
		{"submit, and it fails", false, func(e *env) { e.create(impossible) }},
		{"submit what Dafty refuses", false, func(e *env) { e.create(invalid) }},
		{"submit a video", false, func(e *env) { e.create(video) }},
		{"submit a style", false, func(e *env) { e.create(style) }},
		{"submit, and the Secret comes later", false, func(e *env) {
			e.do(func() { e.api.create(image()) })
			e.advance(20 * time.Second)
			e.do(func() { e.api.putSecret(keyOne) })
		}},
		{"suspend and release", false, func(e *env) {
			e.create(suspended)
			e.advance(5 * time.Second)
			e.do(func() { e.setDesiredStateOfOne(v1alpha1.DesiredCompleted) })
		}},
		{"suspend, release and suspend again", false, func(e *env) {
			e.create(suspended)
			e.advance(time.Second)
			e.do(func() { e.setDesiredStateOfOne(v1alpha1.DesiredCompleted) })
			e.advance(30 * time.Millisecond)
			e.do(func() { e.setDesiredStateOfOne(v1alpha1.DesiredSuspended) })
		}},
		{"cancel while suspended", false, func(e *env) { e.create(suspended); e.advance(time.Second); e.do(e.cancelOne) }},
		{"delete while suspended", false, func(e *env) { e.create(suspended); e.advance(time.Second); e.do(e.deleteOne) }},
		{"delete after the end", false, func(e *env) { e.create(image); e.advance(20 * time.Second); e.do(e.deleteOne) }},
		{"cancel after the end", false, func(e *env) { e.create(image); e.advance(20 * time.Second); e.do(e.cancelOne) }},
		{"orphan", true, func(e *env) { e.create(orphan); e.advance(queued); e.do(e.deleteOne) }},
		{"orphan, called off before", true, func(e *env) {
			e.create(orphan)
			e.advance(queued)
			e.do(e.cancelOne)
			e.do(e.deleteOne)
			e.advance(time.Minute)
		}},
		{"orphan, called off in doubt", true, func(e *env) {
			e.injectFault(hangAfter)
			e.create(orphan)
			e.advance(5 * time.Second)
			e.do(e.cancelOne)
			e.do(e.deleteOne)
			e.advance(2 * time.Minute)
		}},
		{"cancel meets the end", true, func(e *env) { e.create(image); e.raceOne(); e.do(e.cancelOne) }},
		{"delete meets the end", true, func(e *env) { e.create(image); e.raceOne(); e.do(e.deleteOne) }},
		{"cancel, then delete", true, func(e *env) {
			e.create(image)
			e.advance(queued)
			e.do(e.cancelOne)
			e.advance(200 * time.Millisecond)
			e.do(e.deleteOne)
		}},
		{"the namespace goes", true, func(e *env) {
			e.create(image)
			e.advance(queued)
			e.do(func() { deleteNamespace(e, picker{0}) })
		}},
		{"the Secret goes, then the object", true, func(e *env) {
			e.create(image)
			e.advance(queued)
			e.do(func() { deleteSecret(e, picker{}) })
			e.advance(5 * time.Second)
			e.do(e.deleteOne)
			e.advance(time.Minute)
		}},
	}
	list = append(list, tamperScenarios()...)
	list = append(list, specScenarios()...)
	list = append(list, refusedScenarios()...)
	list = append(list, takenBackScenarios()...)
	list = append(list, restoredScenarios()...)
	list = append(list, campaignScenarios()...)
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
		wait := func(e *env) {
			e.advance(moment.after)
			if moment.start {
				e.do(e.startAll)
				e.advance(7 * time.Second)
			}
		}
		list = append(list,
			scenario{"cancel " + moment.name, true, func(e *env) { e.create(image); wait(e); e.do(e.cancelOne) }},
			scenario{"delete " + moment.name, true, func(e *env) { e.create(image); wait(e); e.do(e.deleteOne) }},
			scenario{"the Secret is rotated " + moment.name, false, func(e *env) {
				e.create(image)
				wait(e)
				e.do(func() { e.api.putSecret(keyTwo) })
			}},
			scenario{"the Secret gets another account's key " + moment.name, false, func(e *env) {
				e.create(image)
				wait(e)
				e.do(func() { e.api.putSecret(keyOther) })
				e.advance(20 * time.Second)
			}},
		)
	}
	for _, f := range []fault{refused, reset, resetWithin, resetAfter, hang, hangAfter, truncated, badGateway, badGatewayAfter, broken, brokenAfter,
		garbageAfter, unauthorized, tooMany} {
		list = append(list,
			scenario{"submit meets " + string(f), false, func(e *env) { e.injectFault(f); e.create(image); e.advance(time.Minute) }},
			scenario{"cancel meets " + string(f), true, func(e *env) {
				e.create(image)
				e.advance(queued)
				e.injectFault(f)
				e.do(e.cancelOne)
				e.advance(time.Minute)
			}},
			scenario{"delete in doubt after " + string(f), true, func(e *env) {
				e.injectFault(f)
				e.create(image)
				e.advance(2 * time.Second)
				e.do(e.deleteOne)
				e.advance(time.Minute)
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
		list = append(list, scenario{"submit meets " + trouble.name, false, func(e *env) {
			trouble.make(e.sim)
			e.create(image)
			e.advance(20 * time.Second)
			trouble.mend(e.sim)
			e.advance(time.Minute)
		}})
	}
	return list
}

// specScenarios are the scenarios of what a spec says beside its operation.
func specScenarios() []scenario {
	both := func(first, second func() *v1alpha1.DaftyJob) func(*env) {
		return func(e *env) {
			e.create(first)
			e.advance(200 * time.Millisecond)
			e.do(func() { e.trace.add("user", "creates two"); e.api.create(second()) })
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
	deleteTwo := func(e *env) { e.trace.add("user", "deletes two"); e.api.delete("two") }
	return []scenario{
		{"a chain", false, func(e *env) { both(image, upscale("two", "one"))(e); e.advance(time.Minute) }},
		{"a chain, applied in reverse", false, func(e *env) { both(upscale("one", "two"), called("two", image))(e); e.advance(time.Minute) }},
		{"a chain whose first fails", false, func(e *env) { both(impossible, upscale("two", "one"))(e); e.advance(time.Minute) }},
		{"a chain whose first is cancelled", true, func(e *env) {
			both(image, upscale("two", "one"))(e)
			e.advance(queued)
			e.do(e.cancelOne)
			e.advance(time.Minute)
		}},
		{"a chain whose first is deleted", true, func(e *env) {
			both(image, upscale("two", "one"))(e)
			e.advance(queued)
			e.do(e.deleteOne)
			e.advance(time.Minute)
		}},
		{"a chain whose first is deleted after it was used", false, func(e *env) {
			both(image, upscale("two", "one"))(e)
			e.advance(12 * time.Second)
			e.do(e.deleteOne)
			e.advance(time.Minute)
		}},
		{"a chain whose second is deleted while it waits", true, func(e *env) {
			both(image, upscale("two", "one"))(e)
			e.advance(queued)
			e.do(func() { deleteTwo(e) })
			e.advance(time.Minute)
		}},
		{"a circle that is broken", false, func(e *env) {
			both(upscale("one", "two"), upscale("two", "one"))(e)
			e.advance(20 * time.Second)
			e.do(func() { deleteTwo(e) })
			e.advance(time.Minute)
		}},
		{"a picture is uploaded", false, func(e *env) {
			e.do(func() { e.api.putImage(logo) })
			e.create(withLogo)
			e.advance(time.Minute)
		}},
		{"a picture comes later", false, func(e *env) {
			e.create(withLogo)
			e.advance(20 * time.Second)
			e.do(func() { e.api.putImage(logo) })
			e.advance(time.Minute)
		}},
		{"it fails and is tried again", false, func(e *env) { e.create(stubborn); e.advance(3 * time.Minute) }},
		{"it fails and is cancelled before it is tried again", false, func(e *env) {
			e.create(stubborn)
			e.advance(15 * time.Second)
			e.do(e.cancelOne)
			e.advance(time.Minute)
		}},
		{"it fails and is deleted while it is tried again", false, func(e *env) {
			e.create(stubborn)
			e.advance(28 * time.Second)
			e.do(e.deleteOne)
			e.advance(time.Minute)
		}},
		{"its status is lost while it is tried again", false, func(e *env) {
			e.create(stubborn)
			e.advance(28 * time.Second)
			e.do(e.loseStatusOfOne)
			e.advance(3 * time.Minute)
		}},
		{"past its deadline", true, func(e *env) { e.create(hurried); e.advance(time.Minute) }},
		{"past its deadline in doubt", true, func(e *env) { e.injectFault(hangAfter); e.create(hurried); e.advance(2 * time.Minute) }},
		{"deleted when it has been kept for long enough", false, func(e *env) {
			e.create(func() *v1alpha1.DaftyJob {
				job := image()
				job.Spec.TTLSecondsAfterFinished = new(int32(5))
				return job
			})
			e.advance(time.Minute)
		}},
		{"a result is stored", false, func(e *env) {
			e.create(func() *v1alpha1.DaftyJob { job := image(); job.Spec.ResultConfigMap = "result"; return job })
			e.advance(time.Minute)
		}},
		{"a result is deleted", false, resultDeleted},
		{"a result is replaced", false, resultReplaced},
		{"a result loses its owner", false, resultDisowned},
		{"adopt, and cancel", true, func(e *env) { e.create(e.adopted); e.advance(queued); e.do(e.cancelOne); e.advance(time.Minute) }},
		{"adopt, and delete", true, func(e *env) { e.create(e.adopted); e.advance(queued); e.do(e.deleteOne); e.advance(time.Minute) }},
		{"adopted twice", true, func(e *env) {
			both(e.adopted, called("two", e.adopted))(e)
			e.advance(queued)
			e.do(e.deleteOne)
			e.advance(2 * time.Minute)
		}},
	}
}

// adopted is an object for the job that a person made.
func (e *env) adopted() *v1alpha1.DaftyJob {
	job := image()
	job.Spec.AdoptJobID = e.userJob(false)
	return job
}

// tamperScenarios are the scenarios in which somebody takes away what the operator goes by, and those in which it asks a
// person.
func tamperScenarios() []scenario {
	// found has a person answer for the request that everybody has lost track of: its answer was lost, with a crash,
	// and the key it was sent with is gone.
	found := func(f fault) func(*env) {
		return func(e *env) {
			e.injectFault(f)
			e.create(image)
			e.advance(5 * time.Second)
			e.do(func() {
				e.api.putSecret(keyTwo)
				for _, p := range e.processes {
					p.crash("while the answer is awaited")
				}
			})
			e.advance(2*time.Minute + userPatience)
			e.do(e.answerMessages)
			e.advance(time.Minute)
		}
	}
	return []scenario{
		{"the status is lost while queued", true, func(e *env) { e.create(image); e.advance(queued); e.do(e.loseStatusOfOne); e.advance(time.Minute) }},
		{"the status is lost while processing", true, func(e *env) {
			e.create(image)
			e.advance(queued)
			e.do(e.startAll)
			e.advance(7 * time.Second)
			e.do(e.loseStatusOfOne)
			e.advance(time.Minute)
		}},
		{"the status is lost after the end", false, func(e *env) { e.create(image); e.advance(20 * time.Second); e.do(e.loseStatusOfOne) }},
		{"the status is lost, and it is deleted", true, func(e *env) {
			e.create(image)
			e.advance(queued)
			e.do(e.loseStatusOfOne)
			e.advance(50 * time.Millisecond)
			e.do(e.deleteOne)
		}},
		{"restored from a backup without status", true, func(e *env) {
			e.create(image)
			e.advance(queued)
			e.do(func() {
				if backup := e.api.get("one"); backup != nil {
					e.trace.add("user", "restores one, without status")
					e.api.vanish("one")
					e.api.createFrom(backup, true)
				}
			})
			e.advance(time.Minute)
		}},
		{"orphaned, and re-created with its annotation", true, func(e *env) {
			e.create(orphan)
			e.advance(queued)
			e.do(e.deleteOne)
			e.advance(time.Minute)
			e.do(func() {
				if e.api.get("one") == nil {
					e.trace.add("user", "creates one again, with the annotations that it had")
					e.api.createFrom(e.api.lastOf("one"), false)
				}
			})
			e.advance(time.Minute)
			e.do(e.cancelOne)
		}},
		{"the finalizer is taken off, and it is deleted later", true, finalizerTakenOff},
		{"the annotation is taken off, and the status is lost later", true, func(e *env) {
			e.create(image)
			e.advance(queued)
			e.do(func() { e.api.takeAnnotationOff("one") })
			e.advance(time.Minute)
			e.do(e.expectHeld)
			e.do(e.loseStatusOfOne)
		}},
		{"a refusal is repeated whose cause is gone", false, refusalRemembered},
		{"a person finds the job", true, found(hangAfter)},
		{"a person finds that there is none", false, found(hang)},
	}
}

// finalizerTakenOff has somebody take the finalizer off a running job, and delete it later.
func finalizerTakenOff(e *env) {
	e.create(image)
	e.advance(queued)
	e.do(func() { e.api.takeFinalizerOff("one") })
	e.advance(time.Minute)
	e.do(e.expectHeld)
	e.do(e.deleteOne)
}

// expectHeld is asked when the operator has had time to put back what was taken off.
func (e *env) expectHeld() {
	job := e.api.get("one")
	if job == nil {
		e.invariants.violated("stuck: one is gone")
		return
	}
	if !slices.Contains(job.Finalizers, v1alpha1.CancelFinalizer) || lifecycle.Annotated(job) != job.Status.JobID {
		e.invariants.violated("left running: if one goes or its status is lost, nobody cancels its job: finalizers %q, annotation %q", job.Finalizers, lifecycle.Annotated(job))
	}
}

// refusalRemembered has a request refused whose answer is lost, and Dafty repeat the refusal when its cause is gone.
func refusalRemembered(e *env) {
	v := e.variants
	v.RefusedKey = daftysim.RefusedKeySame
	e.sim.SetVariants(v)
	e.sim.SetCredits(acme, 0)
	e.injectFault(hangAfter)
	e.create(image)
	e.advance(2 * time.Minute)
	e.sim.SetCredits(acme, daftysim.DefaultCredits)
	e.advance(userPatience)
	e.do(e.answerMessages)
	e.advance(time.Minute)
}

// loseStatusOfOne does nothing before the annotation is there, without which nothing is promised.
func (e *env) loseStatusOfOne() {
	if job := e.api.get("one"); job != nil && lifecycle.Annotated(job) != "" {
		e.trace.add("user", "empties the status of one")
		e.api.loseStatus("one")
	}
}

// options are those of a scenario's world.
func (s scenario) options(variants daftysim.Variants) options {
	return options{seed: 1, replicas: 1, variants: variants, pending: 4 * time.Second, processing: 5 * time.Second, manual: s.manual, creating: time.Second}
}

// injectFault has every call to Dafty go wrong in this way for 10 s.
func (e *env) injectFault(f fault) {
	e.do(func() { e.daftyFaults = faults{kinds: []fault{f}, odds: 8, until: time.Now().Add(10 * time.Second)} })
}

// create creates the Secret and the object.
func (e *env) create(job func() *v1alpha1.DaftyJob) {
	e.do(func() {
		e.api.putSecret(keyOne)
		e.trace.add("user", "creates one")
		e.api.create(job())
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

func (e *env) setDesiredStateOfOne(state v1alpha1.DesiredState) {
	if e.api.get("one") == nil {
		return
	}
	e.trace.add("user", "wants one to be %s", state)
	e.api.change("one", func(job *v1alpha1.DaftyJob) { job.Spec.DesiredState = state })
}

func (e *env) cancelOne() { e.setDesiredStateOfOne(v1alpha1.DesiredCancelled) }

func (e *env) deleteOne() {
	e.trace.add("user", "deletes one")
	e.api.delete("one")
}

// startAll has Dafty begin with every job.
func (e *env) startAll() {
	for _, entry := range e.sim.Running() {
		e.trace.add("world", "job %s starts", shortID(entry.JobID))
		_ = e.sim.Start(entry.JobID) // it may have
	}
}

// raceOne has the job process, and its next cancel meet its end.
func (e *env) raceOne() {
	e.advance(queued)
	e.do(func() {
		e.startAll()
		for _, entry := range e.sim.Running() {
			_ = e.sim.RaceCancel(entry.JobID) // it may have ended
		}
	})
}
