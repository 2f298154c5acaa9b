// Package controller reconciles DaftyJobs, in five steps:
//
//  1. read: the object, what it refers to, its API key, and what is known of its job (scope).
//  2. decide: package lifecycle says what status must read, and which step follows.
//  3. admit: a submission passes the queue and the rate limit of its API key, or is decided about once more (plan).
//  4. persist: status is written.
//  5. act: events are told, and the step is taken.
package controller

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/budget"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/metrics"
	"dafty.ai/dafty-operator/internal/resultmap"
	"dafty.ai/dafty-operator/internal/tracing"
)

// Name is the controller's, in events, logs and metrics.
const Name = "dafty-operator"

// What of these is used is held against the audit log of an API server by a test in config.
//
// +kubebuilder:rbac:groups=dafty.ai,resources=daftyjobs,verbs=list;watch;patch;delete
// +kubebuilder:rbac:groups=dafty.ai,resources=daftyjobs/status,verbs=patch
// +kubebuilder:rbac:groups=dafty.ai,resources=daftyassets,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create

// ReadLive are read when they are needed, by their names, and none is kept for longer than a moment. Of the ConfigMaps of
// results, the metadata are watched beside that (see ByObject).
var ReadLive = []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}}

// Reconciler reconciles DaftyJobs.
type Reconciler struct {
	// Client reads DaftyJobs and DaftyAssets from a cache and what ReadLive names live.
	client.Client
	// Live reads DaftyJobs past the cache, where a write meets one conflict after the other.
	Live client.Reader
	// Recorder takes the events.
	Recorder events.EventRecorder
	// Accounts make the calls to Dafty.
	Accounts *account.Registry
	// Budgets are those of the DaftyAccounts; nil without them.
	Budgets *budget.Book
	// Clock tells the time of decisions.
	Clock clock.PassiveClock
	// DeletionTimeout is how long a deletion waits for a confirmed cancel.
	DeletionTimeout time.Duration
	// WithAssets reports whether DaftyAssets are read and watched. Without them, their CRD isn't installed.
	WithAssets bool
	// WithAccounts reports whether DaftyAccounts are read and watched. They are cluster-scoped, and their CRD may be missing.
	WithAccounts bool
	// Results tells whether the ConfigMaps of results are as they were written. SetupWithManager sets it.
	Results resultmap.Versions

	writes   expectations
	results  resultmap.Memory
	recalled recalled
	secrets  secretReads
	refusals refusals
	releases releases
}

// SetupWithManager has mgr run the reconciler for DaftyJobs, up to workers at a time, for those
// that wait for them, and for those that wakeups tells of.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, wakeups *Wakeups, workers int) error {
	for field, values := range Indexes {
		if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.DaftyJob{}, field, values); err != nil {
			return err
		}
	}
	if r.WithAssets {
		for field, values := range AssetIndexes {
			if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.DaftyAsset{}, field, values); err != nil {
				return err
			}
		}
	}
	if err := mgr.Add(metrics.NewRunning(mgr.GetCache(), r.Accounts, metrics.Kinds{Assets: r.WithAssets, Accounts: r.WithAccounts})); err != nil {
		return err
	}
	results := resultmap.NewWatch(mgr.GetCache(), Kind)
	r.Results = results
	of := ctrl.NewControllerManagedBy(mgr).
		Named(Name).
		For(&v1alpha1.DaftyJob{}, builder.WithPredicates(unlessOver)).
		Watches(&v1alpha1.DaftyJob{}, changed).
		Watches(&v1alpha1.DaftyJob{}, over).
		Watches(&v1alpha1.DaftyJob{}, handler.EnqueueRequestsFromMapFunc(r.dependents)).
		WatchesRawSource(source.Func(wakeups.start)).
		WatchesRawSource(source.Func(results.Start)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, RateLimiter: NewRateLimiter()})
	if r.WithAssets {
		of = of.Watches(&v1alpha1.DaftyAsset{}, handler.EnqueueRequestsFromMapFunc(r.dependents))
	}
	if r.WithAccounts {
		of = of.
			Watches(&v1alpha1.DaftyAccount{}, handler.EnqueueRequestsFromMapFunc(r.ofAccount), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
			WatchesMetadata(NamespaceMetadata(), handler.EnqueueRequestsFromMapFunc(r.ofNamespace), builder.WithPredicates(predicate.LabelChangedPredicate{}))
	}
	return of.Complete(r)
}

// Reconcile decides about one DaftyJob and does what was decided. It waits for no call to
// Dafty: the answers wake it.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	ctx, span := tracing.Reconcile(ctx, req.NamespacedName)
	defer span.End()
	result, err := r.reconcile(ctx, req)
	tracing.Failed(span, err)
	return result, err
}

func (r *Reconciler) reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	// 1. Read.
	s, wait, err := r.read(ctx, req.NamespacedName)
	switch {
	case s == nil:
		return ctrl.Result{RequeueAfter: wait}, err
	case err != nil:
		return ctrl.Result{}, r.unread(ctx, s, err)
	}
	for {
		// 2. Decide.
		decision := lifecycle.Next(s.Snapshot)

		// 3. Admit.
		p := r.admit(ctx, s, decision)

		// 4. Persist. Where that fails, only such steps are taken as need no record.
		if err := r.persist(ctx, s, p); err != nil {
			return r.unrecorded(ctx, s, p, err)
		}

		// 5. Act.
		ctx := withJob(ctx, s.Job)
		if err := r.act(ctx, s, p, true); err != nil {
			return r.unwritten(ctx, s.Job, lifecycle.WriteOf(p.Step), err)
		}
		if !r.goesOn(s, p.Step) {
			return requeue(p.Decision), nil
		}
	}
}

// goesOn reports whether a reconcile decides once more after a step, as nothing else brings it back, and has the scope ready
// for that.
func (r *Reconciler) goesOn(s *scope, step lifecycle.Step) bool {
	switch step.(type) {
	case lifecycle.StoreResult:
		return true // of the same snapshot: what was stored is what it has
	case lifecycle.AddFinalizer:
		// It need not come back for the submission: the object is as it was written.
		if s.finalized || s.Job.Status.JobID != "" {
			return false
		}
		s.finalized = true
		r.observe(s)
		return true
	}
	return false
}

// requeue returns when a reconcile is wanted after a decision that was carried out.
func requeue(decision lifecycle.Decision) ctrl.Result {
	result := ctrl.Result{RequeueAfter: decision.After}
	if lifecycle.Is[lifecycle.Rest](decision.Step) && decision.After > 0 {
		// What only waits must not hold up what can go on, as after a restart with many objects.
		result.Priority = new(handler.LowPriority)
	}
	return result
}

func (r *Reconciler) forget(name types.NamespacedName) {
	r.Accounts.Forget(name)
	r.writes.forget(name)
	r.refusals.forget(name)
	r.releases.forget(name)
	r.results.Forget(name)
}
