package controller

import (
	"context"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// Where more is to be done than the API server takes, what somebody waits for goes first: what a person has changed or deleted, as that
// may call a job off, and the end of a job. The earlier stages of other jobs wait, and what is only looked at again waits for those.

// first is the priority of what goes before all others. That of a new object is 0, and handler.LowPriority that of an old one at the start.
const first = 100

// addFirst queues requests before all others.
func addFirst(queue workqueue.TypedRateLimitingInterface[reconcile.Request], requests ...reconcile.Request) {
	if queue, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		queue.AddWithOpts(priorityqueue.AddOpts{Priority: new(first)}, requests...)
		return
	}
	for _, request := range requests {
		queue.Add(request)
	}
}

// changed queues an object first whose spec has changed, and one that is being deleted.
var changed = handler.Funcs{
	UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		if e.ObjectNew.GetDeletionTimestamp() != nil || e.ObjectNew.GetGeneration() != e.ObjectOld.GetGeneration() {
			addFirst(queue, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(e.ObjectNew)})
		}
	},
}

// ended queues first what depends on a DaftyJob that has just ended.
func ended(dependents handler.MapFunc) handler.EventHandler {
	return handler.Funcs{
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			was, is := e.ObjectOld.(*v1alpha1.DaftyJob), e.ObjectNew.(*v1alpha1.DaftyJob)
			if is.Status.Phase.Final() && !was.Status.Phase.Final() {
				addFirst(queue, dependents(ctx, is)...)
			}
		},
	}
}
