package controller

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// MaxRetry is the longest time between two tries of a reconcile that fails.
const MaxRetry = 30 * time.Second

// NewRateLimiter returns what spaces the tries of a reconcile that fails. controller-runtime's own goes up to a quarter of
// an hour, and each event on an object whose writes are refused counts as one more failure.
func NewRateLimiter() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](5*time.Millisecond, MaxRetry)
}

const (
	// refusalLife is how long after the newest try a refusal is taken for one that lasts: longer than between two tries.
	refusalLife = 4 * MaxRetry
	// rewordAfter is how soon after another a refusal with other words is told.
	rewordAfter = 3 * time.Minute
	// maxTold is how many different refusals of one write are told as events.
	maxTold = 8
	// maxWords bounds what is told of the API server's words, in characters.
	maxWords = 400
	// lostRaces is how often in a row a write loses against another before it is asked whether there is one.
	lostRaces = 2
)

// refusals keep which writes the API server refuses, by DaftyJob.
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

// of returns what is kept of a write, made where there is none. It is called with the lock held.
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
	met := lifecycle.Refusal{Write: write, Message: describeError(err), Lasting: lasting(err), Since: now}
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

// taken forgets what was refused of a write, as one has succeeded.
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

// lasting reports whether an error is a verdict on the write, which trying again alone doesn't change.
func lasting(err error) bool {
	var refusal apierrors.APIStatus
	if !errors.As(err, &refusal) {
		return false
	}
	switch code := refusal.Status().Code; code {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	default:
		return code >= 400 && code < 500
	}
}

// describeError returns what the API server said, on one line and not too long; where it said nothing, what happened.
func describeError(err error) string {
	words := err.Error()
	var refusal apierrors.APIStatus
	if errors.As(err, &refusal) && refusal.Status().Message != "" {
		words = refusal.Status().Message
	}
	words = strings.Join(strings.FieldsFunc(words, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }), " ")
	if runes := []rune(words); len(runes) > maxWords {
		words = string(runes[:maxWords-1]) + "…"
	}
	return words
}

// recordRefusal keeps that a write was refused, and tells it where that is news.
func (r *Reconciler) recordRefusal(ctx context.Context, job *v1alpha1.DaftyJob, write lifecycle.Write, err error) {
	if event := r.refusals.refused(job, write, err, r.Clock.Now()); event != nil {
		r.emit(ctx, job, event, "Write")
	}
}

// unwritten follows a step that could not be taken, as the API server doesn't take its write.
func (r *Reconciler) unwritten(ctx context.Context, job *v1alpha1.DaftyJob, write lifecycle.Write, err error) (acted, error) {
	switch {
	case write == "", apierrors.IsNotFound(err):
		return requeueAfterConflict(err)
	case apierrors.IsConflict(err):
		if r.refusals.conflict(job, write) <= lostRaces {
			return requeueAfterConflict(err)
		}
		// A webhook can answer so, too.
		if fresh, readErr := r.live(ctx, job); readErr != nil || fresh == nil || fresh.ResourceVersion != job.ResourceVersion {
			return requeueAfterConflict(err)
		}
	}
	r.recordRefusal(ctx, job, write, err)
	return acted{}, err
}

// unrecorded follows a decision whose status could not be written: what takes nothing back, and costs nothing twice, is
// done all the same. The object is as it was read, but for its status, which is as it was to be written.
func (r *Reconciler) unrecorded(ctx context.Context, job *v1alpha1.DaftyJob, d decided, err error) (acted, error) {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) && !r.stands(ctx, job, d) {
		return requeueAfterConflict(err)
	}
	r.recordRefusal(ctx, job, lifecycle.WriteStatus, err)
	if ended := d.Status.Phase.Final() && d.Step == lifecycle.Rest; ended && !job.DeletionTimestamp.IsZero() && slices.Contains(job.Finalizers, v1alpha1.CancelFinalizer) {
		// Its end is known, and it is to go: nobody needs it written down.
		d.Step = lifecycle.RemoveFinalizer
	}
	if d.Step == lifecycle.Submit {
		d.tracker.GiveBack()
	}
	if !lifecycle.Unrecorded(d.Step) {
		return acted{}, err
	}
	d.tracker.SetCallContext(withJob(ctx, job))
	if takeErr := r.carryOut(ctx, job, d, false); takeErr != nil {
		_, takeErr = r.unwritten(ctx, job, lifecycle.WriteOf(d.Step), takeErr)
		return acted{}, errors.Join(err, takeErr)
	}
	if d.Step == lifecycle.RemoveFinalizer {
		return acted{}, nil // it is gone
	}
	return acted{}, err
}

// stands reports whether a decision whose status met a conflict is to be carried out. The first conflicts are those of an
// object that has changed, about which is to be decided again; an API server that answers so again and again must not keep
// a cancel from leaving.
func (r *Reconciler) stands(ctx context.Context, job *v1alpha1.DaftyJob, d decided) bool {
	if r.refusals.conflict(job, lifecycle.WriteStatus) < lostRaces {
		return false
	}
	fresh, err := r.live(ctx, job)
	switch {
	case err != nil:
		return d.Step == lifecycle.Cancel
	case fresh == nil:
		return false
	case fresh.ResourceVersion == job.ResourceVersion:
		return true
	}
	in := d.input
	in.Job = fresh
	again := lifecycle.Next(in)
	return d.Step == lifecycle.Cancel && again.Step == d.Step && strings.EqualFold(again.Status.JobID, d.Status.JobID)
}

// live reads a DaftyJob from the API server, nil where it is gone.
func (r *Reconciler) live(ctx context.Context, job *v1alpha1.DaftyJob) (*v1alpha1.DaftyJob, error) {
	if r.Live == nil {
		return nil, errors.New("nothing reads past the cache")
	}
	jobs := &v1alpha1.DaftyJobList{}
	if err := r.Live.List(ctx, jobs, client.InNamespace(job.Namespace), client.MatchingFields{"metadata.name": job.Name}); err != nil {
		return nil, err
	}
	for i := range jobs.Items {
		if jobs.Items[i].UID == job.UID {
			return &jobs.Items[i], nil
		}
	}
	return nil, nil
}

// unread follows an object of which something could not be read that a decision rests on: a cancel leaves all the same,
// with the API key that is at hand.
func (r *Reconciler) unread(ctx context.Context, job *v1alpha1.DaftyJob, tracker *account.Tracker, gathered lifecycle.References, problem string, err error) error {
	decision := lifecycle.Next(r.input(job, tracker, gathered, problem))
	if adopts := job.Spec.AdoptJobID != "" && job.Status.JobID == ""; adopts || decision.Step != lifecycle.Cancel {
		return err
	}
	job.Status = decision.Status
	return errors.Join(err, r.takeStep(ctx, job, decision, tracker, nil))
}
