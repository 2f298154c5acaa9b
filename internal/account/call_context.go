package account

import (
	"context"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel/trace"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// callContext is where a call comes from: the trace of the reconcile that began it, and the fields of its log.
type callContext struct {
	span trace.SpanContext
	// log is kept only where calls are logged: there may be many thousand trackers.
	log *logr.Logger
}

func newCallContext(ctx context.Context) callContext {
	from := callContext{span: trace.SpanContextFromContext(ctx)}
	if fields := log.FromContext(ctx); fields.V(1).Enabled() {
		from.log = &fields
	}
	return from
}

// into returns ctx with the trace and the log.
func (c callContext) into(ctx context.Context) context.Context {
	if c.span.IsValid() {
		ctx = trace.ContextWithSpanContext(ctx, c.span)
	}
	if c.log != nil {
		ctx = log.IntoContext(ctx, *c.log)
	}
	return ctx
}
