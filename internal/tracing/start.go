// Package tracing makes OpenTelemetry traces of the operator's work, if the standard environment variables ask for it. Without
// them, spans are no-ops.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

const (
	// service is the service name of the spans, unless OTEL_SERVICE_NAME is set.
	service = "dafty-operator"
	// scope is the instrumentation scope of the spans.
	scope = "dafty.ai/dafty-operator"
	// flushFor bounds the export of the last spans at the end of the process.
	flushFor = 3 * time.Second
)

// tracer returns the tracer of the current provider.
func tracer() trace.Tracer { return otel.GetTracerProvider().Tracer(scope) }

// Start begins to export spans, if the environment asks for it (docs/observability.md). stop exports those that are left, for
// flushFor at most. Errors of the exporter are logged, and nothing waits for it.
//
// autoexport of OpenTelemetry's contrib packages would do the same, but brings the exporters of metrics and logs with it.
func Start(ctx context.Context, version string, log logr.Logger) (stop func(), err error) {
	switch wanted, err := wanted(); {
	case err != nil:
		return nil, err
	case !wanted:
		otel.SetTracerProvider(noop.NewTracerProvider())
		return func() {}, nil
	}
	exporter, err := newExporter(ctx)
	if err != nil {
		return nil, err
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Info("traces can't be exported; jobs aren't affected", "cause", err.Error())
	}))
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(semconv.ServiceName(service), semconv.ServiceVersion(version)),
		resource.WithFromEnv(), // last, so that it overrides the others
	)
	if err != nil {
		// The rest of the resource can be used.
		log.Info("a part of what describes this process in traces isn't known", "cause", err.Error())
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	otel.SetTracerProvider(provider)
	return func() {
		// The context of the process has ended by now.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushFor)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			log.Info("the last traces weren't exported", "cause", err.Error())
		}
	}, nil
}

// wanted reports whether the environment asks for traces.
func wanted() (bool, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	switch name := os.Getenv("OTEL_TRACES_EXPORTER"); name {
	case "none":
		return false, nil
	case "":
		// The specification has otlp for the default. Off is the default here, until there is somewhere to send to.
		return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "", nil
	case "otlp":
		return true, nil
	default:
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER is %q; otlp and none are known", name)
	}
}

// newExporter returns an exporter of the protocol that the environment names. All other standard variables are read by the SDK
// itself: where to send spans, and how to sample and batch them.
func newExporter(ctx context.Context) (*otlptrace.Exporter, error) {
	variable := "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	if os.Getenv(variable) == "" {
		variable = "OTEL_EXPORTER_OTLP_PROTOCOL"
	}
	switch protocol := os.Getenv(variable); protocol {
	case "", "http/protobuf":
		return otlptracehttp.New(ctx)
	case "grpc":
		return otlptracegrpc.New(ctx)
	default:
		return nil, fmt.Errorf("%s is %q; http/protobuf and grpc are known", variable, protocol)
	}
}

// failure returns the error.type of a span. The text of an error is never in a span, as it may quote what a server sent.
func failure(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	}
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return fmt.Sprintf("%T", err)
}
