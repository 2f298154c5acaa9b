package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Definition describes a metric. The table of docs/metrics.md is made of the definitions.
type Definition struct {
	// Name is the name of the metric, and Type its type for Prometheus.
	Name, Type string
	// Labels are the names of its labels.
	Labels []string
	// Help is the help text of the metric.
	Help string
}

// Definitions has all metrics of the operator itself.
func Definitions() []Definition { return slices.Clone(definitions) }

var definitions []Definition

func define(kind, name, help string, labels []string) {
	definitions = append(definitions, Definition{Name: name, Type: kind, Labels: labels, Help: help})
}

// counter defines a counter. All series with known label values begin at 0, as no increase can be seen from an absent series
// to 1.
func counter(name, help string, labels []string, known ...[]string) *prometheus.CounterVec {
	define("counter", name, help, labels)
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	for _, values := range known {
		c.WithLabelValues(values...)
	}
	metrics.Registry.MustRegister(c)
	return c
}

// histogram defines a histogram.
func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	define("histogram", name, help, labels)
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	metrics.Registry.MustRegister(h)
	return h
}

// gauge defines a gauge that is read when it is scraped.
func gauge(name, help string, labels ...string) *prometheus.Desc {
	define("gauge", name, help, labels)
	return prometheus.NewDesc(name, help, labels, nil)
}

// combinations returns all combinations of one value of each label.
func combinations(values ...[]string) [][]string {
	all := [][]string{nil}
	for _, choices := range values {
		var longer [][]string
		for _, begun := range all {
			for _, choice := range choices {
				longer = append(longer, append(slices.Clone(begun), choice))
			}
		}
		all = longer
	}
	return all
}
