package ratelimit

import (
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

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
func (b *breaker) mendable() bool {
	switch b.kind {
	case dafty.KindInsufficientCredits, dafty.KindSubscriptionRequired, dafty.KindUsageLimit, dafty.KindUnauthorized:
		return true
	case dafty.KindInvalid, dafty.KindNotFound, dafty.KindConflict, dafty.KindRateLimit, dafty.KindConcurrency, dafty.KindUnavailable:
	}
	return false
}

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
