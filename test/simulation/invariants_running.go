package simulation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// owner is the object that a job was made for, from its idempotency key UID-ATTEMPT or ownKeys UID-ATTEMPT. Of those that share a key
// it is the first that sent it.
func (inv *invariants) owner(entry daftysim.Entry) types.UID {
	if strings.HasPrefix(entry.IdempotencyKey, sharedKeys) {
		return inv.assets.senders[entry.IdempotencyKey]
	}
	uid, _, _ := strings.Cut(strings.TrimPrefix(entry.IdempotencyKey, ownKeys), "-")
	return types.UID(uid)
}

// unwantedJobs returns the jobs that run although they should not, and no event tells of it.
func (inv *invariants) unwantedJobs() []string {
	var found []string
	for _, entry := range inv.env.sim.Running() {
		job := inv.holderOf(entry)
		switch {
		case entry.Key == 0 && (job == nil || inv.gone(job) && job.Status.JobID == ""):
			// A user made it, and no object ever followed it.
		case job == nil:
			found = append(found, fmt.Sprintf("job %s of nobody", shortID(entry.JobID)))
		case inv.gone(job):
			if !inv.abandoned[job.UID] && !inv.forced[job.UID] && !inv.rightlyOrphaned(job) {
				found = append(found, fmt.Sprintf("job %s of %s, which is gone", shortID(entry.JobID), job.Name))
			}
		case inv.waitsForUser(job), inv.leftByAccount(job):
		case job.Status.Phase.Final():
			found = append(found, fmt.Sprintf("job %s of %s, which is %s", shortID(entry.JobID), job.Name, describe(job)))
		case cancelRequested(job), job.DeletionTimestamp != nil:
			found = append(found, fmt.Sprintf("job %s of %s, which is to be cancelled", shortID(entry.JobID), job.Name))
		case inv.unrecordedByAsset(job):
			found = append(found, fmt.Sprintf("job %s of %s, which its DaftyAsset doesn't have on record", shortID(entry.JobID), job.Name))
		case time.Since(inv.deadline(job)) > time.Minute:
			found = append(found, fmt.Sprintf("job %s of %s, which is past its deadline", shortID(entry.JobID), job.Name))
		}
	}
	return found
}

// rightlyOrphaned reports whether an object that is gone rightly left its job to itself: it wasn't cancelled before, nor by a
// deadline.
func (inv *invariants) rightlyOrphaned(job *v1alpha1.DaftyJob) bool {
	return job.Spec.DeletionPolicy == v1alpha1.DeletionOrphan && !cancelRequested(job) &&
		!job.DeletionTimestamp.After(inv.deadline(job).Add(2*maxSkew))
}

// holderOf is the object that a job is looked after by: the last that came with its id, else the one that it was
// made for.
func (inv *invariants) holderOf(entry daftysim.Entry) *v1alpha1.DaftyJob {
	holder := inv.latest[inv.owner(entry)]
	if heir := inv.latest[inv.inheritedKeys[entry.IdempotencyKey]]; heir != nil {
		holder = heir
	}
	if strings.HasPrefix(entry.IdempotencyKey, sharedKeys) {
		for _, job := range inv.objects() {
			if job.Status.JobID == entry.JobID {
				return job
			}
		}
		return holder
	}
	if entry.Key == 0 {
		// The one that follows it, else the first that wants to.
		for _, job := range inv.latest {
			if job.Spec.AdoptJobID == entry.JobID && !(inv.gone(job) && job.Status.JobID == "") &&
				(holder == nil || inv.gone(holder) && !inv.gone(job) || inv.gone(holder) == inv.gone(job) && createdAfter(holder, job)) {
				holder = job
			}
		}
		return holder
	}
	for uid, id := range inv.inheritedJobs {
		if heir := inv.latest[uid]; id == entry.JobID && (holder == nil || createdAfter(heir, holder)) {
			holder = heir
		}
	}
	return holder
}

// createdAfter reports whether one object was created after another.
func createdAfter(a, b *v1alpha1.DaftyJob) bool {
	return len(a.UID) > len(b.UID) || len(a.UID) == len(b.UID) && a.UID > b.UID
}

func (inv *invariants) gone(job *v1alpha1.DaftyJob) bool {
	current := inv.env.api.get(job.Name)
	return current == nil || current.UID != job.UID
}

// pendingDeletions are the objects whose deletion hasn't ended.
func (inv *invariants) pendingDeletions() []string {
	var found []string
	for _, job := range inv.objects() {
		if job.DeletionTimestamp != nil {
			found = append(found, fmt.Sprintf("%s, deleted for %s: %s", job.Name, time.Since(job.DeletionTimestamp.Time), describe(job)))
		}
	}
	return found
}

// unfinished returns the objects that should have ended, as the env is healed.
func (inv *invariants) unfinished() []string {
	var found []string
	for _, job := range inv.objects() {
		reason := readyOf(job).Reason
		suspended := isSuspended(job) && reason == v1alpha1.ReasonSuspended
		// Users who are asked to look at Dafty do. The key of another account isn't put back.
		waits := reason != v1alpha1.ReasonSubmissionUnknown && inv.waitsForUser(job) || inv.waitsForOther(job, 0) ||
			inv.waitsForAsset(job) || inv.lacksAsset(job) || inv.waitsForAccount(job)
		if !job.Status.Phase.Final() && (!suspended && !waits || inv.shouldHaveStarted(job)) {
			found = append(found, fmt.Sprintf("%s: %s", job.Name, describe(job)))
		}
	}
	return found
}

// waitsForUser reports whether an object says that it waits for a user, and rightly so.
func (inv *invariants) waitsForUser(job *v1alpha1.DaftyJob) bool {
	switch readyOf(job).Reason {
	case v1alpha1.ReasonSubmissionUnknown:
		return inv.unrepeatable(job)
	case v1alpha1.ReasonCredentialsRejected:
		entry, known := inv.env.sim.Job(job.Status.JobID)
		return known && (entry.Account != acme || inv.mayBeForgotten(entry))
	}
	return false
}

// waitsForOther reports whether an object says that it waits for what isn't there or doesn't go on, and rightly so.
func (inv *invariants) waitsForOther(job *v1alpha1.DaftyJob, depth int) bool {
	reason := readyOf(job).Reason
	switch {
	case reason == v1alpha1.ReasonAlreadyAdopted:
		return slices.ContainsFunc(inv.objects(), func(other *v1alpha1.DaftyJob) bool {
			return other.UID != job.UID && other.Spec.AdoptJobID == job.Spec.AdoptJobID
		})
	case reason == v1alpha1.ReasonDependencyCycle:
		return len(lifecycle.FindCycle(lifecycle.JobNode(job.Name), lifecycle.Edges(inv.env.api.get, inv.env.api.asset))) > 0
	case reason != v1alpha1.ReasonWaitingForDependency && reason != v1alpha1.ReasonInvalidReference, depth > len(jobNames)+len(assetNames):
		return false
	}
	for _, s := range lifecycle.AssetSources(&job.Spec) {
		up := inv.env.api.asset(s.Name)
		if up == nil || !lifecycle.AssetReady(up) {
			return true
		}
		if _, problem := s.Pick(up); problem != "" {
			return true
		}
	}
	return slices.ContainsFunc(lifecycle.DependsOn(&job.Spec), func(name string) bool {
		other := inv.env.api.get(name)
		if other == nil {
			return true
		}
		return readyOf(other).Reason == v1alpha1.ReasonSuspended || inv.waitsForUser(other) || inv.waitsForOther(other, depth+1) || inv.lacksAsset(other) ||
			readyOf(other).Reason == v1alpha1.ReasonDependencyCycle
	})
}

// mayBeForgotten reports whether Dafty may not know a job any more.
func (inv *invariants) mayBeForgotten(entry daftysim.Entry) bool {
	return inv.env.variants.JobRetention == daftysim.JobRetentionLimited && entry.Terminal()
}

// unrepeatable reports whether a request in doubt can't be repeated any more: its time has passed, or its key is gone from the
// Secret.
func (inv *invariants) unrepeatable(job *v1alpha1.DaftyJob) bool {
	submission := job.Status.Submission
	if submission == nil || submission.StartedAt == nil {
		return false
	}
	return !inv.sentWith(job, inv.apiKeyOf(job)) || time.Since(submission.StartedAt.Time) > 22*time.Hour
}

// objects are all there are, in order.
func (inv *invariants) objects() []*v1alpha1.DaftyJob {
	var jobs []*v1alpha1.DaftyJob
	return append(jobs, all(inv.env.api.jobs)...)
}
