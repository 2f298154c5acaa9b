package simulation

import (
	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

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
