package asset

import (
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// Annotation returns the value of v1alpha1.CurrentAnnotation for a result.
func Annotation(asset *v1alpha1.DaftyAsset, of *v1alpha1.AssetResult) string {
	return asset.Namespace + "/" + asset.Name + ":" + of.Hash + "=" + of.JobID
}

// annotated is what the annotation says after the asset's own name.
var annotated = regexp.MustCompile(`^([0-9a-f]{10})=([0-9A-Za-z_-]{8,128})$`)

// restore takes over the annotation of an asset that has lost its status: what it names is current again, and its result is yet to
// be fetched.
func (d *decider) restore() {
	if d.status.Current != nil {
		return
	}
	said, ok := strings.CutPrefix(d.Asset.Annotations[v1alpha1.CurrentAnnotation], d.Asset.Namespace+"/"+d.Asset.Name+":")
	parts := annotated.FindStringSubmatch(said)
	if !ok || parts == nil {
		return
	}
	d.status.Current = &v1alpha1.AssetResult{JobName: jobName(d.Asset, parts[1]), Hash: parts[1], JobID: parts[2]}
}

// job returns the DaftyJob of that name, nil where it is gone.
func (d *decider) job(name string) *v1alpha1.DaftyJob {
	for _, job := range d.Jobs {
		if job.Name == name {
			return job
		}
	}
	return nil
}

// takeResults takes what DaftyJobs have made into the record.
func (d *decider) takeResults() {
	if c := d.status.Current; c != nil && c.Result == nil {
		d.takeAdopted(d.job(c.JobName))
	}
	for _, job := range d.Jobs {
		if !completed(job) || job.DeletionTimestamp != nil {
			continue
		}
		hash, pending, current := hashFrom(job), d.status.Pending, d.status.Current
		switch {
		case current != nil && current.Hash == hash:
			// What comes late, as the thumbnail of a video does.
			if current.JobID == job.Status.JobID && !equality.Semantic.DeepEqual(current.Result, job.Status.Result) {
				current.Result, d.touched = job.Status.Result.DeepCopy(), true
			}
		case pending != nil && pending.UID == job.UID:
			result := resultOf(job, pending.Inputs)
			d.status.Pending = nil
			if noResult := current == nil || current.Result == nil; noResult || !d.overtaken(hash, pending.Inputs) {
				d.promote(result)
			} else {
				d.remember(result)
			}
		case d.wanted != nil && d.wanted.hash == hash:
			d.promote(resultOf(job, d.wanted.inputs))
		case !d.remembers(hash):
			d.remember(resultOf(job, assetInputs(job))) // overtaken, but it was paid for before it could be called off
		}
	}
	if c := d.status.Current; c != nil && d.wanted != nil && c.Hash == d.wanted.hash && c.Inputs == nil {
		c.Inputs = d.wanted.inputs // which the annotation doesn't have
	}
}

// takeAdopted follows the DaftyJob that fetches the current result again.
func (d *decider) takeAdopted(job *v1alpha1.DaftyJob) {
	if job == nil {
		return
	}
	c := d.status.Current
	switch {
	case completed(job):
		inputs := c.Inputs
		*c = resultOf(job, inputs)
		d.changed, d.touched = true, true
	case job.Status.Phase.Final():
		d.status.Current, d.lost = nil, true
		if d.wanted != nil && d.wanted.hash == c.Hash {
			d.status.Pending = d.pendingOf(job)
		}
	}
}

// resultOf returns the record of a DaftyJob that has completed.
func resultOf(job *v1alpha1.DaftyJob, inputs []v1alpha1.Input) v1alpha1.AssetResult {
	return v1alpha1.AssetResult{
		JobName:     job.Name,
		Hash:        hashFrom(job),
		JobID:       job.Status.JobID,
		Result:      job.Status.Result.DeepCopy(),
		CompletedAt: job.Status.FinishedAt.DeepCopy(),
		Inputs:      inputs,
	}
}

// assetInputs returns what a DaftyJob's own assetRefs stood for, as far as it has them on record.
func assetInputs(job *v1alpha1.DaftyJob) (inputs []v1alpha1.Input) {
	for _, in := range job.Status.Inputs {
		if strings.HasPrefix(in.Source, Kind+" ") {
			inputs = append(inputs, in)
		}
	}
	return inputs
}

// promote makes a result current. The one that was goes into the history.
func (d *decider) promote(result v1alpha1.AssetResult) {
	before := d.status.Current
	d.forget(result.Hash)
	if before != nil && before.Result != nil && before.Hash != result.Hash {
		d.remember(*before)
	}
	d.status.Current = &result
	d.changed, d.touched = true, true
}

// remember puts a result at the front of the history.
func (d *decider) remember(result v1alpha1.AssetResult) {
	d.forget(result.Hash)
	d.status.History = append([]v1alpha1.AssetResult{result}, d.status.History...)
}

func (d *decider) remembers(hash string) bool { return d.inHistory(hash) != nil }

func (d *decider) inHistory(hash string) *v1alpha1.AssetResult {
	for i := range d.status.History {
		if d.status.History[i].Hash == hash {
			return &d.status.History[i]
		}
	}
	return nil
}

func (d *decider) forget(hash string) {
	d.status.History = slices.DeleteFunc(d.status.History, func(h v1alpha1.AssetResult) bool { return h.Hash == hash })
}

// pendingOf returns the record of a DaftyJob that makes the wanted result.
func (d *decider) pendingOf(job *v1alpha1.DaftyJob) *v1alpha1.PendingJob {
	p := &v1alpha1.PendingJob{
		JobName: job.Name, Hash: d.wanted.hash, UID: job.UID, Created: new(metav1.Time), Inputs: d.wanted.inputs,
	}
	*p.Created = job.CreationTimestamp
	if job.Spec.DesiredState == v1alpha1.DesiredSuspended && d.Asset.Spec.ChangePolicy == v1alpha1.ChangeManual {
		p.ChangePolicy = v1alpha1.ChangeManual
	}
	if before := d.status.Pending; before != nil && before.Hash == p.Hash {
		p.IdempotencyKey = before.IdempotencyKey
	}
	return p
}
