package controller

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// writes remembers the newest resourceVersion that this process wrote of each object, so
// that a cache that is behind doesn't make it decide twice. It is a saving, not a safeguard:
// a decision on an old object fails with a conflict. (The client of controller-runtime can
// do the same, but not with more than one watched namespace.)
type writes struct {
	mu     sync.Mutex
	newest map[types.NamespacedName]string
}

func (w *writes) record(obj client.Object) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.newest == nil {
		w.newest = map[types.NamespacedName]string{}
	}
	w.newest[client.ObjectKeyFromObject(obj)] = obj.GetResourceVersion()
}

// stale says whether obj is older than what was written.
func (w *writes) stale(obj client.Object) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	newest, ok := w.newest[client.ObjectKeyFromObject(obj)]
	if !ok {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(obj.GetResourceVersion(), newest)
	if err == nil && order < 0 {
		return true
	}
	delete(w.newest, client.ObjectKeyFromObject(obj))
	return false
}

func (w *writes) forget(name types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.newest, name)
}
