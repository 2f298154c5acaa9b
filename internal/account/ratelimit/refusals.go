package ratelimit

import (
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// One refusal of an API key is no verdict: a proxy that is being replaced, or a part of Dafty that is, may answer 401 for a
// second. Whoever met it submits once more, and what repeats blocks the others.

const (
	// secondSubmission is how soon a submission is tried again that met a refusal of the key.
	secondSubmission = 2 * time.Second
	// refusedAgain is how long a Caller waits whose own submissions go on being refused, at first, while those of others are
	// accepted.
	refusedAgain = 15 * time.Second
)

// keyRefusals are the submissions that met a refusal of the API key, by who sent them.
type keyRefusals struct {
	by map[*Caller]*keyRefusal
	// accepted is when Dafty last took a submission.
	accepted time.Time
}

// keyRefusal is what one Caller has met since its last submission that was answered otherwise.
type keyRefusal struct {
	count   int
	message string
	// first is when it was refused first, until when it waits.
	first, until time.Time
}

// onResponse learns from the answer to a submission, and reports whether it is the key that is refused, and not a request: that
// is known, or it is the second refusal that the Caller meets, and nobody's submission was accepted in between. A request that
// nobody answered changes nothing.
func (r *keyRefusals) onResponse(by *Caller, err *dafty.CallError, known bool, now time.Time) (confirmed bool) {
	switch {
	case err == nil:
		r.accepted = now
		delete(r.by, by)
		return false
	case err.Kind == dafty.KindUnavailable:
		return false
	case err.Kind != dafty.KindUnauthorized:
		delete(r.by, by)
		return false
	}
	it := r.by[by]
	if it == nil {
		it = &keyRefusal{first: now}
		r.by[by] = it
	}
	it.count++
	confirmed = known || it.count > 1 && r.accepted.Before(it.first)
	wait := secondSubmission
	if confirmed {
		it.count = max(it.count, 2)
	}
	if it.count > 1 {
		wait = dafty.Backoff(refusedAgain, it.count-1, MaxBlock)
	}
	it.message, it.until = err.Error(), now.Add(max(wait, err.RetryAfter))
	return confirmed
}

// blocks returns until when a Caller waits, nil if it may go ahead.
func (r *keyRefusals) blocks(by *Caller, now time.Time) *lifecycle.Block {
	it := r.by[by]
	if it == nil || !now.Before(it.until) {
		return nil
	}
	return &lifecycle.Block{Kind: dafty.KindUnauthorized, Message: it.message, Until: it.until, Once: it.count == 1}
}
