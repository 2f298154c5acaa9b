package simulation

import (
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// specScenarios are the scenarios of what a spec says beside its operation.
func specScenarios() []scenario { //nolint:funlen // It is a list.
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
		{"an image is uploaded", false, func(e *env) {
			e.do(func() { e.api.putImage(logo) })
			e.create(withLogo)
			e.advance(time.Minute)
		}},
		{"an image comes later", false, func(e *env) {
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

// adopted returns an object for the job that a user made.
func (e *env) adopted() *v1alpha1.DaftyJob {
	job := image()
	job.Spec.AdoptJobID = e.userJob(false)
	return job
}
