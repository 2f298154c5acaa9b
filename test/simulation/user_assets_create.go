package simulation

import (
	"fmt"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// assetNames are the names that DaftyAssets have.
var assetNames = []string{"hero", "look", "clip"}

func (p *picker) asset() string { return assetNames[p.n(len(assetNames))] }

// sharedKeys is how the idempotencyKey of a template begins here. Others than DaftyJobs' keys are those of several objects, one after
// the other, which is what they are for.
const sharedKeys = "shared-"

// createAsset creates a DaftyAsset, or one that was there before by what Git has of it.
func createAsset(e *env, p picker) {
	name := p.asset()
	if e.api.asset(name) != nil || e.api.terminating {
		return
	}
	if len(e.api.assetHistory) == 0 && p.n(8) != 0 {
		e.trace.add("user", "creates the Secret")
		e.api.putSecret(keyOne)
	}
	asset := &v1alpha1.DaftyAsset{}
	asset.Name = name
	if spec, known := e.git[name]; known && p.n(2) == 0 {
		asset.Spec = *spec.DeepCopy()
		e.trace.add("user", "creates DaftyAsset %s again, as Git has it", name)
	} else {
		what := drawTemplate(e, &p, name, &asset.Spec.Template.Spec)
		drawPolicies(&p, name, &asset.Spec)
		e.trace.add("user", "creates DaftyAsset %s: %s%s", name, what, describePolicies(&asset.Spec))
		e.git[name] = *asset.Spec.DeepCopy()
	}
	e.api.createAsset(asset)
}

var prompts = []v1alpha1.Prompt{"a mountain", "a lake", "a fox"}

// drawTemplate sets a template's operation, and returns it in words.
func drawTemplate(_ *env, p *picker, name string, spec *v1alpha1.DaftyJobSpec) string {
	spec.ImageGenerate, spec.ImageEdit, spec.ImageUpscale, spec.ImageToVideo, spec.StyleExtract = nil, nil, nil, nil, nil
	of := p.asset()
	for of == name && p.n(8) != 0 {
		of = p.asset() // to refer to itself is rare
	}
	prompt := pick(p, prompts...)
	switch p.n(16) {
	case 0, 1:
		spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: prompt, Style: &v1alpha1.StyleSource{AssetRef: &v1alpha1.StyleAssetReference{Name: of}}}
		return fmt.Sprintf("%s in the style of %s", prompt, of)
	case 2, 3:
		ref := &v1alpha1.AssetReference{Name: of, Index: pick(p, int32(0), 0, 1)}
		spec.ImageUpscale = &v1alpha1.ImageUpscale{Image: v1alpha1.ImageTarget{AssetRef: ref}}
		return fmt.Sprintf("an upscale of the image %d of %s", ref.Index, of)
	case 4:
		spec.ImageEdit = &v1alpha1.ImageEdit{Image: v1alpha1.ImageTarget{AssetRef: &v1alpha1.AssetReference{Name: of}}, Prompt: prompt}
		return fmt.Sprintf("an edit of %s", of)
	case 5:
		spec.ImageToVideo = &v1alpha1.ImageToVideo{Image: v1alpha1.ImageReference{AssetRef: &v1alpha1.AssetReference{Name: of}}, Prompt: "it moves"}
		return fmt.Sprintf("a video of %s", of)
	case 6:
		spec.ImageToVideo = &v1alpha1.ImageToVideo{Image: v1alpha1.ImageReference{URL: "https://example.com/a.png"}, Prompt: "it moves"}
		return "a video"
	case 7:
		spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: daftysim.DefaultFailWord}
		return "an image that can't be made"
	case 8:
		spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: "too many", Variations: new(int32(99))}
		return "what Dafty refuses"
	case 9:
		spec.StyleExtract = &v1alpha1.StyleExtract{URL: "https://example.com/brand"}
		return "a style"
	case 10:
		job := p.job()
		spec.ImageUpscale = &v1alpha1.ImageUpscale{Image: v1alpha1.ImageTarget{JobRef: &v1alpha1.JobReference{Name: job}}}
		return "an upscale of DaftyJob " + job
	}
	spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: prompt}
	return string(prompt)
}

// drawPolicies sets what a spec says beside its template's operation.
func drawPolicies(p *picker, name string, spec *v1alpha1.DaftyAssetSpec) {
	if p.n(5) == 0 {
		spec.ChangePolicy = v1alpha1.ChangeManual
	}
	spec.FollowInputs = p.n(2) == 0
	spec.Suspend = p.n(12) == 0
	if p.n(2) == 0 {
		spec.HistoryLimit = new(pick(p, int32(0), 1, 2, 3))
	}
	if p.n(3) == 0 {
		spec.ResultConfigMap = "result-of-" + pick(p, name, name, name, p.job())
	}
	if p.n(5) == 0 {
		spec.Template.Spec.IdempotencyKey = sharedKeys + name
	}
	if p.n(4) == 0 {
		spec.Template.Spec.BackoffLimit = new(pick(p, int32(1), 2))
	}
	if p.n(10) == 0 {
		spec.Template.Spec.DeletionPolicy = v1alpha1.DeletionOrphan
	}
	if p.n(10) == 0 {
		spec.Template.Spec.ActiveDeadlineSeconds = new(pick(p, int64(1), 60, 3600))
	}
}

func describePolicies(spec *v1alpha1.DaftyAssetSpec) (text string) {
	if spec.ChangePolicy == v1alpha1.ChangeManual {
		text += ", Manual"
	}
	if spec.FollowInputs {
		text += ", followInputs"
	}
	if spec.Suspend {
		text += ", suspend"
	}
	if n := spec.HistoryLimit; n != nil {
		text += fmt.Sprintf(", historyLimit %d", *n)
	}
	if name := spec.ResultConfigMap; name != "" {
		text += ", resultConfigMap " + name
	}
	if key := spec.Template.Spec.IdempotencyKey; key != "" {
		text += ", idempotencyKey " + key
	}
	return text + describeLimits(&v1alpha1.DaftyJob{Spec: v1alpha1.DaftyJobSpec{
		BackoffLimit: spec.Template.Spec.BackoffLimit, ActiveDeadlineSeconds: spec.Template.Spec.ActiveDeadlineSeconds,
	}})
}
