package controller

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// expectations remembers the newest resourceVersion that this process wrote of each object, so
// that a cache that is behind doesn't make it decide twice. It is a saving, not a safeguard:
// a decision on an old object fails with a conflict. (The client of controller-runtime can
// do the same, but not with more than one watched namespace.)
type expectations struct {
	mu     sync.Mutex
	newest map[types.NamespacedName]expectation
}

// expectation is the resourceVersion of a write, and when it was made.
type expectation struct {
	version string
	at      time.Time
}

// staleFor is how long an object is taken for older than what was written. A cache that is further behind is told by a conflict.
const staleFor = 10 * time.Second

func (w *expectations) record(obj client.Object, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.newest == nil {
		w.newest = map[types.NamespacedName]expectation{}
	}
	w.newest[client.ObjectKeyFromObject(obj)] = expectation{version: obj.GetResourceVersion(), at: now}
}

// stale reports whether obj is older than what was written a moment ago.
func (w *expectations) stale(obj client.Object, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	newest, ok := w.newest[client.ObjectKeyFromObject(obj)]
	if !ok {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(obj.GetResourceVersion(), newest.version)
	if err == nil && order < 0 && now.Sub(newest.at) < staleFor {
		return true
	}
	delete(w.newest, client.ObjectKeyFromObject(obj))
	return false
}

func (w *expectations) forget(name types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.newest, name)
}
