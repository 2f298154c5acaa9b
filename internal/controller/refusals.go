package controller

import (
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/apierror"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

const (
	// refusalLife is how long after its newest try a refusal is taken for one that lasts: longer than between two tries.
	refusalLife = 4 * MaxRetry
	// rewordAfter is how soon after another a refusal with other words is told.
	rewordAfter = 3 * time.Minute
	// maxTold is how many different refusals of one write are told as events.
	maxTold = 8
)

// refusals is the memory of which writes the API server refuses, by DaftyJob.
type refusals struct {
	mu      sync.Mutex
	objects map[types.NamespacedName]*refusedObject
}

type refusedObject struct {
	uid    types.UID
	writes map[lifecycle.Write]*refusedWrite
}

// refusedWrite is a write that isn't taken.
type refusedWrite struct {
	// conflicts counts those in a row.
	conflicts int
	// refusal is nil while there were only conflicts. newest is when it was met last, worded when its words were taken.
	refusal        *lifecycle.Refusal
	newest, worded time.Time
	// told are the words of the events.
	told []string
}

// of returns what is kept of a write, and makes it where there is nothing. It is called with the lock held.
func (r *refusals) of(job *v1alpha1.DaftyJob, write lifecycle.Write) *refusedWrite {
	name := client.ObjectKeyFromObject(job)
	object := r.objects[name]
	if object == nil || object.uid != job.UID {
		object = &refusedObject{uid: job.UID, writes: map[lifecycle.Write]*refusedWrite{}}
		if r.objects == nil {
			r.objects = map[types.NamespacedName]*refusedObject{}
		}
		r.objects[name] = object
	}
	if object.writes[write] == nil {
		object.writes[write] = &refusedWrite{}
	}
	return object.writes[write]
}

// conflict counts a conflict, and returns how many there were in a row.
func (r *refusals) conflict(job *v1alpha1.DaftyJob, write lifecycle.Write) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.of(job, write)
	w.conflicts++
	return w.conflicts
}

// refused keeps a refusal, and returns the event that tells it, nil where it is too young to be told, or was told.
func (r *refusals) refused(job *v1alpha1.DaftyJob, write lifecycle.Write, err error, now time.Time) *lifecycle.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.of(job, write)
	if !apierrors.IsConflict(err) {
		w.conflicts = 0
	}
	if w.refusal != nil && (now.Sub(w.newest) > refusalLife || now.Before(w.refusal.Since)) {
		w.refusal = nil // it is another, or the clock was set back
	}
	w.newest = now
	met := lifecycle.Refusal{Write: write, Message: apierror.Describe(err), Lasting: apierror.IsLasting(err), Since: now}
	switch kept := w.refusal; {
	case kept == nil:
		w.refusal, w.worded = &met, now
	case kept.Lasting == met.Lasting && lifecycle.SameText(kept.Message, met.Message):
	case !kept.Telling(now) || now.Sub(w.worded) >= rewordAfter:
		met.Since = kept.Since
		w.refusal, w.worded = &met, now
	}
	known := func(words string) bool { return lifecycle.SameText(words, w.refusal.Message) }
	if !w.refusal.Telling(now) || len(w.told) >= maxTold || slices.ContainsFunc(w.told, known) {
		return nil
	}
	w.told = append(w.told, w.refusal.Message)
	return w.refusal.Event(job)
}

// taken forgets that a write was refused, as one has succeeded.
func (r *refusals) taken(job *v1alpha1.DaftyJob, write lifecycle.Write) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := client.ObjectKeyFromObject(job)
	object := r.objects[name]
	if object == nil {
		return
	}
	if delete(object.writes, write); len(object.writes) == 0 {
		delete(r.objects, name)
	}
}

// known returns the refusals that last.
func (r *refusals) known(job *v1alpha1.DaftyJob, now time.Time) []lifecycle.Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	object := r.objects[client.ObjectKeyFromObject(job)]
	if object == nil || object.uid != job.UID {
		return nil
	}
	var list []lifecycle.Refusal
	for _, w := range object.writes {
		if w.refusal != nil && now.Sub(w.newest) <= refusalLife {
			list = append(list, *w.refusal)
		}
	}
	slices.SortFunc(list, func(a, b lifecycle.Refusal) int { return strings.Compare(string(a.Write), string(b.Write)) })
	return list
}

func (r *refusals) forget(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.objects, name)
}
