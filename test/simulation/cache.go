package simulation

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/controller"
)

// jobCache is what a process sees of the cluster: a cache that a watch keeps up to date, late, and
// not at all while the watch is broken. Guarded by env.mu.
type jobCache struct {
	p    *process
	jobs map[string]version
	// stream holds what is underway, in order: nothing arrives before what was sent before it.
	stream []version
	// lag is added to each event's way.
	lag time.Duration
	// connection counts the watches; an event of a broken one never arrives.
	connection int
	broken     bool
}

// newJobCache returns the cache of a process that starts. Its first list may come from an API server that
// is behind, and be older than what the process before it saw.
func newJobCache(p *process) *jobCache {
	e := p.env
	c := &jobCache{p: p}
	ago := 0
	if e.random.oneIn(4, p.id+" first list is old") {
		ago = int(e.random.roll(p.id+" first list's age")%5) + 1
	}
	c.jobs = e.api.snapshot(ago)
	if ago > 0 {
		e.trace.add(p.id, "lists objects as they were %d versions ago", ago)
	}
	for _, missed := range e.api.history[max(0, len(e.api.history)-ago):] {
		c.notify(missed)
	}
	return c
}

// notify sends a version on its way.
func (c *jobCache) notify(changed version) {
	if c == nil || c.broken {
		return
	}
	e := c.p.env
	c.stream = append(c.stream, changed)
	connection := c.connection
	way := c.lag + e.random.between(time.Millisecond, 60*time.Millisecond, c.p.id+" watch "+changed.name)
	e.afterFunc(way, func() { c.arrive(changed.revision, connection) })
}

// arrive brings what was sent up to a revision into the cache, once the process runs.
func (c *jobCache) arrive(revision int64, connection int) {
	if c.p.paused() {
		c.p.whenResumed(func() { c.arrive(revision, connection) })
		return
	}
	for c.connection == connection && len(c.stream) > 0 && c.stream[0].revision <= revision {
		changed := c.stream[0]
		c.stream = c.stream[1:]
		before := c.jobs[changed.name].job
		if changed.job == nil {
			delete(c.jobs, changed.name)
		} else {
			c.jobs[changed.name] = changed
		}
		c.p.queue.add(changed.name, 0)
		c.wakeDependents(cmp.Or(changed.job, before))
		if c.p.env.random.oneIn(16, c.p.id+" event again "+changed.name) {
			c.p.queue.add(changed.name, c.p.env.random.between(0, time.Second, c.p.id+" event again when"))
		}
	}
}

// wakeDependents brings those back that wait for an object, or adopt what it follows.
func (c *jobCache) wakeDependents(job *v1alpha1.DaftyJob) {
	if job == nil {
		return // it came and went unseen
	}
	index := controller.Index{
		Jobs: func(field, value string) (jobs []v1alpha1.DaftyJob, err error) {
			for _, name := range jobNames {
				if other := c.jobs[name].job; other != nil && slices.Contains(controller.Indexes[field](other), value) {
					jobs = append(jobs, *other)
				}
			}
			return jobs, nil
		},
		Assets: func(string, string) ([]v1alpha1.DaftyAsset, error) { return nil, nil }, // there are none
	}
	names, _ := index.Dependents(job)
	for _, name := range names {
		c.p.queue.add(name, 0)
	}
}

// breakWatch breaks the watch. What happens until it is back is seen only as a difference.
func (c *jobCache) breakWatch() {
	c.connection++
	c.broken, c.stream = true, nil
}

// relist brings the cache to where the cluster is.
func (c *jobCache) relist() {
	before := c.jobs
	c.connection++
	c.broken, c.lag, c.stream = false, 0, nil
	c.jobs = maps.Clone(c.p.env.api.jobs)
	c.p.results.relist()
	names := slices.Collect(maps.Keys(c.jobs))
	for name := range before {
		if _, still := c.jobs[name]; !still {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		c.p.queue.add(name, 0)
		c.wakeDependents(cmp.Or(c.jobs[name].job, before[name].job))
	}
}

func (c *jobCache) get(name types.NamespacedName) *v1alpha1.DaftyJob { return c.jobs[name.Name].job }
