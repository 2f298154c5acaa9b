// Package prometheusoperator pins the Prometheus operator's API, from whose types the tests generate its CRDs.
package prometheusoperator

import _ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1" // ServiceMonitor, PrometheusRule
