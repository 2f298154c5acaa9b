package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Definition is what a metric is. The table of docs/metrics.md is made from them.
type Definition struct {
	// Name is the metric's, Type what Prometheus takes it for.
	Name, Type string
	// Labels are the names of its labels.
	Labels []string
	// Help says what it tells.
	Help string
}

// Definitions are all metrics of the operator itself.
func Definitions() []Definition { return slices.Clone(definitions) }

var definitions []Definition

func define(kind, name, help string, labels []string) {
	definitions = append(definitions, Definition{Name: name, Type: kind, Labels: labels, Help: help})
}

// counter defines a counter. Its series are there from the start, at 0, for all of the values that its labels are known
// to have, as nobody can be told of an increase to 1 from nothing.
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

// combinations are all that can be made of one value of each label.
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
