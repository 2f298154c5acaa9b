package simulation

import (
	"fmt"
	"maps"
	"slices"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// commit changes the spec of a DaftyAsset, mostly in Git too.
func (e *env) commit(p *picker, name, what string, edit func(*v1alpha1.DaftyAssetSpec)) {
	asset := e.api.asset(name)
	if asset == nil || asset.DeletionTimestamp != nil {
		return
	}
	inGit := p.n(4) != 0
	e.trace.add("user", "%s of DaftyAsset %s, in Git: %t", what, name, inGit)
	e.api.changeAsset(name, func(asset *v1alpha1.DaftyAsset) { edit(&asset.Spec) })
	if inGit {
		e.git[name] = *e.api.asset(name).Spec.DeepCopy()
	}
}

// changeTemplate changes what a DaftyAsset asks for.
func changeTemplate(e *env, p picker) {
	name := p.asset()
	asset := e.api.asset(name)
	if asset == nil {
		return
	}
	spec := asset.Spec.Template.Spec.DeepCopy()
	what := "changes the prompt"
	switch image := spec.ImageGenerate; {
	case image != nil && p.n(3) != 0:
		image.Prompt = pick(&p, prompts...)
		what += " to " + string(image.Prompt)
	default:
		what = "changes the template to " + drawTemplate(e, &p, name, spec)
	}
	e.commit(&p, name, what, func(to *v1alpha1.DaftyAssetSpec) { to.Template.Spec = *spec })
}

func changeRevision(e *env, p picker) {
	to := pick(&p, "", "again", "once more")
	e.commit(&p, p.asset(), fmt.Sprintf("sets the revision %q", to), func(spec *v1alpha1.DaftyAssetSpec) { spec.Revision = to })
}

// revert puts the template and revision back that a DaftyAsset had some time before.
func revert(e *env, p picker) {
	name := p.asset()
	backups := e.api.assetBackups(name)
	if len(backups) == 0 {
		return
	}
	to := backups[p.n(len(backups))].object
	e.commit(&p, name, "puts back the template of version "+to.ResourceVersion, func(spec *v1alpha1.DaftyAssetSpec) {
		spec.Template, spec.Revision = *to.Spec.Template.DeepCopy(), to.Spec.Revision
	})
}

// changePolicy changes what a spec says beside its template and revision.
func changePolicy(e *env, p picker) {
	name := p.asset()
	var draw v1alpha1.DaftyAssetSpec
	drawPolicies(&p, name, &draw)
	what := p.n(6)
	e.commit(&p, name, "changes the policies to"+describePolicies(&draw), func(spec *v1alpha1.DaftyAssetSpec) {
		switch what {
		case 0:
			spec.ChangePolicy = draw.ChangePolicy
		case 1:
			spec.FollowInputs = !spec.FollowInputs
		case 2:
			spec.HistoryLimit = draw.HistoryLimit
		case 3:
			spec.ResultConfigMap = draw.ResultConfigMap
		case 4:
			spec.Template.Spec.BackoffLimit, spec.Template.Spec.DeletionPolicy = draw.Template.Spec.BackoffLimit, draw.Template.Spec.DeletionPolicy
		case 5:
			spec.Template.Metadata = &v1alpha1.JobTemplateMetadata{Labels: map[string]v1alpha1.LabelValue{"team": "web"}}
		}
	})
}

func suspendAsset(e *env, p picker) {
	name, to := p.asset(), p.n(3) == 0
	if asset := e.api.asset(name); asset != nil && asset.Spec.Suspend != to {
		e.commit(&p, name, fmt.Sprintf("sets suspend to %t", to), func(spec *v1alpha1.DaftyAssetSpec) { spec.Suspend = to })
	}
}

// approve allows a change, by the annotation or by the DaftyJob.
func approve(e *env, p picker) {
	name := p.asset()
	asset := e.api.asset(name)
	if asset == nil || asset.Status.Pending == nil {
		return
	}
	pending := asset.Status.Pending
	if job := e.api.get(pending.JobName); job != nil && p.n(2) == 0 {
		e.trace.add("user", "releases %s", job.Name)
		e.api.change(job.Name, func(job *v1alpha1.DaftyJob) { job.Spec.DesiredState = v1alpha1.DesiredCompleted })
		return
	}
	e.trace.add("user", "approves %s of DaftyAsset %s", pending.Hash, name)
	e.api.changeAsset(name, func(asset *v1alpha1.DaftyAsset) {
		asset.Annotations = maps.Clone(asset.Annotations)
		if asset.Annotations == nil {
			asset.Annotations = map[string]string{}
		}
		asset.Annotations[v1alpha1.ApprovedAnnotation] = pending.Hash
	})
}

// deleteAsset deletes a DaftyAsset in one of the ways there are.
func deleteAsset(e *env, p picker) {
	name := p.asset()
	asset := e.api.asset(name)
	if asset == nil {
		return
	}
	switch p.n(6) {
	case 0, 1:
		e.trace.add("user", "deletes DaftyAsset %s in the foreground", name)
		e.api.deleteAssetInForeground(name)
	case 2:
		e.trace.add("user", "deletes DaftyAsset %s, and leaves its DaftyJobs", name)
		e.api.disown(asset.UID)
		e.api.deleteAsset(name)
	default:
		e.trace.add("user", "deletes DaftyAsset %s", name)
		e.api.deleteAsset(name)
	}
}

// rename moves a DaftyAsset to another name, as a change of metadata.name in Git does.
func rename(e *env, p picker) {
	from, to := p.asset(), p.asset()
	asset := e.api.asset(from)
	if asset == nil || e.api.asset(to) != nil || e.api.terminating {
		return
	}
	e.trace.add("user", "renames DaftyAsset %s to %s", from, to)
	moved := &v1alpha1.DaftyAsset{Spec: *asset.Spec.DeepCopy()}
	moved.Name, moved.Annotations = to, maps.Clone(asset.Annotations)
	e.git[to] = *asset.Spec.DeepCopy()
	e.api.deleteAsset(from)
	e.api.createAsset(moved)
}

// resync puts what Git has in the place of a DaftyAsset: by a replace, which drops all annotations, or by --force.
func resync(e *env, p picker) {
	name := p.asset()
	spec, known := e.git[name]
	asset := e.api.asset(name)
	if !known || e.api.terminating || asset != nil && asset.DeletionTimestamp != nil {
		return
	}
	switch how := p.n(5); {
	case asset == nil || how == 0:
		e.trace.add("tool", "deletes DaftyAsset %s and creates it as Git has it", name)
		e.api.deleteAsset(name)
		anew := &v1alpha1.DaftyAsset{Spec: *spec.DeepCopy()}
		anew.Name = name
		e.api.createAsset(anew)
	case how < 3:
		e.trace.add("tool", "replaces DaftyAsset %s by what Git has", name)
		e.api.changeAsset(name, func(asset *v1alpha1.DaftyAsset) { asset.Annotations, asset.Spec = nil, *spec.DeepCopy() })
	default:
		e.trace.add("tool", "applies DaftyAsset %s as Git has it", name)
		e.api.changeAsset(name, func(asset *v1alpha1.DaftyAsset) { asset.Spec = *spec.DeepCopy() })
	}
}

// meddle does to a DaftyJob of a DaftyAsset what users should leave to that.
func meddle(e *env, p picker) {
	var jobs []*v1alpha1.DaftyJob
	for _, job := range all(e.api.jobs) {
		if _, _, made := lifecycle.MadeBy(job); made && job.DeletionTimestamp == nil {
			jobs = append(jobs, job)
		}
	}
	if len(jobs) == 0 {
		return
	}
	job := jobs[p.n(len(jobs))]
	switch p.n(6) {
	case 0, 1:
		e.trace.add("user", "deletes %s", job.Name)
		e.invariants.assets.removed[job.UID] = true
		e.api.delete(job.Name)
	case 2:
		e.trace.add("user", "cancels %s", job.Name)
		e.api.change(job.Name, func(job *v1alpha1.DaftyJob) { job.Spec.DesiredState = v1alpha1.DesiredCancelled })
	case 3:
		e.trace.add("user", "suspends %s", job.Name)
		e.api.change(job.Name, func(job *v1alpha1.DaftyJob) { job.Spec.DesiredState = v1alpha1.DesiredSuspended })
	case 4:
		e.trace.add("user", "releases %s", job.Name)
		e.api.change(job.Name, func(job *v1alpha1.DaftyJob) { job.Spec.DesiredState = v1alpha1.DesiredCompleted })
	default:
		e.trace.add("user", "edits %s", job.Name)
		e.api.change(job.Name, func(job *v1alpha1.DaftyJob) { job.Spec.BackoffLimit = new(int32(2)) })
	}
}

// takeName creates a DaftyJob of a user's own under a name that a DaftyAsset had one of.
func takeName(e *env, p picker) {
	names := slices.DeleteFunc(e.api.jobNamesOf(p.asset()), func(name string) bool { return e.api.get(name) != nil })
	if len(names) == 0 || e.api.terminating {
		return
	}
	job := image()
	job.Name = names[p.n(len(names))]
	e.trace.add("user", "creates a DaftyJob %s of their own", job.Name)
	e.api.create(job)
}

// useAsset creates a DaftyJob that refers to a DaftyAsset.
func useAsset(e *env, p picker) {
	name, of := p.job(), p.asset()
	if e.api.get(name) != nil || e.api.terminating {
		return
	}
	e.trace.add("user", "creates %s: an upscale of DaftyAsset %s", name, of)
	job := named(v1alpha1.DaftyJobSpec{ImageUpscale: &v1alpha1.ImageUpscale{Image: v1alpha1.ImageTarget{AssetRef: &v1alpha1.AssetReference{Name: of}}}})
	job.Name = name
	e.api.create(job)
}

// closeCycle has two DaftyAssets refer to each other.
func closeCycle(e *env, p picker) {
	a, b := p.asset(), p.asset()
	for _, pair := range [][2]string{{a, b}, {b, a}} {
		of := pair[1]
		e.commit(&p, pair[0], "makes an upscale of "+of, func(spec *v1alpha1.DaftyAssetSpec) {
			drawTemplate(e, &picker{}, pair[0], &spec.Template.Spec)
			spec.Template.Spec.ImageGenerate = nil
			spec.Template.Spec.ImageUpscale = &v1alpha1.ImageUpscale{Image: v1alpha1.ImageTarget{AssetRef: &v1alpha1.AssetReference{Name: of}}}
		})
	}
}

// tamperWithAssetResult does to the ConfigMap of a DaftyAsset what tamperWithResult does to that of a DaftyJob.
func tamperWithAssetResult(e *env, p picker) { tamper(e, p, "result-of-"+p.asset()) }
