package account

import (
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
func (k keys) blocks(t *Tracker, key string, now time.Time) *lifecycle.Hold {
	it := k[key]
	if it == nil || it.by == t.uid || !now.Before(it.until) {
		return nil
	}
	it.wait(t)
	return &lifecycle.Hold{SameKey: true, Until: it.until}
}

func (it *sending) wait(t *Tracker) {
	for _, other := range it.waiting {
		if other == t {
			return
		}
	}
	it.waiting = append(it.waiting, t)
}

// hold keeps a key for the DaftyJob that sends it.
func (k keys) hold(by types.UID, key string, until, now time.Time) {
	for other, it := range k {
		if !now.Before(it.until) {
			delete(k, other)
		}
	}
	if it := k[key]; it != nil {
		// Those that wait do so for whoever has it.
		it.by, it.until = by, until
		return
	}
	k[key] = &sending{by: by, until: until}
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
