package controller

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Wakeups brings objects of one kind to be reconciled because Dafty has answered.
type Wakeups struct {
	queue chan workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// NewWakeups makes the source of wake-ups for one Reconciler.
func NewWakeups() *Wakeups {
	return &Wakeups{queue: make(chan workqueue.TypedRateLimitingInterface[reconcile.Request], 1)}
}

func (w *Wakeups) start(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	w.queue <- queue
	return nil
}

// Wake has the object of that name reconciled soon. It doesn't block once the controller
// runs, and only a running controller makes the calls that wake.
func (w *Wakeups) Wake(name types.NamespacedName) {
	addWith(w.running(), underway, reconcile.Request{NamespacedName: name})
}

// WakeFirst is Wake for what goes before all others.
func (w *Wakeups) WakeFirst(name types.NamespacedName) {
	addFirst(w.running(), reconcile.Request{NamespacedName: name})
}

func (w *Wakeups) running() workqueue.TypedRateLimitingInterface[reconcile.Request] {
	queue := <-w.queue
	w.queue <- queue
	return queue
}
