package controller

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/metrics"
)

// persist writes the status of a plan, and tells logs, metrics and the tracker what is on record now.
func (r *Reconciler) persist(ctx context.Context, s *scope, p plan) error {
	version := s.Job.ResourceVersion
	if err := r.writeStatus(ctx, s.Job, p.Status); err != nil {
		return err
	}
	if s.Job.ResourceVersion != version {
		s.tracker.StatusWritten()
	}
	r.settleBudget(s.Job)
	ctx = withJob(ctx, s.Job)
	s.tracker.SetCallContext(ctx)
	logDecision(ctx, s.Job, p.before, p.Decision)
	metrics.RecordFinished(p.before, &s.Job.Status, s.tracker.EndedAt())
	if !p.owes && !lifecycle.Is[lifecycle.Submit](p.Step) && !lifecycle.Is[lifecycle.StoreResult](p.Step) {
		s.tracker.AckPersisted(s.Known)
	}
	return nil
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
