package account

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel/trace"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/metrics"
)

// origin is what a tracker's calls tell of where they come from: the trace of the reconcile that began them, and the fields
// of its log.
type origin struct {
	span trace.SpanContext
	// log is kept where calls are logged only: there may be many thousand trackers.
	log *logr.Logger
}

// SetCallContext tells the tracker which reconcile its next calls come from.
func (t *Tracker) SetCallContext(ctx context.Context) {
	from := origin{span: trace.SpanContextFromContext(ctx)}
	if fields := log.FromContext(ctx); fields.V(1).Enabled() {
		from.log = &fields
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.callContext = from
}

// call is ctx for a call. The tracker is locked.
func (t *Tracker) call(ctx context.Context) context.Context {
	if t.callContext.span.IsValid() {
		ctx = trace.ContextWithSpanContext(ctx, t.callContext.span)
	}
	if t.callContext.log != nil {
		ctx = log.IntoContext(ctx, *t.callContext.log)
	}
	return ctx
}

// logCall counts a call that has ended, and tells the log of it.
func logCall(ctx context.Context, operation string, began time.Time, err error, fields ...any) {
	took, failure := time.Since(began), dafty.AsError(err)
	metrics.RecordCall(operation, took, failure)
	logger := log.FromContext(ctx).V(1)
	if !logger.Enabled() {
		return
	}
	fields = append(fields, "operation", operation, "seconds", took.Seconds())
	if failure == nil {
		logger.Info("Dafty has answered", fields...)
		return
	}
	logger.Info("the call to Dafty failed", append(fields, "status", failure.Status, "kind", failure.Kind, "cause", failure.Error())...)
}
