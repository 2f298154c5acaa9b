package controller

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/asset"
)

// jobOf returns a DaftyJob that a DaftyAsset made and Dafty works on.
func jobOf(owner string) *v1alpha1.DaftyJob {
	job := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: owner + "-0123456789", UID: types.UID("job of " + owner), Generation: 1, ResourceVersion: "1",
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: asset.Kind, Name: owner, UID: types.UID(owner), Controller: new(true),
		}},
	}}
	job.Status.Phase, job.Status.Attempts = v1alpha1.PhaseProcessing, 1
	return job
}

// What has ended is followed before what somebody has changed since, and that before what is new; what concerns nobody isn't followed.
func TestOrderOfAssets(t *testing.T) {
	queue := priorityqueue.New[reconcile.Request]("test")
	defer queue.ShutDown()
	r := &AssetReconciler{Clock: clocktesting.NewFakePassiveClock(time.Unix(1_800_000_000, 0))}
	update := func(owner string, change func(*v1alpha1.DaftyJob)) {
		was := jobOf(owner)
		is := was.DeepCopy()
		is.ResourceVersion = "2"
		change(is)
		r.jobEvents().Update(t.Context(), event.UpdateEvent{ObjectOld: was, ObjectNew: is}, queue)
	}
	r.jobEvents().Create(t.Context(), event.CreateEvent{Object: jobOf("new")}, queue)
	addFirst(queue, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: "changed"}})
	update("goes-on", func(job *v1alpha1.DaftyJob) { job.Status.JobID = "x" })
	update("ended", func(job *v1alpha1.DaftyJob) { job.Status.Phase = v1alpha1.PhaseFailed })
	update("taken-away", func(job *v1alpha1.DaftyJob) {
		job.OwnerReferences[0].Name, job.OwnerReferences[0].UID = "another", "another"
	})
	var order []string
	for range 5 {
		request, _, _ := queue.GetWithPriority()
		queue.Done(request)
		order = append(order, request.Name)
	}
	if want := []string{"ended", "changed", "new", "another", "taken-away"}; !slices.Equal(order, want) || queue.Len() > 0 {
		t.Errorf("the order is %v and %d more, not %v", order, queue.Len(), want)
	}
}

// A DaftyJob that was created here is known, until somebody changes it; one that another process created isn't.
func TestCreatedJobsAreKnown(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	r := &AssetReconciler{}
	r.memory.created(jobOf("hero"), now)
	if r.ConcernedByJob(nil, jobOf("hero")) {
		t.Error("the cache has what was created, and the asset is brought back")
	}
	if !r.ConcernedByJob(nil, jobOf("hero")) {
		t.Error("it is taken for known twice")
	}
	r.memory.created(jobOf("hero"), now)
	changed := jobOf("hero")
	changed.ResourceVersion = "2"
	if !r.ConcernedByJob(nil, changed) {
		t.Error("the cache has a later version than was created, and the asset isn't brought back")
	}
	if !r.ConcernedByJob(nil, jobOf("poster")) {
		t.Error("another process created it, and the asset isn't brought back")
	}
}

// What this process wrote itself doesn't bring an asset back, unless a decision waits for it; what anybody else wrote does.
func TestOwnWritesOfAssets(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	version := func(version string) *v1alpha1.DaftyAsset {
		return &v1alpha1.DaftyAsset{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "hero", ResourceVersion: version}}
	}
	for name, c := range map[string]struct {
		happens func(r *AssetReconciler)
		was, is string
		after   time.Duration
		want    bool
	}{
		"its own write":               {func(r *AssetReconciler) { r.writes.record(version("11"), now) }, "10", "11", 0, false},
		"its own write before that":   {func(r *AssetReconciler) { r.writes.record(version("11"), now) }, "9", "10", 0, false},
		"somebody's write after that": {func(r *AssetReconciler) { r.writes.record(version("11"), now) }, "11", "12", 0, true},
		"somebody's write":            {func(*AssetReconciler) {}, "10", "11", 0, true},
		"it is told once more":        {func(r *AssetReconciler) { r.writes.record(version("11"), now) }, "11", "11", 0, true},
		"a decision waits for it": {func(r *AssetReconciler) {
			r.writes.record(version("11"), now)
			r.writes.stale(version("10"), now)
		}, "10", "11", 0, true},
		"a store that was set back": {func(r *AssetReconciler) { r.writes.record(version("11"), now) }, "5", "6", staleFor, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := &AssetReconciler{}
			c.happens(r)
			if got, _ := r.ConcernedByAsset(version(c.was), version(c.is), now.Add(c.after)); got != c.want {
				t.Errorf("it is brought back: %t, want %t", got, c.want)
			}
		})
	}
	r := &AssetReconciler{}
	r.writes.record(version("11"), now)
	r.ConcernedByAsset(version("10"), version("11"), now)
	if len(r.writes.newest) > 0 {
		t.Error("what the cache has is remembered: there may be thousands")
	}
}
