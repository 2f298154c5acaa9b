// The CRDs of the Prometheus operator, which its module has among its examples: for tests alone. Nothing is built of it, so
// go mod tidy would drop it.
module dafty.ai/dafty-operator/hack/tools/prometheus-operator

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
