package simulation

import (
	"context"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/metrics"
)

// scrape checks the metrics of each process, as they are at this moment, for API keys. The counters, which all histories have in common,
// are for keyInCounters.
func (e *env) scrape() {
	e.mu.Lock()
	var all []*metrics.Running
	for _, p := range e.processes {
		running := metrics.NewRunning(objectsOf{p: p}, loadOf{p}, metrics.Kinds{Assets: true, Accounts: true})
		counted, done := context.WithCancel(context.Background())
		done() // it ends once it has the objects that there are, and isn't shown to other histories
		if err := running.Start(counted); err != nil {
			panic(err) // its informers are ours
		}
		all = append(all, running)
	}
	e.mu.Unlock()
	for _, running := range all {
		shown := make(chan prometheus.Metric)
		go func() {
			defer close(shown)
			running.Collect(shown)
		}()
		for metric := range shown {
			var one dto.Metric
			if err := metric.Write(&one); err != nil {
				panic(err)
			}
			for _, label := range one.Label {
				e.invariants.noAPIKey("label "+label.GetName()+" of a metric", label.GetValue())
			}
		}
	}
}

// loadOf is the load of a process's accounts.
type loadOf struct{ p *process }

// Load implements metrics.Accounts.
func (l loadOf) Load() metrics.Load {
	load := l.p.registry.Load()
	if mutate := l.p.env.mutation.load; mutate != nil {
		mutate(load)
	}
	return load
}

// objectsOf has informers that tell of the objects that are in the caches of a process.
type objectsOf struct {
	cache.Cache
	cache.Informer
	toolscache.ResourceEventHandlerRegistration
	p    *process
	kind client.Object
}

// GetInformer implements cache.Cache.
func (o objectsOf) GetInformer(_ context.Context, kind client.Object, _ ...cache.InformerGetOption) (cache.Informer, error) {
	o.kind = kind
	return o, nil
}

// AddEventHandler implements cache.Informer.
func (o objectsOf) AddEventHandler(to toolscache.ResourceEventHandler) (toolscache.ResourceEventHandlerRegistration, error) {
	switch o.kind.(type) {
	case *v1alpha1.DaftyJob:
		tellOf(o.p.jobs, to)
	case *v1alpha1.DaftyAsset:
		tellOf(o.p.assets, to)
	case *v1alpha1.DaftyAccount:
		tellOf(o.p.accounts, to)
	}
	return o, nil
}

func tellOf[T any](cached *objectCache[T], to toolscache.ResourceEventHandler) {
	for _, v := range cached.objects {
		to.OnAdd(v.object, true)
	}
}

// RemoveEventHandler implements cache.Informer.
func (o objectsOf) RemoveEventHandler(toolscache.ResourceEventHandlerRegistration) error { return nil }

// HasSynced implements toolscache.ResourceEventHandlerRegistration: never, so that no metrics are shown.
func (o objectsOf) HasSynced() bool { return false }

// HasSyncedChecker implements toolscache.ResourceEventHandlerRegistration.
func (o objectsOf) HasSyncedChecker() toolscache.DoneChecker { return nil }

// keyInCounters says which counter of this process has an API key in it, empty where none has. Counters keep all labels that they were
// ever counted with: one look, once all histories have been played, finds what any of them has left.
func keyInCounters() string {
	families, err := ctrlmetrics.Registry.Gather()
	if err != nil {
		return err.Error()
	}
	for _, family := range families {
		text := family.String()
		if slices.ContainsFunc(allKeys, func(key string) bool { return strings.Contains(text, key) }) {
			return "leaked: an API key is in metric " + family.GetName()
		}
	}
	return ""
}
