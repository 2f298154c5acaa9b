package controller

import (
	"context"
	"errors"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/apierror"
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
	// conflictRetry is how soon a reconcile that lost a write is tried again, should no watch event bring it back before.
	conflictRetry = time.Second
	// lostRaces is how often in a row a write loses against another before it is asked whether there is one.
	lostRaces = 2
)

// recordRefusal keeps that a write was refused, and tells it where that is news.
func (r *Reconciler) recordRefusal(ctx context.Context, job *v1alpha1.DaftyJob, write lifecycle.Write, err error) {
	if event := r.refusals.refused(job, write, err, r.Clock.Now()); event != nil {
		r.emit(ctx, job, event, "Write")
	}
}

// unwritten follows a step that could not be taken, as the API server doesn't take its write.
func (r *Reconciler) unwritten(ctx context.Context, job *v1alpha1.DaftyJob, write lifecycle.Write, err error) (ctrl.Result, error) {
	switch {
	case write == "", apierrors.IsNotFound(err):
		return requeueAfterConflict(err)
	case write == lifecycle.WriteRelease && job.DeletionTimestamp.IsZero():
		// It has ended: nobody waits for this, and there may be many.
		if apierrors.IsConflict(err) || !apierror.IsLasting(err) {
			return requeueAfterConflict(err)
		}
		wait := r.releases.refused(job, r.Clock.Now())
		log.FromContext(ctx).Info("the finalizer of a DaftyJob that has ended can't be taken off: its deletion will need the operator", "why", apierror.Describe(err),
			"triedAgainIn", wait.String())
		return ctrl.Result{RequeueAfter: wait, Priority: new(handler.LowPriority)}, nil
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
	return ctrl.Result{}, err
}

// requeueAfterConflict returns what to do after a write that lost against another, or that is of an object that is gone. To lose
// against another write is no error: whatever was decided rested on an object that is no more.
func requeueAfterConflict(err error) (ctrl.Result, error) {
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: conflictRetry}, nil
	}
	return ctrl.Result{}, client.IgnoreNotFound(err)
}

// unrecorded follows a plan whose status could not be written: what takes nothing back, and costs nothing twice, is
// done all the same. The object is as it was read, but for its status, which is as it was to be written.
func (r *Reconciler) unrecorded(ctx context.Context, s *scope, p plan, err error) (ctrl.Result, error) {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) && !r.stands(ctx, s, p) {
		return requeueAfterConflict(err)
	}
	r.recordRefusal(ctx, s.Job, lifecycle.WriteStatus, err)
	if lifecycle.Is[lifecycle.Submit](p.Step) {
		s.tracker.GiveBack()
	}
	step, taken := lifecycle.Unrecorded(s.Job, p.Decision)
	if !taken {
		return ctrl.Result{}, err
	}
	p.Step = step
	s.tracker.SetCallContext(withJob(ctx, s.Job))
	if takeErr := r.act(ctx, s, p, false); takeErr != nil {
		_, takeErr = r.unwritten(ctx, s.Job, lifecycle.WriteOf(p.Step), takeErr)
		return ctrl.Result{}, errors.Join(err, takeErr)
	}
	if lifecycle.Is[lifecycle.RemoveFinalizer](p.Step) {
		return ctrl.Result{}, nil // it is gone
	}
	return ctrl.Result{}, err
}

// stands reports whether a plan whose status met a conflict is to be carried out. The first conflicts are taken for those of an
// object that has changed, about which is to be decided again; an API server that answers so again and again must not keep
// a cancel from leaving.
func (r *Reconciler) stands(ctx context.Context, s *scope, p plan) bool {
	if r.refusals.conflict(s.Job, lifecycle.WriteStatus) < lostRaces {
		return false
	}
	cancels := lifecycle.Is[lifecycle.Cancel](p.Step)
	fresh, err := r.live(ctx, s.Job)
	switch {
	case err != nil:
		return cancels
	case fresh == nil:
		return false
	case fresh.ResourceVersion == s.Job.ResourceVersion:
		return true
	}
	again := s.Snapshot
	again.Job = fresh
	decision := lifecycle.Next(again)
	return cancels && lifecycle.Is[lifecycle.Cancel](decision.Step) && strings.EqualFold(decision.Status.JobID, p.Status.JobID)
}

// live reads a DaftyJob from the API server. It is nil where it is gone.
func (r *Reconciler) live(ctx context.Context, job *v1alpha1.DaftyJob) (*v1alpha1.DaftyJob, error) {
	if r.Live == nil {
		return nil, errors.New("nothing reads past the cache")
	}
	fresh := &v1alpha1.DaftyJob{}
	err := ListReader{r.Live}.Get(ctx, client.ObjectKeyFromObject(job), fresh)
	if err != nil || fresh.UID != job.UID {
		return nil, client.IgnoreNotFound(err)
	}
	return fresh, nil
}

// unread follows an object of which something could not be read that a decision rests on: a cancel leaves all the same,
// with the API key that is at hand.
func (r *Reconciler) unread(ctx context.Context, s *scope, err error) error {
	decision := lifecycle.Next(s.Snapshot)
	adopts := s.Job.Spec.AdoptJobID != "" && s.Job.Status.JobID == ""
	if adopts || !lifecycle.Is[lifecycle.Cancel](decision.Step) {
		return err
	}
	s.Job.Status = decision.Status
	return errors.Join(err, r.takeStep(withJob(ctx, s.Job), s, decision.Step, nil))
}
