package lifecycle

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// A backup can bring a DaftyJob back with its status, under a new uid. That status is right about what Dafty has, and wrong
// about what has a uid: the objects of before are gone, and the hashes of API keys are over the uid of before. So it is taken
// over: references that weren't resolved yet are to what is there now, and hashes are renewed where the key is at hand. Until
// all are, status keeps the uid that they are over.

// RestoredFrom returns the uid of the object that the status of job was written for, empty where that is the job itself.
func RestoredFrom(job *v1alpha1.DaftyJob) types.UID {
	if uid := job.Status.UID; uid != job.UID && !job.Status.Phase.Final() {
		return uid
	}
	return ""
}

// takeOver makes a restored record the object's own, as far as that can be. A status without a uid is from before there was
// one, and counts as the object's.
func (d *decider) takeOver() {
	if RestoredFrom(d.Job) == "" {
		return
	}
	status := &d.status
	for _, hash := range hashes(status) {
		if own, known := d.Known.Rehash[*hash]; known {
			*hash = own
		}
	}
	if submission := status.Submission; status.InDoubt() {
		if submission.StartedAt == nil || submission.StartedAt.After(d.Now.Add(clockSkew)) {
			// When it began isn't on record, and the object is younger: it may be too late to repeat it.
			began := metav1.NewTime(d.Now.Add(-keyMemory)).Rfc3339Copy()
			submission.StartedAt = &began
		}
		if created := &d.Job.CreationTimestamp; submission.SentAt.Before(created) {
			// It may have been repeated after the backup, for as long as the object of before was there.
			submission.SentAt = created.DeepCopy()
		}
	}
	for i := range status.Inputs {
		if in := &status.Inputs[i]; sent(in) == "" {
			in.UID = ""
		}
	}
}

// hashes returns the hashes of API keys in a status.
func hashes(status *v1alpha1.DaftyJobStatus) (all []*string) {
	add := func(hash *string) {
		if *hash != "" {
			all = append(all, hash)
		}
	}
	if status.Submission != nil {
		add(&status.Submission.CredentialsHash)
	}
	for i := range status.Inputs {
		add(&status.Inputs[i].CredentialsHash)
	}
	return all
}

// stampUID has a status that is written anyway say whose it is. A restored one with a hash that can't be renewed yet goes on
// saying whose it was.
func (d *decider) stampUID(decision *Decision) {
	if d.Job.Status.Phase.Final() || equality.Semantic.DeepEqual(d.Job.Status, decision.Status) {
		return
	}
	if RestoredFrom(d.Job) != "" {
		own := slices.Collect(maps.Values(d.Known.Rehash))
		if slices.ContainsFunc(hashes(&decision.Status), func(hash *string) bool { return !slices.Contains(own, *hash) }) {
			return
		}
	}
	decision.Status.UID = d.Job.UID
}
