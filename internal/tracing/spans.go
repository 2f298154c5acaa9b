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

// The attributes that no convention has a name for.
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

// The names of the spans that aren't a call's.
const (
	reconcileSpan = "reconcile"
	queueSpan     = "wait for a turn"
	uploadSpan    = "upload"
)

// Reconcile begins the span of one reconcile.
func Reconcile(ctx context.Context, name types.NamespacedName) (context.Context, trace.Span) {
	return tracer().Start(ctx, reconcileSpan, trace.WithAttributes(semconv.K8SNamespaceName(name.Namespace), nameKey.String(name.Name)))
}

// Decided tells the reconcile's span what was decided about a job that was in phase before. A later decision of the same
// reconcile takes the place of an earlier one.
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

// Failed tells the span that its work failed, and how, but not in the words of an error: they may quote anything.
func Failed(span trace.Span, err error) {
	if err != nil && span.IsRecording() {
		span.SetAttributes(semconv.ErrorTypeKey.String(failure(err)))
		span.SetStatus(codes.Error, "")
	}
}

// Waited is the span of a submission's wait for its turn, from joined to taken. why is what it waited for, empty where it
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

// Upload begins the span of the upload of a picture. Its steps are calls.
func Upload(ctx context.Context, mediaType string, size int) (context.Context, trace.Span) {
	return tracer().Start(ctx, uploadSpan, trace.WithAttributes(mediaTypeKey.String(mediaType), sizeKey.Int(size)))
}
