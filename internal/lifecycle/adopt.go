package lifecycle

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// yieldsAdoption reports whether another DaftyJob is to follow what this one has begun to follow, only by adoption.
func (d *decider) yieldsAdoption() bool {
	return d.Job.Spec.AdoptJobID != "" && d.References.Adopter != "" && d.status.JobID != "" && d.status.Submission == nil && !d.stopWanted()
}

// unverifiedID reports whether the job's id is from the annotation, where a person may have put it, and Dafty hasn't shown the job
// since: it may be a wrong one.
func (d *decider) unverifiedID() bool {
	seen := d.Known.Job != nil && strings.EqualFold(d.Known.Job.Id, d.status.JobID)
	// An attempt before has dated the submission too.
	before := d.status.SubmittedAt != nil && (len(d.status.FailedJobIDs) == 0 || d.status.Phase != v1alpha1.PhaseSubmitting)
	return d.status.JobID != "" && d.Job.Spec.AdoptJobID == "" && !seen && !before
}

// Annotation returns the value of v1alpha1.JobAnnotation for a DaftyJob and its job's id, and that of v1alpha1.ResultOfAnnotation for
// the owner of a result.
func Annotation(object metav1.Object, id string) string {
	return object.GetNamespace() + "/" + object.GetName() + ":" + id
}

// Annotated returns the job's id from the annotation, empty where it has none for this very object: one that was
// copied to another name has a job of its own to make.
func Annotated(job *v1alpha1.DaftyJob) string {
	id, ok := strings.CutPrefix(job.Annotations[v1alpha1.JobAnnotation], Annotation(job, ""))
	if !ok {
		return ""
	}
	return id
}

// idPattern is what an id can look like. Dafty's are UUIDs, though no page says that they always will be. The placeholder in a
// command doesn't match.
var idPattern = regexp.MustCompile(`^[0-9A-Za-z_-]{8,128}$`)

// annotated returns the same, but neither what is no id nor an attempt that has failed: another is wanted.
func (d *decider) annotated() string {
	id := Annotated(d.Job)
	if !idPattern.MatchString(id) || slices.ContainsFunc(d.status.FailedJobIDs, func(failed string) bool { return strings.EqualFold(failed, id) }) {
		return ""
	}
	return id
}

// annotationWanted reports whether the job's id is to be written into the annotation: where there is none, and once in place of
// another's, such as that of an attempt before. What somebody puts back after that is theirs (a manifest in Git may have it), and
// does no harm: status has the right one.
func (d *decider) annotationWanted() bool {
	if Annotated(d.Job) == d.status.JobID {
		return false
	}
	return d.Job.Annotations[v1alpha1.JobAnnotation] == "" || d.Known.Annotated != d.status.JobID
}

// adopt takes the job of the spec as this object's own.
func (d *decider) adopt() Decision {
	id := d.Job.Spec.AdoptJobID
	if d.References.Adopter != "" {
		if d.cancelWanted() {
			return d.finish(current(v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelledBeforeSubmission,
				fmt.Sprintf("called off before it followed anything; job %s is left to DaftyJob %q", id, d.References.Adopter)))
		}
		// Two that were created at the same moment may both have begun to follow it, before either was seen to.
		d.status.JobID, d.status.SubmittedAt, d.status.StartedAt = "", nil, nil
		meta.RemoveStatusCondition(&d.status.Conditions, v1alpha1.ConditionSubmitted)
		return d.setStatus(stalled(v1alpha1.PhasePending, v1alpha1.ReasonAlreadyAdopted, fmt.Sprintf(
			"job %s is followed by DaftyJob %q of this namespace; delete this one, or that one", id, d.References.Adopter)), Rest{}, maxCredentialsPoll)
	}
	if d.denied() {
		return d.leaveAlone(id)
	}
	if !d.finalizer() && !d.stopWanted() {
		return Decision{Status: d.status, Step: AddFinalizer{}} // or a deletion would leave it running
	}
	d.status.JobID = id
	decision := d.follow()
	if event := decision.Event; event != nil {
		event.Message = fmt.Sprintf("adopted job %s; %s", id, event.Message)
	}
	return decision
}

// pickUp takes the job of the annotation as this object's own instead of paying for another.
func (d *decider) pickUp() Decision {
	id := d.annotated()
	if d.denied() && d.status.JobID == "" {
		return d.leaveAlone(id) // anybody can write an id there
	}
	if d.status.JobID != "" {
		d.Known.Trouble, d.Known.Cancel = nil, nil // which are of the wrong one
	}
	d.status.JobID, d.status.NextAttemptAt = id, nil
	d.status.Attempts = max(d.status.Attempts, 1)
	decision := d.follow()
	if event := decision.Event; event != nil {
		event.Message = fmt.Sprintf("found job %s in the annotation %s; %s", id, v1alpha1.JobAnnotation, event.Message)
	}
	return decision
}
