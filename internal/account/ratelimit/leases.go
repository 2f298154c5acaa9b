package ratelimit

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/internal/lifecycle"
)

// leases are the idempotency keys of the requests that are on their way, or whose answer isn't known. Two Callers can have the
// same one, and two requests with it at the same moment can make two jobs: Dafty's promise is about one after the other.
type leases map[string]*lease

type lease struct {
	// by is the Caller's: its own repeats wait by themselves.
	by types.UID
	// until is when the request has surely passed.
	until time.Time
	// waiting are to be woken when its answer is there.
	waiting Callers
}

// blocks returns until when a Caller waits for another's request with the same key, nil if it may go ahead.
func (l leases) blocks(by *Caller, key string, now time.Time) *lifecycle.Block {
	it := l[key]
	if it == nil || it.by == by.UID || !now.Before(it.until) {
		return nil
	}
	if !slices.Contains(it.waiting, by) {
		it.waiting = append(it.waiting, by)
	}
	return &lifecycle.Block{SameKey: true, Until: it.until}
}

// acquire leases a key until its request has passed, and reports whether it could: another may have it by now.
func (l leases) acquire(by types.UID, key string, until, now time.Time) bool {
	for other, it := range l {
		if !now.Before(it.until) {
			delete(l, other)
		}
	}
	it := l[key]
	switch {
	case it == nil:
		l[key] = &lease{by: by, until: until}
	case it.by != by:
		return false
	case it.until.Before(until):
		it.until = until
	}
	return true
}

// release gives back a key whose request has its answer, and returns who waits for it.
func (l leases) release(by types.UID, key string) Callers {
	it := l[key]
	if it == nil || it.by != by {
		return nil
	}
	delete(l, key)
	return it.waiting
}
