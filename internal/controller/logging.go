package controller

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/tracing"
)

// withJob returns a context whose log lines name the job at Dafty that they are about. ctx must be one without.
func withJob(ctx context.Context, job *v1alpha1.DaftyJob) context.Context {
	fields := []any{"class", classOf(job)}
	if submission := job.Status.Submission; submission != nil {
		fields = append(fields, "attempt", submission.Attempt)
	}
	if job.Status.JobID != "" {
		fields = append(fields, "jobID", job.Status.JobID)
	}
	return log.IntoContext(ctx, log.FromContext(ctx).WithValues(fields...))
}

// logDecision tells traces and the debug log what was decided, and is in status.
func logDecision(ctx context.Context, job *v1alpha1.DaftyJob, before v1alpha1.Phase, decision lifecycle.Decision) {
	tracing.Decided(ctx, job, before, decision.Step.String())
	log.FromContext(ctx).V(1).Info("decided", "phaseBefore", before, "phase", job.Status.Phase, "step", decision.Step.String(), "again", decision.After.String())
}
