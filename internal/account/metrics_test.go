package account

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/metrics"
	"dafty.ai/dafty-operator/internal/test/metricstest"
)

// None of these tests is parallel: counters are those of the whole process.

// shown returns what an operator with these accounts shows.
func shown(t *testing.T, r *Registry) metricstest.Scrape {
	t.Helper()
	synctest.Wait()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(metrics.NewRunning(nil, r, metrics.Kinds{}))
	return metricstest.Read(t, registry)
}

// counted returns what this process has counted.
func counted(t *testing.T) metricstest.Scrape {
	t.Helper()
	synctest.Wait()
	return metricstest.Read(t, ctrlmetrics.Registry)
}

func wantSeries(t *testing.T, scrape metricstest.Scrape, want map[string]float64) {
	t.Helper()
	for series, value := range want {
		if got, there := scrape.Series[series]; !there || got != value {
			t.Errorf("%s is %v, want %v", series, got, value)
		}
	}
}

// A queue is as long as there are submissions that wait, and as old as the oldest of them.
func TestQueueMetrics(t *testing.T) {
	inEnvWithLimits(t, Limits{dafty.ClassVideoCreate: 1}, func(t *testing.T, w *env) {
		before := counted(t)
		w.submit(w.tracker("a", "key"), video)
		b, c := w.tracker("b", "key"), w.tracker("c", "key")
		block := b.Claim(video, submission(b), false)
		time.Sleep(10 * time.Second)
		c.Claim(video, submission(c), false)
		wantSeries(t, shown(t, w.registry), map[string]float64{
			`dafty_queue_length{class="video_create"}`:             2,
			`dafty_queue_oldest_age_seconds{class="video_create"}`: 10,
			`dafty_jobs_in_flight{class="video_create"}`:           1,
			`dafty_queue_length{class="image_create"}`:             0,
			`dafty_queue_oldest_age_seconds{class="image_create"}`: 0,
		})
		time.Sleep(time.Until(block.Until))
		w.submit(b, video)
		wantSeries(t, shown(t, w.registry), map[string]float64{
			`dafty_queue_length{class="video_create"}`:   1,
			`dafty_jobs_in_flight{class="video_create"}`: 2,
		})
		if diff := cmp.Diff(map[string]float64{
			`dafty_wait_seconds_count{class="video_create",reason="None"}`:      1,
			`dafty_wait_seconds_count{class="video_create",reason="RateLimit"}`: 1,
			`dafty_submissions_total{result="accepted",type="video.generate"}`:  2,
			`dafty_api_requests_total{code="202",operation="create"}`:           2,
			`dafty_api_request_duration_seconds_count{operation="create"}`:      2,
		}, counted(t).Since(before)); diff != "" {
			t.Error(diff)
		}
		const sum = `dafty_wait_seconds_sum{class="video_create",reason="RateLimit"}`
		if waited := counted(t).Series[sum] - before.Series[sum]; waited < 50 || waited > 70 {
			t.Errorf("the minute took %v s", waited)
		}

		// c doesn't come, as its DaftyJob was suspended meanwhile.
		time.Sleep(5 * time.Minute)
		wantSeries(t, shown(t, w.registry), map[string]float64{
			`dafty_queue_length{class="video_create"}`:             0,
			`dafty_queue_oldest_age_seconds{class="video_create"}`: 0,
		})
		for _, name := range []string{"a", "b", "c"} {
			w.forget(name)
		}
		wantSeries(t, shown(t, w.registry), map[string]float64{`dafty_jobs_in_flight{class="video_create"}`: 0})
	})
}

// A job that is submitted, watched, and ends.
func TestJobMetrics(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		before := counted(t)
		end := make(chan struct{})
		w.dafty("key").onLook(holds(end))
		tracker := w.tracker("a", "key")
		w.submit(tracker, image)
		tracker.Follow(jobID, image.Class())
		time.Sleep(time.Second)
		wantSeries(t, shown(t, w.registry), map[string]float64{
			`dafty_held_requests`:                        1,
			`dafty_jobs_in_flight{class="image_create"}`: 1,
		})
		if !tracker.EndedAt().IsZero() {
			t.Error("the end is told")
		}
		time.Sleep(10 * time.Second)
		close(end)
		wantSeries(t, shown(t, w.registry), map[string]float64{
			`dafty_held_requests`:                        0,
			`dafty_jobs_in_flight{class="image_create"}`: 0,
		})
		told := time.Now()
		time.Sleep(time.Second)
		if got := tracker.EndedAt(); !got.Equal(told) {
			t.Errorf("the end was told at %v, want %v", got, told)
		}
		moved := counted(t).Since(before)
		if moved[`dafty_api_requests_total{code="200",operation="wait"}`] != 1 || moved[`dafty_api_requests_total{code="200",operation="list"}`] < 1 {
			t.Errorf("counted are %v", moved)
		}
		const sum = `dafty_api_request_duration_seconds_sum{operation="wait"}`
		if held := counted(t).Series[sum] - before.Series[sum]; held < 10.99 || held > 11 {
			t.Errorf("it was held for %v s", held)
		}
	})
}

// A cancel overtakes the long poll, which is no call that failed.
func TestCancelMetrics(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.dafty("key").onLook(holds(nil))
		tracker := w.tracker("a", "key")
		w.submit(tracker, image)
		tracker.Follow(jobID, image.Class())
		time.Sleep(time.Second)
		before := counted(t)
		w.dafty("key").onCancel(func(context.Context) (*dafty.Job, error) { return nil, dialFailure })
		tracker.Cancel(jobID)
		synctest.Wait()
		w.dafty("key").onCancel(nil)
		tracker.Cancel(jobID)
		moved := counted(t).Since(before)
		for series, want := range map[string]float64{
			`dafty_cancels_total{result="error"}`:                        1,
			`dafty_cancels_total{result="accepted"}`:                     1,
			`dafty_api_requests_total{code="none",operation="cancel"}`:   1,
			`dafty_api_requests_total{code="200",operation="cancel"}`:    1,
			`dafty_api_requests_total{code="given_up",operation="wait"}`: 1,
			`dafty_api_requests_total{code="none",operation="wait"}`:     0,
			`dafty_api_request_duration_seconds_count{operation="wait"}`: 0,
		} {
			if moved[series] != want {
				t.Errorf("%s moved by %v, want %v", series, moved[series], want)
			}
		}
	})
}

// The metrics of many API keys are bounded but for the label account, which goes with the account. None holds a key,
// or a hash that anything else has too.
func TestAThousandAccounts(t *testing.T) {
	const accounts = 1000
	key := func(n int) string { return fmt.Sprintf("dk_live_%04d_5f0c4c3e8b1d4e43", n) }
	uid := func(n int) types.UID { return types.UID(fmt.Sprintf("uid-%d", n)) }
	name := func(n int) types.NamespacedName {
		return types.NamespacedName{Namespace: "ns", Name: fmt.Sprintf("job-%d", n)}
	}
	// Dafty quotes the key, and some of its answers have statuses of their own.
	answers := doer(func(req *http.Request) (*http.Response, error) {
		sent := req.Header.Get("X-Api-Key")
		status, body := http.StatusAccepted, `{"data":{"id":"`+jobID+`","status":"completed","type":"`+sent+`"}}`
		if n := int(sent[11] - '0'); n > 6 {
			status, body = 590+n, `{"error":{"code":"`+sent+`","message":"`+sent+`"}}`
		}
		return &http.Response{
			StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Request: req,
			Header: http.Header{"X-Ratelimit-Limit": {"20"}, "X-Ratelimit-Remaining": {"17"}, "X-Ratelimit-Reset": {"30"}},
		}, nil
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		registry := NewRegistry(ctx, Config{
			Client: func(key string) Dafty { return dafty.New("https://dafty.test", key, "test", answers) },
			Wake:   func(types.NamespacedName) {},
		})
		submit := func(n int) {
			tracker := registry.Tracker(name(n), uid(n), time.Time{})
			tracker.SetAPIKey(key(n))
			s := submission(tracker)
			if block := tracker.Claim(image, s, false); block != nil {
				t.Fatalf("%d is held: %+v", n, block)
			}
			tracker.Submit(image, s)
		}
		for n := range 10 { // one of each answer
			submit(n)
		}
		const remaining = "dafty_rate_limit_remaining"
		series := func() int {
			scrape := shown(t, registry)
			return len(counted(t).Series) + len(scrape.Series) - len(scrape.Of(remaining))
		}
		few := series()
		for n := 10; n < accounts; n++ {
			submit(n)
		}
		if many := series(); many != few {
			t.Errorf("of %d accounts there are %d series, of 10 there are %d", accounts, many, few)
		}

		scrape := shown(t, registry)
		told := scrape.Of(remaining)
		// Two of them may have the same name by chance.
		if len(told) < accounts-5 {
			t.Errorf("%d accounts are shown, want %d", len(told), accounts)
		}
		for labels, left := range told {
			if !regexp.MustCompile(`^account="[0-9a-f]{6}",class="image_create"$`).MatchString(labels) || left != 17 {
				t.Fatalf("%s is %v", labels, left)
			}
		}
		text := scrape.Text + counted(t).Text
		for n := range accounts {
			plain := sha256.Sum256([]byte(key(n)))
			for _, secret := range []string{
				key(n), `"` + hex.EncodeToString(plain[:])[:6] + `"`, `"` + Hash(uid(n), key(n))[:6] + `"`,
			} {
				// By chance it may be another's.
				if strings.Contains(text, secret) && (len(secret) > 8 || label(registry.accounts.salt, key(n)) == secret[1:7]) {
					t.Errorf("%s is in the metrics", secret)
				}
			}
		}

		for n := range accounts {
			registry.Forget(name(n))
		}
		time.Sleep(10 * time.Minute)
		if left := shown(t, registry).Of(remaining); len(left) > 0 {
			t.Errorf("%d accounts that are gone are shown", len(left))
		}
	})
}

// Each process has names of its own for the keys.
func TestAccountLabels(t *testing.T) {
	one, two := NewRegistry(t.Context(), Config{}), NewRegistry(t.Context(), Config{})
	if one.accounts.salt == two.accounts.salt || len(one.accounts.salt) < 20 || one.accounts.salt == one.config.Sender {
		t.Error("the salt can be known")
	}
	first := label("a", "key")
	if again := label("a", "key"); again != first {
		t.Error("a key has two labels")
	}
	if first == label("b", "key") || first == label("a", "yek") {
		t.Error("two keys have one label, or two salts")
	}
}
