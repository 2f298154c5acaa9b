package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/apierror"
	"dafty.ai/dafty-operator/internal/asset"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/metrics"
)

// persistAsset writes what changed of the status, if the object is still as it was read.
func (r *AssetReconciler) persistAsset(ctx context.Context, s *asset.Snapshot, decision asset.Decision) error {
	if equality.Semantic.DeepEqual(s.Asset.Status, decision.Status) {
		return nil
	}
	base, written := named(s.Asset), named(s.Asset)
	base.Status, written.Status = s.Asset.Status, decision.Status
	if err := r.Status().Patch(ctx, written, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("writing status: %w", err)
	}
	s.Asset = written
	r.writes.record(s.Asset, r.Clock.Now())
	r.memory.taken(client.ObjectKeyFromObject(s.Asset), statusWrite)
	return nil
}

// named returns an asset that has no more than what a patch names it by: to tell what differs of two takes encoding all that they have.
// The answer to the patch has the rest.
func named(of *v1alpha1.DaftyAsset) *v1alpha1.DaftyAsset {
	return &v1alpha1.DaftyAsset{ObjectMeta: metav1.ObjectMeta{
		Namespace: of.Namespace, Name: of.Name, UID: of.UID, ResourceVersion: of.ResourceVersion,
	}}
}

// unwrittenAsset follows a write that the API server doesn't take. To lose against another write is no error; a refusal that lasts
// is told.
func (r *AssetReconciler) unwrittenAsset(ctx context.Context, s *asset.Snapshot, kind assetWrite, err error) (ctrl.Result, error) {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return requeueAfterConflict(err)
	}
	if apierror.IsLasting(err) {
		message := apierror.Describe(err)
		if r.memory.refused(client.ObjectKeyFromObject(s.Asset), kind, message, r.Clock.Now()) {
			r.tellEvent(ctx, s.Asset, lifecycle.Event{Warning: true, Reason: v1alpha1.ReasonWriteRefused, Message: message + "; the write is tried again"})
		}
	}
	return ctrl.Result{}, err
}

// unrecordedAsset follows a decision whose status could not be written. What it calls off is called off all the same, if the asset
// is still as it was read: the write may have been refused before its resourceVersion was looked at.
func (r *AssetReconciler) unrecordedAsset(ctx context.Context, s *asset.Snapshot, decision asset.Decision, err error) (ctrl.Result, error) {
	var failed error
	if steps, events := asset.Unrecorded(decision); len(steps) > 0 && !apierrors.IsNotFound(err) && r.isNewest(ctx, s.Asset) {
		for _, step := range steps {
			if stepErr := r.takeAssetStep(ctx, s, step); stepErr != nil {
				_, stepErr = r.unwrittenAsset(ctx, s, stepWrite, stepErr)
				failed = errors.Join(failed, stepErr)
			}
		}
		if failed == nil {
			for _, event := range events {
				r.tellEvent(ctx, s.Asset, event)
			}
		}
	}
	result, err := r.unwrittenAsset(ctx, s, statusWrite, err)
	if err = errors.Join(failed, err); err != nil {
		return ctrl.Result{}, err
	}
	return result, nil
}

// isNewest reports whether the API server has an asset as it was read.
func (r *AssetReconciler) isNewest(ctx context.Context, read *v1alpha1.DaftyAsset) bool {
	is := &v1alpha1.DaftyAsset{}
	err := ListReader{r.Live}.Get(ctx, client.ObjectKeyFromObject(read), is)
	return err == nil && is.UID == read.UID && is.ResourceVersion == read.ResourceVersion
}

// tellAsset makes a decision's news events and lines of the log, and counts a result that has become current.
func (r *AssetReconciler) tellAsset(ctx context.Context, s *asset.Snapshot, before *v1alpha1.DaftyAssetStatus, decision asset.Decision) {
	if decision.Changed {
		i := slices.IndexFunc(s.Jobs, func(job *v1alpha1.DaftyJob) bool { return job.Name == decision.Status.Current.JobName })
		var of *v1alpha1.DaftyJob
		if i >= 0 {
			of = s.Jobs[i]
		}
		metrics.RecordAssetChange(before, &decision.Status, of, s.Now)
	}
	for _, event := range decision.Events {
		r.tellEvent(ctx, s.Asset, event)
	}
}

func (r *AssetReconciler) tellEvent(ctx context.Context, of *v1alpha1.DaftyAsset, event lifecycle.Event) {
	emitEvent(r.Recorder, of, &event, "Reconcile")
	log.FromContext(ctx).Info(event.Message, "reason", event.Reason)
}

// callOff has a DaftyJob cancelled, and marks it as called off by the asset.
func (r *AssetReconciler) callOff(ctx context.Context, job *v1alpha1.DaftyJob) error {
	err := r.patchJob(ctx, job, func(job *v1alpha1.DaftyJob) {
		job.Spec.DesiredState = v1alpha1.DesiredCancelled
		if job.Annotations == nil {
			job.Annotations = map[string]string{}
		}
		job.Annotations[v1alpha1.OvertakenAnnotation] = v1alpha1.OvertakenValue
	})
	if err == nil {
		metrics.RecordOvertaken()
	}
	return err
}

// patchJob writes a change of a DaftyJob, if that is still as it was read.
func (r *AssetReconciler) patchJob(ctx context.Context, read *v1alpha1.DaftyJob, change func(*v1alpha1.DaftyJob)) error {
	job := read.DeepCopy()
	change(job)
	if err := r.Patch(ctx, job, client.MergeFromWithOptions(read, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("changing DaftyJob %q: %w", job.Name, err)
	}
	return nil
}

// annotateAsset writes the annotation that names the current result.
func (r *AssetReconciler) annotateAsset(ctx context.Context, s *asset.Snapshot, value string) error {
	base, written := named(s.Asset), named(s.Asset)
	base.Annotations, written.Annotations = s.Asset.Annotations, maps.Clone(s.Asset.Annotations)
	if value == "" {
		delete(written.Annotations, v1alpha1.CurrentAnnotation)
	} else {
		if written.Annotations == nil {
			written.Annotations = map[string]string{}
		}
		written.Annotations[v1alpha1.CurrentAnnotation] = value
	}
	if err := r.Patch(ctx, written, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("writing the annotation %s: %w", v1alpha1.CurrentAnnotation, err)
	}
	s.Asset = written
	r.writes.record(s.Asset, r.Clock.Now())
	r.memory.annotated(client.ObjectKeyFromObject(s.Asset), value)
	return nil
}
