package controller

import (
	"context"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/asset"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// nothing leaves all that happens to other handlers.
var nothing = predicate.NewPredicateFuncs(func(client.Object) bool { return false })

type requestQueue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// assetEvents queues a DaftyAsset that changes, and those that refer to it. One handler does all, as what two handlers queue may be
// reconciled twice.
func (r *AssetReconciler) assetEvents() handler.EventHandler {
	both := func(ctx context.Context, object client.Object, queue requestQueue) {
		queue.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(object)})
		addAll(queue, r.dependents(ctx, object))
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, queue requestQueue) { both(ctx, e.Object, queue) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, queue requestQueue) {
			was, is := e.ObjectOld.(*v1alpha1.DaftyAsset), e.ObjectNew.(*v1alpha1.DaftyAsset)
			itself, others := r.ConcernedByAsset(was, is, r.Clock.Now())
			if request := (reconcile.Request{NamespacedName: client.ObjectKeyFromObject(is)}); itself && isChanged(e) {
				addFirst(queue, request)
			} else if itself {
				queue.Add(request)
			}
			if others {
				addAll(queue, r.dependents(ctx, is))
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, queue requestQueue) { both(ctx, e.Object, queue) },
	}
}

// jobEvents queues the DaftyAssets that the change of a DaftyJob concerns: at its end before all else, as its result is waited for.
func (r *AssetReconciler) jobEvents() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, queue requestQueue) {
			if r.ConcernedByJob(nil, e.Object.(*v1alpha1.DaftyJob)) {
				addAll(queue, r.dependents(ctx, e.Object))
			}
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, queue requestQueue) {
			was, is := e.ObjectOld.(*v1alpha1.DaftyJob), e.ObjectNew.(*v1alpha1.DaftyJob)
			switch {
			case !r.ConcernedByJob(was, is):
				return
			case is.Status.Phase.Final() && !was.Status.Phase.Final():
				addWith(queue, ends, r.dependents(ctx, is)...)
			default:
				addAll(queue, r.dependents(ctx, is))
			}
			if !sameMaker(was, is) {
				addAll(queue, r.dependents(ctx, was))
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, queue requestQueue) {
			addAll(queue, r.dependents(ctx, e.Object))
		},
	}
}

func addAll(queue requestQueue, requests []reconcile.Request) {
	for _, request := range requests {
		queue.Add(request)
	}
}

// ConcernedByAsset reports whether an update of a DaftyAsset may change what is decided about itself, and about those that refer to it.
// It is to be asked once of each, when the cache has it.
func (r *AssetReconciler) ConcernedByAsset(was, is *v1alpha1.DaftyAsset, now time.Time) (itself, others bool) {
	if again := was.ResourceVersion == is.ResourceVersion; again {
		return true, true // it is told from time to time, should anything have been missed
	}
	return !r.writes.echoes(is, now), asset.ConcernsOthers(was, is)
}

// ConcernedByJob reports whether an update of a DaftyJob, or its creation where was is nil, may change what is decided about DaftyAssets.
// It is to be asked once of each, when the cache has it.
func (r *AssetReconciler) ConcernedByJob(was, is *v1alpha1.DaftyJob) bool {
	switch _, _, made := lifecycle.MadeBy(is); {
	case was == nil:
		return !made || !r.memory.seen(is)
	case !made, !sameMaker(was, is), was.ResourceVersion == is.ResourceVersion:
		return true
	default:
		return asset.Concerns(was, is)
	}
}

// sameMaker reports whether a DaftyJob is still of the DaftyAsset, or of none, that it was of.
func sameMaker(was, is *v1alpha1.DaftyJob) bool {
	_, before, _ := lifecycle.MadeBy(was)
	_, after, _ := lifecycle.MadeBy(is)
	return before == after
}
