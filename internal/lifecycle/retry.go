package lifecycle

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

// retry prepares another attempt.
func (d *decider) retry() Decision {
	next := metav1.NewTime(d.Now.Add(dafty.Backoff(retryAfter, len(d.status.FailedJobIDs)+1, maxRetryAfter))).Rfc3339Copy()
	d.status.FailedJobIDs = append(d.status.FailedJobIDs, d.status.JobID)
	if since := d.submittedSince(); !since.IsZero() {
		// For the deadline: when the request was sent is forgotten with it.
		d.status.SubmittedAt = &metav1.Time{Time: since}
	}
	d.status.JobID, d.status.Submission, d.status.NextAttemptAt = "", nil, &next
	meta.RemoveStatusCondition(&d.status.Conditions, v1alpha1.ConditionSubmitted)
	return d.setStatus(d.backingOff(), Rest{}, next.Sub(d.Now))
}

func (d *decider) backoffLimit() int32 {
	if limit := d.Job.Spec.BackoffLimit; limit != nil {
		return *limit
	}
	return 0
}

func (d *decider) backingOff() verdict {
	_, message := d.failure()
	return inProgress(v1alpha1.PhasePending, v1alpha1.ReasonBackingOff, fmt.Sprintf("%s; it is tried again at %s, as attempt %d of %d",
		message, d.status.NextAttemptAt.UTC().Format(time.RFC3339), d.status.Attempts+1, d.backoffLimit()+1))
}
