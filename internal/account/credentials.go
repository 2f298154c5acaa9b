package account

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// SetAPIKey tells the API key that the Secret now holds, empty where it holds none. Another key
// may know another truth, so that what was in trouble is tried anew.
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
			t.lastUsed, t.lastUsedUnverified = t.registry.retain(before), true
		} else {
			t.registry.release(t.previous)
			t.previous = t.registry.retain(before)
		}
	}
	t.secret = nil
	if apiKey != "" {
		t.secret = t.registry.acquire(apiKey)
		t.trouble, t.missed, t.lookRefusals, t.cancel, t.rejected, t.doubted = nil, 0, 0, nil, nil, nil
	}
	t.asked = nil
	var wake []*Tracker
	if before != nil {
		wake = before.remove(t)
		t.registry.release(before)
	}
	t.mu.Unlock()
	wakeAll(wake)
}

// CredentialsReadWithin says whether the Secret had a key when it was last told, and that was so long ago at most.
func (t *Tracker) CredentialsReadWithin(age time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.secret != nil && time.Since(t.used) <= age
}

// Rehash are the hashes of the keys at hand for the DaftyJob, by those for uid.
func (t *Tracker) Rehash(uid types.UID) map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := map[string]string{}
	for _, a := range []*Account{t.secret, t.lastUsed, t.previous} {
		if a != nil {
			own[Hash(uid, a.key())] = Hash(t.uid, a.key())
		}
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
		t.lastUsed = t.registry.retain(a)
		t.registry.release(before)
	}
	t.registry.release(t.previous)
	t.previous = nil
}

// caller is the account that a known job is asked about with: the Secret's; and the last
// good one where the Secret is gone, or where the job must be cancelled and the Secret's key
// can't.
func (t *Tracker) caller(cancelling bool) *Account {
	if t.secret != nil && (!cancelling || t.rejected != t.secret || t.lastUsed == nil) {
		return t.secret
	}
	if t.previous != nil && t.rejected == t.lastUsed {
		return t.previous
	}
	return t.lastUsed
}
