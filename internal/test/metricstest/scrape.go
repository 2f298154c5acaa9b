// Package metricstest reads metrics as Prometheus does.
package metricstest

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Scrape is the answer to one scrape.
type Scrape struct {
	// Text is the answer as it came.
	Text string
	// Series has each series' value, by its name and labels as they stand in Text: dafty_jobs{phase="Queued",type="image.edit"}.
	Series map[string]float64
}

// Read scrapes a registry, of which it keeps the operator's own metrics.
func Read(t testing.TB, from prometheus.Gatherer) Scrape {
	t.Helper()
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(from, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if answer.Code != http.StatusOK {
		t.Fatalf("the scrape failed: %s", answer.Body)
	}
	read := Scrape{Series: map[string]float64{}}
	for line := range strings.Lines(answer.Body.String()) {
		if !strings.HasPrefix(strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE "), "dafty_") {
			continue
		}
		read.Text += line
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndex(line, " ")
		value, err := strconv.ParseFloat(strings.TrimSpace(line[at:]), 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		read.Series[line[:at]] = value
	}
	return read
}

// Since is by how much the series have moved that have, without the sums and buckets of histograms.
func (s Scrape) Since(before Scrape) map[string]float64 {
	moved := map[string]float64{}
	for series, value := range s.Series {
		name, _, _ := strings.Cut(series, "{")
		if by := value - before.Series[series]; by != 0 && !strings.HasSuffix(name, "_bucket") && !strings.HasSuffix(name, "_sum") {
			moved[series] = by
		}
	}
	return moved
}

// Of are the series of one metric.
func (s Scrape) Of(metric string) map[string]float64 {
	of := map[string]float64{}
	for series, value := range s.Series {
		if name, labels, _ := strings.Cut(series, "{"); name == metric {
			of[strings.TrimSuffix(labels, "}")] = value
		}
	}
	return of
}
