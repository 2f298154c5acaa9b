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
	// awaited reports that a decision waits until the cache has it.
	awaited bool
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
		newest.awaited = true
		w.newest[client.ObjectKeyFromObject(obj)] = newest
		return true
	}
	delete(w.newest, client.ObjectKeyFromObject(obj))
	return false
}

// echoes reports whether an object that the cache has just been given is as this process wrote it, or as it was before that, and no
// decision waits for it: what follows from the write was decided with it, and the write was made upon all that came before.
func (w *expectations) echoes(obj client.Object, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	newest, ok := w.newest[client.ObjectKeyFromObject(obj)]
	if !ok || newest.awaited || now.Sub(newest.at) >= staleFor {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(obj.GetResourceVersion(), newest.version)
	if err != nil || order > 0 {
		return false
	}
	if order == 0 {
		delete(w.newest, client.ObjectKeyFromObject(obj)) // there may be thousands
	}
	return true
}

// expected returns the resourceVersion of the newest write of an object that the cache wasn't seen to have, empty where there is none.
func (w *expectations) expected(name types.NamespacedName) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.newest[name].version
}

// isBefore reports whether an object is of before a resourceVersion.
func isBefore(obj client.Object, version string) bool {
	order, err := resourceversion.CompareResourceVersion(obj.GetResourceVersion(), version)
	return version != "" && err == nil && order < 0
}

func (w *expectations) forget(name types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.newest, name)
}
