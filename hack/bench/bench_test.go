package main

import (
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

func ms(numbers ...int) []time.Duration {
	var durations []time.Duration
	for _, n := range numbers {
		durations = append(durations, time.Duration(n)*time.Millisecond)
	}
	return durations
}

func TestPercentile(t *testing.T) {
	for _, tt := range []struct {
		values []time.Duration
		p      float64
		want   time.Duration
	}{
		{nil, 0.95, 0},
		{ms(7), 0, 7 * time.Millisecond},
		{ms(7), 1, 7 * time.Millisecond},
		{ms(4, 1, 3, 2), 0.5, 2 * time.Millisecond},
		{ms(4, 1, 3, 2), 0.51, 3 * time.Millisecond},
		{ms(4, 1, 3, 2), 1, 4 * time.Millisecond},
	} {
		if got := percentile(tt.values, tt.p); got != tt.want {
			t.Errorf("percentile(%v, %g) = %s, want %s", tt.values, tt.p, got, tt.want)
		}
	}
}

func TestMostWithin(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		seconds []int
		want    int
	}{
		{nil, 0},
		{[]int{0}, 1},
		{[]int{0, 60}, 1}, // a whole minute apart
		{[]int{0, 59, 60, 118}, 3},
		{[]int{0, 0, 0, 30, 61, 62}, 4},
	} {
		var times []time.Time
		for _, s := range tt.seconds {
			times = append(times, start.Add(time.Duration(s)*time.Second))
		}
		if got := mostWithin(times, time.Minute); got != tt.want {
			t.Errorf("mostWithin(%v) = %d, want %d", tt.seconds, got, tt.want)
		}
	}
}

func TestCreationRate(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var atOnce, evenly, late []time.Time
	for i := range 60 {
		atOnce = append(atOnce, start.Add(time.Duration(i/20)*time.Minute))
		evenly = append(evenly, start.Add(time.Duration(i)*3*time.Second))
		if i < 20 {
			late = append(late, start)
		} else {
			late = append(late, start.Add(time.Minute+12*time.Second+time.Duration(i-20)*3*time.Second))
		}
	}
	for _, tt := range []struct {
		name    string
		created []time.Time
		want    float64
	}{
		{"20 at once each minute", atOnce, 40 / 1.05},
		{"one each 3 s", evenly, 20},
		{"one each 3 s, begun 12 s late", late, 40 / 2.2},
		{"the first minute alone", atOnce[:20], 0},
	} {
		if got := creationRate(tt.created, 20); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: %g a minute, want %g", tt.name, got, tt.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for value, want := range map[float64]string{
		0: "0", 0.01234: "0.0123", 2.5: "2.50", 98.96: "99.0", 123.4: "123", 1234.5: "1,234", 1234567: "1,234,567", -20000: "-20,000",
	} {
		if got := number(value); got != want {
			t.Errorf("number(%g) = %q, want %q", value, got, want)
		}
	}
}

func someReport(value float64) *report {
	bound, none := 250.0, 0.0
	return &report{
		Scale: 1,
		Measurements: []measurement{
			{Scenario: "restart", Name: "end to status, p95", Value: value, Unit: "ms", AtMost: &bound},
			{Scenario: "restart", Name: "calls answered 429", AtMost: &none},
			{Scenario: "restart", Name: "jobs", Value: 2000},
		},
		Failures: map[string]string{},
	}
}

func TestTable(t *testing.T) {
	r := someReport(312.5)
	r.Failures["one-key"] = "it took over 6m0s"
	const want = `SCENARIO   FIGURE               MEASURED   MUST REACH   OK
restart    end to status, p95   312 ms     ≤ 250 ms     MISSED
restart    calls answered 429   0          0            ok
restart    jobs                 2,000
one-key FAILED: it took over 6m0s
`
	if got := table(r); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if r.met() {
		t.Error("a figure was missed, and a scenario failed; the report is good")
	}
	if !someReport(250).met() {
		t.Error("all was reached; the report isn't good")
	}
}

func TestComparisonWithAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "deep", "bench.json")
	if err := someReport(100).write(file); err != nil {
		t.Fatal(err)
	}
	earlier, err := readReport(file)
	if err != nil {
		t.Fatal(err)
	}
	later := someReport(150)
	later.Measurements = append(later.Measurements, measurement{Scenario: "restart", Name: "new", Value: 1})
	_, got, _ := strings.Cut(comparison(earlier, later), "\n\n")
	const want = `SCENARIO   FIGURE               EARLIER   NOW      RATIO
restart    end to status, p95   100 ms    150 ms   1.50
restart    calls answered 429   0         0
restart    jobs                 2,000     2,000    1.00
restart    new                            1
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestScenariosAreChosenByName(t *testing.T) {
	if got := names(choose(scenarios, regexp.MustCompile("^one-key"))); !slices.Equal(got, []string{"one-key", "one-key-fixed"}) {
		t.Errorf("chosen: %v", got)
	}
}

func TestMetricsSince(t *testing.T) {
	const name = "apiserver_request_total"
	before := requests(parseMetric(`apiserver_request_total{code="200",resource="daftyjobs",verb="PATCH"} 5`, name))
	after := requests(parseMetric(`# HELP apiserver_request_total Counter
apiserver_request_total{code="200",resource="daftyjobs",verb="PATCH"} 1.2e+01
apiserver_request_total{code="409",resource="daftyjobs",verb="PATCH"} 3
apiserver_request_total{code="200",resource="daftyjobs",verb="APPLY"} 9
apiserver_request_total_other{code="200",resource="daftyjobs",verb="PATCH"} 100
`, name))
	if got := after.since(before, `resource="daftyjobs"`, `verb="PATCH"`); got != 10 {
		t.Errorf("%g patches, want 10", got)
	}
	if got := after.since(before, `verb="PATCH"`, `code="200"`); got != 7 {
		t.Errorf("%g patches that went well, want 7", got)
	}
	if got := parseMetric("go_goroutines 12\n", "go_goroutines")[""]; got != 12 {
		t.Errorf("a metric without labels: %g, want 12", got)
	}
}

func TestLags(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	uid := func(n string) string { return strings.Repeat(n, uidLength) }
	jobs := map[string]jobState{
		"told":      {uid: types.UID(uid("a")), final: at(12)},
		"untold":    {uid: types.UID(uid("b"))},
		"too late":  {uid: types.UID(uid("c")), final: at(31)},
		"cancelled": {uid: types.UID(uid("d")), final: at(13)},
	}
	ledger := []daftysim.Entry{
		{IdempotencyKey: uid("a") + "-1", Finished: at(10)},
		{IdempotencyKey: uid("b") + "-1.2", Finished: at(10)},
		{IdempotencyKey: uid("c") + "-1", Finished: at(30)},
		{IdempotencyKey: uid("d") + "-1", Finished: at(10), Cancelled: true},
		{IdempotencyKey: "somebody-else-1", Finished: at(10)},
	}
	got := lags(jobs, ledger, at(5), at(20), at(40), endedByItself, saidFinal)
	slices.Sort(got)
	if want := []time.Duration{2 * time.Second, 30 * time.Second}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestMeterTellsCallsApart(t *testing.T) {
	const list = `{"data":[{"id":"one"},{"id":"two"}],"nextCursor":null}`
	m := newMeter(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		_, _ = io.WriteString(w, list)
	}))
	m.resetLooks()
	ask := func(agent, key, method, path string) {
		r := httptest.NewRequest(method, daftysim.BasePath+path, nil)
		r.Header.Set("User-Agent", agent)
		r.Header.Set("X-Api-Key", key)
		m.ServeHTTP(httptest.NewRecorder(), r)
	}
	for _, call := range [][2]string{
		{"POST", "/images/generate"}, {"GET", "/jobs?limit=5"}, {"GET", "/jobs/three"}, {"GET", "/jobs/three?wait=true"}, {"POST", "/jobs/three/cancel"},
	} {
		ask("dafty-operator/dev", "key", call[0], call[1])
	}
	ask("dafty-operator/dev", "another", "GET", "/jobs/four")
	ask("somebody-else", "key", "GET", "/jobs/three")

	for k, want := range map[kind]int{kindCreate: 1, kindList: 1, kindLook: 2, kindWait: 1, kindCancel: 1} {
		if got := m.count(of(k)); got != want {
			t.Errorf("%d calls of kind %d, want %d", got, k, want)
		}
	}
	if got := m.count(refused); got != 2 {
		t.Errorf("%d were refused, want 2", got)
	}
	if got := m.mostOthersAMinute(); got != 4 {
		t.Errorf("at most %d others a minute and key, want 4", got)
	}
	if _, ok := m.cancelAt("three"); !ok {
		t.Error("the cancel went unnoticed")
	}
	looked := m.lookedAt()
	for _, id := range []string{"one", "two", "three", "four"} {
		if looked[id].IsZero() {
			t.Errorf("job %s was looked at; the meter doesn't know", id)
		}
	}
}

func TestWritesOfARecording(t *testing.T) {
	version := func(n string, finalizers []any, status map[string]any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"name": "sample", "resourceVersion": n, "finalizers": finalizers},
			"status":   status,
		}}
	}
	r := recording{
		version("1", nil, map[string]any{}),
		version("2", []any{"dafty.ai/cancel"}, map[string]any{}),
		version("3", []any{"dafty.ai/cancel"}, map[string]any{"phase": "Submitting"}),
		version("4", []any{"dafty.ai/cancel"}, map[string]any{"phase": "Submitting"}),
	}
	writes, err := r.writes()
	if err != nil || len(writes) != 2 || writes[0].subresource != "" || writes[1].subresource != "status" {
		t.Fatalf("%+v, %v; want one of metadata and one of status", writes, err)
	}
	body, err := writes[0].body("77")
	if want := `{"metadata":{"finalizers":["dafty.ai/cancel"],"resourceVersion":"77"}}`; err != nil || string(body) != want {
		t.Errorf("%s, %v; want %s", body, err, want)
	}
}

func TestWatchedStatuses(t *testing.T) {
	w := &watcher{ended: make(chan string, 1), jobs: map[string]*jobState{}, phases: map[v1alpha1.Phase]int{}}
	version, err := w.read(strings.NewReader(`
{"type":"ADDED","object":{"metadata":{"name":"one","uid":"u","resourceVersion":"5"},"status":{"observedGeneration":-1}}}
{"type":"MODIFIED","object":{"metadata":{"name":"one","uid":"u","resourceVersion":"6"},"status":{"phase":"Queued","jobID":"j"}}}
{"type":"MODIFIED","object":{"metadata":{"name":"one","uid":"u","resourceVersion":"7"},"status":{"phase":"Completed","jobID":"j"}}}
{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}
`), "1")
	if err != nil || version != "9" {
		t.Fatalf("version %s, %v", version, err)
	}
	job := w.snapshot()["one"]
	if w.finals() != 1 || job.changes != 2 || job.jobID != "j" || job.processing != job.final || job.final.IsZero() || <-w.ended != "one" {
		t.Errorf("seen: %+v", job)
	}
	if _, err := w.read(strings.NewReader(`{"type":"ERROR","object":{"status":"Failure","message":"too old"}}`), "9"); err == nil || err.Error() != "too old" {
		t.Errorf("error %v, want the API server's", err)
	}
}
