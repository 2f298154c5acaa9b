package soak

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/kstatustest"
	"dafty.ai/dafty-operator/internal/test/operatortest"
)

// records has what the watch has shown of the DaftyJobs.
type records struct {
	mu       sync.Mutex
	byUID    map[types.UID]*history
	problems []string // that show in the watching
}

// history is the history of one DaftyJob.
type history struct {
	newest *v1alpha1.DaftyJob
	// final is the first version with a final phase, seen at finalAt; nil if there was none.
	final   *v1alpha1.DaftyJob
	finalAt time.Time
	// gone is set once the watch has shown the object as deleted, at goneAt.
	gone   bool
	goneAt time.Time
}

// watcher watches the DaftyJobs of all namespaces for RetryWatcher.
type watcher struct{ client client.WithWatch }

func (w watcher) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	return w.client.Watch(ctx, &v1alpha1.DaftyJobList{}, &client.ListOptions{Raw: &options})
}

// watchRecords watches the DaftyJobs until the test ends.
func (r *run) watchRecords() *records {
	r.t.Helper()
	list := &v1alpha1.DaftyJobList{}
	if err := r.env.client.List(r.t.Context(), list); err != nil {
		r.t.Fatal(err)
	}
	events, err := watchtools.NewRetryWatcherWithContext(r.t.Context(), list.ResourceVersion, watcher{r.env.client})
	if err != nil {
		r.t.Fatal(err)
	}
	records := &records{byUID: map[types.UID]*history{}}
	go func() {
		for event := range events.ResultChan() {
			job, ok := event.Object.(*v1alpha1.DaftyJob)
			if !ok {
				records.addProblem("the watch of the test broke: %v", event.Object)
				continue
			}
			records.observe(job, event.Type == watch.Deleted, r)
		}
	}()
	return records
}

func (rs *records) addProblem(format string, args ...any) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.problems = append(rs.problems, fmt.Sprintf(format, args...))
}

// observe records a version of an object.
func (rs *records) observe(job *v1alpha1.DaftyJob, gone bool, r *run) {
	raw, err := json.Marshal(job)
	if err != nil {
		rs.addProblem("%v", err)
	}
	if key, form := operatortest.FindKey(string(raw), r.env.keys()...); key != "" {
		rs.addProblem("leaked: %s is in %s, %s", key, raw, form)
	}

	if problem := kstatustest.Problem(job); problem != "" {
		rs.addProblem("false: %s: %s", problem, raw)
	}
	if job.Spec.AccountRef != nil {
		if err := r.book.add(job, version{job: job, gone: gone}); err != nil {
			rs.addProblem("%v", err)
		}
	}

	rs.mu.Lock()
	defer rs.mu.Unlock()
	h := rs.byUID[job.UID]
	if h == nil {
		h = &history{}
		rs.byUID[job.UID] = h
	}
	if before := h.newest; before == nil || describe(before) != describe(job) {
		r.timeline.add("object", "%s/%s is %s", job.Namespace, job.Name, describe(job))
	}
	h.newest = job
	if gone {
		h.gone, h.goneAt = true, time.Now()
		r.timeline.add("object", "%s/%s is gone", job.Namespace, job.Name)
	}
	switch {
	case h.final == nil && job.Status.Phase.Final():
		h.final, h.finalAt = job, time.Now()
	case h.final != nil:
		// After the end only the observed generations change.
		if was, is := ending(h.final), ending(job); was != is {
			rs.problems = append(rs.problems, fmt.Sprintf("false: %s/%s changed after its end: %s, then %s", job.Namespace, job.Name, was, is))
		}
	}
}

// ending returns what must not change once a job has ended. That one was cancelled, and is wanted again, is told.
func ending(job *v1alpha1.DaftyJob) string {
	status := job.Status.DeepCopy()
	status.ObservedGeneration = 0
	if status.Phase == v1alpha1.PhaseCancelled {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionReady)
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionStalled)
	}
	for i := range status.Conditions {
		status.Conditions[i].ObservedGeneration = 0
	}
	raw, err := json.Marshal(status)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// newest returns the newest version of each object, by UID.
func (rs *records) newest() map[types.UID]*v1alpha1.DaftyJob {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	jobs := make(map[types.UID]*v1alpha1.DaftyJob, len(rs.byUID))
	for uid, h := range rs.byUID {
		jobs[uid] = h.newest
	}
	return jobs
}

// histories returns the histories of all objects, the oldest first.
func (rs *records) histories() []history {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	var all []history
	for _, h := range slices.SortedFunc(maps.Values(rs.byUID), func(a, b *history) int {
		return cmp.Or(a.newest.CreationTimestamp.Compare(b.newest.CreationTimestamp.Time), cmp.Compare(a.newest.UID, b.newest.UID))
	}) {
		all = append(all, *h)
	}
	return all
}

func reason(job *v1alpha1.DaftyJob) string {
	if c := meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return c.Reason
	}
	return ""
}

// describe returns the state of an object in a few words.
func describe(job *v1alpha1.DaftyJob) string {
	text := fmt.Sprintf("%s/%s", job.Status.Phase, reason(job))
	if desired := job.Spec.DesiredState; desired != "" && desired != v1alpha1.DesiredCompleted {
		text += ", wanted " + string(desired)
	}
	if s := job.Status.Submission; s != nil && job.Status.JobID == "" {
		text += ", sent as " + s.IdempotencyKey
	}
	if job.Status.JobID != "" {
		text += ", job " + job.Status.JobID
	}
	if job.DeletionTimestamp != nil {
		text += ", deleted"
	}
	return text
}
