package simulation

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// restoreWithStatus brings an object back as it was some time ago, with its status, in place of what is there now.
func restoreWithStatus(e *env, p picker) {
	name := p.job()
	var backups []version
	for _, v := range e.api.history {
		if v.name == name && v.job != nil && v.job.DeletionTimestamp == nil && v.job.Status.Phase != "" && !strings.HasPrefix(v.job.Spec.IdempotencyKey, ownKeys) {
			backups = append(backups, v)
		}
	}
	if len(backups) == 0 || e.api.terminating {
		return
	}
	backup := backups[p.n(len(backups))]
	e.trace.add("user", "restores %s as it was at version %d, with its status", name, backup.revision)
	e.api.restore(backup.job)
}

// restore replaces an object by a new one that has its metadata, spec and status.
func (a *apiServer) restore(backup *v1alpha1.DaftyJob) {
	if a.get(backup.Name) != nil {
		a.vanish(backup.Name)
	}
	a.createFrom(backup, true)
	a.tamper(backup.Name, func(job *v1alpha1.DaftyJob) { job.Status = *backup.Status.DeepCopy() })

	// What came after the backup isn't on record, and what was in doubt, or known, is the new object's.
	job, inv := a.get(backup.Name), a.env.invariants
	inv.lostStatus[job.UID] = true
	if id := job.Status.JobID; id != "" {
		inv.inheritedJobs[job.UID] = id
	}
	if job.Status.InDoubt() {
		inv.inheritedKeys[job.Status.Submission.IdempotencyKey] = job.UID
	}
	backup = backup.DeepCopy()
	for i := range backup.Status.Inputs {
		in := &backup.Status.Inputs[i]
		for _, name := range lifecycle.DependsOn(&backup.Spec) {
			if other := inv.env.api.get(name); other != nil && other.UID == in.UID {
				in.UID = "" // it is still there, and can be seen to go
			}
		}
	}
	inv.restored[job.UID] = backup
}

// knownFromBackup says whether a restored object only knows of another, which is gone, from its backup.
func (inv *invariants) knownFromBackup(job *v1alpha1.DaftyJob, other types.UID) bool {
	backup := inv.restored[job.UID]
	return backup != nil && slices.ContainsFunc(backup.Status.Inputs, func(in v1alpha1.Input) bool { return in.UID == other && in.ID == "" })
}

// sentWith says whether the request of an object was sent with this API key.
func (inv *invariants) sentWith(job *v1alpha1.DaftyJob, key string) bool {
	hash := job.Status.Submission.CredentialsHash
	if backup := inv.restored[job.UID]; backup != nil && hash == account.Hash(cmp.Or(backup.Status.UID, backup.UID), key) {
		return true
	}
	return hash == account.Hash(job.UID, key)
}

// restoreOne restores the object that a scenario is about.
func (e *env) restoreOne() {
	if backup := e.api.get("one"); backup != nil {
		e.trace.add("user", "restores one, with its status")
		e.api.restore(backup)
	}
}

// restoredScenarios are those of objects that come back with their status.
func restoredScenarios() []scenario {
	return []scenario{
		{"restored with its status while the job runs", true, func(e *env) {
			e.create(image)
			e.advance(queued)
			e.do(e.restoreOne)
			e.advance(time.Minute)
		}},
		{"restored with its status, and deleted", true, func(e *env) {
			e.create(image)
			e.advance(queued)
			e.do(e.restoreOne)
			e.advance(5 * time.Second)
			e.do(e.deleteOne)
			e.advance(time.Minute)
		}},
		{"restored with its status in doubt", false, restoredInDoubt},
		{"a chain is restored with its status", false, restoredChain},
	}
}

// restoredInDoubt has the answer to a request lost, and the object restored.
func restoredInDoubt(e *env) {
	e.injectFault(hangAfter)
	e.create(image)
	e.advance(20 * time.Second)
	e.do(e.restoreOne)
	e.advance(3 * time.Minute)
}

// restoredChain restores two objects that wait: one for the Secret, the other for the first.
func restoredChain(e *env) {
	e.do(func() {
		e.api.create(image())
		poster := image()
		poster.Name = "two"
		poster.Spec.ImageGenerate = nil
		poster.Spec.ImageUpscale = &v1alpha1.ImageUpscale{Image: v1alpha1.ImageTarget{JobRef: &v1alpha1.JobReference{Name: "one"}}}
		e.api.create(poster)
	})
	e.advance(5 * time.Second)
	e.do(func() {
		for _, name := range []string{"one", "two"} {
			e.trace.add("user", "restores %s, with its status", name)
			e.api.restore(e.api.get(name))
		}
	})
	e.advance(10 * time.Second)
	e.do(func() { e.api.putSecret(keyOne) })
	e.advance(time.Minute)
}
