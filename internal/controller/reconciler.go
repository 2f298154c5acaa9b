// Package controller reconciles DaftyJobs: it reads, asks package lifecycle what is next,
// writes status once, and takes the one step that follows.
package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/metrics"
	"dafty.ai/dafty-operator/internal/tracing"
)

// Name is the controller's, in events, logs and metrics.
const Name = "dafty-operator"

// conflictRetry is how soon a reconcile that lost a write is tried again, should no watch
// event bring it back before.
const conflictRetry = time.Second

// What of these is used is held against the audit log of an API server by a test in config.
//
// +kubebuilder:rbac:groups=dafty.ai,resources=daftyjobs,verbs=list;watch;patch;delete
// +kubebuilder:rbac:groups=dafty.ai,resources=daftyjobs/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create

// ReadLive are read when they are needed, by their names, and none is kept for longer than a moment. Of the ConfigMaps of
// results, the metadata are watched beside that (see ByObject).
var ReadLive = []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}}

// Reconciler reconciles DaftyJobs.
type Reconciler struct {
	// Client reads DaftyJobs from a cache and what ReadLive names live.
	client.Client
	// Live reads DaftyJobs past the cache, where a write meets one conflict after the other.
	Live client.Reader
	// Recorder takes the events.
	Recorder events.EventRecorder
	// Accounts make the calls to Dafty.
	Accounts *account.Registry
	// Clock tells the time of decisions.
	Clock clock.PassiveClock
	// DeletionTimeout is how long a deletion waits for a confirmed cancel.
	DeletionTimeout time.Duration
	// Results tells whether the ConfigMaps of results are as they were written. SetupWithManager sets it.
	Results ResultVersions

	writes   expectations
	results  resultMemory
	recalled recalled
	secrets  secretReads
	refusals refusals
}

// SetupWithManager has mgr run the reconciler for DaftyJobs, up to workers at a time, for those
// that wait for them, and for those that wakeups tells of.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, wakeups *Wakeups, workers int) error {
	for field, values := range Indexes {
		if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.DaftyJob{}, field, values); err != nil {
			return err
		}
	}
	if err := mgr.Add(metrics.NewRunning(mgr.GetCache(), r.Accounts)); err != nil {
		return err
	}
	results := newResultWatch(mgr.GetCache())
	r.Results = results
	return ctrl.NewControllerManagedBy(mgr).
		Named(Name).
		For(&v1alpha1.DaftyJob{}).
		Watches(&v1alpha1.DaftyJob{}, handler.EnqueueRequestsFromMapFunc(r.dependents)).
		WatchesRawSource(source.Func(wakeups.start)).
		WatchesRawSource(source.Func(results.start)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, RateLimiter: NewRateLimiter()}).
		Complete(r)
}

// Reconcile decides about one DaftyJob and does what was decided. It waits for no call to
// Dafty: their answers wake it.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	ctx, span := tracing.Reconcile(ctx, req.NamespacedName)
	defer span.End()
	result, err := r.reconcile(ctx, req)
	tracing.Failed(span, err)
	return result, err
}

func (r *Reconciler) reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	// 1. Read.
	job := &v1alpha1.DaftyJob{}
	if err := r.Get(ctx, req.NamespacedName, job); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if r.writes.stale(job, r.Clock.Now()) {
		// The cache will bring what this process has written last, and the reconcile with it; unless the API server's store
		// was set back to before that.
		return ctrl.Result{RequeueAfter: staleFor}, nil
	}
	if err := r.recall(ctx); err != nil {
		return ctrl.Result{}, err
	}
	tracker := r.Accounts.Tracker(req.NamespacedName, job.UID, job.CreationTimestamp.Time)
	about := withJob(ctx, job)
	tracker.SetCallContext(about)
	tracker.SetVersion(versionOf(job))
	problem, err := r.readCredentials(about, job, tracker)
	gathered, gatherErr := r.readReferences(about, job)
	if err := errors.Join(err, gatherErr); err != nil {
		return ctrl.Result{}, r.unread(about, job, tracker, gathered, problem, err)
	}

	result, err := r.act(ctx, job, tracker, gathered, problem)
	if err == nil && result.finalized {
		// It need not come back for the submission: the object is as it was written.
		result, err = r.act(ctx, job, tracker, gathered, problem)
	}
	return result.Result, err
}

// acted is what became of one decision.
type acted struct {
	ctrl.Result
	// finalized says that the object got its finalizer, before anything was submitted.
	finalized bool
}

// act makes one decision and carries it out.
func (r *Reconciler) act(ctx context.Context, job *v1alpha1.DaftyJob, tracker *account.Tracker, gathered lifecycle.References, problem string) (acted, error) {
	// 2. Decide.
	decision := r.decide(withJob(ctx, job), job, tracker, gathered, problem)

	// 3. Write status. Where that fails, only such steps are taken as need no record.
	version := job.ResourceVersion
	if err := r.writeStatus(ctx, job, decision.Status); err != nil {
		return r.unrecorded(ctx, job, decision, err)
	}
	if job.ResourceVersion != version {
		tracker.StatusWritten()
	}
	ctx = withJob(ctx, job)
	tracker.SetCallContext(ctx)
	logDecision(ctx, job, decision.before, decision.Decision)
	metrics.RecordFinished(decision.before, &job.Status, tracker.EndedAt())
	if decision.Step != lifecycle.Submit && !decision.AtOnce {
		tracker.AckPersisted(decision.input.Known)
	}

	// 4. Tell, and take the step.
	if err := r.carryOut(ctx, job, decision, true); err != nil {
		return r.unwritten(ctx, job, lifecycle.WriteOf(decision.Step), err)
	}
	done := acted{Result: ctrl.Result{RequeueAfter: decision.After}}
	switch {
	case decision.Step == lifecycle.AddFinalizer:
		done.finalized = job.Status.JobID == ""
	case decision.Step == lifecycle.Rest && decision.After > 0:
		// What only waits must not hold up what can go on, as after a restart with many objects.
		done.Priority = new(handler.LowPriority)
	}
	return done, nil
}

// writeStatus writes what changed, if the object is still as it was read.
func (r *Reconciler) writeStatus(ctx context.Context, job *v1alpha1.DaftyJob, status v1alpha1.DaftyJobStatus) error {
	if equality.Semantic.DeepEqual(job.Status, status) {
		return nil
	}
	base := job.DeepCopy()
	job.Status = status
	if err := r.Status().Patch(ctx, job, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("writing status: %w", err)
	}
	r.refusals.taken(job, lifecycle.WriteStatus)
	r.writes.record(job, r.Clock.Now())
	return nil
}

func (r *Reconciler) forget(name types.NamespacedName) {
	r.Accounts.Forget(name)
	r.writes.forget(name)
	r.refusals.forget(name)
	r.results.forget(name)
}

// requeueAfterConflict says what to do after a write that lost against another, or that is of an object that is gone. Losing against another write is no error:
// whatever was decided rested on an object that is no more.
func requeueAfterConflict(err error) (acted, error) {
	if apierrors.IsConflict(err) {
		return acted{Result: ctrl.Result{RequeueAfter: conflictRetry}}, nil
	}
	return acted{}, client.IgnoreNotFound(err)
}
