package asset

import (
	"slices"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// Next decides what status must read, and which steps come before that and after it.
func Next(in Snapshot) Decision {
	d := &decider{Snapshot: in, status: *in.Asset.Status.DeepCopy()}
	if in.Asset.DeletionTimestamp != nil {
		// Its DaftyJobs go with it, as they belong to it, and what runs is cancelled by that.
		return Decision{Status: d.status}
	}
	d.Jobs = slices.SortedFunc(slices.Values(in.Jobs), byEnd)
	d.restore()
	if left := d.settling(); left > 0 {
		return Decision{Status: *in.Asset.Status.DeepCopy(), After: left}
	}
	d.wanted, d.obstacle = d.resolve()
	d.takeResults()
	d.retire()
	v := d.pursue()
	d.adoptCurrent()
	d.trim()
	d.callOff()
	d.tidy()
	if refused := d.Known.Refused; refused != "" && !v.keep && !v.stalled {
		v = stalled(v1alpha1.ReasonWriteRefused, refused)
	}
	events := d.tell(v)
	d.store()
	d.annotate()
	return Decision{
		First: d.first, Status: d.status, Steps: d.steps, After: d.after, Events: append(d.events, events...), Changed: d.changed,
	}
}

// decider works out one decision. Its status is the one to be written.
type decider struct {
	Snapshot
	status   v1alpha1.DaftyAssetStatus
	wanted   *request
	obstacle *verdict

	first  Step
	steps  []Step
	after  time.Duration
	events []lifecycle.Event
	// changed reports whether another result is current than before, touched whether that result has changed in anything.
	changed, touched bool
	// lost reports whether the result of the annotation can't be fetched again.
	lost bool
}

func (d *decider) requeueBy(after time.Duration) {
	if after > 0 && (d.after == 0 || d.after > after) {
		d.after = after
	}
}

// annotate has the annotation name the current result. What somebody puts back after that is theirs (a manifest in Git may have
// it), and does no harm: status goes before it.
func (d *decider) annotate() {
	is, c := d.Asset.Annotations[v1alpha1.CurrentAnnotation], d.status.Current
	value := is
	switch {
	case c != nil && c.Result != nil:
		value = Annotation(d.Asset, c)
	case d.lost:
		value = ""
	}
	if value != is && (value == "" || d.Known.Annotated != value) {
		d.steps = append(d.steps, Annotate{Value: value})
	}
}
