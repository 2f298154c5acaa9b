package simulation

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// knownFromBackup reports whether a restored object only knows of another, which is gone, from its backup.
func (inv *invariants) knownFromBackup(job *v1alpha1.DaftyJob, other types.UID) bool {
	backup := inv.restored[job.UID]
	return backup != nil && slices.ContainsFunc(backup.Status.Inputs, func(in v1alpha1.Input) bool { return in.UID == other && in.ID == "" })
}

// noteSuperseded is for a request in doubt that comes with a backup. Where its attempt has made a job since, under a key that followed a
// refusal, the backup knows nothing of it (docs/reliability.md): the request is repeated, and paid for.
func (inv *invariants) noteSuperseded(key string) {
	attempt, _, _ := strings.Cut(key, ".")
	for _, entry := range inv.env.sim.Ledger() {
		if strings.HasPrefix(entry.IdempotencyKey, attempt+".") && entry.IdempotencyKey != key {
			inv.superseded[key] = true
		}
	}
}

// noteRefused is for such a request too. Where Dafty refused it after the backup, it was given back to its budgets, of which the backup knows
// nothing (docs/accounts.md): should Dafty take it now, it is in none.
func (inv *invariants) noteRefused(backup *v1alpha1.DaftyJob, key string) {
	last := inv.latest[backup.UID]
	refused := last != nil && (last.Status.Submission == nil || last.Status.Submission.IdempotencyKey != key)
	made := slices.ContainsFunc(inv.env.sim.Ledger(), func(entry daftysim.Entry) bool { return entry.IdempotencyKey == key })
	inv.refusedBefore[key] = refused && !made
}

// sentWith reports whether the request of an object was sent with this API key.
func (inv *invariants) sentWith(job *v1alpha1.DaftyJob, key string) bool {
	hash := job.Status.Submission.CredentialsHash
	if backup := inv.restored[job.UID]; backup != nil && hash == account.Hash(cmp.Or(backup.Status.UID, backup.UID), key) {
		return true
	}
	return hash == account.Hash(job.UID, key)
}
