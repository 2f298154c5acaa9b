package tracing

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

const secret = "dk_secret_0123456789"

// recorded has spans recorded in memory until the test ends.
func recorded(t *testing.T) *tracetest.InMemoryExporter {
	t.Helper()
	before, propagator := otel.GetTracerProvider(), otel.GetTextMapPropagator()
	exporter := tracetest.NewInMemoryExporter()
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)))
	otel.SetTextMapPropagator(propagation.TraceContext{}) // should anybody ask for it
	t.Cleanup(func() { otel.SetTracerProvider(before); otel.SetTextMapPropagator(propagator) })
	return exporter
}

func TestClientSpans(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		for name := range req.Header {
			if lower := strings.ToLower(name); lower == "traceparent" || lower == "tracestate" || lower == "baggage" {
				t.Errorf("%s was sent: %s", req.URL.Path, name)
			}
		}
		switch {
		case strings.Contains(req.URL.Path, "broken"):
			panic(http.ErrAbortHandler)
		case strings.Contains(req.URL.Path, "limited"):
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	defer server.Close()
	client := NewClient(server.Client(), server.URL+"/api/v1/")
	for _, tc := range []struct {
		method, path    string
		name, id, fails string
	}{
		{"POST", "/api/v1/images/generate", "POST /images/generate", "", ""},
		{"GET", "/api/v1/jobs/6f2c-91?wait=true", "GET /jobs/{id}", "6f2c-91", ""},
		{"GET", "/api/v1/jobs?cursor=" + secret, "GET /jobs", "", ""},
		{"POST", "/api/v1/jobs/limited/cancel", "POST /jobs/{id}/cancel", "limited", "429"},
		{"POST", "/api/v1/uploads/up_1/complete", "POST /uploads/{id}/complete", "", ""},
		{"POST", "/api/v1/styles/22222222-2222-4222-8222-222222222222/search", "POST /styles/{id}/search", "", ""},
		{"POST", "/api/v1/styles/extract", "POST /styles/extract", "", ""},
		{"PUT", "/bucket/" + secret + "?signature=" + secret, "PUT", "", ""},
		{"PUT", "/api/v1/" + secret, "PUT", "", ""},
		{"GET", "/elsewhere/" + secret, "GET", "", ""},
		{"GET", "/api/v1/jobs/broken", "GET /jobs/{id}", "broken", "*errors.errorString"},
	} {
		t.Run(tc.method+" "+tc.path, func(t *testing.T) {
			spans := recorded(t)
			req, err := http.NewRequestWithContext(t.Context(), tc.method, server.URL+tc.path, strings.NewReader("a prompt with "+secret))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Api-Key", secret)
			resp, err := client.Do(req)
			if err == nil {
				_ = resp.Body.Close()
			}
			got := spans.GetSpans()
			if len(got) != 1 {
				t.Fatalf("%d spans", len(got))
			}
			span := got[0]
			attributes := attribute.NewSet(span.Attributes...)
			value := func(key string) string { v, _ := attributes.Value(attribute.Key(key)); return v.String() }
			if span.Name != tc.name || value("dafty.job.id") != tc.id || value("http.request.method") != tc.method || value("server.address") != "127.0.0.1" || value("error.type") != tc.fails {
				t.Errorf("span %q with %v", span.Name, span.Attributes)
			}
			if (span.Status.Code == codes.Error) != (tc.fails != "") || resp != nil && value("http.response.status_code") != strconv.Itoa(resp.StatusCode) {
				t.Errorf("status %v, %v", span.Status, span.Attributes)
			}
			if raw, err := json.Marshal(got); err != nil || strings.Contains(string(raw), secret) || strings.Contains(string(raw), "a prompt") {
				t.Errorf("a secret is in the span, or %v: %s", err, raw)
			}
		})
	}
}

func TestFailureHasNoWordsOfTheError(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
	}{
		{context.Canceled, "canceled"},
		{context.DeadlineExceeded, "timeout"},
		{errors.New("the server said " + secret), "*errors.errorString"},
	} {
		if got := failure(tc.err); got != tc.want {
			t.Errorf("%T: %s, want %s", tc.err, got, tc.want)
		}
	}
}
