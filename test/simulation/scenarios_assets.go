package simulation

import (
	"maps"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// assetScenario is a short life of one or two DaftyAssets, to be crashed at each point.
type assetScenario struct {
	scenario
	// most is how many jobs Dafty may make in it.
	most int
}

// made is long enough for a change to be made in a scenario, also where a crash meets it.
const made = time.Minute

// assetScenarios are the fixed list.
func assetScenarios() []assetScenario {
	list := []struct {
		name string
		most int
		play func(e *env)
	}{
		{"a DaftyAsset", 1, func(e *env) { e.createHero(picture("a mountain")) }},
		{"a change", 2, changed},
		{"a change that is overtaken", 3, overtaken},
		{"a change that is overtaken, and wanted again", 4, func(e *env) { overtakenAndBack(e, "") }},
		{"a change that is overtaken, and wanted again, with a key of its own", 4, func(e *env) { overtakenAndBack(e, sharedKeys+"hero") }},
		{"a change that is taken back while it is made", 2, func(e *env) {
			e.createHero(picture("a mountain"))
			e.prompt("a lake", 3*time.Second)
			e.prompt("a mountain", made)
		}},
		{"a revert", 2, reverted},
		{"a change that fails", 2, func(e *env) {
			e.createHero(picture("a mountain"))
			e.prompt(daftysim.DefaultFailWord, made)
		}},
		{"a change that Dafty refuses", 1, func(e *env) {
			e.createHero(picture("a mountain"))
			e.edit("hero", func(spec *v1alpha1.DaftyAssetSpec) { spec.Template.Spec.ImageGenerate.Variations = new(int32(99)) }, made)
		}},
		{"approved by the annotation", 1, approved},
		{"approved by the DaftyJob", 1, func(e *env) {
			e.createHero(manual)
			e.do(func() {
				if p := e.api.asset("hero").Status.Pending; p != nil && e.api.get(p.JobName) != nil {
					e.api.change(p.JobName, func(job *v1alpha1.DaftyJob) { job.Spec.DesiredState = v1alpha1.DesiredCompleted })
				}
			})
			e.advance(made)
		}},
		{"restored without status", 1, func(e *env) { restoredAs(e, "a mountain", false) }},
		{"restored with status", 1, func(e *env) { restoredAs(e, "a mountain", true) }},
		{"restored with the status of while a DaftyJob was to be made again", 4, restoredBetween},
		{"restored without status, with another template", 2, func(e *env) { restoredAs(e, "a lake", false) }},
		{"a history that is full", 4, func(e *env) {
			e.createHero(func(spec *v1alpha1.DaftyAssetSpec) { picture("a mountain")(spec); spec.HistoryLimit = new(int32(1)) })
			for _, prompt := range []v1alpha1.Prompt{"a lake", "a fox", "a mountain"} {
				e.prompt(prompt, made)
			}
		}},
		{"a change with a ConfigMap", 2, changedInConfigMap},
		{"a ConfigMap that is deleted", 1, func(e *env) {
			e.createHero(stored)
			e.do(func() { e.api.putConfigMap("result-of-hero", nil) })
			e.advance(made)
		}},
		{"a change upstream that is followed", 4, followed},
		{"a change upstream and here at once", 4, func(e *env) {
			e.createBoth()
			e.do(func() {
				e.editNow("hero", func(spec *v1alpha1.DaftyAssetSpec) { spec.Revision = "spring" })
				e.editNow("look", picture("a lake"))
			})
			e.advance(3 * made)
		}},
		{"a deletion while it is made", 1, func(e *env) {
			e.createNow("hero", picture("a mountain"))
			e.advance(3 * time.Second)
			e.do(func() { e.api.deleteAsset("hero") })
			e.advance(made)
		}},
		{"a DaftyJob that is deleted", 1, jobDeleted},
	}
	scenarios := make([]assetScenario, 0, len(list))
	for _, s := range list {
		scenarios = append(scenarios, assetScenario{scenario{s.name, false, s.play}, s.most})
	}
	return append(scenarios, refusedAssetScenarios()...)
}

// picture makes a spec ask for an image.
func picture(prompt v1alpha1.Prompt) func(*v1alpha1.DaftyAssetSpec) {
	return func(spec *v1alpha1.DaftyAssetSpec) {
		spec.Template.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: prompt}
	}
}

func manual(spec *v1alpha1.DaftyAssetSpec) {
	picture("a mountain")(spec)
	spec.ChangePolicy = v1alpha1.ChangeManual
}

func stored(spec *v1alpha1.DaftyAssetSpec) {
	picture("a mountain")(spec)
	spec.ResultConfigMap = "result-of-hero"
}

// createNow creates the Secret and a DaftyAsset.
func (e *env) createNow(name string, edit func(*v1alpha1.DaftyAssetSpec)) {
	e.do(func() {
		e.api.putSecret(keyOne)
		asset := &v1alpha1.DaftyAsset{}
		asset.Name = name
		edit(&asset.Spec)
		e.trace.add("user", "creates DaftyAsset %s", name)
		e.api.createAsset(asset)
	})
}

// createHero creates a DaftyAsset, and lets it be made.
func (e *env) createHero(edit func(*v1alpha1.DaftyAssetSpec)) {
	e.createNow("hero", edit)
	e.advance(made)
}

// createBoth creates two DaftyAssets, of which one follows the other, and lets them be made.
func (e *env) createBoth() {
	e.createNow("hero", func(spec *v1alpha1.DaftyAssetSpec) {
		spec.Template.Spec.ImageUpscale = &v1alpha1.ImageUpscale{Image: v1alpha1.ImageTarget{AssetRef: &v1alpha1.AssetReference{Name: "look"}}}
		spec.FollowInputs = true
	})
	e.createNow("look", picture("a mountain"))
	e.advance(3 * made)
}

// editNow changes the spec of a DaftyAsset. The caller holds the lock.
func (e *env) editNow(name string, edit func(*v1alpha1.DaftyAssetSpec)) {
	e.trace.add("user", "changes DaftyAsset %s", name)
	e.api.changeAsset(name, func(asset *v1alpha1.DaftyAsset) { edit(&asset.Spec) })
}

// edit changes the spec of a DaftyAsset, and lets time go by.
func (e *env) edit(name string, edit func(*v1alpha1.DaftyAssetSpec), then time.Duration) {
	e.do(func() { e.editNow(name, edit) })
	e.advance(then)
}

func (e *env) prompt(to v1alpha1.Prompt, then time.Duration) { e.edit("hero", picture(to), then) }

func changed(e *env) {
	e.createHero(picture("a mountain"))
	e.prompt("a lake", made)
}

func overtaken(e *env) {
	e.createHero(picture("a mountain"))
	e.prompt("a lake", 3*time.Second)
	e.prompt("a fox", made)
}

func overtakenAndBack(e *env, key string) {
	e.createHero(func(spec *v1alpha1.DaftyAssetSpec) {
		picture("a mountain")(spec)
		spec.Template.Spec.IdempotencyKey = key
	})
	e.prompt("a lake", 3*time.Second)
	e.prompt("a fox", 2*time.Second)
	e.prompt("a lake", 2*made)
}

func reverted(e *env) {
	changed(e)
	e.prompt("a mountain", made)
}

func changedInConfigMap(e *env) {
	e.createHero(stored)
	e.prompt("a lake", made)
}

func followed(e *env) {
	e.createBoth()
	e.edit("look", picture("a lake"), 3*made)
}

func approved(e *env) {
	e.createHero(manual)
	e.do(func() {
		pending := e.api.asset("hero").Status.Pending
		if pending == nil {
			return
		}
		e.api.changeAsset("hero", func(asset *v1alpha1.DaftyAsset) {
			asset.Annotations = maps.Clone(asset.Annotations)
			if asset.Annotations == nil {
				asset.Annotations = map[string]string{}
			}
			asset.Annotations[v1alpha1.ApprovedAnnotation] = pending.Hash
		})
	})
	e.advance(made)
}

// restoredAs restores a DaftyAsset once its result is there, with a template for another prompt or the same.
func restoredAs(e *env, prompt v1alpha1.Prompt, status bool) {
	e.createHero(picture("a mountain"))
	e.advance(time.Minute) // it is to be annotated, whatever crashes
	e.do(func() {
		backup := e.api.assets["hero"]
		backup.object = backup.object.DeepCopy()
		picture(prompt)(&backup.object.Spec)
		e.trace.add("user", "restores DaftyAsset hero, with its status: %t", status)
		e.api.restoreAsset(backup, status)
	})
	e.advance(2 * made)
}

// restoredBetween restores a DaftyAsset as it was while a DaftyJob that it had called off was to be made again, which it has been since.
func restoredBetween(e *env) {
	overtakenAndBack(e, "")
	e.do(func() {
		for _, backup := range e.api.assetBackups("hero") {
			if p := backup.object.Status.Pending; p != nil && p.UID == "" {
				e.trace.add("user", "restores DaftyAsset hero as it was at version %d, with its status", backup.revision)
				e.api.restoreAsset(backup, true)
				return
			}
		}
	})
	e.advance(2 * made)
}

// jobDeleted deletes a DaftyJob while it runs.
func jobDeleted(e *env) {
	e.createNow("hero", picture("a mountain"))
	e.advance(4 * time.Second)
	e.do(func() {
		if p := e.api.asset("hero").Status.Pending; p != nil && p.UID != "" && e.api.get(p.JobName) != nil {
			e.trace.add("user", "deletes %s", p.JobName)
			e.invariants.assets.removed[p.UID] = true
			e.api.delete(p.JobName)
		}
	})
	e.advance(2 * made)
}
