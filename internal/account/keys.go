package account

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/internal/lifecycle"
)

// keys are the idempotency keys of the requests that are on their way, or whose answer isn't known. Two DaftyJobs can have
// the same one, from spec.idempotencyKey, and two requests with it at the same moment can make two jobs: Dafty's promise is
// about one after the other.
type keys map[string]*sending

type sending struct {
	// by is the DaftyJob's uid: its own repeats wait by themselves.
	by types.UID
	// until is when the request has surely passed.
	until time.Time
	// waiting are to be told when its answer is there.
	waiting []*Tracker
}

// blocks says until when t waits for another DaftyJob's request with the same key, nil if it may go ahead.
func (k keys) blocks(t *Tracker, key string, now time.Time) *lifecycle.Block {
	it := k[key]
	if it == nil || it.by == t.uid || !now.Before(it.until) {
		return nil
	}
	if !slices.Contains(it.waiting, t) {
		it.waiting = append(it.waiting, t)
	}
	return &lifecycle.Block{SameKey: true, Until: it.until}
}

// reserve keeps a key for the DaftyJob that sends it, and says whether it could: another may have it by now.
func (k keys) reserve(by types.UID, key string, until, now time.Time) bool {
	for other, it := range k {
		if !now.Before(it.until) {
			delete(k, other)
		}
	}
	it := k[key]
	switch {
	case it == nil:
		k[key] = &sending{by: by, until: until}
	case it.by != by:
		return false
	case it.until.Before(until):
		it.until = until
	}
	return true
}

// release gives a key back whose request has its answer, and says who waits for it.
func (k keys) release(by types.UID, key string) []*Tracker {
	it := k[key]
	if it == nil || it.by != by {
		return nil
	}
	delete(k, key)
	return it.waiting
}
