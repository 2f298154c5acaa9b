package asset

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// pursue goes after what is wanted, and returns the verdict on where that stands.
func (d *decider) pursue() verdict {
	w, c := d.wanted, d.status.Current
	switch {
	case w == nil:
		return *d.obstacle
	case c != nil && c.Hash == w.hash && c.Result != nil:
		return isReady(c)
	case d.remembers(w.hash):
		// Back to what was made before: it costs nothing.
		d.promote(*d.inHistory(w.hash))
		return isReady(d.status.Current)
	case c != nil && c.Hash == w.hash:
		return d.fetching()
	case d.status.Pending != nil && d.status.Pending.Hash == w.hash:
		return d.pending()
	case d.Asset.Spec.Suspend:
		if p := d.status.Pending; p != nil {
			// One that waits to be let isn't being made, and to let it would pay for what isn't wanted any more.
			if job := d.job(p.JobName); job != nil && !job.Status.Phase.Final() && (submitted(job) || !lifecycle.Suspended(job)) {
				return d.mirror(job)
			}
		}
		return heldBack(v1alpha1.ReasonSuspended, "spec.suspend is true, so the newest spec isn't made; set it to false to have it made, and paid for")
	}
	if job := d.job(jobName(d.Asset, w.hash)); job != nil {
		return d.found(job)
	}
	return d.creating(d.newChange())
}

// creating has a DaftyJob created, or tells what stands in its way.
func (d *decider) creating(job *v1alpha1.DaftyJob) verdict {
	switch problem := d.Known.Uncreated; {
	case problem == nil:
		d.first = CreateJob{Job: job}
		return inProgress(v1alpha1.ReasonProgressing, fmt.Sprintf("DaftyJob %q is being created", job.Name))
	case problem.Leaving:
		d.requeueBy(takenPoll)
		return inProgress(v1alpha1.ReasonJobNameTaken, fmt.Sprintf(
			"there is a DaftyJob %q of an earlier DaftyAsset of this name; it goes on once the cluster has deleted that one", job.Name))
	case problem.Taken:
		d.requeueBy(takenPoll)
		return stalled(v1alpha1.ReasonJobNameTaken, fmt.Sprintf("there is a DaftyJob %q that doesn't belong to this DaftyAsset (%s), so it is left alone; "+
			"it goes on once that one is deleted: kubectl delete daftyjob -n %s %s", job.Name, problem.Message, job.Namespace, job.Name))
	case !problem.Lasting:
		return inProgress(v1alpha1.ReasonWriteFailed, fmt.Sprintf("DaftyJob %q can't be created: %s; it is tried again", job.Name, problem.Message))
	default:
		return stalled(v1alpha1.ReasonWriteRefused, fmt.Sprintf("DaftyJob %q can't be created: %s; it is tried again", job.Name, problem.Message))
	}
}

// found takes up a DaftyJob of the wanted request that isn't on record.
func (d *decider) found(job *v1alpha1.DaftyJob) verdict {
	switch ended := job.Status.Phase.Final(); {
	case job.DeletionTimestamp != nil, calledOffByAsset(job) && !ended:
		return inProgress(v1alpha1.ReasonProgressing, fmt.Sprintf("DaftyJob %q was called off before; it is made again once that has ended", job.Name))
	case calledOffByAsset(job):
		return d.makeAgain(job)
	}
	d.status.Pending = d.pendingOf(job)
	return d.pending()
}

// pending follows the DaftyJob that is on record for what is wanted.
func (d *decider) pending() verdict {
	p := d.status.Pending
	job := d.job(p.JobName)
	if p.UID == "" {
		switch {
		case p.AssetUID != "" && p.AssetUID != d.Asset.UID:
			return stalled(v1alpha1.ReasonJobDeleted, fmt.Sprintf("DaftyJob %q was to be made again when the backup was taken that this DaftyAsset was "+
				"restored from. It may have been made since, so it isn't made by itself; %s", p.JobName, d.howToMakeAnew(p)))
		case job == nil:
			return d.creating(d.newChange())
		case job.DeletionTimestamp != nil, calledOffByAsset(job):
			return d.makeAgain(job)
		}
		d.status.Pending = d.pendingOf(job)
		return d.pending()
	}
	switch {
	case job == nil && p.FinishedAt != nil:
		return verdict{keep: true}
	case job == nil || job.UID != p.UID || job.DeletionTimestamp != nil:
		return stalled(v1alpha1.ReasonJobDeleted, fmt.Sprintf("DaftyJob %q was deleted before it had a result, and isn't made again by itself; %s",
			p.JobName, d.howToMakeAnew(p)))
	case job.Status.Phase == v1alpha1.PhaseCancelled && calledOffByAsset(job):
		return d.makeAgain(job)
	case job.Status.Phase.Final():
		if p.FinishedAt == nil {
			p.FinishedAt = &metav1.Time{Time: d.Now}
			if at := job.Status.FinishedAt; at != nil {
				*p.FinishedAt = *at
			}
		}
		return d.failed(job)
	}
	d.direct(job)
	return d.mirror(job)
}

// howToMakeAnew tells how a user has the request of a record made all the same.
func (d *decider) howToMakeAnew(p *v1alpha1.PendingJob) string {
	return fmt.Sprintf("to have it made, and paid for, give another revision: "+
		"kubectl patch -n %s daftyasset %s --type merge -p '{\"spec\":{\"revision\":\"after-%s\"}}'", d.Asset.Namespace, d.Asset.Name, p.Hash)
}

// makeAgain has a DaftyJob made again that the asset itself had called off. That goes on record before the old one goes: its
// idempotency key must not be used again, as Dafty would answer with the job that was called off.
func (d *decider) makeAgain(job *v1alpha1.DaftyJob) verdict {
	if p := d.status.Pending; p == nil || p.Hash != d.wanted.hash || p.UID != "" {
		d.status.Pending = &v1alpha1.PendingJob{JobName: job.Name, Hash: d.wanted.hash, AssetUID: d.Asset.UID, Inputs: d.wanted.inputs}
		if key := d.Asset.Spec.Template.Spec.IdempotencyKey; key != "" {
			d.status.Pending.IdempotencyKey = fmt.Sprintf("%s-%s-%.8s", key, d.wanted.hash, job.UID)
		}
	}
	if job.DeletionTimestamp == nil && job.Status.Phase.Final() {
		d.steps = append(d.steps, DeleteJob{Job: job})
	}
	return inProgress(v1alpha1.ReasonProgressing, fmt.Sprintf("DaftyJob %q was called off before; it is made again once that one is gone", job.Name))
}

// direct has the pending DaftyJob released where that was allowed, and follow the template.
func (d *decider) direct(job *v1alpha1.DaftyJob) {
	p, spec := d.status.Pending, &d.Asset.Spec
	if calledOff(job) {
		return // by a person
	}
	approved := spec.ChangePolicy != v1alpha1.ChangeManual || d.Asset.Annotations[v1alpha1.ApprovedAnnotation] == p.Hash
	if p.ChangePolicy == v1alpha1.ChangeManual && approved {
		if job.Spec.DesiredState == v1alpha1.DesiredSuspended {
			d.steps = append(d.steps, ReleaseJob{Job: job})
			return
		}
		p.ChangePolicy = ""
	}
	if Follow(job.DeepCopy(), &spec.Template) {
		d.steps = append(d.steps, UpdateJob{Job: job, Template: &spec.Template})
	}
}

// fetching follows the DaftyJob that fetches the current result again.
func (d *decider) fetching() verdict {
	if job := d.job(d.status.Current.JobName); job != nil {
		v := d.mirror(job)
		if v.reason == v1alpha1.ReasonProgressing {
			v.message = fmt.Sprintf("DaftyJob %q fetches the result of job %s again, which the annotation %s names", job.Name, d.status.Current.JobID,
				v1alpha1.CurrentAnnotation)
		}
		return v
	}
	return d.creating(newAdoption(d.Asset, d.status.Current))
}

// adoptCurrent has the DaftyJob created that fetches the current result again, also where another is wanted by now: it is the one to
// use until that is there.
func (d *decider) adoptCurrent() {
	c := d.status.Current
	switch {
	case c == nil || c.Result != nil || d.job(c.JobName) != nil || d.first != nil:
	case d.Known.Uncreated == nil:
		d.first = CreateJob{Job: newAdoption(d.Asset, c)}
	default:
		d.requeueBy(takenPoll)
	}
}
