package metrics

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubetypes "k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/test/docstest"
	"dafty.ai/dafty-operator/internal/test/metricstest"
)

const page = "../../docs/metrics.md"

// accounts are what they are said to be.
type accounts Load

func (a accounts) Load() Load { return Load(a) }

// atWork is an operator with one account that waits for something in each way.
func atWork() *Running {
	load := NewLoad()
	load.Held = 3
	for i, class := range classes {
		load.Classes[class] = ClassLoad{Waiting: i + 1, Oldest: time.Duration(i+1) * time.Minute, InFlight: 10 + i}
		load.Remaining[Minute{Account: "0f3a5c", Class: class}] = 20 + i
	}
	r := NewRunning(nil, accounts(load), Kinds{Assets: true, Accounts: true})
	r.daftyAccounts.move(nil, someAccount("agency"))
	return r
}

// all is a scrape of all metrics, and counts what moves of them alone.
func all(t *testing.T) metricstest.Scrape {
	t.Helper()
	defer shown.add(atWork())()
	waits.WithLabelValues(string(dafty.ClassImageCreate), noReason)
	return metricstest.Read(t, metrics.Registry)
}

// docs/metrics.md has each metric, and no other.
func TestPage(t *testing.T) {
	var rows []string
	for _, d := range Definitions() {
		labels := make([]string, len(d.Labels))
		for i, label := range d.Labels {
			labels[i] = "`" + label + "`"
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |", d.Name, d.Type, strings.Join(labels, ", "), d.Help))
	}
	docstest.Table(t, page, "| metric | type | labels | what it tells |", rows)

	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`\bdafty_[a-z_]+`).FindAllString(string(raw), -1) {
		name = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if !slices.ContainsFunc(Definitions(), func(d Definition) bool { return d.Name == name }) {
			t.Errorf("%s tells of %s, which there isn't", page, name)
		}
	}
}

// Each metric is what its definition says, and follows Prometheus' conventions.
func TestConventions(t *testing.T) {
	scrape := all(t)
	problems, err := promlint.New(strings.NewReader(scrape.Text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}

	var told []string
	for _, match := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(scrape.Text, -1) {
		told = append(told, match[1]+" "+match[2])
	}
	var defined []string
	for _, d := range Definitions() {
		defined = append(defined, d.Name+" "+d.Type)
		series := d.Name
		if d.Type == "histogram" {
			series += "_count"
		}
		for labels := range scrape.Of(series) {
			var names []string
			for _, match := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(labels, -1) {
				names = append(names, match[1])
			}
			if want := slices.Sorted(slices.Values(d.Labels)); !slices.Equal(names, want) {
				t.Errorf("%s has the labels %q, want %q", d.Name, names, want)
			}
		}
		if !strings.Contains(scrape.Text, "# HELP "+d.Name+" "+d.Help+"\n") {
			t.Errorf("%s doesn't say what its definition does", d.Name)
		}
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(defined)), told); diff != "" {
		t.Error(diff)
	}
}

// The words that are known from the start are all that there are.
func TestKnownWords(t *testing.T) {
	raw, err := os.ReadFile("../../docs/lifecycle.md") // whose own test holds it against the lifecycle
	if err != nil {
		t.Fatal(err)
	}
	want, waiting := map[string]bool{}, map[string]bool{noReason: true}
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\| ([A-Za-z, ]+) \\|.*\\|.*\\|$").FindAllStringSubmatch(string(raw), -1) {
		for phase := range strings.SplitSeq(row[2], ", ") {
			if v1alpha1.Phase(phase).Final() {
				want[phase+" "+row[1]] = true
			} else {
				waiting[row[1]] = true
			}
		}
	}
	if diff := cmp.Diff(waiting, known(reasons)); diff != "" || len(waiting) < 10 {
		t.Errorf("reasons: %s", diff)
	}
	got := map[string]bool{}
	for _, end := range ends {
		got[strings.Join(end, " ")] = true
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) == 0 {
		t.Errorf("ends: %s", diff)
	}

	raw, err = os.ReadFile("../../api/v1alpha1/daftyjob_types.go")
	if err != nil {
		t.Fatal(err)
	}
	if enum := "Enum=" + strings.Join(phases, ";") + "\n"; !strings.Contains(string(raw), enum) {
		t.Errorf("the API has other phases than %s", enum)
	}
	for class := range requestsByClass() {
		if !slices.Contains(classes, class) {
			t.Errorf("class %s isn't known", class)
		}
	}
	for class, creates := range requestsByClass() {
		for _, create := range creates {
			if typed := typeOf(create); !dafty.JobType(typed).Valid() || !slices.Contains(types, typed) || create.Class() != class {
				t.Errorf("%T is of type %s", create, typed)
			}
		}
	}
}

func known(words []string) map[string]bool {
	set := map[string]bool{}
	for _, word := range words {
		set[word] = true
	}
	return set
}

// requestsByClass are all requests for a job, by class.
func requestsByClass() map[dafty.Class][]dafty.Create {
	return map[dafty.Class][]dafty.Create{
		dafty.ClassImageCreate: {
			dafty.GenerateImageRequest{}, dafty.EditImageRequest{}, dafty.ResizeImageRequest{}, dafty.UpscaleImageRequest{},
		},
		dafty.ClassVideoCreate:  {dafty.ImageToVideoRequest{}, dafty.VideoFramesRequest{}},
		dafty.ClassStyleExtract: {dafty.ExtractStyleRequest{}},
	}
}

// What is counted, given what happened.
func TestCounted(t *testing.T) {
	gaveUp := dafty.AsError(fmt.Errorf("a call: %w", context.Canceled))
	for name, row := range map[string]struct {
		when func()
		then map[string]float64
	}{
		"a create succeeded": {
			func() { RecordCall(OperationCreate, time.Second, nil) },
			map[string]float64{
				`dafty_api_requests_total{code="202",operation="create"}`:      1,
				`dafty_api_request_duration_seconds_count{operation="create"}`: 1,
			},
		},
		"a look was refused": {
			func() {
				RecordCall(OperationJob, time.Second, &dafty.CallError{Kind: dafty.KindRateLimit, Status: 429})
			},
			map[string]float64{
				`dafty_api_requests_total{code="429",operation="job"}`:      1,
				`dafty_api_request_duration_seconds_count{operation="job"}`: 1,
			},
		},
		"nobody answered": {
			func() { RecordCall(OperationList, time.Second, dafty.AsError(errors.New("broken"))) },
			map[string]float64{
				`dafty_api_requests_total{code="none",operation="list"}`:     1,
				`dafty_api_request_duration_seconds_count{operation="list"}`: 1,
			},
		},
		"a held request was given up": {
			func() { RecordCall(OperationWait, time.Second, gaveUp) },
			map[string]float64{`dafty_api_requests_total{code="given_up",operation="wait"}`: 1},
		},
		"a call ran out of time": {
			func() { RecordCall(OperationCancel, time.Second, dafty.AsError(context.DeadlineExceeded)) },
			map[string]float64{
				`dafty_api_requests_total{code="none",operation="cancel"}`:     1,
				`dafty_api_request_duration_seconds_count{operation="cancel"}`: 1,
			},
		},
		"the answers have statuses that HTTP doesn't": {
			func() {
				for status := 600; status < 1000; status++ {
					RecordCall(OperationJob, time.Second, &dafty.CallError{Kind: dafty.KindUnavailable, Status: status})
				}
			},
			map[string]float64{
				`dafty_api_requests_total{code="other",operation="job"}`:    400,
				`dafty_api_request_duration_seconds_count{operation="job"}`: 400,
			},
		},
		"Dafty took an upscale": {
			func() { RecordSubmission(dafty.UpscaleImageRequest{}, nil) },
			map[string]float64{`dafty_submissions_total{result="accepted",type="image.upscale"}`: 1},
		},
		"Dafty refused a video": {
			func() {
				RecordSubmission(dafty.VideoFramesRequest{}, &dafty.CallError{Kind: dafty.KindInsufficientCredits})
			},
			map[string]float64{`dafty_submissions_total{result="refused",type="video.generate"}`: 1},
		},
		"a submission's answer got lost": {
			func() { RecordSubmission(dafty.ExtractStyleRequest{}, &dafty.CallError{Kind: dafty.KindUnavailable}) },
			map[string]float64{`dafty_submissions_total{result="unknown",type="style.extract"}`: 1},
		},
		"a cancel was accepted": {
			func() { RecordCancel(nil) },
			map[string]float64{`dafty_cancels_total{result="accepted"}`: 1},
		},
		"a cancel failed": {
			func() { RecordCancel(&dafty.CallError{Kind: dafty.KindUnavailable}) },
			map[string]float64{`dafty_cancels_total{result="error"}`: 1},
		},
		"a turn was there at once": {
			func() { RecordQueueWait(dafty.ClassVideoCreate, "", 0) },
			map[string]float64{`dafty_wait_seconds_count{class="video_create",reason="None"}`: 1},
		},
		"a turn was waited for": {
			func() { RecordQueueWait(dafty.ClassStyleExtract, dafty.KindConcurrency, time.Hour) },
			map[string]float64{`dafty_wait_seconds_count{class="style_extract",reason="Concurrency"}`: 1},
		},
		"a job goes on": {
			func() {
				RecordFinished(v1alpha1.PhaseQueued, ended(v1alpha1.PhaseProcessing, v1alpha1.ReasonProcessing), time.Time{})
			},
			map[string]float64{},
		},
		"a job completed": {
			func() {
				RecordFinished(v1alpha1.PhaseProcessing, ended(v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted), time.Now())
			},
			map[string]float64{
				`dafty_jobs_ended_total{phase="Completed",reason="Completed"}`: 1,
				`dafty_end_to_status_seconds_count`:                            1,
			},
		},
		"a job was called off before it was submitted": {
			func() {
				RecordFinished(v1alpha1.PhasePending, ended(v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelledBeforeSubmission), time.Time{})
			},
			map[string]float64{`dafty_jobs_ended_total{phase="Cancelled",reason="CancelledBeforeSubmission"}`: 1},
		},
		"a job that had ended is written again": {
			func() {
				RecordFinished(v1alpha1.PhaseCompleted, ended(v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted), time.Now())
			},
			map[string]float64{},
		},
		"a change of an asset was made": {
			func() {
				RecordAssetChange(&v1alpha1.DaftyAssetStatus{}, current("aa"), assetJob("", time.Minute), assetNow)
			},
			map[string]float64{`dafty_asset_changes_total{how="made"}`: 1, `dafty_asset_change_seconds_count`: 1},
		},
		"an asset went back to what was made before": {
			func() {
				before := &v1alpha1.DaftyAssetStatus{History: []v1alpha1.AssetResult{{Hash: "bb"}, {Hash: "aa"}}}
				RecordAssetChange(before, current("aa"), assetJob("", time.Minute), assetNow)
			},
			map[string]float64{`dafty_asset_changes_total{how="reverted"}`: 1},
		},
		"an asset has its result again": {
			func() {
				RecordAssetChange(&v1alpha1.DaftyAssetStatus{}, current("aa"), assetJob("0d5c6b1e", time.Minute), assetNow)
			},
			map[string]float64{`dafty_asset_changes_total{how="restored"}`: 1},
		},
		"the DaftyJob of a change is gone": {
			func() { RecordAssetChange(&v1alpha1.DaftyAssetStatus{}, current("aa"), nil, assetNow) },
			map[string]float64{`dafty_asset_changes_total{how="made"}`: 1},
		},
		"a DaftyJob was overtaken": {RecordOvertaken, map[string]float64{`dafty_asset_jobs_overtaken_total`: 1}},
		"a job was let go":         {RecordAbandoned, map[string]float64{`dafty_jobs_abandoned_total`: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			before := all(t)
			row.when()
			if diff := cmp.Diff(row.then, all(t).Since(before)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

var assetNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func current(hash string) *v1alpha1.DaftyAssetStatus {
	return &v1alpha1.DaftyAssetStatus{Current: &v1alpha1.AssetResult{Hash: hash}}
}

func assetJob(adopts string, age time.Duration) *v1alpha1.DaftyJob {
	job := &v1alpha1.DaftyJob{Spec: v1alpha1.DaftyJobSpec{AdoptJobID: adopts}}
	job.CreationTimestamp = metav1.NewTime(assetNow.Add(-age))
	return job
}

func ended(phase v1alpha1.Phase, reason string) *v1alpha1.DaftyJobStatus {
	return &v1alpha1.DaftyJobStatus{Phase: phase, Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: reason}}}
}

// Each counter's series are there from the start, so that an increase from 0 to 1 is one.
func TestCountersBeginAtZero(t *testing.T) {
	scrape := all(t)
	for _, series := range []string{
		`dafty_submissions_total{result="unknown",type="video.generate"}`,
		`dafty_cancels_total{result="error"}`,
		`dafty_jobs_ended_total{phase="Failed",reason="GenerationFailed"}`,
		`dafty_jobs_abandoned_total`,
		`dafty_api_requests_total{code="200",operation="list"}`,
		`dafty_api_requests_total{code="429",operation="create"}`,
		`dafty_api_requests_total{code="none",operation="wait"}`,
		`dafty_api_request_duration_seconds_count{operation="cancel"}`,
		`dafty_end_to_status_seconds_count`,
		`dafty_asset_changes_total{how="reverted"}`,
		`dafty_asset_change_seconds_count`,
		`dafty_asset_jobs_overtaken_total`,
	} {
		if _, there := scrape.Series[series]; !there {
			t.Errorf("%s isn't there", series)
		}
	}
}

// DaftyJobs are counted by what an informer tells.
func TestJobs(t *testing.T) {
	job := func(phase v1alpha1.Phase, jobType string) *v1alpha1.DaftyJob {
		return &v1alpha1.DaftyJob{Status: v1alpha1.DaftyJobStatus{Phase: phase, JobType: jobType}}
	}
	fresh := &v1alpha1.DaftyJob{Spec: v1alpha1.DaftyJobSpec{StyleExtract: &v1alpha1.StyleExtract{}}}
	for name, row := range map[string]struct {
		when func(cache.ResourceEventHandler)
		then map[kind]int
	}{
		"a new one": {
			func(h cache.ResourceEventHandler) { h.OnAdd(fresh, false) },
			map[kind]int{{"Pending", "style.extract"}: 1},
		},
		"the first list": {
			func(h cache.ResourceEventHandler) {
				h.OnAdd(job(v1alpha1.PhaseQueued, "image.edit"), true)
				h.OnAdd(job(v1alpha1.PhaseQueued, "image.edit"), true)
				h.OnAdd(job(v1alpha1.PhaseFailed, "image.edit"), true)
			},
			map[kind]int{{"Queued", "image.edit"}: 2, {"Failed", "image.edit"}: 1},
		},
		"a change of phase": {
			func(h cache.ResourceEventHandler) {
				h.OnAdd(fresh, false)
				h.OnUpdate(fresh, job(v1alpha1.PhaseSubmitting, "style.extract"))
				h.OnUpdate(job(v1alpha1.PhaseSubmitting, "style.extract"), job(v1alpha1.PhaseCompleted, "style.extract"))
			},
			map[kind]int{{"Completed", "style.extract"}: 1},
		},
		"a resync": {
			func(h cache.ResourceEventHandler) {
				h.OnAdd(fresh, false)
				h.OnUpdate(fresh, fresh)
			},
			map[kind]int{{"Pending", "style.extract"}: 1},
		},
		"a deletion": {
			func(h cache.ResourceEventHandler) {
				h.OnAdd(fresh, false)
				h.OnAdd(job(v1alpha1.PhaseQueued, "image.edit"), false)
				h.OnDelete(fresh)
			},
			map[kind]int{{"Queued", "image.edit"}: 1},
		},
		"a deletion that was missed": {
			func(h cache.ResourceEventHandler) {
				h.OnAdd(fresh, false)
				h.OnDelete(cache.DeletedFinalStateUnknown{Key: "ns/fresh", Obj: fresh})
			},
			map[kind]int{},
		},
		"types that aren't known": {
			func(h cache.ResourceEventHandler) {
				h.OnAdd(job(v1alpha1.PhaseQueued, "image.dream"), false)
				h.OnAdd(job(v1alpha1.PhaseQueued, "image.sing"), false)
				h.OnAdd(&v1alpha1.DaftyJob{}, false)
			},
			map[kind]int{{"Queued", other}: 2, {"Pending", other}: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			counts := newJobs()
			row.when(moves(counts.move))
			got := counts.counted(time.Now()).kinds
			maps.DeleteFunc(got, func(_ kind, n int) bool { return n == 0 })
			if diff := cmp.Diff(row.then, got, cmp.AllowUnexported(kind{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// DaftyJobs that have not ended are counted by why, and those that Dafty has are timed.
func TestUnfinished(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) *metav1.Time { at := metav1.NewTime(now.Add(-d)); return &at }
	job := func(uid string, phase v1alpha1.Phase, reason string, submitted *metav1.Time) *v1alpha1.DaftyJob {
		status := ended(phase, reason)
		status.SubmittedAt = submitted
		return &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{UID: kubetypes.UID(uid)}, Status: *status}
	}
	inDoubt := job("doubt", v1alpha1.PhaseSubmitting, v1alpha1.ReasonSubmitting, nil)
	inDoubt.Status.Submission = &v1alpha1.Submission{IdempotencyKey: "doubt-1", StartedAt: ago(time.Minute)}
	processing := job("a", v1alpha1.PhaseProcessing, v1alpha1.ReasonProcessing, ago(time.Hour))
	for name, row := range map[string]struct {
		when    func(cache.ResourceEventHandler)
		reasons map[string]int
		oldest  map[v1alpha1.Phase]time.Duration
	}{
		"one that nobody has looked at": {
			func(h cache.ResourceEventHandler) {
				h.OnAdd(&v1alpha1.DaftyJob{Status: v1alpha1.DaftyJobStatus{ObservedGeneration: -1}}, false)
			},
			map[string]int{noReason: 1}, nil,
		},
		"one that waits for a person, and then goes on": {
			func(h cache.ResourceEventHandler) {
				rejected := job("a", v1alpha1.PhasePending, v1alpha1.ReasonCredentialsRejected, nil)
				h.OnAdd(rejected, false)
				h.OnAdd(job("b", v1alpha1.PhasePending, v1alpha1.ReasonCredentialsRejected, nil), false)
				h.OnUpdate(rejected, processing)
			},
			map[string]int{v1alpha1.ReasonCredentialsRejected: 1, v1alpha1.ReasonProcessing: 1},
			map[v1alpha1.Phase]time.Duration{v1alpha1.PhaseProcessing: time.Hour},
		},
		"the oldest of several, by phase": {
			func(h cache.ResourceEventHandler) {
				h.OnAdd(processing, true)
				h.OnAdd(job("b", v1alpha1.PhaseProcessing, v1alpha1.ReasonProcessing, ago(3*time.Hour)), true)
				h.OnAdd(job("c", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued, ago(2*time.Hour)), true)
			},
			map[string]int{v1alpha1.ReasonProcessing: 2, v1alpha1.ReasonQueued: 1},
			map[v1alpha1.Phase]time.Duration{v1alpha1.PhaseProcessing: 3 * time.Hour, v1alpha1.PhaseQueued: 2 * time.Hour},
		},
		"a request in doubt": {
			func(h cache.ResourceEventHandler) { h.OnAdd(inDoubt, false) },
			map[string]int{v1alpha1.ReasonSubmitting: 1},
			map[v1alpha1.Phase]time.Duration{v1alpha1.PhaseSubmitting: time.Minute},
		},
		"between two attempts Dafty has none": {
			func(h cache.ResourceEventHandler) {
				h.OnAdd(processing, false)
				h.OnUpdate(processing, job("a", v1alpha1.PhasePending, v1alpha1.ReasonBackingOff, ago(time.Hour)))
			},
			map[string]int{v1alpha1.ReasonBackingOff: 1}, nil,
		},
		"the end": {
			func(h cache.ResourceEventHandler) {
				h.OnAdd(processing, false)
				h.OnUpdate(processing, job("a", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted, ago(time.Hour)))
			},
			nil, nil,
		},
		"a deletion": {
			func(h cache.ResourceEventHandler) {
				h.OnAdd(processing, false)
				h.OnDelete(processing)
			},
			nil, nil,
		},
		"a deletion that was missed": {
			func(h cache.ResourceEventHandler) {
				h.OnAdd(processing, false)
				h.OnDelete(cache.DeletedFinalStateUnknown{Key: "ns/a", Obj: processing})
			},
			nil, nil,
		},
		"a reason that isn't known": {
			func(h cache.ResourceEventHandler) { h.OnAdd(job("a", v1alpha1.PhasePending, "Pondering", nil), false) },
			map[string]int{other: 1}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			jobs := newJobs()
			row.when(moves(jobs.move))
			got := jobs.counted(now)
			maps.DeleteFunc(got.reasons, func(_ string, n int) bool { return n == 0 })
			maps.DeleteFunc(got.oldest, func(_ v1alpha1.Phase, age time.Duration) bool { return age == 0 })
			if diff := cmp.Diff(row.reasons, got.reasons, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("reasons: %s", diff)
			}
			if diff := cmp.Diff(row.oldest, got.oldest, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("oldest: %s", diff)
			}
			if len(row.oldest) == 0 && len(jobs.sent) > 0 {
				t.Errorf("it keeps %v", jobs.sent)
			}
		})
	}
}

// One operator shows what it has; of several in a process, as in tests, the sum is shown.
func TestRunning(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(atWork())
	scrape := metricstest.Read(t, registry)
	for series, want := range map[string]float64{
		`dafty_jobs{phase="Pending",type="image.generate"}`:                 0,
		`dafty_jobs_unfinished{reason="CredentialsRejected"}`:               0,
		`dafty_jobs_unfinished{reason="None"}`:                              0,
		`dafty_jobs_oldest_age_seconds{phase="Processing"}`:                 0,
		`dafty_assets{reason="Completed"}`:                                  0,
		`dafty_assets_oldest_age_seconds{condition="Stalled"}`:              0,
		`dafty_queue_length{class="video_create"}`:                          2,
		`dafty_queue_oldest_age_seconds{class="style_extract"}`:             180,
		`dafty_jobs_in_flight{class="other"}`:                               13,
		`dafty_held_requests`:                                               3,
		`dafty_rate_limit_remaining{account="0f3a5c",class="image_create"}`: 20,
	} {
		if got, there := scrape.Series[series]; !there || got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}

	if text := metricstest.Read(t, metrics.Registry).Text; strings.Contains(text, "dafty_held_requests") || strings.Contains(text, "dafty_jobs{") {
		t.Error("one that stands by shows what it knows nothing of")
	}
	one, two := atWork(), atWork()
	defer shown.add(one)()
	stop := shown.add(two)
	if held := metricstest.Read(t, metrics.Registry).Series["dafty_held_requests"]; held != 6 {
		t.Errorf("two of them hold %v requests", held)
	}
	stop()
	if held := metricstest.Read(t, metrics.Registry).Series["dafty_held_requests"]; held != 3 {
		t.Errorf("one of them holds %v requests", held)
	}
}

// Two keys that happen to have the same short name must not spoil the scrape.
func TestSameName(t *testing.T) {
	minute := Minute{Account: "0f3a5c", Class: dafty.ClassOther}
	sum := NewLoad()
	for _, left := range []int{7, 3, 9} {
		sum.Add(Load{Remaining: map[Minute]int{minute: left}})
	}
	if sum.Remaining[minute] != 3 {
		t.Errorf("%d are left, want the least", sum.Remaining[minute])
	}
}
