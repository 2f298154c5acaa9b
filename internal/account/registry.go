package account

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/metrics"
)

// Registry holds an Account for each API key in use, a Tracker for each DaftyJob that is underway, and a Holder for each
// DaftyAccount.
type Registry struct {
	*shared

	mu       sync.Mutex
	trackers map[types.NamespacedName]*Tracker
	holders  map[string]*Holder
}

// NewRegistry returns an empty registry. Its calls end with ctx.
func NewRegistry(ctx context.Context, config Config) *Registry {
	return &Registry{shared: newShared(ctx, config), trackers: map[types.NamespacedName]*Tracker{}, holders: map[string]*Holder{}}
}

// Recall tells of the submissions that other processes made, before anything else is asked: they count against the minutes of
// their API keys.
func (r *Registry) Recall(submissions []Recalled) { r.accounts.recall(submissions) }

// Load implements metrics.Accounts.
func (r *Registry) Load() metrics.Load { return r.accounts.load() }

// Tracker returns the Tracker of the DaftyJob with this name and uid, a new one where there is none. An earlier object of the
// same name is forgotten. The one that was created first goes first.
func (r *Registry) Tracker(name types.NamespacedName, uid types.UID, created time.Time) *Tracker {
	r.mu.Lock()
	t := r.trackers[name]
	if t != nil && t.caller.UID == uid {
		r.mu.Unlock()
		return t
	}
	fresh := newTracker(r.shared, name, uid, created)
	r.trackers[name] = fresh
	r.mu.Unlock()
	if t != nil {
		t.close()
	}
	return fresh
}

// Forget drops the tracker of a DaftyJob that has ended or is gone, and its calls with it.
func (r *Registry) Forget(name types.NamespacedName) {
	r.mu.Lock()
	t := r.trackers[name]
	delete(r.trackers, name)
	r.mu.Unlock()
	if t != nil {
		t.close()
	}
}

// all returns the trackers.
func (r *Registry) all() []*Tracker {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.trackers))
}

func (t *Tracker) close() {
	t.stop()
	t.mu.Lock()
	t.closed = true
	t.settle()
	t.unfollow()
	var wake ratelimit.Callers
	for _, a := range t.accounts() {
		wake = append(wake, a.remove(&t.caller)...)
		t.shared.accounts.release(a)
	}
	t.secret, t.lastUsed, t.previous = nil, nil, nil
	t.mu.Unlock()
	wake.Wake()
}
