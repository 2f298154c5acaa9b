package budget

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// Verdict is what becomes of a reservation.
type Verdict string

const (
	// Keep is for one whose submission is in doubt, or can still be put on record.
	Keep Verdict = "Keep"
	// Taken is for one whose submission Dafty took, or may have taken where nobody will ever know.
	Taken Verdict = "Taken"
	// GivenBack is for one whose submission made no job and never will.
	GivenBack Verdict = "GivenBack"
)

// Judge returns what becomes of a reservation by its DaftyJob, nil where that is gone. A DaftyJob from the cache will do, as one
// that is not newer than the reservation proves nothing; but that it is gone only the API server knows.
func Judge(r *v1alpha1.Reservation, job *v1alpha1.DaftyJob) Verdict {
	return judge(r, job, job != nil && newer(job.ResourceVersion, r.ResourceVersion))
}

// judge is Judge, told whether the attempt can no longer be put on record (fenced).
func judge(r *v1alpha1.Reservation, job *v1alpha1.DaftyJob, fenced bool) Verdict {
	if job == nil || job.UID != r.UID {
		return Taken // it may have been sent, and its record is gone
	}
	status := &job.Status
	before := int(r.Attempt) - 1 // attempts on record when it was reserved, and after it was refused
	recorded := max(int(status.Attempts), len(status.FailedJobIDs))
	switch {
	case status.InDoubt() && status.Submission.Attempt == r.Attempt && !status.Phase.Final():
		return Keep
	case recorded > before, jobOfAttempt(r, job), annotatedByAttempt(job):
		return Taken
	case !fenced:
		return Keep // a process that wakes up late may still write the record
	case recorded < before:
		return Taken // the status was set back, and may have had the record
	case refusedOnRecord(r, status):
		return GivenBack
	case status.UID != "" && status.UID != job.UID:
		return Taken // a backup was restored over the status, which may have had the record
	default:
		return GivenBack
	}
}

// jobOfAttempt reports whether the job on record may be the attempt's: it is neither adopted nor of an attempt before.
func jobOfAttempt(r *v1alpha1.Reservation, job *v1alpha1.DaftyJob) bool {
	status := &job.Status
	earlier := status.Submission != nil && status.Submission.Attempt < r.Attempt
	return status.JobID != "" && job.Spec.AdoptJobID == "" && !earlier
}

// annotatedByAttempt reports whether the annotation has a job that status doesn't know, as where status was lost.
func annotatedByAttempt(job *v1alpha1.DaftyJob) bool {
	id := lifecycle.Annotated(job)
	known := append([]string{job.Status.JobID, job.Spec.AdoptJobID, ""}, job.Status.FailedJobIDs...)
	return !slices.ContainsFunc(known, func(each string) bool { return strings.EqualFold(each, id) })
}

// refusedOnRecord reports whether the record says that Dafty refused the attempt: it has no idempotency key any more.
func refusedOnRecord(r *v1alpha1.Reservation, status *v1alpha1.DaftyJobStatus) bool {
	return status.Submission != nil && status.Submission.Attempt == r.Attempt && status.Submission.IdempotencyKey == ""
}

// newer reports whether a version of an object is newer than another.
func newer(version, than string) bool {
	order, err := resourceversion.CompareResourceVersion(version, than)
	return err == nil && order > 0
}
