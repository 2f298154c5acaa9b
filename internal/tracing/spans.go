package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// Attributes that no convention has a name for.
const (
	nameKey        = attribute.Key("daftyjob.name")
	uidKey         = attribute.Key("daftyjob.uid")
	phaseBeforeKey = attribute.Key("daftyjob.phase.before")
	phaseAfterKey  = attribute.Key("daftyjob.phase.after")
	stepKey        = attribute.Key("daftyjob.step")
	attemptKey     = attribute.Key("daftyjob.attempt")
	jobIDKey       = attribute.Key("dafty.job.id")
	classKey       = attribute.Key("dafty.class")
	waitedForKey   = attribute.Key("dafty.waited_for")
	mediaTypeKey   = attribute.Key("dafty.upload.media_type")
	sizeKey        = attribute.Key("dafty.upload.size")
)

// Names of the spans that aren't calls.
const (
	reconcileSpan = "reconcile"
	queueSpan     = "wait for a turn"
	uploadSpan    = "upload"
)

// Reconcile starts the span of a reconcile.
func Reconcile(ctx context.Context, name types.NamespacedName) (context.Context, trace.Span) {
	return tracer().Start(ctx, reconcileSpan, trace.WithAttributes(semconv.K8SNamespaceName(name.Namespace), nameKey.String(name.Name)))
}

// Decided adds to the span of the reconcile what was decided about a job that was in phase before. A later decision of the same
// reconcile replaces an earlier one.
func Decided(ctx context.Context, job *v1alpha1.DaftyJob, before v1alpha1.Phase, step string) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(
		uidKey.String(string(job.UID)), phaseBeforeKey.String(string(before)), phaseAfterKey.String(string(job.Status.Phase)), stepKey.String(step),
	)
	if submission := job.Status.Submission; submission != nil {
		span.SetAttributes(attemptKey.Int(int(submission.Attempt)))
	}
	if job.Status.JobID != "" {
		span.SetAttributes(jobIDKey.String(job.Status.JobID))
	}
}

// Failed marks the span as failed, with the type of the error: its text may quote anything.
func Failed(span trace.Span, err error) {
	if err != nil && span.IsRecording() {
		span.SetAttributes(semconv.ErrorTypeKey.String(failure(err)))
		span.SetStatus(codes.Error, "")
	}
}

// Waited makes the span of a submission's wait for its turn, from joined to taken. why is what it waited for, empty if it
// didn't have to.
func Waited(parent trace.SpanContext, class, why string, joined, taken time.Time) {
	if !parent.IsSampled() {
		return
	}
	ctx := trace.ContextWithSpanContext(context.Background(), parent)
	_, span := tracer().Start(ctx, queueSpan, trace.WithTimestamp(joined), trace.WithAttributes(classKey.String(class)))
	if why != "" {
		span.SetAttributes(waitedForKey.String(why))
	}
	span.End(trace.WithTimestamp(taken))
}

// Upload starts the span of the upload of an image. Its calls have spans of their own.
func Upload(ctx context.Context, mediaType string, size int) (context.Context, trace.Span) {
	return tracer().Start(ctx, uploadSpan, trace.WithAttributes(mediaTypeKey.String(mediaType), sizeKey.Int(size)))
}
