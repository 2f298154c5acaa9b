package controller

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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
	wakeups := NewWakeups()
	updated := func(by handler.EventHandler, to *v1alpha1.DaftyJob) func(t *testing.T, queue priorityqueue.PriorityQueue[reconcile.Request]) {
		return func(t *testing.T, queue priorityqueue.PriorityQueue[reconcile.Request]) {
			(&handler.EnqueueRequestForObject{}).Update(t.Context(), event.UpdateEvent{ObjectOld: before, ObjectNew: to}, queue)
			by.Update(t.Context(), event.UpdateEvent{ObjectOld: before, ObjectNew: to}, queue)
		}
	}
	for name, c := range map[string]struct {
		happens func(t *testing.T, queue priorityqueue.PriorityQueue[reconcile.Request])
		// place is how many of the three new ones go before it.
		place int
	}{
		"its spec is changed": {updated(changed, job(func(job *v1alpha1.DaftyJob) { job.Generation++ })), 0},
		"it is deleted":       {updated(changed, job(func(job *v1alpha1.DaftyJob) { job.DeletionTimestamp = new(metav1.Now()) })), 0},
		"its status is written": {updated(changed, job(func(job *v1alpha1.DaftyJob) {
			job.ResourceVersion = "2"
		})), 3},
		"Dafty tells of the end": {func(*testing.T, priorityqueue.PriorityQueue[reconcile.Request]) {
			wakeups.WakeFirst(types.NamespacedName{Namespace: "", Name: "this"})
		}, 0},
		"Dafty answers": {func(*testing.T, priorityqueue.PriorityQueue[reconcile.Request]) {
			wakeups.Wake(types.NamespacedName{Namespace: "", Name: "this"})
		}, 0},
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
			want := slices.Insert([]string{"a", "b", "c"}, c.place, "this")
			if !slices.Equal(order, want) {
				t.Errorf("the order is %v, not %v", order, want)
			}
		})
	}
}

// What has ended is reconciled last, unless somebody asks something of it; and Dafty's answers before what is new.
func TestWhatGoesLast(t *testing.T) {
	queue := priorityqueue.New[reconcile.Request]("test")
	defer queue.ShutDown()
	wakeups := NewWakeups()
	if err := wakeups.start(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	see := func(name string, phase v1alpha1.Phase, change func(*v1alpha1.DaftyJob)) {
		before := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1, ResourceVersion: "1"}}
		after := before.DeepCopy()
		after.Status.Phase, after.ResourceVersion = phase, "2"
		change(after)
		update := event.UpdateEvent{ObjectOld: before, ObjectNew: after}
		if unlessOver.Update(update) {
			(&handler.EnqueueRequestForObject{}).Update(t.Context(), update, queue)
		}
		changed.Update(t.Context(), update, queue)
		over.Update(t.Context(), update, queue)
	}
	see("ended", v1alpha1.PhaseCompleted, func(*v1alpha1.DaftyJob) {})
	see("processing", v1alpha1.PhaseProcessing, func(*v1alpha1.DaftyJob) {})
	wakeups.Wake(types.NamespacedName{Name: "answered"})
	see("ended-and-deleted", v1alpha1.PhaseCompleted, func(job *v1alpha1.DaftyJob) { job.DeletionTimestamp = new(metav1.Now()) })
	see("ended-and-changed", v1alpha1.PhaseCompleted, func(job *v1alpha1.DaftyJob) { job.Generation++ })
	var order []string
	for range 5 {
		request, _, _ := queue.GetWithPriority()
		queue.Done(request)
		order = append(order, request.Name)
	}
	if want := []string{"ended-and-deleted", "ended-and-changed", "answered", "processing", "ended"}; !slices.Equal(order, want) {
		t.Errorf("the order is %v, not %v", order, want)
	}
}

func requestFor(name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}
}
