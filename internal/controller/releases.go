package controller

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

const (
	// releaseAtOnce is how long after its end the finalizer of a DaftyJob goes at once: that is what a job costs. Later ones are what a build that
	// left finalizers on, or an API server that refused, has left behind.
	releaseAtOnce = 5 * time.Minute
	// releaseEach is how far apart those go, however many there are: 20 a second.
	releaseEach = 50 * time.Millisecond
	// releaseAgain is when a release that the API server refused is tried again.
	releaseAgain = time.Hour
)

// releases spreads the releases of DaftyJobs that ended a while ago.
type releases struct {
	mu sync.Mutex
	// last is the turn that was given last, and lastAgain that of one that was refused before.
	last, lastAgain time.Time
	// turns are those that wait.
	turns map[types.NamespacedName]turn
}

// turn is when a release is to be made, of the object that had the name then.
type turn struct {
	uid types.UID
	at  time.Time
}

// wait returns for how long a release is to wait, 0 where it is to be made now.
func (r *releases) wait(job *v1alpha1.DaftyJob, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := client.ObjectKeyFromObject(job)
	at := r.turns[name].at
	switch ended := job.Status.FinishedAt; {
	case r.turns[name].uid == job.UID && !at.IsZero():
	case ended != nil && now.Sub(ended.Time) < releaseAtOnce:
		return 0
	default:
		at = r.take(&r.last, job, now)
	}
	if left := at.Sub(now); left > 0 {
		return left
	}
	delete(r.turns, name)
	return 0
}

// refused has a release wait that the API server has refused, and returns for how long.
func (r *releases) refused(job *v1alpha1.DaftyJob, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.take(&r.lastAgain, job, now.Add(releaseAgain)).Sub(now)
}

// take gives a DaftyJob a turn from a time on, after the last one. It is called with the lock held.
func (r *releases) take(last *time.Time, job *v1alpha1.DaftyJob, from time.Time) time.Time {
	if next := last.Add(releaseEach); next.After(from) {
		from = next
	}
	if r.turns == nil {
		r.turns = map[types.NamespacedName]turn{}
	}
	*last, r.turns[client.ObjectKeyFromObject(job)] = from, turn{job.UID, from}
	return from
}

func (r *releases) forget(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.turns, name)
}
