package simulation

import (
	"context"
	"runtime/debug"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"

	"dafty.ai/dafty-operator/internal/controller"
)

// queue is controller-runtime's work queue: an object is reconciled once at a time, at the
// earliest of the times that were asked for, and after a failure later and later.
type queue struct {
	p *process
	// kind is in what is drawn for it, empty for DaftyJobs.
	kind          string
	reconcile     func(context.Context, ctrl.Request) (ctrl.Result, error)
	due           map[string]time.Time
	active, dirty map[string]bool
	retries       workqueue.TypedRateLimiter[ctrl.Request]
}

func newQueue(p *process, kind string) *queue {
	retries := controller.NewRateLimiter()
	if most := p.env.mutation.maxRetry; most > 0 {
		retries = workqueue.NewTypedItemExponentialFailureRateLimiter[ctrl.Request](5*time.Millisecond, most)
	}
	return &queue{p: p, kind: kind, due: map[string]time.Time{}, active: map[string]bool{}, dirty: map[string]bool{}, retries: retries}
}

func (q *queue) add(name string, after time.Duration) {
	if q.p.dead {
		return
	}
	e := q.p.env
	at := time.Now().Add(after + e.random.between(time.Microsecond, 5*time.Millisecond, q.p.id+" queue"+q.kind+" "+name))
	if due, ok := q.due[name]; ok && due.Before(at) {
		return
	}
	q.due[name] = at
	e.afterFunc(time.Until(at), func() {
		if q.due[name].Equal(at) {
			delete(q.due, name)
			q.ready(name)
		}
	})
}

func (q *queue) addAll(names []string) {
	for _, name := range names {
		q.add(name, 0)
	}
}

func (q *queue) ready(name string) {
	switch {
	case q.p.dead || !q.p.leading:
	case q.p.paused():
		q.p.whenResumed(func() { q.add(name, 0) })
	case q.active[name]:
		q.dirty[name] = true
	default:
		q.active[name] = true
		if q.kind == ofAssets {
			q.p.env.assetReconciles++
		}
		go q.work(name)
	}
}

func (q *queue) work(name string) {
	result, err := q.try(name)
	if !q.p.gate("the end of a reconcile of" + q.kind + " " + name) {
		return
	}
	q.p.env.mu.Lock()
	defer q.p.env.mu.Unlock()
	delete(q.active, name)
	if q.dirty[name] {
		delete(q.dirty, name)
		q.add(name, 0)
	}
	switch {
	case err != nil:
		q.add(name, q.retries.When(q.request(name)))
	default:
		q.retries.Forget(q.request(name))
		if result.RequeueAfter > 0 {
			q.add(name, result.RequeueAfter)
		}
	}
}

func (q *queue) request(name string) ctrl.Request {
	if q.kind == ofAccounts {
		return ctrl.Request{NamespacedName: types.NamespacedName{Name: name}}
	}
	return ctrl.Request{NamespacedName: types.NamespacedName{Namespace: q.p.env.namespaceOf(name), Name: name}}
}

// reconciledKey is the key of the name that a context is of.
type reconciledKey struct{}

// try reconciles an object once.
func (q *queue) try(name string) (result ctrl.Result, err error) {
	defer func() {
		if r := recover(); r != nil {
			q.p.env.invariants.violated("panic in a reconcile: %v\n%s", r, debug.Stack())
		}
	}()
	return q.reconcile(context.WithValue(q.p.ctx, reconciledKey{}, name), q.request(name))
}
