package controller

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/metrics"
)

// act tells a plan and takes its step. What tells that the object is let go waits until it is, unless its job may
// still run: should the answer to the removal be lost, nobody could tell any more. That is told once, however often the
// removal is tried. What isn't recorded in status would be told with each try, and is not.
func (r *Reconciler) act(ctx context.Context, s *scope, p plan, recorded bool) error {
	release, releases := p.Step.(lifecycle.RemoveFinalizer)
	letGo := releases && !release.Abandoned
	if release.Abandoned && s.tracker.MarkAbandoned() || recorded && !releases {
		r.recordEvents(ctx, s.Job, p.Decision)
	}
	if err := r.takeStep(ctx, s, p.Step, p.create); err != nil {
		return err
	}
	if write := lifecycle.WriteOf(p.Step); write != "" {
		r.refusals.taken(s.Job, write)
	}
	if !letGo {
		return nil
	}
	if !recorded {
		metrics.RecordFinished(p.before, &p.Status, s.tracker.EndedAt())
	}
	r.recordEvents(ctx, s.Job, p.Decision)
	return nil
}

// takeStep takes a step, for which status is written by now.
func (r *Reconciler) takeStep(ctx context.Context, s *scope, step lifecycle.Step, create dafty.Create) error {
	job, tracker, class := s.Job, s.tracker, lifecycle.Class(&s.Job.Spec)
	switch step := step.(type) {
	case lifecycle.UploadFiles:
		for _, file := range step.Files {
			tracker.Upload(*file)
		}
	case lifecycle.SearchStyle:
		for _, query := range step.Queries {
			tracker.Search(query)
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
		s.followMeanwhile(class)
		return r.patchMetadata(ctx, job, func() { controllerutil.AddFinalizer(job, v1alpha1.CancelFinalizer) })
	case lifecycle.Annotate:
		s.followMeanwhile(class)
		return r.annotate(ctx, s)
	case lifecycle.StoreResult:
		s.Known.Stored = r.storeResult(ctx, job, step)
	case lifecycle.LookForThumbnail:
		tracker.LookForThumbnail(job.Status.JobID)
	case lifecycle.Release:
		r.Accounts.Forget(client.ObjectKeyFromObject(job))
		return r.takeFinalizerOff(ctx, job)
	case lifecycle.Delete:
		return r.delete(ctx, job)
	case lifecycle.RemoveFinalizer:
		return r.release(ctx, job)
	case lifecycle.Rest:
		if left := job.Spec.AdoptJobID != "" && job.Status.JobID == ""; left || job.Status.Phase.Final() {
			r.Accounts.Forget(client.ObjectKeyFromObject(job))
		}
	}
	return nil
}

// followMeanwhile follows a job that Dafty has while its object's metadata is written. The API server may refuse that for good,
// as where the annotations are full: the job is looked after all the same.
func (s *scope) followMeanwhile(class dafty.Class) {
	if id := s.Job.Status.JobID; id != "" {
		s.tracker.Follow(id, class)
	}
}

// annotate writes the job's id into the annotation.
func (r *Reconciler) annotate(ctx context.Context, s *scope) error {
	id := s.Job.Status.JobID
	err := r.patchMetadata(ctx, s.Job, func() {
		if s.Job.Annotations == nil {
			s.Job.Annotations = map[string]string{}
		}
		s.Job.Annotations[v1alpha1.JobAnnotation] = lifecycle.Annotation(s.Job, id)
	})
	if err != nil {
		return err
	}
	s.tracker.Annotated(id)
	return nil
}

// delete deletes an object that was kept for as long as was asked, unless another DaftyJob still waits for what it made: that one
// would fail.
func (r *Reconciler) delete(ctx context.Context, job *v1alpha1.DaftyJob) error {
	switch awaited, err := r.awaited(ctx, job); {
	case err != nil:
		return err
	case awaited && controllerutil.ContainsFinalizer(job, v1alpha1.CancelFinalizer):
		return r.takeFinalizerOff(ctx, job) // it may be awaited for ever
	case awaited:
		return nil
	}
	err := r.Delete(ctx, job, client.Preconditions{UID: &job.UID, ResourceVersion: &job.ResourceVersion})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the DaftyJob, as spec.ttlSecondsAfterFinished asks: %w", err)
	}
	return nil
}

// release removes the finalizer, and forgets the object.
func (r *Reconciler) release(ctx context.Context, job *v1alpha1.DaftyJob) error {
	err := r.takeFinalizerOff(ctx, job)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	r.forget(client.ObjectKeyFromObject(job))
	if ref := job.Spec.AccountRef; ref != nil && r.Budgets != nil {
		r.Budgets.Released(ctx, ref.Name, job)
	}
	return nil
}

func (r *Reconciler) takeFinalizerOff(ctx context.Context, job *v1alpha1.DaftyJob) error {
	return r.patchMetadata(ctx, job, func() { controllerutil.RemoveFinalizer(job, v1alpha1.CancelFinalizer) })
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
