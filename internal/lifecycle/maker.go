package lifecycle

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// MadeBy returns the DaftyAsset that made a DaftyJob, which is its controller, and whether there is one.
func MadeBy(job *v1alpha1.DaftyJob) (name string, uid types.UID, ok bool) {
	owner := metav1.GetControllerOfNoCopy(job)
	if owner == nil || owner.Kind != assetKind {
		return "", "", false
	}
	if group, err := schema.ParseGroupVersion(owner.APIVersion); err != nil || group.Group != v1alpha1.GroupVersion.Group {
		return "", "", false
	}
	return owner.Name, owner.UID, true
}

// ofAsset reports whether a DaftyAsset made the job.
func (d *decider) ofAsset() bool {
	_, _, made := MadeBy(d.Job)
	return made
}

// record returns what the DaftyAsset that made the job has on record of it, nil where it has nothing.
func (d *decider) record() *v1alpha1.PendingJob {
	maker := d.References.Maker
	if maker == nil || maker.Asset == nil {
		return nil
	}
	if pending := maker.Asset.Status.Pending; pending != nil && pending.JobName == d.Job.Name && pending.UID == d.Job.UID {
		return pending
	}
	return nil
}

// A DaftyAsset makes a DaftyJob and puts it on record in its status in two writes, a moment apart. The second is made under the
// resourceVersion that the first was decided by. So of two operators that both take themselves for the leader, or of one that
// crashed between the two and another after it, both may make a DaftyJob of a change, and one has it on record. Only that one is
// ever submitted, which is what has each change paid for at most once.

// recordedWithin is how long after its creation a DaftyJob is given to come on record. Until then nothing is said of it: that
// would be one write more for each change of each DaftyAsset.
const recordedWithin = 10 * time.Second

// unrecorded reports whether a DaftyAsset made the job, and doesn't have it on record.
func (d *decider) unrecorded() bool { return d.ofAsset() && d.record() == nil }

// waitForRecord has nothing submitted.
func (d *decider) waitForRecord() Decision {
	if left := d.Job.CreationTimestamp.Add(recordedWithin).Sub(d.Now); left > 0 && d.ready() == nil {
		return d.keepStatus(Rest{}, min(left, recordedWithin)) // whichever clock is wrong
	}
	name, _, _ := MadeBy(d.Job)
	message := fmt.Sprintf("DaftyAsset %q, to which this DaftyJob belongs, doesn't have it on record in status.pending, and only a DaftyJob that is there "+
		"is submitted; it goes on by itself once it is. If it isn't wanted, delete it", name)
	if maker := d.References.Maker; maker == nil || maker.Asset == nil {
		message = fmt.Sprintf("DaftyAsset %q, to which this DaftyJob belongs, isn't there any more, so nothing is submitted; delete this DaftyJob, unless "+
			"Kubernetes is about to do so", name)
	}
	met := d.waitFor(v1alpha1.ReasonWaitingForDependency, message, false)
	return d.setStatus(met.verdict, Rest{}, met.after)
}

// resolveRecorded takes what the DaftyAsset that made the job has on record: what the field stood for when the change was decided.
func (d *decider) resolveRecorded(s source, in *v1alpha1.Input) *obstacle {
	if pending := d.record(); pending != nil {
		at := slices.IndexFunc(pending.Inputs, func(recorded v1alpha1.Input) bool { return recorded.Field == s.field })
		if at >= 0 && sent(&pending.Inputs[at]) != "" {
			*in = pending.Inputs[at]
			return nil
		}
	}
	name, _, _ := MadeBy(d.Job)
	return d.waitFor(v1alpha1.ReasonInvalidReference, fmt.Sprintf(
		"%s refers to %s, but DaftyAsset %q, which made this DaftyJob, doesn't have on record in status.pending.inputs what that stands for; nothing was "+
			"submitted. Give that DaftyAsset another spec.revision, and it is made again", s.field, s, name), true)
}
