package account

import (
	"time"

	"dafty.ai/dafty-operator/internal/lifecycle"
)

// What only a person mends (no credits, no subscription, an allowance that is used up, a key that isn't accepted) is asked
// again less and less often. But a person who has mended it doesn't wait: they create a DaftyJob, or touch one or its Secret,
// and that one asks at once. If it is accepted, all go on; if it is refused, all wait on as they did. However many change at
// once, they ask one after the other, each only if it changed after the request before it was let go, and within the
// minute's creates.

const (
	// askEvery is the least time between two requests that are let go for the sake of a change.
	askEvery = 5 * time.Second
	// askWhile is how soon after that it is looked again whether the one before is answered.
	askWhile = 2 * time.Second
	// youngFor is how old a DaftyJob may be that counts as new when it is first seen: after a restart thousands are
	// seen that aren't, and two clocks differ.
	youngFor = 30 * time.Second
)

// SetVersion tells of the version of the DaftyJob, which changes with whatever a person changes of it.
func (t *Tracker) SetVersion(version string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	isNew := t.version == "" && t.registry.config.Now().Sub(t.created) < youngFor
	if isNew || t.version != "" && t.version != version {
		t.changed = time.Now()
	}
	t.version = version
}

// SetSecretVersion tells of the version of the Secret that was read.
func (t *Tracker) SetSecretVersion(version string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.secretVersion != "" && t.secretVersion != version {
		t.changed = time.Now()
	}
	t.secretVersion = version
}

// mendable reports whether a person may mend the cause of a block, and nothing tells when they did.
func (h *breaker) mendable() bool { return lifecycle.MeaningOf(h.kind).Mendable }

// asks says whether t is to try the block for the sake of a change, and when it may.
func (h *breaker) asks(t *Tracker, now time.Time) (at time.Time, wanted bool) {
	if h == nil || !h.mendable() || !t.changed.After(h.sent) {
		return time.Time{}, false
	}
	at = h.asked.Add(askEvery)
	if h.probe != nil && h.probe != t && now.Before(h.probeUntil) && at.Before(now.Add(askWhile)) {
		at = now.Add(askWhile)
	}
	return at, true
}

// goesAhead says whether t tries the block now for the sake of a change, before its time is up.
func (h *breaker) goesAhead(t *Tracker, now time.Time) bool {
	at, wanted := h.asks(t, now)
	return wanted && now.Before(h.until) && !now.Before(at)
}

// ask notes that a request is let go for the sake of a change.
func (h *breaker) ask(now time.Time) {
	if h != nil {
		h.asked = now
	}
}
