package account

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account/ratelimit"
)

// SetAPIKey tells the API key that the Secret now holds, empty where it holds none. Another key may know another truth, so that
// what failed is tried again.
func (t *Tracker) SetAPIKey(apiKey string) {
	t.mu.Lock()
	t.used = time.Now()
	if t.closed || t.secret != nil && t.secret.key() == apiKey || t.secret == nil && apiKey == "" {
		t.mu.Unlock()
		return
	}
	before := t.secret
	if before != nil && before != t.lastUsed && before != t.rejected {
		// It may be all that there is to cancel the job with, or to ask for the answer that a process before has missed.
		if t.lastUsed == nil {
			t.lastUsed, t.lastUsedUnverified = t.shared.accounts.retain(before), true
		} else {
			t.shared.accounts.release(t.previous)
			t.previous = t.shared.accounts.retain(before)
		}
	}
	t.secret = nil
	if apiKey != "" {
		t.secret = t.shared.accounts.acquire(apiKey)
		t.trouble, t.missed, t.lookRefusals, t.cancel, t.rejected, t.doubted = nil, 0, 0, nil, nil, nil
	}
	t.asked, t.searches = nil, nil
	var wake ratelimit.Callers
	if before != nil {
		wake = before.remove(&t.caller)
		t.shared.accounts.release(before)
	}
	t.mu.Unlock()
	wake.Wake()
}

// CredentialsReadWithin reports whether the Secret had a key when it was last told, and that was so long ago at most.
func (t *Tracker) CredentialsReadWithin(age time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.secret != nil && time.Since(t.used) <= age
}

// Rehash returns the hashes of the keys at hand for the DaftyJob, by those for uid.
func (t *Tracker) Rehash(uid types.UID) map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := map[string]string{}
	for _, a := range t.accounts() {
		own[Hash(uid, a.key())] = t.hash(a)
	}
	return own
}

// setLastUsed keeps a as the account that was last used.
func (t *Tracker) setLastUsed(a *Account) {
	if t.closed {
		return
	}
	t.lastUsedUnverified = false
	if t.doubted == a {
		t.doubted = nil
	}
	if before := t.lastUsed; before != a {
		t.lastUsed = t.shared.accounts.retain(a)
		t.shared.accounts.release(before)
	}
	t.shared.accounts.release(t.previous)
	t.previous = nil
}

// doubt notes that a call met a refusal of an account's key. Once it did so twice, the key is given up for another, if there is
// one: one refusal is no verdict.
func (t *Tracker) doubt(a *Account) {
	if t.doubted == a {
		t.rejected = a
	}
	t.doubted = a
}

// accountOfJob returns the account that a known job is asked about with: the Secret's; and the last good one where the Secret is
// gone, or where the job must be cancelled and the Secret's key can't.
func (t *Tracker) accountOfJob(cancelling bool) *Account {
	if t.secret != nil && (!cancelling || t.rejected != t.secret || t.lastUsed == nil) {
		return t.secret
	}
	if t.previous != nil && t.rejected == t.lastUsed {
		return t.previous
	}
	return t.lastUsed
}

// accountOf returns the account whose key a submission is, or was, sent with.
func (t *Tracker) accountOf(submission *v1alpha1.Submission) *Account {
	for _, a := range t.accounts() {
		if t.hash(a) == submission.CredentialsHash {
			return a
		}
	}
	return nil
}
