package controller

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/metrics"
)

// carryOut tells a decision and takes its step. What tells that the object is let go waits until it is, unless its job may
// still run: should the answer to the removal be lost, nobody could tell any more. That is told once, however often the
// removal is tried. What isn't recorded in status would be told with each try, and is not.
func (r *Reconciler) carryOut(ctx context.Context, job *v1alpha1.DaftyJob, d decided, recorded bool) error {
	letGo := d.Step == lifecycle.RemoveFinalizer && !d.Abandoned
	if d.Abandoned && d.tracker.MarkAbandoned() || recorded && !d.Abandoned && !letGo {
		r.recordEvent(ctx, job, d.Decision)
		r.tellStored(ctx, job, d.Decision)
	}
	if err := r.takeStep(ctx, job, d.Decision, d.tracker, d.create); err != nil {
		return err
	}
	if write := lifecycle.WriteOf(d.Step); write != "" {
		r.refusals.taken(job, write)
	}
	if !letGo {
		return nil
	}
	if !recorded {
		metrics.RecordFinished(d.before, &d.Status, d.tracker.EndedAt())
	}
	r.recordEvent(ctx, job, d.Decision)
	return nil
}

// takeStep takes a step, which is on record in status by now.
func (r *Reconciler) takeStep(ctx context.Context, job *v1alpha1.DaftyJob, decision lifecycle.Decision, tracker *account.Tracker, create dafty.Create) error {
	step, class := decision.Step, lifecycle.Class(&job.Spec)
	if id := job.Status.JobID; id != "" && (step == lifecycle.AddFinalizer || step == lifecycle.Annotate) {
		// The API server may refuse to write metadata for good, as where the annotations are full:
		// the job is looked after all the same.
		tracker.Follow(id, class)
	}
	switch step {
	case lifecycle.UploadFiles:
		for _, file := range decision.Files {
			tracker.Upload(*file)
		}
	case lifecycle.Submit:
		tracker.Submit(create, job.Status.Submission)
	case lifecycle.Follow:
		tracker.Follow(job.Status.JobID, class)
	case lifecycle.Cancel:
		if lifecycle.CancelCauseOf(job) == lifecycle.CancelForDeadline {
			tracker.CancelOverdue(job.Status.JobID)
		} else {
			tracker.Cancel(job.Status.JobID)
		}
		tracker.Follow(job.Status.JobID, class)
	case lifecycle.AddFinalizer:
		return r.patchMetadata(ctx, job, func() { controllerutil.AddFinalizer(job, v1alpha1.CancelFinalizer) })
	case lifecycle.Annotate:
		if err := r.patchMetadata(ctx, job, func() {
			if job.Annotations == nil {
				job.Annotations = map[string]string{}
			}
			job.Annotations[v1alpha1.JobAnnotation] = lifecycle.Annotation(job, job.Status.JobID)
		}); err != nil {
			return err
		}
		tracker.Annotated(job.Status.JobID)
	case lifecycle.LookForThumbnail:
		tracker.LookForThumbnail(job.Status.JobID)
	case lifecycle.Delete:
		// One that waits for it and hasn't got what it made yet would fail.
		if awaited, err := r.awaited(ctx, job); awaited || err != nil {
			return err
		}
		err := r.Delete(ctx, job, client.Preconditions{UID: &job.UID, ResourceVersion: &job.ResourceVersion})
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting the DaftyJob, as spec.ttlSecondsAfterFinished asks: %w", err)
		}
	case lifecycle.RemoveFinalizer:
		err := r.patchMetadata(ctx, job, func() { controllerutil.RemoveFinalizer(job, v1alpha1.CancelFinalizer) })
		if client.IgnoreNotFound(err) != nil {
			return err
		}
		r.forget(client.ObjectKeyFromObject(job))
	case lifecycle.Rest:
		if left := job.Spec.AdoptJobID != "" && job.Status.JobID == ""; left || job.Status.Phase.Final() {
			r.Accounts.Forget(client.ObjectKeyFromObject(job))
		}
	}
	return nil
}

// patchMetadata writes a change, if the object is still as it was read: its name may belong
// to another object by now.
func (r *Reconciler) patchMetadata(ctx context.Context, job *v1alpha1.DaftyJob, change func()) error {
	base := job.DeepCopy()
	change()
	if err := r.Patch(ctx, job, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("writing metadata: %w", err)
	}
	r.writes.record(job, r.Clock.Now())
	return nil
}
