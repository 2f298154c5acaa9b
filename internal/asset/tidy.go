package asset

import (
	"cmp"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// retire takes a DaftyJob off the record that a newer change has overtaken.
func (d *decider) retire() {
	p := d.status.Pending
	if p == nil || !d.overtaken(p.Hash, p.Inputs) {
		return
	}
	d.status.Pending = nil
	if job := d.job(p.JobName); job != nil && !job.Status.Phase.Final() && job.DeletionTimestamp == nil && !calledOff(job) {
		d.events = append(d.events, lifecycle.Event{Reason: v1alpha1.EventOvertaken,
			Message: fmt.Sprintf("DaftyJob %q is called off, as a newer change has overtaken it", job.Name)})
	}
}

// callOff has each DaftyJob cancelled that nothing on record speaks of. One that was never submitted, while it isn't known what is
// wanted, may yet be.
func (d *decider) callOff() {
	for _, job := range d.Jobs {
		if job.Status.Phase.Final() || job.DeletionTimestamp != nil || calledOff(job) || d.needs(job) {
			continue
		}
		if d.wanted != nil || submitted(job) {
			d.steps = append(d.steps, CallOff{Job: job})
		}
	}
}

// Unrecorded returns the steps of a decision to take where its status can't be written, and their events. To call off what is
// overtaken rests on nothing in that status, and costs nothing twice: should it be wanted again, it is made again either way.
func Unrecorded(decision Decision) (steps []Step, events []lifecycle.Event) {
	for _, step := range decision.Steps {
		if _, is := step.(CallOff); is {
			steps = append(steps, step)
		}
	}
	for _, event := range decision.Events {
		if event.Reason == v1alpha1.EventOvertaken {
			events = append(events, event)
		}
	}
	return steps, events
}

// needs reports whether a DaftyJob makes what is pending, wanted or current.
func (d *decider) needs(job *v1alpha1.DaftyJob) bool {
	p, c := d.status.Pending, d.status.Current
	return p != nil && p.JobName == job.Name || c != nil && c.JobName == job.Name || d.wanted != nil && jobName(d.Asset, d.wanted.hash) == job.Name
}

// historyLimit is that of the spec.
func (d *decider) historyLimit() int {
	if limit := d.Asset.Spec.HistoryLimit; limit != nil {
		return int(*limit)
	}
	return 3
}

// trim keeps the history to its limit. A DaftyJob goes before its result is forgotten: one that is there is never made again.
func (d *decider) trim() {
	limit := d.historyLimit()
	kept := d.status.History[:0]
	for i, h := range d.status.History {
		job := d.job(h.JobName)
		there := job != nil && job.DeletionTimestamp == nil
		switch {
		case i < limit, there && d.Known.Undeleted[job.UID]:
			kept = append(kept, h)
		case there:
			kept = append(kept, h)
			if d.first == nil {
				d.first = DeleteJob{Job: job}
			}
		}
	}
	d.status.History = kept
	if len(kept) == 0 {
		d.status.History = nil
	}
}

// tidy has the finished DaftyJobs deleted that are beyond the limit: those without a result on record first, the oldest first.
func (d *decider) tidy() {
	var finished []*v1alpha1.DaftyJob
	for _, job := range d.Jobs {
		if job.Status.Phase.Final() && job.DeletionTimestamp == nil && !d.needs(job) {
			finished = append(finished, job)
		}
	}
	slices.SortFunc(finished, func(a, b *v1alpha1.DaftyJob) int {
		return cmp.Or(
			compareBool(d.remembers(hashFrom(a)), d.remembers(hashFrom(b))),
			a.CreationTimestamp.Compare(b.CreationTimestamp.Time),
			cmp.Compare(a.Name, b.Name))
	})
	for i := range max(0, len(finished)-d.historyLimit()) {
		if !d.remembers(hashFrom(finished[i])) {
			d.steps = append(d.steps, DeleteJob{Job: finished[i]})
		}
	}
}

// byEnd puts the DaftyJob that ended first before others, so that the newest results come last; those that haven't ended come first.
func byEnd(a, b *v1alpha1.DaftyJob) int {
	return cmp.Or(
		compareBool(a.Status.FinishedAt != nil, b.Status.FinishedAt != nil),
		compareTimes(a.Status.FinishedAt, b.Status.FinishedAt),
		cmp.Compare(a.Name, b.Name))
}

func compareTimes(a, b *metav1.Time) int {
	if a == nil || b == nil {
		return 0
	}
	return a.Compare(b.Time)
}

// compareBool puts false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}
