package controller

import (
	"context"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// What somebody waits for is reconciled before what came earlier; anything else in its turn.
func TestWhatGoesFirst(t *testing.T) {
	job := func(change func(*v1alpha1.DaftyJob)) *v1alpha1.DaftyJob {
		job := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Name: "this", Generation: 1, ResourceVersion: "1"}}
		job.Status.Phase = v1alpha1.PhaseProcessing
		change(job)
		return job
	}
	before := job(func(*v1alpha1.DaftyJob) {})
	hero := func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{requestFor("this")}
	}
	wakeups := NewWakeups()
	updated := func(by handler.EventHandler, to *v1alpha1.DaftyJob) func(t *testing.T, queue priorityqueue.PriorityQueue[reconcile.Request]) {
		return func(t *testing.T, queue priorityqueue.PriorityQueue[reconcile.Request]) {
			(&handler.EnqueueRequestForObject{}).Update(t.Context(), event.UpdateEvent{ObjectOld: before, ObjectNew: to}, queue)
			by.Update(t.Context(), event.UpdateEvent{ObjectOld: before, ObjectNew: to}, queue)
		}
	}
	for name, c := range map[string]struct {
		happens func(t *testing.T, queue priorityqueue.PriorityQueue[reconcile.Request])
		first   bool
	}{
		"its spec is changed": {updated(changed, job(func(job *v1alpha1.DaftyJob) { job.Generation++ })), true},
		"it is deleted":       {updated(changed, job(func(job *v1alpha1.DaftyJob) { job.DeletionTimestamp = new(metav1.Now()) })), true},
		"its status is written": {updated(changed, job(func(job *v1alpha1.DaftyJob) {
			job.ResourceVersion = "2"
		})), false},
		"its DaftyJob ends":    {updated(ended(hero), job(func(job *v1alpha1.DaftyJob) { job.Status.Phase = v1alpha1.PhaseFailed })), true},
		"its DaftyJob goes on": {updated(ended(hero), job(func(job *v1alpha1.DaftyJob) { job.ResourceVersion = "2" })), false},
		"Dafty tells of the end": {func(*testing.T, priorityqueue.PriorityQueue[reconcile.Request]) {
			wakeups.WakeFirst(types.NamespacedName{Namespace: "", Name: "this"})
		}, true},
		"Dafty answers": {func(*testing.T, priorityqueue.PriorityQueue[reconcile.Request]) {
			wakeups.Wake(types.NamespacedName{Namespace: "", Name: "this"})
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			queue := priorityqueue.New[reconcile.Request]("test")
			defer queue.ShutDown()
			wakeups = NewWakeups()
			if err := wakeups.start(t.Context(), queue); err != nil {
				t.Fatal(err)
			}
			for _, earlier := range []string{"a", "b", "c"} {
				queue.Add(requestFor(earlier))
			}
			c.happens(t, queue)
			var order []string
			for range 4 {
				request, _, _ := queue.GetWithPriority()
				queue.Done(request)
				order = append(order, request.Name)
			}
			want := []string{"a", "b", "c", "this"}
			if c.first {
				want = []string{"this", "a", "b", "c"}
			}
			if !slices.Equal(order, want) {
				t.Errorf("the order is %v, not %v", order, want)
			}
		})
	}
}

func requestFor(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}
}
