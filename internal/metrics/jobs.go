package metrics

import (
	"maps"
	"slices"
	"sync"

	"k8s.io/client-go/tools/cache"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// jobs counts DaftyJobs by what the informer tells of them. It keeps none: an informer tells of each change what the
// object was before, as it was told.
type jobs struct {
	mu    sync.Mutex
	count map[kind]int
}

// kind is what is counted as one.
type kind struct{ phase, jobType string }

func newJobs() *jobs {
	j := &jobs{count: map[kind]int{}}
	for _, labels := range combinations(phases, types) {
		j.count[kind{labels[0], labels[1]}] = 0
	}
	return j
}

// OnAdd implements cache.ResourceEventHandler.
func (j *jobs) OnAdd(object any, _ bool) { j.move(nil, object) }

// OnUpdate implements cache.ResourceEventHandler.
func (j *jobs) OnUpdate(before, after any) { j.move(before, after) }

// OnDelete implements cache.ResourceEventHandler.
func (j *jobs) OnDelete(object any) {
	if gone, missed := object.(cache.DeletedFinalStateUnknown); missed {
		object = gone.Obj
	}
	j.move(object, nil)
}

func (j *jobs) move(from, to any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if job, ok := from.(*v1alpha1.DaftyJob); ok {
		j.count[kindOf(job)]--
	}
	if job, ok := to.(*v1alpha1.DaftyJob); ok {
		j.count[kindOf(job)]++
	}
}

func (j *jobs) counted() map[kind]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.count)
}

func kindOf(job *v1alpha1.DaftyJob) kind {
	k := kind{phase: string(job.Status.Phase), jobType: job.Status.JobType}
	if k.phase == "" {
		k.phase = string(v1alpha1.PhasePending)
	}
	if k.jobType == "" {
		// A spec without a request is of no type that is known.
		k.jobType = string(lifecycle.JobType(&job.Spec))
	}
	if !slices.Contains(types, k.jobType) {
		k.jobType = other
	}
	return k
}
