package controller

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// abandoned counts what a person must look after at Dafty.
var abandoned = prometheus.NewCounter(prometheus.CounterOpts{
	Name: "dafty_jobs_abandoned_total",
	Help: "DaftyJobs let go although the cancel of their job at Dafty was never confirmed: it may still run and cost.",
})

func init() { metrics.Registry.MustRegister(abandoned) }
