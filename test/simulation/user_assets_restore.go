package simulation

import (
	"maps"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// restoreAsset brings a DaftyAsset back as it was some time ago, in place of what is there now: without its status, with it, or with
// its DaftyJobs too.
func restoreAsset(e *env, p picker) {
	name := p.asset()
	backups := e.api.assetBackups(name)
	if len(backups) == 0 || e.api.terminating {
		return
	}
	backup, how := backups[p.n(len(backups))], p.n(3)
	e.trace.add("user", "restores DaftyAsset %s as it was at version %d, %s", name, backup.revision, []string{"without its status", "with its status",
		"with its status and its DaftyJobs"}[how])
	e.api.restoreAsset(backup, how > 0)
	if how == 2 {
		e.api.restoreJobsOf(backup)
	}
}

// restoreAsset replaces a DaftyAsset by a new one that has its metadata and spec, and its status where that is wanted.
func (a *apiServer) restoreAsset(backup assetVersion, status bool) {
	inv := a.env.invariants
	inv.assets.restoring = true
	a.deleteAsset(backup.name)
	asset := &v1alpha1.DaftyAsset{Spec: *backup.object.Spec.DeepCopy()}
	asset.Name, asset.Annotations = backup.name, maps.Clone(backup.object.Annotations)
	a.createAsset(asset)
	inv.assets.restored[a.asset(backup.name).UID] = true
	inv.assets.restoring = false
	a.changeAsset(backup.name, func(asset *v1alpha1.DaftyAsset) {
		if status {
			asset.Status = *backup.object.Status.DeepCopy()
		}
	})
}

// restoreJobsOf brings back the DaftyJobs that a DaftyAsset had then. They belong to that one, which is gone.
func (a *apiServer) restoreJobsOf(backup assetVersion) {
	then := map[string]jobVersion{}
	for _, v := range a.history {
		if v.revision > backup.revision {
			break
		}
		if v.object == nil {
			delete(then, v.name)
			continue
		}
		if _, owner, made := lifecycle.MadeBy(v.object); made && owner == backup.object.UID {
			then[v.name] = v
		}
	}
	for _, job := range all(then) {
		if a.get(job.Name) == nil && job.DeletionTimestamp == nil {
			a.createFrom(job, true)
			a.tamper(job.Name, func(restored *v1alpha1.DaftyJob) { restored.OwnerReferences = job.OwnerReferences })
			a.env.invariants.assets.removed[a.get(job.Name).UID] = true
			a.collectOrphan(a.get(job.Name))
		}
	}
}

// loseAssetStatus empties the status of a DaftyAsset, or takes its annotation off.
func loseAssetStatus(e *env, p picker) {
	name := p.asset()
	asset := e.api.asset(name)
	if asset == nil || asset.DeletionTimestamp != nil {
		return
	}
	if p.n(2) == 0 {
		e.trace.add("user", "takes the annotations off DaftyAsset %s", name)
		e.api.changeAsset(name, func(asset *v1alpha1.DaftyAsset) { asset.Annotations = nil })
		return
	}
	e.trace.add("user", "empties the status of DaftyAsset %s", name)
	e.api.changeAsset(name, func(asset *v1alpha1.DaftyAsset) { asset.Status = v1alpha1.DaftyAssetStatus{ObservedGeneration: -1} })
}
