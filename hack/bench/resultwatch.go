package main

import (
	"context"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// resultWatch watches the DaftyAssets of a namespace and the ConfigMaps of their results.
type resultWatch struct {
	mu sync.Mutex
	// current is when each job at Dafty was first seen as an asset's current one, stored when each result was in a ConfigMap, by its url.
	current, stored map[string]time.Time
	// url is the result of each job.
	url map[string]string
	// ready is the generation for which each asset was last seen Ready, and annotated: whoever changes it then meets no write of it.
	ready map[string]int64
}

// watchResults watches until the scenario ends.
func (e *environment) watchResults(ctx context.Context, namespace string) (*resultWatch, error) {
	w := &resultWatch{
		current: map[string]time.Time{}, stored: map[string]time.Time{}, url: map[string]string{}, ready: map[string]int64{},
	}
	for _, list := range []client.ObjectList{&v1alpha1.DaftyAssetList{}, &corev1.ConfigMapList{}} {
		events, err := e.kube.client.Watch(ctx, list, client.InNamespace(namespace))
		if err != nil {
			return nil, err
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for event := range events.ResultChan() {
				w.observe(event, time.Now())
			}
		}()
		e.atEnd(func() error {
			events.Stop()
			<-done
			return nil
		})
	}
	return w, nil
}

func (w *resultWatch) observe(event watch.Event, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := func(in map[string]time.Time, what string) {
		if _, again := in[what]; !again && what != "" {
			in[what] = now
		}
	}
	switch object := event.Object.(type) {
	case *v1alpha1.DaftyAsset:
		if c := object.Status.Current; c != nil && c.Result != nil {
			first(w.current, c.JobID)
			w.url[c.JobID] = c.Result.Primary
		}
		c, annotation := object.Status.Current, object.Annotations[v1alpha1.CurrentAnnotation]
		if meta.IsStatusConditionTrue(object.Status.Conditions, v1alpha1.ConditionReady) && strings.HasSuffix(annotation, "="+c.JobID) {
			w.ready[object.Name] = object.Status.ObservedGeneration
		}
	case *corev1.ConfigMap:
		first(w.stored, object.Data["image_0_url"])
	}
}

func (w *resultWatch) readyGeneration(name string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ready[name]
}

// measureResults adds how long it took from a job's end at Dafty until its result was in its asset's status and in the ConfigMap, of those
// that ended since a time. What is measured is named at, and judged where that is asked for.
func (e *environment) measureResults(w *resultWatch, jobs map[string]jobState, at string, since time.Time, judged bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	final := map[string]time.Time{}
	for _, job := range jobs {
		final[job.jobID] = job.final
	}
	var both, follows []time.Duration
	for _, entry := range e.dafty.Ledger() {
		current, seen := w.current[entry.JobID]
		if !seen || entry.Finished.Before(since) {
			continue // a plain DaftyJob's, or one of before
		}
		if said := final[entry.JobID]; !said.IsZero() {
			follows = append(follows, max(current.Sub(said), 0))
		}
		later := current
		if stored := w.stored[w.url[entry.JobID]]; stored.After(later) {
			later = stored
		}
		both = append(both, later.Sub(entry.Finished))
	}
	e.measure(at+"results measured", float64(len(both)), "")
	e.measure(at+"the DaftyJob's status to the asset's, p50", milliseconds(percentile(follows, 0.5)), "ms")
	e.measure(at+"the DaftyJob's status to the asset's, p95", milliseconds(percentile(follows, 0.95)), "ms")
	e.measure(at+"end to status and ConfigMap, p50", milliseconds(percentile(both, 0.5)), "ms")
	p95, name := milliseconds(percentile(both, 0.95)), at+"end to status and ConfigMap, p95"
	if judged {
		e.atMost(name, p95, "ms", 250)
		return
	}
	e.measure(name, p95, "ms")
}
