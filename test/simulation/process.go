package simulation

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/asset"
	"dafty.ai/dafty-operator/internal/budget"
	"dafty.ai/dafty-operator/internal/controller"
	"dafty.ai/dafty-operator/internal/dafty"
)

// process is one run of the operator, from its start to its crash. Its fields are guarded by
// env.mu.
type process struct {
	env *env
	// slot is where it runs ("A", "B"); id tells the runs apart ("A1", "A2").
	slot, id string
	// skew is how far its clock is off, within what the design allows for.
	skew time.Duration

	ctx  context.Context // A process is what a context stands for here.
	stop context.CancelFunc
	dead bool
	// resumed is closed when a paused process goes on; nil while it runs.
	resumed  chan struct{}
	onResume []func()
	leading  bool
	registry *account.Registry

	jobs    *objectCache[v1alpha1.DaftyJob]
	results *resultCache
	queue   *queue

	assets       *objectCache[v1alpha1.DaftyAsset]
	assetResults *resultCache
	assetQueue   *queue
	// assetReconciler tells what concerns DaftyAssets.
	assetReconciler *controller.AssetReconciler

	accounts     *objectCache[v1alpha1.DaftyAccount]
	namespaces   *objectCache[metav1.PartialObjectMetadata]
	accountQueue *queue
	// generations are those of the specs that it last saw.
	generations map[string]string
	// held is since when it can know that nothing is to be submitted with an account from a namespace.
	held map[accountUse]time.Time
	// unbudgeted is when it last had an account without budgets in its cache.
	unbudgeted map[string]time.Time
}

// ofAssets is in the names of what is drawn for what concerns DaftyAssets.
const ofAssets = " of assets"

// ofAccounts and ofBudgets are in the names of what is drawn for what concerns DaftyAccounts.
const ofAccounts, ofBudgets = " of accounts", " of budgets"

// start runs a new process in a slot. Like any that starts, it knows nothing.
func (e *env) start(slot string) {
	e.starts++
	p := &process{env: e, slot: slot, id: fmt.Sprintf("%s%d", slot, e.starts)}
	p.skew = e.random.between(0, maxSkew, slot+" skew")
	if slot == "B" {
		p.skew += e.mutation.skew
	}
	p.ctx, p.stop = context.WithCancel(log.IntoContext(context.Background(), newLogger(p)))
	p.queue, p.assetQueue, p.accountQueue = newQueue(p, ""), newQueue(p, ofAssets), newQueue(p, ofAccounts)
	p.generations, p.held, p.unbudgeted = map[string]string{}, map[accountUse]time.Time{}, map[string]time.Time{}
	p.results, p.assetResults = newResultCache(p, controller.Kind, p.queue), newResultCache(p, asset.Kind, p.assetQueue)
	client := func(apiKey string) account.Dafty {
		var calls account.Dafty = dafty.New(daftyURL, apiKey, "dafty-operator/simulation", network{p})
		if mutate := e.mutation.dafty; mutate != nil {
			calls = mutate(calls, apiKey)
		}
		return calls
	}
	p.registry = account.NewRegistry(p.ctx, account.Config{Client: client, Wake: p.wake, Sender: p.id, Now: processClock{p}.Now, WakeAccount: p.wakeAccount})
	budgets := budget.NewBook(apiClient{p: p, kind: ofBudgets}, liveReader{p: p, kind: ofBudgets}, bookClock{processClock: processClock{p}})
	budgets.StartBy(func(account string, f func()) {
		// Not at the same instant as what it follows upon: which of the two came first would be left to chance.
		time.AfterFunc(e.random.between(time.Microsecond, time.Millisecond, p.id+" budgets of "+account), f)
	})
	p.queue.reconcile = (&controller.Reconciler{
		Client: apiClient{p: p}, Live: liveReader{p: p}, Recorder: recorder{p}, Accounts: p.registry, Clock: processClock{p},
		DeletionTimeout: cmp.Or(e.mutation.deletionTimeout, deletionTimeout), Results: p.results, WithAssets: true,
		WithAccounts: true, Budgets: budgets,
	}).Reconcile
	p.assetReconciler = &controller.AssetReconciler{
		Client: apiClient{p: p, kind: ofAssets}, Live: liveReader{p: p, kind: ofAssets}, Recorder: recorder{p}, Clock: processClock{p}, Results: p.assetResults,
	}
	p.assetQueue.reconcile = p.assetReconciler.Reconcile
	p.accountQueue.reconcile = (&controller.AccountReconciler{
		Client: apiClient{p: p, kind: ofAccounts}, Recorder: recorder{p}, Accounts: p.registry, Budgets: budgets, Clock: processClock{p},
	}).Reconcile
	e.trace.add(p.id, "starts")
	p.jobs = newCache(p, "", e.api.history, p.queue, p.jobChanged)
	p.assets = newCache(p, ofAssets, e.api.assetHistory, p.assetQueue, p.assetChanged)
	p.namespaces = newCache(p, " of namespaces", e.api.namespaceHistory, nil, p.namespaceChanged)
	p.accounts = newCache(p, ofAccounts, e.api.accountHistory, p.accountQueue, p.accountChanged)
	p.noteHeld()
	e.processes = append(e.processes, p)
	slices.SortFunc(e.processes, func(a, b *process) int { return int(a.slot[0]) - int(b.slot[0]) })
	e.acquireFreeLease(p)
}

// crash ends the process at once. Whatever of it is still on its way has no effect from here
// on, but for requests that have left already.
func (p *process) crash(why string) {
	if p.dead {
		return
	}
	e := p.env
	e.trace.add(p.id, "crashes: %s", why)
	p.dead = true
	p.stop()
	e.processes = slices.DeleteFunc(e.processes, func(other *process) bool { return other == p })
	e.stopRenewing(p)
	back := e.random.between(100*time.Millisecond, 20*time.Second, p.id+" starts anew")
	e.afterFunc(back, func() { e.start(p.slot) })
}

func (p *process) paused() bool { return p.resumed != nil }

// whenResumed puts off what must not happen while the process is paused.
func (p *process) whenResumed(f func()) { p.onResume = append(p.onResume, f) }

// pause stops the process where it is, and lets it go on later with what it was doing. Its
// timers go on, as those of a stopped process do.
func (p *process) pause(d time.Duration) {
	if p.dead || p.paused() || p.env.healed {
		return
	}
	p.env.trace.add(p.id, "is paused for %s", d.Round(time.Millisecond))
	p.resumed = make(chan struct{})
	p.env.lastPause.from = time.Now()
	p.env.stopRenewing(p)
	p.env.afterFunc(d, p.resume)
}

func (p *process) resume() {
	if p.dead || !p.paused() {
		return
	}
	p.env.trace.add(p.id, "goes on")
	close(p.resumed)
	p.resumed = nil
	p.env.lastPause.to = time.Now()
	wait := time.Duration(0)
	for _, f := range p.onResume {
		// In order, while what was stopped in its tracks goes on.
		wait += p.env.random.between(time.Millisecond, 100*time.Millisecond, p.id+" catches up")
		p.env.afterFunc(wait, func() {
			if !p.dead {
				f()
			}
		})
	}
	p.onResume = nil
	p.env.stepDown(p)
}

// gate lets pass what runs, holds what is paused, and turns back what is dead. It is called
// without the lock.
func (p *process) gate(what string) bool {
	for {
		p.env.mu.Lock()
		dead, resumed := p.dead, p.resumed
		p.env.mu.Unlock()
		if dead || resumed == nil {
			return !dead
		}
		select {
		case <-resumed:
		case <-p.ctx.Done():
			return false
		}
		// All that was held goes on at once, but not at the same nanosecond.
		if !p.sleep(p.env.random.between(time.Microsecond, 2*time.Millisecond, p.id+" goes on with "+what)) {
			return false
		}
	}
}

// sleep lets time pass, and is false where the process has died meanwhile.
func (p *process) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return p.ctx.Err() == nil
	case <-p.ctx.Done():
		return false
	}
}

// beginEffect counts a write or a call that is about to have its effect, and is false where the
// process is dead, or is to crash just before it.
func (p *process) beginEffect(what string) (n int, alive bool) {
	if p.dead {
		return 0, false
	}
	e := p.env
	e.effects++
	if e.crashAt.effect == e.effects && !e.crashAt.after {
		e.crashed = true
		p.crash(fmt.Sprintf("before effect %d: %s", e.effects, what))
		return e.effects, false
	}
	return e.effects, true
}

// endEffect follows an effect, whose answer hasn't come back yet.
func (p *process) endEffect(n int) {
	if e := p.env; e.crashAt.effect == n && e.crashAt.after && !p.dead {
		e.crashed = true
		p.crash(fmt.Sprintf("after effect %d", n))
	}
}

// wake is how the accounts bring an object to be reconciled.
func (p *process) wake(name types.NamespacedName) {
	p.env.mu.Lock()
	defer p.env.mu.Unlock()
	if p.env.mutation.dropWakes {
		return
	}
	p.queue.add(name.Name, 0)
}

// processClock is a process's own, which is off a little, and with the whole cluster's where
// that was set wrong.
type processClock struct{ p *process }

func (c processClock) Now() time.Time {
	c.p.env.mu.Lock()
	defer c.p.env.mu.Unlock()
	return time.Now().Add(c.p.skew + c.p.env.clockOff)
}

func (c processClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }
