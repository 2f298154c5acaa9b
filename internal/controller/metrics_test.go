package controller_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/kubetest"
	"dafty.ai/dafty-operator/internal/test/metricstest"
)

// What the operator tells Prometheus. It isn't parallel: counters are of the whole process.
func TestMetrics(t *testing.T) {
	w := newWorldIn(t, kubetest.Start(t), daftysim.Options{})
	w.putSecret(apiKey)
	jobs := func(phase v1alpha1.Phase) string {
		return `dafty_jobs{phase="` + string(phase) + `",type="image.generate"}`
	}
	scrape := func() map[string]float64 { return metricstest.Read(t, metrics.Registry).Series }
	shows := func(want map[string]float64) {
		t.Helper()
		var all []types.GomegaMatcher
		for series, value := range want {
			all = append(all, HaveKeyWithValue(series, value))
		}
		w.Eventually(scrape).WithTimeout(patience).WithPolling(50 * time.Millisecond).Should(SatisfyAll(all...))
	}
	shows(map[string]float64{jobs(v1alpha1.PhasePending): 0, jobs(v1alpha1.PhaseCompleted): 0})

	before := metricstest.Read(t, metrics.Registry)
	w.apply("job", aLogo)
	w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	shows(map[string]float64{
		jobs(v1alpha1.PhaseCompleted):                1,
		jobs(v1alpha1.PhasePending):                  0,
		`dafty_jobs_in_flight{class="image_create"}`: 0,
		`dafty_queue_length{class="image_create"}`:   0,
		`dafty_held_requests`:                        0,
		`dafty_end_to_status_seconds_count`:          before.Series[`dafty_end_to_status_seconds_count`] + 1,
	})
	after := metricstest.Read(t, metrics.Registry)
	moved := after.Since(before)
	for series, want := range map[string]float64{
		`dafty_submissions_total{result="accepted",type="image.generate"}`: 1,
		`dafty_jobs_ended_total{phase="Completed",reason="Completed"}`:     1,
		`dafty_api_requests_total{code="202",operation="create"}`:          1,
		`dafty_api_request_duration_seconds_count{operation="create"}`:     1,
		`dafty_wait_seconds_count{class="image_create",reason="None"}`:     1,
		`dafty_end_to_status_seconds_count`:                                1,
		`dafty_jobs_abandoned_total`:                                       0,
	} {
		if moved[series] != want {
			t.Errorf("%s moved by %v, want %v", series, moved[series], want)
		}
	}
	if looks := moved[`dafty_api_requests_total{code="200",operation="wait"}`] + moved[`dafty_api_requests_total{code="200",operation="job"}`]; looks < 1 {
		t.Errorf("no look is counted: %v", moved)
	}
	const took = `dafty_end_to_status_seconds_sum`
	if seconds := after.Series[took] - before.Series[took]; seconds <= 0 || seconds > patience.Seconds() {
		t.Errorf("it took %v s from the end to status", seconds)
	}
	accounts := 0
	for labels := range after.Of("dafty_rate_limit_remaining") {
		if regexp.MustCompile(`^account="[0-9a-f]{6}",class="image_create"$`).MatchString(labels) {
			accounts++
		}
	}
	if accounts != 1 {
		t.Errorf("the rate limits of %d accounts are shown:\n%s", accounts, after.Text)
	}

	// One that isn't submitted, and one that is cancelled.
	w.apply("later", `{desiredState: Suspended, imageGenerate: {prompt: A mountain at sunset}}`)
	shows(map[string]float64{
		jobs(v1alpha1.PhasePending):                 1,
		jobs(v1alpha1.PhaseCompleted):               1,
		`dafty_jobs_unfinished{reason="Suspended"}`: 1,
		`dafty_jobs_unfinished{reason="None"}`:      0,
	})
	w.cancel("later")
	shows(map[string]float64{
		`dafty_jobs_unfinished{reason="Suspended"}`:                                    0,
		jobs(v1alpha1.PhasePending):                                                    0,
		jobs(v1alpha1.PhaseCancelled):                                                  1,
		`dafty_jobs_ended_total{phase="Cancelled",reason="CancelledBeforeSubmission"}`: before.Series[`dafty_jobs_ended_total{phase="Cancelled",reason="CancelledBeforeSubmission"}`] + 1,
	})

	// An operator that stops shows nothing, one that starts counts what there is.
	w.stop()
	if _, there := scrape()[jobs(v1alpha1.PhaseCompleted)]; there {
		t.Error("an operator that has stopped shows DaftyJobs")
	}
	w.startOperator()
	shows(map[string]float64{jobs(v1alpha1.PhaseCancelled): 1, jobs(v1alpha1.PhaseCompleted): 1, jobs(v1alpha1.PhasePending): 0})
	w.delete("job")
	w.delete("later")
	shows(map[string]float64{jobs(v1alpha1.PhaseCancelled): 0, jobs(v1alpha1.PhaseCompleted): 0})

	if strings.Contains(metricstest.Read(t, metrics.Registry).Text, apiKey) {
		t.Error("the API key is in the metrics")
	}
}

// A job that is cancelled while it runs.
func TestMetricsOfACancel(t *testing.T) {
	w := newWorldIn(t, kubetest.Start(t), daftysim.Options{ProcessingFor: daftysim.Fixed(time.Hour)})
	w.putSecret(apiKey)
	before := metricstest.Read(t, metrics.Registry)
	w.apply("job", aLogo)
	w.submitted("job")
	w.Eventually(func() float64 {
		return metricstest.Read(t, metrics.Registry).Series[`dafty_jobs_in_flight{class="image_create"}`]
	}).WithTimeout(patience).Should(BeEquivalentTo(1))
	// submittedAt is in whole seconds, so that at first its age may read 0.
	oldest := func(phase v1alpha1.Phase) float64 {
		return metricstest.Read(t, metrics.Registry).Series[`dafty_jobs_oldest_age_seconds{phase="`+string(phase)+`"}`]
	}
	w.Eventually(func() float64 { return oldest(v1alpha1.PhaseQueued) + oldest(v1alpha1.PhaseProcessing) }).
		WithTimeout(patience).Should(And(BeNumerically(">", 0), BeNumerically("<", patience.Seconds())))
	w.cancel("job")
	w.eventually("job", v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelled)
	for _, phase := range []v1alpha1.Phase{v1alpha1.PhaseQueued, v1alpha1.PhaseProcessing, v1alpha1.PhaseCancelling} {
		w.Eventually(func() float64 { return oldest(phase) }).WithTimeout(patience).Should(BeZero())
	}
	w.Eventually(func() map[string]float64 { return metricstest.Read(t, metrics.Registry).Since(before) }).WithTimeout(patience).Should(SatisfyAll(
		HaveKeyWithValue(`dafty_cancels_total{result="accepted"}`, BeNumerically(">=", 1)),
		HaveKeyWithValue(`dafty_api_requests_total{code="200",operation="cancel"}`, BeNumerically(">=", 1)),
		HaveKeyWithValue(`dafty_jobs_ended_total{phase="Cancelled",reason="Cancelled"}`, BeEquivalentTo(1)),
		HaveKeyWithValue(`dafty_end_to_status_seconds_count`, BeEquivalentTo(1)),
	))
}

// A change of an asset, one that is overtaken, and one that is taken back.
func TestMetricsOfAssets(t *testing.T) {
	w := newWorldIn(t, kubetest.Start(t), daftysim.Options{PendingFor: daftysim.Fixed(time.Second)})
	w.putSecret(apiKey)
	before := metricstest.Read(t, metrics.Registry)
	w.applyAsset("hero", aHero("a mountain"))
	w.eventuallyAsset("hero", v1alpha1.ReasonCompleted)
	w.applyAsset("hero", aHero("a lake"))
	w.submitted(w.eventuallyAsset("hero", v1alpha1.ReasonProgressing).Status.Pending.JobName)
	w.applyAsset("hero", aHero("a river"))
	w.eventuallyAsset("hero", v1alpha1.ReasonCompleted)
	w.applyAsset("hero", aHero("a mountain"))
	w.eventuallyAsset("hero", v1alpha1.ReasonCompleted)
	w.Eventually(func() map[string]float64 { return metricstest.Read(t, metrics.Registry).Since(before) }).WithTimeout(patience).Should(SatisfyAll(
		HaveKeyWithValue(`dafty_asset_changes_total{how="made"}`, BeEquivalentTo(2)),
		HaveKeyWithValue(`dafty_asset_changes_total{how="reverted"}`, BeEquivalentTo(1)),
		HaveKeyWithValue(`dafty_asset_change_seconds_count`, BeEquivalentTo(2)),
		HaveKeyWithValue(`dafty_asset_jobs_overtaken_total`, BeEquivalentTo(1)),
	))
	w.Eventually(func() float64 {
		return metricstest.Read(t, metrics.Registry).Series[`dafty_assets{reason="Completed"}`]
	}).
		WithTimeout(patience).Should(BeEquivalentTo(1))

	w.applyAsset("hero", aHero("a coast "+daftysim.DefaultFailWord))
	w.eventuallyAsset("hero", v1alpha1.ReasonGenerationFailed)
	w.Eventually(func() float64 {
		return metricstest.Read(t, metrics.Registry).Series[`dafty_assets_oldest_age_seconds{condition="Stalled"}`]
	}).WithTimeout(patience).Should(And(BeNumerically(">", 0), BeNumerically("<", patience.Seconds())))
}
