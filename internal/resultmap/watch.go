package resultmap

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// Metadata returns a ConfigMap without its data, which is what a Watch has a cache keep.
func Metadata() *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	return object
}

// ByObject returns what a cache is to keep of Metadata: the ConfigMaps of results, which are asked for by their label, and of each
// as little as tells that it has changed.
func ByObject() cache.ByObject {
	return cache.ByObject{Label: labels.SelectorFromSet(labels.Set{v1alpha1.ResultLabel: v1alpha1.ResultLabelValue}), Transform: lean}
}

// lean leaves of a ConfigMap which one it is, in which version, and whose.
func lean(object any) (any, error) {
	whole, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil // a tombstone
	}
	kept := &metav1.PartialObjectMetadata{TypeMeta: whole.TypeMeta}
	kept.Namespace, kept.Name, kept.UID, kept.ResourceVersion = whole.Namespace, whole.Name, whole.UID, whole.ResourceVersion
	kept.OwnerReferences = whole.OwnerReferences
	return kept, nil
}

// Versions tells what a watch has seen of the ConfigMaps of results.
type Versions interface {
	// Version returns the resourceVersion of a ConfigMap, empty where there is none that has the label. It isn't known as long as
	// not all are listed; then the owner is brought back once they are.
	Version(ctx context.Context, configMap, owner types.NamespacedName) (version string, known bool)
}

// Watch tells a controller of the ConfigMaps of its kind's results. It watches from the first time that one is asked for:
// controllers start only when all that the cache watches is listed, and an operator that may not list ConfigMaps is to do all
// else. The Watches of several kinds share the cache's one informer.
type Watch struct {
	cache cache.Cache
	kind  string

	mu sync.Mutex
	// begin begins to watch. It is nil before the controller starts, and once it has succeeded.
	begin  func() error
	synced bool
	// asked are the owners that were asked for before all ConfigMaps were listed.
	asked map[types.NamespacedName]struct{}
}

// NewWatch returns a Watch for the owners of a kind.
func NewWatch(of cache.Cache, kind string) *Watch {
	return &Watch{cache: of, kind: kind, asked: map[types.NamespacedName]struct{}{}}
}

// Version implements Versions.
func (w *Watch) Version(ctx context.Context, configMap, owner types.NamespacedName) (version string, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.synced {
		w.asked[owner] = struct{}{}
		if w.begin == nil {
			return "", false
		}
		if err := w.begin(); err != nil {
			log.FromContext(ctx).Error(err, "watching the ConfigMaps of results")
			return "", false
		}
		w.begin = nil
		return "", false
	}
	object := Metadata()
	if err := w.cache.Get(ctx, configMap, object); client.IgnoreNotFound(err) != nil {
		return "", false // the cache is at its end
	}
	return object.ResourceVersion, true
}

// Start is a controller's source: it is called when the controller starts. The owners whose ConfigMaps change are added to queue.
func (w *Watch) Start(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begin = func() error {
		informer, err := w.cache.GetInformer(ctx, Metadata(), cache.BlockUntilSynced(false))
		if err != nil {
			return err
		}
		if _, err := informer.AddEventHandler(w.handler(queue)); err != nil {
			return err
		}
		go func() {
			if toolscache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
				w.listed(queue)
			}
		}()
		return nil
	}
	return nil
}

// listed brings back the owners that were asked for too early.
func (w *Watch) listed(queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.synced = true
	prioritized, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request])
	for owner := range w.asked {
		request := reconcile.Request{NamespacedName: owner}
		if ok {
			prioritized.AddWithOpts(priorityqueue.AddOpts{Priority: new(handler.LowPriority)}, request)
		} else {
			queue.Add(request)
		}
	}
	w.asked = nil
}

// handler adds the owners whose ConfigMaps change.
func (w *Watch) handler(queue workqueue.TypedRateLimitingInterface[reconcile.Request]) toolscache.ResourceEventHandler {
	changed := func(object any) {
		if gone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
			object = gone.Obj
		}
		configMap, ok := object.(metav1.Object)
		if !ok {
			return
		}
		if owner := OwnerOf(configMap, w.kind); owner != "" {
			queue.Add(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: configMap.GetNamespace(), Name: owner}})
		}
	}
	return toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(object any, initial bool) {
			if !initial { // or whoever it concerns has asked, or will
				changed(object)
			}
		},
		UpdateFunc: func(before, after any) {
			changed(before) // whoever it was taken from
			changed(after)
		},
		DeleteFunc: changed,
	}
}
