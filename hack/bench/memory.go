package main

import (
	"context"
	"io"
	"net/http"
	"time"
)

const (
	mebibyte = 1 << 20
	kibibyte = 1 << 10
)

// memory is what an operator uses, in bytes.
type memory struct {
	resident, peak float64 // as the kernel has it
	heap, stacks   float64 // in use, as Go's runtime says
	live           float64 // what the last collection left of the heap
	goroutines     float64
}

func (o *operator) memory(ctx context.Context) (m memory, err error) {
	if m.resident, m.peak, err = o.Memory(); err != nil {
		return m, err
	}
	text, err := o.scrape(ctx)
	value := func(name string) float64 { return parseMetric(text, name)[""] }
	m.heap, m.stacks, m.goroutines = value("go_memstats_heap_inuse_bytes"), value("go_memstats_stack_inuse_bytes"), value("go_goroutines")
	// Go collects next when the heap has grown by GOGC percent, of which main.go makes 50.
	m.live = value("go_memstats_next_gc_bytes") / 1.5
	return m, err
}

// measureGo adds the difference per object.
func (e *environment) measureGo(before, after memory, objects float64) {
	e.measure("heap in use per object", (after.heap-before.heap)/objects/kibibyte, "KiB")
	e.measure("stacks in use per object", (after.stacks-before.stacks)/objects/kibibyte, "KiB")
	e.measure("goroutines per object", (after.goroutines-before.goroutines)/objects, "")
}

// scrape reads the operator's metrics.
func (o *operator) scrape(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.metrics+"/metrics", nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}
