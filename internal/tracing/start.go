// Package tracing tells of the operator's work as OpenTelemetry traces, where the standard environment variables ask for it.
// Without them there is no exporter, and each span is none.
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
	// service is the name under which the spans are shown, unless OTEL_SERVICE_NAME gives another.
	service = "dafty-operator"
	// scope names who made the spans.
	scope = "dafty.ai/dafty-operator"
	// flushFor is how long the last spans may take to leave at the end of the process.
	flushFor = 3 * time.Second
)

// tracer makes spans. It is asked for each time, so that it is always the present provider's.
func tracer() trace.Tracer { return otel.GetTracerProvider().Tracer(scope) }

// Start begins to export spans, if the environment asks for it (docs/observability.md). stop sends those that are left, for a
// few seconds at most. What goes wrong with the exporter is told by log, and nobody waits for it.
//
// autoexport of OpenTelemetry's contrib packages would do the same, but brings the exporters of metrics and logs with it.
func Start(ctx context.Context, version string, log logr.Logger) (stop func(), err error) {
	exporter, err := newExporter(ctx)
	if err != nil {
		return nil, err
	}
	if exporter == nil {
		otel.SetTracerProvider(noop.NewTracerProvider())
		return func() {}, nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Info("traces can't be exported; jobs aren't affected", "cause", err.Error())
	}))
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(semconv.ServiceName(service), semconv.ServiceVersion(version)),
		resource.WithFromEnv(), // the last word
	)
	if err != nil {
		// The rest of it is good.
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

// newExporter reads the variables that choose an exporter; nil is for none. Where it exports to, how spans are sampled and
// batched, and what else is set by standard variables is read by the SDK itself.
func newExporter(ctx context.Context) (*otlptrace.Exporter, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return nil, nil //nolint:nilnil // None is what is asked for.
	}
	switch name := os.Getenv("OTEL_TRACES_EXPORTER"); name {
	case "none":
		return nil, nil //nolint:nilnil // As above.
	case "":
		// The specification has otlp for the default. Off is the default here, until there is somewhere to send to.
		if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
			return nil, nil //nolint:nilnil // As above.
		}
	case "otlp":
	default:
		return nil, fmt.Errorf("OTEL_TRACES_EXPORTER is %q; otlp and none are known", name)
	}
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

// failure is a span's error.type: never an error's text, which may quote what a server sent.
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
