package account

import (
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

const (
	// probeTimeout is how long the one job that tries whether a hold's cause is gone may take.
	probeTimeout = time.Minute
	// maxHold is the longest time between two tries (design: at most 5 minutes).
	maxHold = 5 * time.Minute
	// maxOutage is the longest time between two tries to reach Dafty at all.
	maxOutage = 30 * time.Second
)

// hold keeps submissions back after a refusal that would meet the others too. When its time
// is up, one job goes ahead and tries; the others wait for what it meets.
type hold struct {
	kind     dafty.Kind
	message  string
	until    time.Time
	failures int

	probe      *Tracker
	probeUntil time.Time
}

// admits says whether t may go ahead, and if not, until when it waits.
func (h *hold) admits(t *Tracker, now time.Time) *lifecycle.Hold {
	wait := &lifecycle.Hold{Kind: h.kind, Message: h.message, Until: h.until}
	if now.Before(h.until) {
		return wait
	}
	if h.probe != nil && h.probe != t && now.Before(h.probeUntil) {
		wait.Until = h.probeUntil
		return wait
	}
	h.probe, h.probeUntil = t, now.Add(probeTimeout)
	return nil
}

// refused makes or lengthens a hold after a refusal.
func refused(h *hold, err *dafty.CallError, now time.Time) *hold {
	failures := 1
	if h != nil && h.kind == err.Kind {
		failures = h.failures + 1
	}
	wait := err.RetryAfter
	if wait == 0 {
		base, limit := 15*time.Second, maxHold
		switch err.Kind {
		case dafty.KindUnauthorized:
			base = time.Minute
		case dafty.KindConcurrency:
			base, limit = 5*time.Second, time.Minute
		case dafty.KindUnavailable:
			base, limit = time.Second, maxOutage
		}
		wait = doubled(base, failures, limit)
	}
	return &hold{kind: err.Kind, message: err.Error(), until: now.Add(min(wait, maxHold)), failures: failures}
}

// doubled is base, doubled for each failure in a row after the first, up to limit.
func doubled(base time.Duration, failures int, limit time.Duration) time.Duration {
	for range min(failures-1, 16) {
		base *= 2
	}
	return min(base, limit)
}
