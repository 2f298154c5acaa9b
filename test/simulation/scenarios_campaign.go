package simulation

import (
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// campaignScenarios are the scenarios in which DaftyJobs refer to images of others, in all fields that may. Under every reading of what
// names an image they complete, and each is paid for once.
func campaignScenarios() []scenario {
	return []scenario{
		{"a campaign", false, func(e *env) { campaign(e, startClip(0, 1), editOf(1)) }},
		{"a campaign with keys of its own", false, func(e *env) {
			campaign(e, withOwnKey(startClip(0, 1)), withOwnKey(editOf(1)))
		}},
		{"a campaign of first images", false, func(e *env) { campaign(e, clipOf(0), editOf(0)) }},
	}
}

// campaign makes two images, and two DaftyJobs that use them.
func campaign(e *env, second, third func() *v1alpha1.DaftyJob) {
	e.create(func() *v1alpha1.DaftyJob {
		job := image()
		job.Spec.ImageGenerate.Variations = new(int32(2))
		return job
	})
	e.advance(200 * time.Millisecond)
	e.do(func() {
		e.trace.add("user", "creates two and three, which use its images")
		for _, job := range []*v1alpha1.DaftyJob{second(), third()} {
			if job.Spec.IdempotencyKey != "" {
				job.Spec.IdempotencyKey = e.api.ownKey()
			}
			e.api.create(job)
		}
	})
	e.advance(8 * time.Minute)
	if e.variants.VariationBound != daftysim.VariationsOne {
		e.do(func() { e.expectCompleted("one", "two", "three") })
	}
}

// expectCompleted checks that all have completed, and that each was paid for once.
func (e *env) expectCompleted(names ...string) {
	for _, name := range names {
		if job := e.api.get(name); job == nil || job.Status.Phase != v1alpha1.PhaseCompleted {
			e.invariants.violated("stuck: %s hasn't completed: %s", name, describe(e.api.lastOf(name)))
		}
	}
	if made := len(e.sim.Ledger()); made != len(names) {
		kind := "paid twice"
		if made < len(names) {
			kind = "stuck"
		}
		e.invariants.violated("%s: %d jobs were made for %d DaftyJobs", kind, made, len(names))
	}
}

func imageOf(index int32) *v1alpha1.JobReference {
	return &v1alpha1.JobReference{Name: "one", Index: index}
}

func clipOf(index int32) func() *v1alpha1.DaftyJob {
	return func() *v1alpha1.DaftyJob {
		job := named(v1alpha1.DaftyJobSpec{ImageToVideo: &v1alpha1.ImageToVideo{Image: v1alpha1.ImageReference{JobRef: imageOf(index)}, Prompt: "it moves"}})
		job.Name = "two"
		return job
	}
}

func startClip(start, end int32) func() *v1alpha1.DaftyJob {
	return func() *v1alpha1.DaftyJob {
		job := named(v1alpha1.DaftyJobSpec{VideoFrames: &v1alpha1.VideoFrames{
			StartImage: v1alpha1.ImageReference{JobRef: imageOf(start)}, EndImage: v1alpha1.ImageReference{JobRef: imageOf(end)}, Prompt: "it moves",
		}})
		job.Name = "two"
		return job
	}
}

// editOf works on the first image, by the example of another.
func editOf(reference int32) func() *v1alpha1.DaftyJob {
	return func() *v1alpha1.DaftyJob {
		job := named(v1alpha1.DaftyJobSpec{ImageEdit: &v1alpha1.ImageEdit{
			Image: v1alpha1.ImageTarget{JobRef: imageOf(0)}, Prompt: "a hat", References: []v1alpha1.ImageReference{{JobRef: imageOf(reference)}},
		}})
		job.Name = "three"
		return job
	}
}

// withOwnKey marks a DaftyJob to get a key of the user's own when it is created.
func withOwnKey(of func() *v1alpha1.DaftyJob) func() *v1alpha1.DaftyJob {
	return func() *v1alpha1.DaftyJob {
		job := of()
		job.Spec.IdempotencyKey = ownKeys
		return job
	}
}
