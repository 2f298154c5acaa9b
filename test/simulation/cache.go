package simulation

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/controller"
)

// objectCache is what a process sees of the objects of one kind: a cache that a watch keeps up to date, late, and
// not at all while the watch is broken. Guarded by env.mu.
type objectCache[T any] struct {
	p *process
	// kind is in what is drawn for it, empty for DaftyJobs.
	kind    string
	objects map[string]version[T]
	// stream holds what is underway, in order: nothing arrives before what was sent before it.
	stream []version[T]
	// lag is added to each event's way.
	lag time.Duration
	// connection counts the watches; an event of a broken one never arrives.
	connection int
	broken     bool
	// queue is the one of the kind's controller, nil where it has none.
	queue *queue
	// wake brings those back that a change of an object concerns, itself where it has a queue. The object is nil where it is gone, and
	// before that nil where it is new.
	wake func(before, after *T)
}

// newCache returns the cache of a process that starts. Its first list may come from an API server that
// is behind, and be older than what the process before it saw.
func newCache[T any](p *process, kind string, history []version[T], queue *queue, wake func(before, after *T)) *objectCache[T] {
	e := p.env
	c := &objectCache[T]{p: p, kind: kind, queue: queue, wake: wake}
	ago := 0
	if e.random.oneIn(4, p.id+" first list"+kind+" is old") {
		ago = int(e.random.roll(p.id+" first list's age"+kind)%5) + 1
	}
	c.objects = snapshot(history, ago)
	if ago > 0 {
		e.trace.add(p.id, "lists objects%s as they were %d versions ago", kind, ago)
	}
	for _, missed := range history[max(0, len(history)-ago):] {
		c.notify(missed)
	}
	return c
}

// notify sends a version on its way.
func (c *objectCache[T]) notify(changed version[T]) {
	if c == nil || c.broken {
		return
	}
	e := c.p.env
	c.stream = append(c.stream, changed)
	connection := c.connection
	way := c.lag + e.random.between(time.Millisecond, 60*time.Millisecond, c.p.id+" watch"+c.kind+" "+changed.name)
	e.afterFunc(way, func() { c.arrive(changed.revision, connection) })
}

// arrive brings what was sent up to a revision into the cache, once the process runs.
func (c *objectCache[T]) arrive(revision int64, connection int) {
	if c.p.paused() {
		c.p.whenResumed(func() { c.arrive(revision, connection) })
		return
	}
	for c.connection == connection && len(c.stream) > 0 && c.stream[0].revision <= revision {
		changed := c.stream[0]
		c.stream = c.stream[1:]
		before := c.objects[changed.name].object
		if changed.object == nil {
			delete(c.objects, changed.name)
		} else {
			c.objects[changed.name] = changed
		}
		c.tell(before, changed.object)
		if c.queue != nil && c.p.env.random.oneIn(16, c.p.id+" event again"+c.kind+" "+changed.name) {
			c.queue.add(changed.name, c.p.env.random.between(0, time.Second, c.p.id+" event again"+c.kind+" when"))
		}
	}
}

// tell brings those back that a change concerns.
func (c *objectCache[T]) tell(before, after *T) {
	if before != nil || after != nil { // else it came and went unseen
		c.wake(before, after)
	}
}

// breakWatch breaks the watch. What happens until it is back is seen only as a difference.
func (c *objectCache[T]) breakWatch() {
	c.connection++
	c.broken, c.stream = true, nil
}

// relist brings the cache to where the cluster is.
func (c *objectCache[T]) relist(now map[string]version[T]) {
	before := c.objects
	c.connection++
	c.broken, c.lag, c.stream = false, 0, nil
	c.objects = maps.Clone(now)
	names := slices.Collect(maps.Keys(c.objects))
	for name := range before {
		if _, still := c.objects[name]; !still {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		c.tell(before[name].object, c.objects[name].object)
	}
}

// relistJobs brings what a process sees of DaftyJobs and results to where the cluster is.
func (p *process) relistJobs() {
	p.results.relist()
	p.assetResults.relist()
	p.jobs.relist(p.env.api.jobs)
}

// relistAssets does so for DaftyAssets.
func (p *process) relistAssets() { p.assets.relist(p.env.api.assets) }

func (c *objectCache[T]) get(name string) *T { return c.objects[name].object }

// all returns the objects in an order that doesn't change: those that users name first, for DaftyJobs.
func all[T any](objects map[string]version[T]) (found []*T) {
	names := slices.Sorted(maps.Keys(objects))
	for _, name := range jobNames {
		if v, there := objects[name]; there {
			found = append(found, v.object)
		}
	}
	for _, name := range names {
		if !slices.Contains(jobNames, name) {
			found = append(found, objects[name].object)
		}
	}
	return found
}

// index finds the objects in a process's caches.
func (p *process) index() controller.Index {
	return controller.Index{
		Jobs: func(field, value string) (jobs []v1alpha1.DaftyJob, err error) {
			for _, job := range all(p.jobs.objects) {
				if slices.Contains(jobIndexes[field](job), value) {
					jobs = append(jobs, *job)
				}
			}
			return jobs, nil
		},
		Assets: func(field, value string) (assets []v1alpha1.DaftyAsset, err error) {
			for _, asset := range all(p.assets.objects) {
				if slices.Contains(controller.AssetIndexes[field](asset), value) {
					assets = append(assets, *asset)
				}
			}
			return assets, nil
		},
	}
}

// jobIndexes are the field indexes of DaftyJobs of both controllers.
var jobIndexes = func() map[string]client.IndexerFunc {
	indexes := maps.Clone(controller.Indexes)
	indexes[controller.MadeByIndex] = controller.MadeByAsset
	return indexes
}()

// jobChanged brings those back that a change of a DaftyJob concerns.
func (p *process) jobChanged(before, after *v1alpha1.DaftyJob) {
	job := cmp.Or(after, before)
	p.queue.add(job.Name, 0)
	names, _ := p.index().Dependents(job)
	p.queue.addAll(names)
	if after == nil || p.assetReconciler.ConcernedByJob(before, after) {
		assets, _ := p.index().AssetsOfJob(job)
		p.assetQueue.addAll(assets)
	}
	p.countSoon(job)
}

// assetChanged brings those back that a change of a DaftyAsset concerns.
func (p *process) assetChanged(before, after *v1alpha1.DaftyAsset) {
	asset := cmp.Or(after, before)
	names, _ := p.index().AssetDependents(asset)
	p.queue.addAll(names)
	itself, others := true, true
	if before != nil && after != nil {
		itself, others = p.assetReconciler.ConcernedByAsset(before, after, time.Now().Add(p.skew+p.env.clockOff))
	}
	if itself {
		p.assetQueue.add(asset.Name, 0)
	}
	if others {
		assets, _ := p.index().AssetsOfAsset(asset)
		p.assetQueue.addAll(assets)
	}
}
