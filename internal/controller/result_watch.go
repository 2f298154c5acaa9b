package controller

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

// ByObject returns what the cache is to keep of each kind of object: DaftyJobs as TransformForCache leaves them, and of the ConfigMaps of results,
// which are asked for by their label, as little as tells that one has changed.
func ByObject() map[client.Object]cache.ByObject {
	return map[client.Object]cache.ByObject{
		&v1alpha1.DaftyJob{}: {Transform: TransformForCache},
		resultMetadata():     {Label: labels.SelectorFromSet(labels.Set{v1alpha1.ResultLabel: v1alpha1.ResultLabelValue}), Transform: leanResult},
	}
}

// resultMetadata returns a ConfigMap without its data.
func resultMetadata() *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	return object
}

// leanResult leaves of a ConfigMap which one it is, in which version, and whose.
func leanResult(object any) (any, error) {
	whole, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil // a tombstone
	}
	lean := &metav1.PartialObjectMetadata{TypeMeta: whole.TypeMeta}
	lean.Namespace, lean.Name, lean.UID, lean.ResourceVersion = whole.Namespace, whole.Name, whole.UID, whole.ResourceVersion
	lean.OwnerReferences = whole.OwnerReferences
	return lean, nil
}

// ResultOwner returns the name of the DaftyJob that a ConfigMap belongs to, empty where it belongs to none.
func ResultOwner(object metav1.Object) string {
	if owner := metav1.GetControllerOfNoCopy(object); owner != nil && isDaftyJob(owner) {
		return owner.Name
	}
	return ""
}

// ResultVersions tells what a watch has seen of the ConfigMaps of results.
type ResultVersions interface {
	// ResultVersion is the resourceVersion of a ConfigMap, empty where there is none that has the label. It isn't known as long as
	// not all are listed; then the DaftyJob is brought back once they are.
	ResultVersion(ctx context.Context, configMap, job types.NamespacedName) (version string, known bool)
}

// resultChanged reports whether the ConfigMap of a completed job isn't known to be as it was written. It asks nobody: that the
// resourceVersion is the one that was written proves it.
func (r *Reconciler) resultChanged(ctx context.Context, job *v1alpha1.DaftyJob) bool {
	name := job.Spec.ResultConfigMap
	if name == "" || job.Status.ResultConfigMap != name || job.Status.Result == nil || job.Status.Phase != v1alpha1.PhaseCompleted {
		return false
	}
	key := client.ObjectKeyFromObject(job)
	version, known := r.Results.ResultVersion(ctx, types.NamespacedName{Namespace: job.Namespace, Name: name}, key)
	if !known {
		return false
	}
	content := contentOf(job, job.Status.JobID, job.Status.Result)
	version += "-" + content.digest()
	return version != job.Status.ResultConfigMapVersion && !r.results.isRight(key, version)
}

// resultWatch watches the ConfigMaps of results, from the first time that one is asked for: controllers start only when all
// that the cache watches is listed, and an operator that may not list ConfigMaps is to do all else.
type resultWatch struct {
	cache cache.Cache

	mu sync.Mutex
	// begin begins to watch. It is nil before the controller starts, and once it has succeeded.
	begin  func() error
	synced bool
	// asked are the DaftyJobs that were asked for before all ConfigMaps were listed.
	asked map[types.NamespacedName]struct{}
}

func newResultWatch(of cache.Cache) *resultWatch {
	return &resultWatch{cache: of, asked: map[types.NamespacedName]struct{}{}}
}

// ResultVersion implements ResultVersions.
func (w *resultWatch) ResultVersion(ctx context.Context, configMap, job types.NamespacedName) (version string, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.synced {
		w.asked[job] = struct{}{}
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
	object := resultMetadata()
	if err := w.cache.Get(ctx, configMap, object); client.IgnoreNotFound(err) != nil {
		return "", false // the cache is at its end
	}
	return object.ResourceVersion, true
}

// start is called when the controller starts. What changes is added to queue.
func (w *resultWatch) start(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begin = func() error {
		informer, err := w.cache.GetInformer(ctx, resultMetadata(), cache.BlockUntilSynced(false))
		if err != nil {
			return err
		}
		if _, err := informer.AddEventHandler(resultHandler(queue)); err != nil {
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

// listed brings back the DaftyJobs that were asked for too early.
func (w *resultWatch) listed(queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.synced = true
	prioritized, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request])
	for job := range w.asked {
		request := reconcile.Request{NamespacedName: job}
		if ok {
			prioritized.AddWithOpts(priorityqueue.AddOpts{Priority: new(handler.LowPriority)}, request)
		} else {
			queue.Add(request)
		}
	}
	w.asked = nil
}

// resultHandler adds the DaftyJobs whose ConfigMaps change.
func resultHandler(queue workqueue.TypedRateLimitingInterface[reconcile.Request]) toolscache.ResourceEventHandler {
	changed := func(object any) {
		if gone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
			object = gone.Obj
		}
		configMap, ok := object.(metav1.Object)
		if !ok {
			return
		}
		if owner := ResultOwner(configMap); owner != "" {
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
