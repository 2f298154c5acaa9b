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
func restoreWithStatus(w *world, p picker) {
	name := p.job()
	var backups []version
	for _, v := range w.cluster.history {
		if v.name == name && v.job != nil && v.job.DeletionTimestamp == nil && v.job.Status.Phase != "" && !strings.HasPrefix(v.job.Spec.IdempotencyKey, ownKeys) {
			backups = append(backups, v)
		}
	}
	if len(backups) == 0 || w.cluster.terminating {
		return
	}
	backup := backups[p.n(len(backups))]
	w.trace.add("user", "restores %s as it was at version %d, with its status", name, backup.revision)
	w.cluster.restore(backup.job)
}

// restore replaces an object by a new one that has its metadata, spec and status.
func (c *cluster) restore(backup *v1alpha1.DaftyJob) {
	if c.get(backup.Name) != nil {
		c.vanish(backup.Name)
	}
	c.createFrom(backup, true)
	c.meddle(backup.Name, func(job *v1alpha1.DaftyJob) { job.Status = *backup.Status.DeepCopy() })

	// What came after the backup isn't on record, and what was in doubt, or known, is the new object's.
	job, j := c.get(backup.Name), c.w.judge
	j.lostStatus[job.UID] = true
	if id := job.Status.JobID; id != "" {
		j.heirs[job.UID] = id
	}
	if job.Status.InDoubt() {
		j.taken[job.Status.Submission.IdempotencyKey] = job.UID
	}
	backup = backup.DeepCopy()
	for i := range backup.Status.Inputs {
		in := &backup.Status.Inputs[i]
		for _, name := range lifecycle.DependsOn(&backup.Spec) {
			if other := j.w.cluster.get(name); other != nil && other.UID == in.UID {
				in.UID = "" // it is still there, and can be seen to go
			}
		}
	}
	j.restored[job.UID] = backup
}

// knew says whether a restored object only knows of another, which is gone, from its backup.
func (j *invariants) knew(job *v1alpha1.DaftyJob, other types.UID) bool {
	backup := j.restored[job.UID]
	return backup != nil && slices.ContainsFunc(backup.Status.Inputs, func(in v1alpha1.Input) bool { return in.UID == other && in.ID == "" })
}

// sentWith says whether the request of an object was sent with this API key.
func (j *invariants) sentWith(job *v1alpha1.DaftyJob, key string) bool {
	hash := job.Status.Submission.CredentialsHash
	if backup := j.restored[job.UID]; backup != nil && hash == account.Hash(cmp.Or(backup.Status.UID, backup.UID), key) {
		return true
	}
	return hash == account.Hash(job.UID, key)
}

// restoreOne restores the object that a scenario is about.
func (w *world) restoreOne() {
	if backup := w.cluster.get("one"); backup != nil {
		w.trace.add("user", "restores one, with its status")
		w.cluster.restore(backup)
	}
}

// restoredScenarios are those of objects that come back with their status.
func restoredScenarios() []scenario {
	return []scenario{
		{"restored with its status while the job runs", true, func(w *world) {
			w.begin(image)
			w.pass(queued)
			w.do(w.restoreOne)
			w.pass(time.Minute)
		}},
		{"restored with its status, and deleted", true, func(w *world) {
			w.begin(image)
			w.pass(queued)
			w.do(w.restoreOne)
			w.pass(5 * time.Second)
			w.do(w.deleteOne)
			w.pass(time.Minute)
		}},
		{"restored with its status in doubt", false, restoredInDoubt},
		{"a chain is restored with its status", false, restoredChain},
	}
}

// restoredInDoubt has the answer to a request lost, and the object restored.
func restoredInDoubt(w *world) {
	w.meet(hangAfter)
	w.begin(image)
	w.pass(20 * time.Second)
	w.do(w.restoreOne)
	w.pass(3 * time.Minute)
}

// restoredChain restores two objects that wait: one for the Secret, the other for the first.
func restoredChain(w *world) {
	w.do(func() {
		w.cluster.create(image())
		poster := image()
		poster.Name = "two"
		poster.Spec.ImageGenerate = nil
		poster.Spec.ImageUpscale = &v1alpha1.ImageUpscale{Image: v1alpha1.ImageTarget{JobRef: &v1alpha1.JobReference{Name: "one"}}}
		w.cluster.create(poster)
	})
	w.pass(5 * time.Second)
	w.do(func() {
		for _, name := range []string{"one", "two"} {
			w.trace.add("user", "restores %s, with its status", name)
			w.cluster.restore(w.cluster.get(name))
		}
	})
	w.pass(10 * time.Second)
	w.do(func() { w.cluster.putSecret(keyOne) })
	w.pass(time.Minute)
}
