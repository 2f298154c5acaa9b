package process

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/gobuild"
	"dafty.ai/dafty-operator/internal/test/operatortest"
	"dafty.ai/dafty-operator/internal/test/sourcetree"
)

// collector receives spans as an OpenTelemetry collector does.
type collector struct {
	url string

	mu       sync.Mutex
	requests int
	resource map[string]string
	spans    []*tracev1.Span
	raw      strings.Builder
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	r := &collector{resource: map[string]string{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.requests++
		body, err := io.ReadAll(req.Body)
		export := &collectorv1.ExportTraceServiceRequest{}
		if err == nil {
			err = proto.Unmarshal(body, export)
		}
		if err != nil || req.URL.Path != "/v1/traces" {
			t.Errorf("%s is no export of traces: %v", req.URL.Path, err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.raw.WriteString(export.String())
		for _, of := range export.ResourceSpans {
			for key, value := range attributes(of.Resource.Attributes) {
				r.resource[key] = value
			}
			for _, scope := range of.ScopeSpans {
				r.spans = append(r.spans, scope.Spans...)
			}
		}
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func attributes(list []*commonv1.KeyValue) map[string]string {
	all := map[string]string{}
	for _, each := range list {
		switch value := each.Value.Value.(type) {
		case *commonv1.AnyValue_StringValue:
			all[each.Key] = value.StringValue
		case *commonv1.AnyValue_IntValue:
			all[each.Key] = fmt.Sprint(value.IntValue)
		}
	}
	return all
}

// find returns the first span of that name with these attributes.
func (r *collector) find(name string, with map[string]string) *tracev1.Span {
	for _, span := range r.spans {
		own := attributes(span.Attributes)
		fits := span.Name == name
		for key, value := range with {
			fits = fits && own[key] == value
		}
		if fits {
			return span
		}
	}
	return nil
}

// checkDocumented checks the attributes of all spans against the table in the docs.
func (r *collector) checkDocumented(t *testing.T) {
	t.Helper()
	const call = "METHOD /path"
	seen := map[string]map[string]bool{}
	for _, span := range r.spans {
		name := span.Name
		if span.Kind == tracev1.Span_SPAN_KIND_CLIENT {
			name = call
		}
		if seen[name] == nil {
			seen[name] = map[string]bool{}
		}
		for key := range attributes(span.Attributes) {
			seen[name][key] = true
		}
	}
	for _, row := range documentedRows(t, "| span | what it is | attributes |") {
		name := codeSpan.FindStringSubmatch(row[0])[1]
		for _, key := range codeSpan.FindAllStringSubmatch(row[2], -1) {
			if !seen[name][key[1]] && key[1] != "dafty.waited_for" { // nothing had to wait
				t.Errorf("no span %s has the attribute %s of the docs", name, key[1])
			}
			delete(seen[name], key[1])
		}
		for key := range seen[name] {
			t.Errorf("the docs don't tell of the attribute %s of %s", key, name)
		}
		delete(seen, name)
	}
	for name := range seen {
		t.Errorf("the docs don't tell of the span %s", name)
	}
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// documentedRows returns the cells of the table with that head in docs/observability.md.
func documentedRows(t *testing.T, head string) (rows [][]string) {
	t.Helper()
	root, err := sourcetree.Root()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs/observability.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), head+"\n")
	if !found {
		t.Fatalf("docs/observability.md has no table %s", head)
	}
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		if !strings.HasPrefix(line, "|-") {
			rows = append(rows, strings.Split(strings.Trim(line, "|\n "), "|"))
		}
	}
	return rows
}

func TestTraces(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	to := newCollector(t)
	p := e.start("the operator", []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + to.url, "OTEL_SERVICE_NAME=dafty-of-the-test", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test",
	}, leaderElect)
	root, err := sourcetree.Root()
	if err != nil {
		t.Fatal(err)
	}
	logo, err := os.ReadFile(filepath.Join(root, "config/samples/campaign/logo.png"))
	if err != nil {
		t.Fatal(err)
	}
	e.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "brand"}, BinaryData: map[string][]byte{"logo.png": logo}})
	poster := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Name: "poster"}}
	poster.Spec.ImageGenerate = &v1alpha1.ImageGenerate{
		Prompt:     "A picture of poster",
		References: []v1alpha1.ImageReference{{ConfigMapKeyRef: &v1alpha1.ConfigMapKeyReference{Name: "brand", Key: "logo.png"}}},
	}
	e.create(poster)
	e.waitForPhase("poster", v1alpha1.PhaseQueued)
	e.patch("poster", `{"spec":{"desiredState":"Cancelled"}}`)
	e.waitForPhase("poster", v1alpha1.PhaseCancelling)
	e.runJobs(p) // the spans that are left leave at the end

	to.mu.Lock()
	defer to.mu.Unlock()
	if to.resource["service.name"] != "dafty-of-the-test" || to.resource["service.version"] != gobuild.OperatorVersion ||
		to.resource["deployment.environment.name"] != "test" {
		t.Errorf("the process is described as %v", to.resource)
	}
	if key, form := operatortest.FindKey(to.raw.String(), apiKey); key != "" {
		t.Errorf("the API key is in the traces, %s", form)
	}
	if strings.Contains(to.raw.String(), "A picture of") {
		t.Error("a prompt is in the traces")
	}
	hero, uid := e.get("hero").Status.JobID, string(e.get("hero").UID)
	address := map[string]string{"server.address": "127.0.0.1"}
	with := func(more map[string]string) map[string]string {
		for key, value := range address {
			more[key] = value
		}
		return more
	}
	submits := to.find("reconcile", map[string]string{
		"k8s.namespace.name": e.Namespace, "daftyjob.name": "hero", "daftyjob.uid": uid, "daftyjob.step": "Submit",
		"daftyjob.phase.after": "Submitting", "daftyjob.attempt": "1",
	})
	create := to.find("POST /images/generate", with(map[string]string{"http.request.method": "POST", "http.response.status_code": "202"}))
	for what, span := range map[string]*tracev1.Span{
		"the reconcile that submits": submits,
		"the create":                 create,
		"the refused create":         to.find("POST /images/edit", with(map[string]string{"http.response.status_code": "400", "error.type": "400"})),
		"the reconcile that ends it": to.find("reconcile", map[string]string{"daftyjob.uid": uid, "daftyjob.phase.after": "Completed", "dafty.job.id": hero}),
		"the wait for a turn":        to.find("wait for a turn", map[string]string{"dafty.class": "image_create"}),
		"the look":                   to.find("GET /jobs/{id}", with(map[string]string{"dafty.job.id": hero, "http.response.status_code": "200"})),
		"the cancel":                 to.find("POST /jobs/{id}/cancel", with(map[string]string{"dafty.job.id": e.get("poster").Status.JobID})),
		"the upload":                 to.find("upload", map[string]string{"dafty.upload.media_type": "image/png", "dafty.upload.size": fmt.Sprint(len(logo))}),
		"the upload's reservation":   to.find("POST /uploads", address),
		"the upload's bytes":         to.find("PUT", address),
		"the upload's completion":    to.find("POST /uploads/{id}/complete", address),
	} {
		if span == nil {
			t.Errorf("no span of %s", what)
		}
	}
	if submits != nil {
		children := slices.ContainsFunc(to.spans, func(span *tracev1.Span) bool {
			return span.Name == "POST /images/generate" && string(span.ParentSpanId) == string(submits.SpanId)
		})
		if !children {
			t.Error("the create isn't a child of the reconcile that submits")
		}
	}
	to.checkDocumented(t)
	if t.Failed() {
		for _, span := range to.spans {
			t.Logf("%s %v", span.Name, attributes(span.Attributes))
		}
	}
	for _, request := range e.sim.Requests() {
		if request.Header.Get("Traceparent") != "" {
			t.Errorf("%s tells Dafty of the trace", request.Path)
		}
	}
}

// With the exporter none nothing is sent.
func TestNoTraces(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	to := newCollector(t)
	p := e.start("the operator", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + to.url, "OTEL_TRACES_EXPORTER=none"}, leaderElect)
	e.runJobs(p)
	if to.requests > 0 {
		t.Errorf("%d requests to the receiver", to.requests)
	}
}

// An unreachable collector disturbs nothing.
func TestTracesToNowhere(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	p := e.start("the operator", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + operatortest.FreeAddress(t)}, leaderElect)
	e.runJobs(p)
	if !strings.Contains(p.Log.String(), "traces weren't exported") && !strings.Contains(p.Log.String(), "traces can't be exported") {
		t.Error("nothing tells that the traces are lost")
	}
	bad := e.start("one with a wrong exporter", []string{"OTEL_TRACES_EXPORTER=zipkin"})
	if code := bad.ends(patience); code != 1 || !strings.Contains(bad.Log.String(), "otlp and none are known") {
		t.Errorf("it ended with code %d", code)
	}
}
