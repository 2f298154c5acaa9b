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

// view is what a process sees of the cluster: a cache that a watch keeps up to date, late, and
// not at all while the watch is broken. Guarded by the world's lock.
type view struct {
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

// newView is that of a process that starts. Its first list may come from an API server that
// is behind, and be older than what the process before it saw.
func newView(p *process) *view {
	w := p.w
	v := &view{p: p}
	ago := 0
	if w.chance.oneIn(4, p.id+" first list is old") {
		ago = int(w.chance.roll(p.id+" first list's age")%5) + 1
	}
	v.jobs = w.cluster.snapshot(ago)
	if ago > 0 {
		w.trace.add(p.id, "lists objects as they were %d versions ago", ago)
	}
	for _, missed := range w.cluster.history[max(0, len(w.cluster.history)-ago):] {
		v.notify(missed)
	}
	return v
}

// notify sends a version on its way.
func (v *view) notify(changed version) {
	if v == nil || v.broken {
		return
	}
	w := v.p.w
	v.stream = append(v.stream, changed)
	connection := v.connection
	way := v.lag + w.chance.between(time.Millisecond, 60*time.Millisecond, v.p.id+" watch "+changed.name)
	w.after(way, func() { v.arrive(changed.revision, connection) })
}

// arrive brings what was sent up to a revision into the cache, once the process runs.
func (v *view) arrive(revision int64, connection int) {
	if v.p.paused() {
		v.p.whenResumed(func() { v.arrive(revision, connection) })
		return
	}
	for v.connection == connection && len(v.stream) > 0 && v.stream[0].revision <= revision {
		changed := v.stream[0]
		v.stream = v.stream[1:]
		before := v.jobs[changed.name].job
		if changed.job == nil {
			delete(v.jobs, changed.name)
		} else {
			v.jobs[changed.name] = changed
		}
		v.p.queue.add(changed.name, 0)
		v.wakeDependents(cmp.Or(changed.job, before))
		if v.p.w.chance.oneIn(16, v.p.id+" event again "+changed.name) {
			v.p.queue.add(changed.name, v.p.w.chance.between(0, time.Second, v.p.id+" event again when"))
		}
	}
}

// wakeDependents brings those back that wait for an object, or adopt what it follows.
func (v *view) wakeDependents(job *v1alpha1.DaftyJob) {
	if job == nil {
		return // it came and went unseen
	}
	names, _ := controller.Dependents(job, func(field, value string) (jobs []v1alpha1.DaftyJob, err error) {
		for _, name := range jobNames {
			if other := v.jobs[name].job; other != nil && slices.Contains(controller.Indexes[field](other), value) {
				jobs = append(jobs, *other)
			}
		}
		return jobs, nil
	})
	for _, name := range names {
		v.p.queue.add(name, 0)
	}
}

// lose breaks the watch. What happens until it is back is seen only as a difference.
func (v *view) lose() {
	v.connection++
	v.broken, v.stream = true, nil
}

// relist brings the cache to where the cluster is.
func (v *view) relist() {
	before := v.jobs
	v.connection++
	v.broken, v.lag, v.stream = false, 0, nil
	v.jobs = maps.Clone(v.p.w.cluster.jobs)
	v.p.results.relist()
	names := slices.Collect(maps.Keys(v.jobs))
	for name := range before {
		if _, still := v.jobs[name]; !still {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		v.p.queue.add(name, 0)
		v.wakeDependents(cmp.Or(v.jobs[name].job, before[name].job))
	}
}

func (v *view) get(name types.NamespacedName) *v1alpha1.DaftyJob { return v.jobs[name.Name].job }
