package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/apierror"
	"dafty.ai/dafty-operator/internal/asset"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/resultmap"
)

// AssetName is the name of the controller of DaftyAssets, in logs and metrics.
const AssetName = "daftyasset"

// +kubebuilder:rbac:groups=dafty.ai,resources=daftyassets,verbs=list;watch;patch
// +kubebuilder:rbac:groups=dafty.ai,resources=daftyassets/status,verbs=patch
// +kubebuilder:rbac:groups=dafty.ai,resources=daftyjobs,verbs=create

// AssetReconciler reconciles DaftyAssets: it makes, follows, calls off and deletes DaftyJobs, and never calls Dafty. It goes the
// steps of Reconciler, but for the third: what a DaftyJob costs is admitted where that is submitted.
type AssetReconciler struct {
	// Client reads DaftyAssets and DaftyJobs from a cache and what ReadLive names live.
	client.Client
	// Live reads past the cache.
	Live client.Reader
	// Recorder takes the events.
	Recorder events.EventRecorder
	// Clock tells the time of decisions.
	Clock clock.PassiveClock
	// Results tells whether the ConfigMaps of results are as they were written. SetupWithManager sets it.
	Results resultmap.Versions

	writes  expectations
	results resultmap.Memory
	memory  assetMemory
}

// SetupWithManager has mgr run the reconciler for DaftyAssets, up to workers at a time, and for those whose DaftyJobs or upstream
// assets change.
func (r *AssetReconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, workers int) error {
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.DaftyJob{}, MadeByIndex, MadeByAsset); err != nil {
		return err
	}
	results := resultmap.NewWatch(mgr.GetCache(), asset.Kind)
	r.Results = results
	return ctrl.NewControllerManagedBy(mgr).
		Named(AssetName).
		For(&v1alpha1.DaftyAsset{}, builder.WithPredicates(nothing)). // logs name the kind by it
		Watches(&v1alpha1.DaftyAsset{}, r.assetEvents()).
		Watches(&v1alpha1.DaftyJob{}, r.jobEvents()).
		WatchesRawSource(source.Func(results.Start)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, RateLimiter: NewRateLimiter()}).
		Complete(r)
}

// Reconcile decides about one DaftyAsset and does what was decided.
func (r *AssetReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	s, wait, err := r.readAsset(ctx, req.NamespacedName)
	if s == nil {
		return ctrl.Result{RequeueAfter: wait}, err
	}
	var failed error
	for {
		decision := asset.Next(*s)
		if decision.First != nil {
			failed = errors.Join(failed, r.takeFirst(ctx, s, decision.First))
			if lost := conflictOf(failed); lost != nil {
				return requeueAfterConflict(lost)
			}
			continue
		}
		before := s.Asset.Status
		if err := r.persistAsset(ctx, s, decision); err != nil {
			return r.unrecordedAsset(ctx, s, decision, err)
		}
		r.tellAsset(ctx, s, &before, decision)
		result := ctrl.Result{RequeueAfter: decision.After}
		taken := failed == nil
		for _, step := range decision.Steps {
			if err := r.takeAssetStep(ctx, s, step); err != nil {
				again, stepErr := r.unwrittenAsset(ctx, s, stepWrite, err)
				failed, taken = errors.Join(failed, stepErr), false
				if again.RequeueAfter > 0 {
					// The cache has it by then, or is far behind: no haste, as the write would lose again.
					result.RequeueAfter = sooner(result.RequeueAfter, staleFor)
				}
			}
		}
		if s.Known.Refused != "" && taken {
			// Status says that a write is refused, which isn't true any more.
			r.memory.taken(req.NamespacedName, stepWrite)
			result.RequeueAfter = sooner(result.RequeueAfter, time.Second)
		}
		return result, failed
	}
}

// sooner returns the shorter of two times to wait, 0 where neither is to be waited for.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// conflictOf returns the conflict among errors, nil where there is none.
func conflictOf(err error) error {
	if apierrors.IsConflict(err) {
		return err
	}
	return nil
}

// takeFirst takes the step that comes before a decision is final, and puts into the snapshot what came of it. The error is of a
// write that is to be tried again.
func (r *AssetReconciler) takeFirst(ctx context.Context, s *asset.Snapshot, step asset.Step) error {
	switch step := step.(type) {
	case asset.CreateJob:
		return r.createJob(ctx, s, step.Job)
	case asset.DeleteJob:
		err := r.deleteJob(ctx, s, step.Job)
		if err != nil {
			if s.Known.Undeleted == nil {
				s.Known.Undeleted = map[types.UID]bool{}
			}
			s.Known.Undeleted[step.Job.UID] = true
		}
		return err
	case asset.StoreResult:
		store := r.store()
		s.Known.Stored = store.Write(ctx, r.resultOwner(s.Asset), step.JobID, step.Result)
	}
	return nil
}

// createJob creates a DaftyJob. Where there is one of its name, that is taken up if it is the asset's: the cache may not have it yet.
func (r *AssetReconciler) createJob(ctx context.Context, s *asset.Snapshot, job *v1alpha1.DaftyJob) error {
	err := r.Create(ctx, job)
	switch {
	case err == nil:
		r.memory.created(job, r.Clock.Now())
		s.Jobs = append(s.Jobs, job)
		return nil
	case apierrors.IsAlreadyExists(err):
		return r.takeUp(ctx, s, job.Name)
	}
	s.Known.Uncreated = &asset.Uncreated{Message: apierror.Describe(err), Lasting: apierror.IsLasting(err)}
	return fmt.Errorf("creating DaftyJob %q: %w", job.Name, err)
}

// takeUp puts a DaftyJob that is there already into the snapshot, or that its name is taken.
func (r *AssetReconciler) takeUp(ctx context.Context, s *asset.Snapshot, name string) error {
	there, err := r.liveJob(ctx, s.Asset.Namespace, name)
	switch {
	case err != nil:
		return err
	case there == nil:
		return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("daftyjobs").GroupResource(), name, errors.New("it has just been deleted"))
	}
	owner, uid, made := lifecycle.MadeBy(there)
	switch {
	case made && uid == s.Asset.UID:
		s.Jobs = append(s.Jobs, there)
	case made && owner == s.Asset.Name:
		s.Known.Uncreated = &asset.Uncreated{Leaving: true}
	case made:
		s.Known.Uncreated = &asset.Uncreated{Taken: true, Message: fmt.Sprintf("it is of DaftyAsset %q", owner)}
	default:
		s.Known.Uncreated = &asset.Uncreated{Taken: true, Message: "no DaftyAsset owns it"}
	}
	return nil
}

// takeAssetStep takes a step that comes after status is written.
func (r *AssetReconciler) takeAssetStep(ctx context.Context, s *asset.Snapshot, step asset.Step) error {
	switch step := step.(type) {
	case asset.CallOff:
		return r.callOff(ctx, step.Job)
	case asset.ReleaseJob:
		return r.patchJob(ctx, step.Job, func(job *v1alpha1.DaftyJob) { job.Spec.DesiredState = v1alpha1.DesiredCompleted })
	case asset.UpdateJob:
		return r.patchJob(ctx, step.Job, func(job *v1alpha1.DaftyJob) { asset.Follow(job, step.Template) })
	case asset.DeleteJob:
		return r.deleteJob(ctx, s, step.Job)
	case asset.Annotate:
		return r.annotateAsset(ctx, s, step.Value)
	}
	return nil
}

// deleteJob deletes a DaftyJob that has finished, if that is still as it was read.
func (r *AssetReconciler) deleteJob(ctx context.Context, s *asset.Snapshot, job *v1alpha1.DaftyJob) error {
	err := r.Delete(ctx, job, client.Preconditions{UID: &job.UID, ResourceVersion: &job.ResourceVersion})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting DaftyJob %q: %w", job.Name, err)
	}
	r.memory.deleted(job, r.Clock.Now())
	s.Jobs = without(s.Jobs, job.UID)
	return nil
}
