package simulation

import (
	"context"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/internal/resultmap"
)

// resultCache is what a process's watch has shown it of the ConfigMaps that have the label of results. It breaks, and lags, with
// the watch of the DaftyJobs. Guarded by env.mu.
type resultCache struct {
	p *process
	// owners is the kind of those whose results it is asked for, and queue that of their controller.
	owners string
	queue  *queue
	// seen are the newest that were shown, and revisions from when what is seen of each is.
	seen      map[string]*corev1.ConfigMap
	revisions map[string]int64
	listed    bool
	asked     map[string]bool
}

// newResultCache lists what is there, after a while.
func newResultCache(p *process, owners string, queue *queue) *resultCache {
	c := &resultCache{p: p, owners: owners, queue: queue, seen: map[string]*corev1.ConfigMap{}, revisions: map[string]int64{}, asked: map[string]bool{}}
	p.env.afterFunc(p.env.random.between(time.Millisecond, 2*time.Second, p.id+" lists ConfigMaps"+queue.kind), c.list)
	return c
}

func (c *resultCache) list() {
	if c.p.paused() {
		c.p.whenResumed(c.list)
		return
	}
	c.seen, c.listed = c.p.env.api.results(), true
	for _, name := range slices.Sorted(maps.Keys(c.asked)) {
		c.queue.add(name, 0)
	}
	clear(c.asked)
}

// Version implements resultmap.Versions.
func (c *resultCache) Version(_ context.Context, configMap, owner types.NamespacedName) (version string, known bool) {
	c.p.env.mu.Lock()
	defer c.p.env.mu.Unlock()
	if !c.listed || c.p.env.mutation.noResultWatch {
		c.asked[owner.Name] = true
		return "", false
	}
	if seen := c.seen[configMap.Name]; seen != nil {
		return seen.ResourceVersion, true
	}
	return "", true
}

// notify sends the news of a ConfigMap on its way; after is nil where it isn't a result's any more.
func (c *resultCache) notify(name string, after *corev1.ConfigMap, revision int64) {
	e := c.p.env
	if !c.listed || c.p.jobs.broken {
		return
	}
	connection := c.p.jobs.connection
	way := c.p.jobs.lag + e.random.between(time.Millisecond, 60*time.Millisecond, c.p.id+" watch"+c.queue.kind+" "+name)
	e.afterFunc(way, func() { c.arrive(name, after, revision, connection) })
}

func (c *resultCache) arrive(name string, after *corev1.ConfigMap, revision int64, connection int) {
	if c.p.paused() {
		c.p.whenResumed(func() { c.arrive(name, after, revision, connection) })
		return
	}
	if c.p.jobs.connection == connection && revision > c.revisions[name] {
		c.revisions[name] = revision
		c.show(name, after)
	}
}

// show puts a ConfigMap into the cache, and queues its owner and the one before.
func (c *resultCache) show(name string, after *corev1.ConfigMap) {
	before := c.seen[name]
	delete(c.seen, name)
	if after != nil {
		c.seen[name] = after
	}
	for _, configMap := range []*corev1.ConfigMap{before, after} {
		if configMap == nil {
			continue
		}
		if owner := resultmap.OwnerOf(configMap, c.owners); owner != "" {
			c.queue.add(owner, 0)
		}
	}
}

// relist brings what is seen to where the cluster is.
func (c *resultCache) relist() {
	if !c.listed {
		return
	}
	now := c.p.env.api.results()
	names := slices.Collect(maps.Keys(now))
	for name := range c.seen {
		if now[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		c.revisions[name] = c.p.env.api.revision
		c.show(name, now[name])
	}
}
