package controller

import (
	"context"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// Where more is to be done than the API server takes, what somebody waits for goes first: what a person has changed or deleted, as that
// may call a job off, and the end of a job; of DaftyAssets, ends before the next changes. What Dafty has answered of a job that is underway
// follows, then what is new, and at last what has ended, and what is only looked at again.
const (
	ends     = 200
	first    = 100
	underway = 10
	// A new object has 0, and an old one at the start handler.LowPriority.
	last = handler.LowPriority
)

// addFirst queues requests before all others.
func addFirst(queue workqueue.TypedRateLimitingInterface[reconcile.Request], requests ...reconcile.Request) {
	addWith(queue, first, requests...)
}

func addWith(queue workqueue.TypedRateLimitingInterface[reconcile.Request], priority int, requests ...reconcile.Request) {
	if queue, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		queue.AddWithOpts(priorityqueue.AddOpts{Priority: new(priority)}, requests...)
		return
	}
	for _, request := range requests {
		queue.Add(request)
	}
}

// changed queues an object first whose spec has changed, and one that is being deleted.
var changed = handler.Funcs{
	UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		if isChanged(e) {
			addFirst(queue, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(e.ObjectNew)})
		}
	},
}

// isChanged reports whether an update is of the spec of an object, or of one that is being deleted.
func isChanged(e event.UpdateEvent) bool {
	return e.ObjectNew.GetDeletionTimestamp() != nil || e.ObjectNew.GetGeneration() != e.ObjectOld.GetGeneration()
}

// isOver reports whether an update is of a DaftyJob that has ended, and of nothing that somebody asks of it.
func isOver(e event.UpdateEvent) bool {
	is, ok := e.ObjectNew.(*v1alpha1.DaftyJob)
	return ok && is.Status.Phase.Final() && is.DeletionTimestamp == nil && is.Generation == e.ObjectOld.GetGeneration()
}

// unlessOver leaves to over what that queues.
var unlessOver = predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool { return !isOver(e) }}

// over queues last what has ended: all that is left is its finalizer.
var over = handler.Funcs{
	UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		if isOver(e) {
			addWith(queue, last, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(e.ObjectNew)})
		}
	},
}
