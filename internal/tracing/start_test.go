package tracing

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/internal/test/operatortest"
)

// environment sets the variables of a test, and none else of OpenTelemetry's that choose.
func environment(t *testing.T, variables map[string]string) {
	t.Helper()
	for _, name := range []string{
		"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
		"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_TRACES_SAMPLER",
	} {
		t.Setenv(name, variables[name])
	}
	before := otel.GetTracerProvider()
	t.Cleanup(func() { otel.SetTracerProvider(before) })
}

func reconcile(t *testing.T) trace.Span {
	t.Helper()
	_, span := Reconcile(t.Context(), types.NamespacedName{Namespace: "ns", Name: "hero"})
	defer span.End()
	return span
}

func TestWhatTurnsTracesOn(t *testing.T) {
	const endpoint = "http://127.0.0.1:1"
	for _, tc := range []struct {
		name      string
		variables map[string]string
		on        bool
		fails     string
	}{
		{"nothing is set", nil, false, ""},
		{"an endpoint", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}, true, ""},
		{"an endpoint for traces", map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint + "/v1/traces"}, true, ""},
		{"an exporter", map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true, ""},
		{"grpc", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, true, ""},
		{"none", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_EXPORTER": "none"}, false, ""},
		{"the SDK is off", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_SDK_DISABLED": "true"}, false, ""},
		{"no span is sampled", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_SAMPLER": "always_off"}, false, ""},
		{"another exporter", map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, false, `OTEL_TRACES_EXPORTER is "zipkin"; otlp and none are known`},
		{"another protocol", map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, false, `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is "http/json"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			environment(t, tc.variables)
			t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "100") // milliseconds, as nobody listens
			stop, err := Start(t.Context(), "v1", logr.Discard())
			if tc.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("Start: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if recording := reconcile(t).IsRecording(); recording {
				t.Error("a span records after its end")
			}
			_, span := tracer().Start(t.Context(), "x")
			if span.IsRecording() != tc.on {
				t.Errorf("a span records: %t", span.IsRecording())
			}
			if _, none := otel.GetTracerProvider().(noop.TracerProvider); len(tc.variables) == 0 && !none {
				t.Errorf("off is %T", otel.GetTracerProvider())
			}
			stop() // or it would tell the next test's log that nobody listens
		})
	}
}

func TestOffCostsNothing(t *testing.T) {
	environment(t, nil)
	stop, err := Start(t.Context(), "v1", logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if allocated := testing.AllocsPerRun(100, func() {
		Waited(trace.SpanContext{}, "image_create", "", time.Time{}, time.Time{})
		Decided(t.Context(), nil, "", "")
	}); allocated > 0 {
		t.Errorf("%v allocations", allocated)
	}
}

// A receiver that answers nothing holds up neither the work nor the end.
func TestAStuckReceiverHoldsUpNothing(t *testing.T) {
	var asked atomic.Int32
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		asked.Add(1)
		_, _ = io.Copy(io.Discard, req.Body) // only then it is seen that the client leaves
		<-req.Context().Done()
	}))
	defer receiver.Close()
	defer receiver.CloseClientConnections()
	environment(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.URL})
	var said operatortest.Log // the exporter tells of its failures on its own
	stop, err := Start(t.Context(), "v1", funcr.New(func(_, args string) { _, _ = io.WriteString(&said, args) }, funcr.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 10_000 { // more than the exporter's queue holds
		reconcile(t)
	}
	worked := time.Since(began)
	stop()
	stopped := time.Since(began) - worked
	t.Logf("10,000 spans took %s, the end %s", worked.Round(time.Millisecond), stopped.Round(time.Millisecond))
	if worked > 10*time.Second || stopped > flushFor+10*time.Second {
		t.Error("somebody waited for the receiver")
	}
	if asked.Load() == 0 || !strings.Contains(said.String(), "the last traces weren't exported") {
		t.Errorf("the receiver was asked %d times; the log: %s", asked.Load(), said.String())
	}
}
