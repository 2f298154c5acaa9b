package account

import (
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// One refusal of an API key is no verdict: a proxy that is being replaced, or a part of Dafty that is, may answer 401 for a
// second. Whoever met it asks once more, and what repeats holds the others back.

const (
	// secondLook is how soon a job is looked at again whose look met a refusal of the key, or that it isn't there: late
	// enough that what passes has passed, and early enough that a key that was revoked shows within 15 s.
	secondLook = 3 * time.Second
	// secondAsk is the same for a create.
	secondAsk = 2 * time.Second
	// askAgain is how long a job waits whose own creates go on being refused, at first, while those of others are accepted.
	askAgain = 15 * time.Second
)

// refusedKey notes that a call met a refusal of an account's key. Once it did so twice, the key is given up for another, if
// there is one.
func (t *Tracker) refusedKey(a *Account) {
	if t.doubted == a {
		t.rejected = a
	}
	t.doubted = a
}

// keyRefusals are the creates that met a refusal of the account's key, by who sent them. The account's lock guards them.
type keyRefusals struct {
	by map[*Tracker]*keyRefusal
	// accepted is when Dafty last took a create.
	accepted time.Time
}

// keyRefusal is what one DaftyJob has met since its last create that was answered otherwise.
type keyRefusal struct {
	count   int
	message string
	// first is when it was refused first, until when it waits.
	first, until time.Time
}

// hear learns from the answer to a create of t, and says whether it is the key that is refused, and not a request: that is
// known, or it is the second refusal that t meets, and nobody's create was accepted in between. A request that nobody
// answered changes nothing.
func (r *keyRefusals) hear(t *Tracker, err *dafty.CallError, known bool, now time.Time) (confirmed bool) {
	switch {
	case err == nil:
		r.accepted = now
		delete(r.by, t)
		return false
	case err.Kind == dafty.KindUnavailable:
		return false
	case err.Kind != dafty.KindUnauthorized:
		delete(r.by, t)
		return false
	}
	it := r.by[t]
	if it == nil {
		it = &keyRefusal{first: now}
		r.by[t] = it
	}
	it.count++
	confirmed = known || it.count > 1 && r.accepted.Before(it.first)
	wait := secondAsk
	if confirmed {
		it.count = max(it.count, 2)
	}
	if it.count > 1 {
		wait = lifecycle.Backoff(askAgain, it.count-1, maxHold)
	}
	it.message, it.until = err.Error(), now.Add(max(wait, err.RetryAfter))
	return confirmed
}

// blocks says until when t waits, nil if it may go ahead.
func (r *keyRefusals) blocks(t *Tracker, now time.Time) *lifecycle.Block {
	it := r.by[t]
	if it == nil || !now.Before(it.until) {
		return nil
	}
	return &lifecycle.Block{Kind: dafty.KindUnauthorized, Message: it.message, Until: it.until, Once: it.count == 1}
}

// keyRefusals is how often in a row the key was refused to t.
func (a *Account) keyRefusals(t *Tracker) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if it := a.refusals.by[t]; it != nil {
		return it.count
	}
	return 0
}
