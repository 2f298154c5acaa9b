package metrics

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

// Load is the load of all API keys at one moment.
type Load struct {
	// Classes is the load by class of call.
	Classes map[dafty.Class]ClassLoad
	// Held is how many requests with wait=true Dafty holds.
	Held int
	// Remaining is how many calls are left in the minute of each API key, as far as Dafty has said so.
	Remaining map[Minute]int
}

// ClassLoad is the load of a class of call.
type ClassLoad struct {
	// Waiting is how many submissions wait for their turn, and Oldest how long the first of them has waited.
	Waiting int
	Oldest  time.Duration
	// InFlight is how many jobs Dafty has, or may be getting.
	InFlight int
}

// Minute is the minute of an API key, for a class of call.
type Minute struct {
	// Account is a short name for the API key, made up by this process.
	Account string
	Class   dafty.Class
}

// NewLoad returns the load of no account.
func NewLoad() Load {
	return Load{Classes: map[dafty.Class]ClassLoad{}, Remaining: map[Minute]int{}}
}

// Add adds another load.
func (l *Load) Add(more Load) {
	for class, other := range more.Classes {
		sum := l.Classes[class]
		l.Classes[class] = ClassLoad{
			Waiting:  sum.Waiting + other.Waiting,
			Oldest:   max(sum.Oldest, other.Oldest),
			InFlight: sum.InFlight + other.InFlight,
		}
	}
	l.Held += more.Held
	for minute, left := range more.Remaining {
		if before, taken := l.Remaining[minute]; taken {
			// Two keys may happen to have the same short name.
			left = min(left, before)
		}
		l.Remaining[minute] = left
	}
}

// Accounts has the load of all API keys in use.
type Accounts interface {
	// Load returns the present load. It is called at each scrape.
	Load() Load
}

// Running collects the metrics of a leader at each scrape. The manager runs it, so that a standby has none of them.
type Running struct {
	cache    cache.Cache
	accounts Accounts
	jobs     *jobs
	assets   *assets
	// daftyAccounts are the objects; accounts above are the API keys.
	daftyAccounts *daftyAccounts
	// counted are the kinds of objects that are counted, with what counts them.
	counted map[client.Object]moves
}

// Kinds are those that are watched beside DaftyJobs.
type Kinds struct {
	Assets, Accounts bool
}

// NewRunning returns a Running for the DaftyJobs of a cache, for the other kinds that are watched, and for the accounts.
func NewRunning(cache cache.Cache, accounts Accounts, with Kinds) *Running {
	r := &Running{cache: cache, accounts: accounts, jobs: newJobs(), assets: newAssets(), daftyAccounts: newDaftyAccounts()}
	r.counted = map[client.Object]moves{&v1alpha1.DaftyJob{}: r.jobs.move}
	if with.Assets {
		r.counted[&v1alpha1.DaftyAsset{}] = r.assets.move
	}
	if with.Accounts {
		r.counted[&v1alpha1.DaftyAccount{}] = r.daftyAccounts.move
	}
	return r
}

// Start implements manager.Runnable. There are no metrics before all objects are counted.
func (r *Running) Start(ctx context.Context) error {
	var synced []toolscache.InformerSynced
	for object, count := range r.counted {
		informer, err := r.cache.GetInformer(ctx, object)
		if err != nil {
			return fmt.Errorf("counting %T: %w", object, err)
		}
		registration, err := informer.AddEventHandler(count)
		if err != nil {
			return fmt.Errorf("counting %T: %w", object, err)
		}
		defer func() { _ = informer.RemoveEventHandler(registration) }()
		synced = append(synced, registration.HasSynced)
	}
	if toolscache.WaitForCacheSync(ctx.Done(), synced...) {
		defer shown.add(r)()
		<-ctx.Done()
	}
	return nil
}

// moves counts objects from the events of an informer. An event of a change has the previous object too, so no objects need to be
// kept. The previous is nil for a new one, and the other for one that is gone.
type moves func(from, to any)

// OnAdd implements cache.ResourceEventHandler.
func (m moves) OnAdd(object any, _ bool) { m(nil, object) }

// OnUpdate implements cache.ResourceEventHandler.
func (m moves) OnUpdate(before, after any) { m(before, after) }

// OnDelete implements cache.ResourceEventHandler.
func (m moves) OnDelete(object any) {
	if gone, missed := object.(toolscache.DeletedFinalStateUnknown); missed {
		object = gone.Obj
	}
	m(object, nil)
}

// Describe implements prometheus.Collector.
func (r *Running) Describe(to chan<- *prometheus.Desc) { describe(to) }

// Collect implements prometheus.Collector.
func (r *Running) Collect(to chan<- prometheus.Metric) { collect(to, r) }

// shown are the leaders in this process: one, except in tests.
var shown = func() *operators {
	all := &operators{running: map[*Running]bool{}}
	metrics.Registry.MustRegister(all)
	return all
}()

type operators struct {
	mu      sync.Mutex
	running map[*Running]bool
}

// add adds a leader, until remove is called.
func (o *operators) add(r *Running) (remove func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running[r] = true
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.running, r)
	}
}

// Describe implements prometheus.Collector.
func (o *operators) Describe(to chan<- *prometheus.Desc) { describe(to) }

// Collect implements prometheus.Collector.
func (o *operators) Collect(to chan<- prometheus.Metric) {
	o.mu.Lock()
	all := make([]*Running, 0, len(o.running))
	for r := range o.running {
		all = append(all, r)
	}
	o.mu.Unlock()
	if len(all) > 0 {
		collect(to, all...)
	}
}

func describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		jobsDesc, unfinishedDesc, oldestJobDesc, assetsDesc, oldestAssetDesc, remainingDesc, queueDesc, oldestDesc, inFlightDesc, heldDesc,
		accountReadyDesc, accountSuspendedDesc, accountWaitingDesc, accountInFlightDesc, budgetLimitDesc, budgetUsedDesc,
	} {
		to <- desc
	}
}

// collect sends the sum of all leaders.
func collect(to chan<- prometheus.Metric, all ...*Running) {
	show := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	load, count, assets, states, now := NewLoad(), noCounts(), noAssetCounts(), accountStates{}, time.Now()
	for _, each := range all {
		load.Add(each.accounts.Load())
		count.add(each.jobs.counted(now))
		assets.add(each.assets.counted(now))
		for name, state := range each.daftyAccounts.states(now) {
			states.add(name, state)
		}
	}
	for kind, n := range count.kinds {
		show(jobsDesc, float64(n), kind.phase, kind.jobType)
	}
	for reason, n := range count.reasons {
		show(unfinishedDesc, float64(n), reason)
	}
	for phase, age := range count.oldest {
		show(oldestJobDesc, age.Seconds(), string(phase))
	}
	for reason, n := range assets.reasons {
		show(assetsDesc, float64(n), reason)
	}
	for condition, age := range assets.oldest {
		show(oldestAssetDesc, age.Seconds(), condition)
	}
	collectAccounts(show, states)
	for _, class := range submitting {
		show(queueDesc, float64(load.Classes[class].Waiting), string(class))
		show(oldestDesc, load.Classes[class].Oldest.Seconds(), string(class))
	}
	for _, class := range classes {
		show(inFlightDesc, float64(load.Classes[class].InFlight), string(class))
	}
	show(heldDesc, float64(load.Held))
	for minute, left := range load.Remaining {
		show(remainingDesc, float64(left), minute.Account, string(minute.Class))
	}
}
