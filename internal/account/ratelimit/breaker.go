package ratelimit

import (
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

const (
	// MaxBlock is the longest time between two tries of what Dafty refuses.
	MaxBlock = 5 * time.Minute
	// probeTimeout is how long a probe may take.
	probeTimeout = time.Minute
	// probeGrace is how long after the end of a block the one that met it last lets others probe first: it may be the only one
	// that is refused.
	probeGrace = 5 * time.Second
)

// breaker blocks submissions after a refusal that would meet the others too. When its time is up, one goes ahead and probes;
// the others wait for what it meets. A nil breaker blocks nothing.
type breaker struct {
	kind     dafty.Kind
	message  string
	until    time.Time
	failures int

	// refused met the refusal.
	refused *Caller
	// probe is who probes, until probeUntil at the latest.
	probe      *Caller
	probeUntil time.Time
	// sent is when the newest of the refused requests was let go: what changed since may have mended the cause. probedEarly is
	// when it was last probed for that.
	sent, probedEarly time.Time
}

// blocks returns until when a Caller waits, nil if it may go ahead. alone is set where no other waits.
func (b *breaker) blocks(by *Caller, changed time.Time, alone bool, now time.Time) *lifecycle.Block {
	if b == nil {
		return nil
	}
	until := b.until
	if at, wanted := b.earlyProbe(by, changed, now); wanted {
		if !now.Before(at) {
			return nil
		}
		if at.Before(until) {
			return &lifecycle.Block{Kind: b.kind, Message: b.message, Until: at}
		}
	}
	switch {
	case b.probe != nil && b.probe != by && now.Before(b.probeUntil):
		until = b.probeUntil
	case b.refused == by && b.probe != by && !alone:
		until = until.Add(probeGrace)
	}
	if !now.Before(until) {
		return nil
	}
	return &lifecycle.Block{Kind: b.kind, Message: b.message, Until: until}
}

// startProbe notes that a Caller goes ahead.
func (b *breaker) startProbe(by *Caller, now time.Time) {
	if b != nil {
		b.probe, b.probeUntil = by, now.Add(probeTimeout)
	}
}

// releaseProbe notes that a Caller doesn't probe any more, and reports whether it did.
func (b *breaker) releaseProbe(by *Caller) bool {
	if b == nil || b.probe != by {
		return false
	}
	b.probe = nil
	return true
}

// refuse makes or lengthens a block after a request was refused that was let go at sent.
func (b *breaker) refuse(by *Caller, err *dafty.CallError, sent, now time.Time) *breaker {
	fresh := &breaker{kind: err.Kind, message: err.Error(), failures: 1, refused: by, sent: sent, probedEarly: sent}
	if b != nil && b.kind == err.Kind {
		if sent.After(b.sent) {
			b.sent = sent
		}
		fresh.sent, fresh.probedEarly = b.sent, b.probedEarly
		if now.Before(b.until) {
			// It was on its way before the block began, or was let go for a change, and is no further try.
			if asked := now.Add(err.RetryAfter); asked.After(b.until) {
				b.until = asked
			}
			return b
		}
		fresh.failures = b.failures + 1
	}
	wait := err.RetryAfter
	if wait == 0 {
		meaning := lifecycle.MeaningOf(err.Kind)
		wait = dafty.Backoff(meaning.Backoff, fresh.failures, meaning.MaxBackoff)
	}
	fresh.until = now.Add(wait)
	return fresh
}

// What only a person mends (no credits, no subscription, an allowance that is used up, a key that isn't accepted) is probed
// less and less often. But a person who has mended it doesn't wait: they create a DaftyJob, or touch one or its Secret, and
// that one probes at once. If it is accepted, all go on; if it is refused, all wait on as they did. However many change at
// once, they probe one after the other, each only if it changed after the request before it was let go, and within the
// minute's creates.

const (
	// earlyProbeInterval is the least time between two requests that are let go for a change.
	earlyProbeInterval = 5 * time.Second
	// earlyProbeRetry is how soon after that it is looked whether the one before is answered.
	earlyProbeRetry = 2 * time.Second
)

// mendable reports whether a person may mend the cause of a block, and nothing tells when they did.
func (b *breaker) mendable() bool { return lifecycle.MeaningOf(b.kind).Mendable }

// earlyProbe reports whether a Caller is to probe for a change, and when it may.
func (b *breaker) earlyProbe(by *Caller, changed, now time.Time) (at time.Time, wanted bool) {
	if b == nil || !b.mendable() || !changed.After(b.sent) {
		return time.Time{}, false
	}
	at = b.probedEarly.Add(earlyProbeInterval)
	if b.probe != nil && b.probe != by && now.Before(b.probeUntil) && at.Before(now.Add(earlyProbeRetry)) {
		at = now.Add(earlyProbeRetry)
	}
	return at, true
}

// probesEarly reports whether a Caller probes now for a change, before the block's time is up.
func (b *breaker) probesEarly(by *Caller, changed, now time.Time) bool {
	at, wanted := b.earlyProbe(by, changed, now)
	return wanted && now.Before(b.until) && !now.Before(at)
}

// startEarlyProbe notes that a request is let go for a change.
func (b *breaker) startEarlyProbe(now time.Time) {
	if b != nil {
		b.probedEarly = now
	}
}
