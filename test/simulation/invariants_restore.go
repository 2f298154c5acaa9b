package simulation

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
)

// knownFromBackup reports whether a restored object only knows of another, which is gone, from its backup.
func (inv *invariants) knownFromBackup(job *v1alpha1.DaftyJob, other types.UID) bool {
	backup := inv.restored[job.UID]
	return backup != nil && slices.ContainsFunc(backup.Status.Inputs, func(in v1alpha1.Input) bool { return in.UID == other && in.ID == "" })
}

// sentWith reports whether the request of an object was sent with this API key.
func (inv *invariants) sentWith(job *v1alpha1.DaftyJob, key string) bool {
	hash := job.Status.Submission.CredentialsHash
	if backup := inv.restored[job.UID]; backup != nil && hash == account.Hash(cmp.Or(backup.Status.UID, backup.UID), key) {
		return true
	}
	return hash == account.Hash(job.UID, key)
}
