package simulation

import (
	"bytes"
	"fmt"
	stdimage "image"
	"image/png"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

func createJob(e *env, p picker) {
	name := p.job()
	if e.api.get(name) != nil || e.api.terminating {
		return
	}
	if old := e.api.lastOf(name); old != nil && p.n(3) == 0 {
		e.trace.add("user", "creates %s again, with the annotations that it had", name)
		e.api.createFrom(old, false)
		return
	}
	job := &v1alpha1.DaftyJob{}
	job.Name = name
	searches := picker{bits: p.bits ^ 0x5ea4c4}
	what := drawOperation(e, &p, job)
	what += drawSearch(e, searches, job)
	drawLimits(e, &p, job)
	e.trace.add("user", "creates %s: %s, %q %s%s", name, what, job.Spec.DesiredState, job.Spec.DeletionPolicy, describeLimits(job))
	if len(e.api.history) == 0 && p.n(8) != 0 {
		e.trace.add("user", "creates the Secret")
		e.api.putSecret(keyOne)
	}
	e.api.create(job)
}

// drawOperation sets a spec's operation, and returns it in words.
func drawOperation(e *env, p *picker, job *v1alpha1.DaftyJob) string {
	what := "an image"
	switch p.n(14) {
	case 8:
		of := &v1alpha1.JobReference{Name: p.job(), Index: pick(p, int32(0), 1)}
		what = "an upscale of " + of.Name
		job.Spec.ImageUpscale = &v1alpha1.ImageUpscale{Image: v1alpha1.ImageTarget{JobRef: of}}
	case 9:
		of := p.job()
		what = "an image in the style of " + of
		job.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: "a mountain", Style: &v1alpha1.StyleSource{JobRef: &v1alpha1.StyleJobReference{Name: of}}}
	case 10:
		of := p.job()
		what = "an image with a logo and the image of " + of
		job.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: "a mountain", References: []v1alpha1.ImageReference{
			logoReference(), {JobRef: &v1alpha1.JobReference{Name: of}},
		}}
	case 11:
		what = "an image with a logo"
		job.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: "a mountain", References: []v1alpha1.ImageReference{logoReference()}}
	case 12:
		what = "what a user made"
		job.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: "a mountain"}
		job.Spec.AdoptJobID = e.userJob(p.n(2) == 0)
	case 13:
		of := &v1alpha1.JobReference{Name: p.job()}
		by := &v1alpha1.JobReference{Name: p.job(), Index: pick(p, int32(0), 1)}
		what = fmt.Sprintf("an edit of %s by the image %d of %s", of.Name, by.Index, by.Name)
		job.Spec.ImageEdit = &v1alpha1.ImageEdit{Image: v1alpha1.ImageTarget{JobRef: of}, Prompt: "a hat", References: []v1alpha1.ImageReference{{JobRef: by}}}
	case 0:
		what = "a style"
		job.Spec.StyleExtract = &v1alpha1.StyleExtract{URL: "https://example.com/brand"}
	case 1:
		what = "a video"
		job.Spec.ImageToVideo = &v1alpha1.ImageToVideo{Image: v1alpha1.ImageReference{URL: "https://example.com/a.png"}, Prompt: "it moves"}
	case 2:
		what = "an image that can't be made"
		job.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: daftysim.DefaultFailWord}
	case 3:
		what = "what Dafty refuses"
		job.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: "too many", Variations: new(int32(99))}
	default:
		job.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: "a mountain"}
	}
	return what
}

// drawLimits sets what a spec may say beside its operation.
func drawLimits(e *env, p *picker, job *v1alpha1.DaftyJob) {
	job.Spec.DesiredState = pick(p, "", "", "", v1alpha1.DesiredCompleted, v1alpha1.DesiredCompleted, v1alpha1.DesiredSuspended)
	if p.n(8) == 0 {
		job.Spec.DeletionPolicy = v1alpha1.DeletionOrphan
	}
	if p.n(3) == 0 && job.Spec.AdoptJobID == "" {
		job.Spec.BackoffLimit = new(pick(p, int32(1), 2))
	}
	if p.n(6) == 0 {
		job.Spec.ActiveDeadlineSeconds = new(pick(p, int64(1), 10, 60, 3600))
	}
	if p.n(8) == 0 && job.Spec.AdoptJobID == "" {
		job.Spec.StartingDeadlineSeconds = new(pick(p, int64(1), 10, 60, 3600))
	}
	if p.n(8) == 0 {
		job.Spec.TTLSecondsAfterFinished = new(pick(p, int32(0), 10, 600))
	}
	if p.n(4) == 0 {
		job.Spec.ResultConfigMap = "result-of-" + p.job()
	}
	if p.n(4) == 0 && job.Spec.AdoptJobID == "" {
		job.Spec.IdempotencyKey = e.api.ownKey()
	}
}

// describeLimits are what a spec sets of these, in a few words.
func describeLimits(job *v1alpha1.DaftyJob) string {
	var text string
	if n := job.Spec.BackoffLimit; n != nil {
		text += fmt.Sprintf(", backoffLimit %d", *n)
	}
	if n := job.Spec.ActiveDeadlineSeconds; n != nil {
		text += fmt.Sprintf(", activeDeadlineSeconds %d", *n)
	}
	if n := job.Spec.StartingDeadlineSeconds; n != nil {
		text += fmt.Sprintf(", startingDeadlineSeconds %d", *n)
	}
	if n := job.Spec.TTLSecondsAfterFinished; n != nil {
		text += fmt.Sprintf(", ttlSecondsAfterFinished %d", *n)
	}
	if key := job.Spec.IdempotencyKey; key != "" {
		text += ", idempotencyKey " + key
	}
	return text
}

// userJob returns the id of a job that a user made at Dafty, the newest one or a new one.
func (e *env) userJob(anew bool) string {
	if e.lastUserJob == "" || anew {
		e.lastUserJob = e.sim.AddJob(acme, daftysim.PersonJob{})
	}
	return e.lastUserJob
}

// logo is an image that Dafty takes.
var logo = func() []byte {
	var to bytes.Buffer
	if err := png.Encode(&to, stdimage.NewGray(stdimage.Rect(0, 0, 8, 8))); err != nil {
		panic(err)
	}
	return to.Bytes()
}()
