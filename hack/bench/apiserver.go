package main

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// requests counts what the API server has answered since its start, by labels.
type requests map[string]float64

// apiRequests reads the API server's own count. The labels are as Prometheus has them, such as verb="PATCH".
func (e *environment) apiRequests(ctx context.Context) (requests, error) {
	return e.apiMetric(ctx, "apiserver_request_total")
}

// apiServerCPU returns what the API server says that it has used.
func (e *environment) apiServerCPU(ctx context.Context) (time.Duration, error) {
	used, err := e.apiMetric(ctx, "process_cpu_seconds_total")
	return time.Duration(used[""] * float64(time.Second)), err
}

// apiMetric reads one of the API server's own metrics.
func (e *environment) apiMetric(ctx context.Context, name string) (map[string]float64, error) {
	body, err := e.kube.raw.Get().AbsPath("/metrics").Do(ctx).Raw()
	if err != nil {
		return nil, err
	}
	return parseMetric(string(body), name), nil
}

// parseMetric returns a metric's values by their labels.
func parseMetric(text, name string) map[string]float64 {
	found := map[string]float64{}
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok {
			continue
		}
		labels, value := "", rest
		if strings.HasPrefix(rest, "{") {
			end := strings.LastIndex(rest, "}")
			labels, value = rest[1:max(1, end)], rest[end+1:]
		} else if !strings.HasPrefix(rest, " ") {
			continue // another metric whose name begins so
		}
		if v, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
			found[labels] = v
		}
	}
	return found
}

// since returns how many requests with all of the labels were answered since earlier was read.
func (r requests) since(earlier requests, labels ...string) float64 {
	sum := 0.0
	for of, n := range r {
		matches := true
		for _, label := range labels {
			matches = matches && strings.Contains(","+of+",", ","+label+",")
		}
		if matches {
			sum += n - earlier[of]
		}
	}
	return sum
}
