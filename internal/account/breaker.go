package account

import (
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

const (
	// probeTimeout is how long the one job that tries whether a block's cause is gone may take.
	probeTimeout = time.Minute
	// probeGrace is how long after the end of a block the job that met it last lets others try
	// first: it may be the only one that is refused.
	probeGrace = 5 * time.Second
	// maxHold is the longest time between two tries (design: at most 5 minutes).
	maxHold = 5 * time.Minute
)

// breaker keeps submissions back after a refusal that would meet the others too. When its time
// is up, one job goes ahead and tries; the others wait for what it meets.
type breaker struct {
	kind     dafty.Kind
	message  string
	until    time.Time
	failures int

	// refused is the job that met the refusal.
	refused *Tracker
	// probe is the job that tries, until probeUntil at the latest.
	probe      *Tracker
	probeUntil time.Time
	// sent is when the newest of the refused requests was let go: what changed since may have mended the cause. asked is when
	// a job last went ahead for that.
	sent, asked time.Time
}

// blocks says until when t waits, nil if it may go ahead. alone says that no other waits.
func (h *breaker) blocks(t *Tracker, alone bool, now time.Time) *lifecycle.Block {
	if h == nil {
		return nil
	}
	until := h.until
	if at, wanted := h.asks(t, now); wanted {
		if !now.Before(at) {
			return nil
		}
		if at.Before(until) {
			return &lifecycle.Block{Kind: h.kind, Message: h.message, Until: at}
		}
	}
	switch {
	case h.probe != nil && h.probe != t && now.Before(h.probeUntil):
		until = h.probeUntil
	case h.refused == t && h.probe != t && !alone:
		until = until.Add(probeGrace)
	}
	if !now.Before(until) {
		return nil
	}
	return &lifecycle.Block{Kind: h.kind, Message: h.message, Until: until}
}

// startProbe notes that t goes ahead.
func (h *breaker) startProbe(t *Tracker, now time.Time) {
	if h != nil {
		h.probe, h.probeUntil = t, now.Add(probeTimeout)
	}
}

// probed notes that t is back, and says whether it was the one that tried.
func (h *breaker) probed(t *Tracker) bool {
	if h == nil || h.probe != t {
		return false
	}
	h.probe = nil
	return true
}

// refuse makes or lengthens a block after a request of t was refused that was let go at sent.
func (h *breaker) refuse(t *Tracker, err *dafty.CallError, sent, now time.Time) *breaker {
	fresh := &breaker{kind: err.Kind, message: err.Error(), failures: 1, refused: t, sent: sent, asked: sent}
	if h != nil && h.kind == err.Kind {
		if sent.After(h.sent) {
			h.sent = sent
		}
		fresh.sent, fresh.asked = h.sent, h.asked
		if now.Before(h.until) {
			// It was on its way before the block began, or asked for the sake of a change, and is no further try.
			if asked := now.Add(err.RetryAfter); asked.After(h.until) {
				h.until = asked
			}
			return h
		}
		fresh.failures = h.failures + 1
	}
	wait := err.RetryAfter
	if wait == 0 {
		meaning := lifecycle.MeaningOf(err.Kind)
		wait = lifecycle.Backoff(meaning.Backoff, fresh.failures, meaning.MaxBackoff)
	}
	fresh.until = now.Add(wait)
	return fresh
}
