package daftysim

import (
	"net/http"
	"time"
)

// record is what an Idempotency-Key stands for: a job, or, under
// [RefusedKeySame], the refusal of its first attempt.
type record struct {
	expires time.Time
	job     *job
	refusal *refusal
	request string // of the first attempt, see call.asked
}

// asked is what of a request a repeat has in common with the first attempt.
func (c *call) asked() string { return string(c.op.id) + " " + string(c.body) }

// recall returns what the key stands for now. The caller holds the lock.
func (s *Simulator) recall(k *apiKey, idempotencyKey string) *record {
	r := k.held[idempotencyKey]
	if r != nil && !s.now().Before(r.expires) {
		delete(k.held, idempotencyKey)
		return nil
	}
	return r
}

// remember stores a key for 24 h. If two creates ran truly in parallel, both made
// a job, and the key stands for the earlier one.
// The caller holds the lock.
func (s *Simulator) remember(k *apiKey, idempotencyKey string, r *record) {
	if idempotencyKey == "" || s.recall(k, idempotencyKey) != nil {
		return
	}
	r.expires = s.now().Add(keyHeldFor)
	k.held[idempotencyKey] = r
}

// rememberRefusal stores a refusal, under [RefusedKeySame].
func (s *Simulator) rememberRefusal(c *call, r *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.op.creates() && s.opts.Variants.RefusedKey == RefusedKeySame {
		s.remember(c.key, c.idempotencyKey, &record{refusal: r, request: c.asked()})
	}
}

// repeat answers a create whose key is known.
func (s *Simulator) repeat(c *call) answer {
	if c.asked() != c.known.request {
		switch s.variants().OtherBody {
		case OtherBodyConflict:
			return s.refuse(&refusal{status: http.StatusConflict, code: "CONFLICT", message: "This Idempotency-Key was used for another request"})
		case OtherBodyUnprocessable:
			return s.refuse(&refusal{status: http.StatusUnprocessableEntity, code: "VALIDATION_ERROR", message: "This Idempotency-Key was used for another request"})
		case OtherBodyFirst:
		}
	}
	if c.known.refusal != nil {
		return s.refuse(c.known.refusal)
	}
	s.mu.Lock()
	j := c.known.job
	s.advance(j)
	shown := s.show(j, c.base, true)
	if s.opts.Variants.RepeatAnswer == RepeatAnswerFirst {
		shown = s.showNew(j)
	}
	s.mu.Unlock()
	return s.data(202, shown)
}

// enter records a create on the wire. A careful client never has two of the same
// key there. The caller holds the lock.
func (s *Simulator) enter(c *call) (leave func()) {
	if c.idempotencyKey == "" {
		return func() {}
	}
	flying := c.key.inFlight
	flying[c.idempotencyKey]++
	if flying[c.idempotencyKey] > 1 {
		s.violate(c, "a POST in parallel with another of the same Idempotency-Key %q", c.idempotencyKey)
	}
	left := false
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if left {
			return
		}
		left = true
		if flying[c.idempotencyKey]--; flying[c.idempotencyKey] == 0 {
			delete(flying, c.idempotencyKey)
		}
	}
}
