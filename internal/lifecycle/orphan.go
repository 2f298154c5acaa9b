package lifecycle

import (
	"fmt"
	"strings"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

// leavesRunning reports whether a deletion leaves the job at Dafty to itself. What was called off, or is being cancelled, is
// followed to its end: the policy takes no cancel back.
func (d *decider) leavesRunning() bool {
	return d.deleting() && d.Job.Spec.DeletionPolicy == v1alpha1.DeletionOrphan && !d.calledOff() && !d.cancelSent() && !d.ended()
}

// cancelSent reports whether a cancel may have reached Dafty.
func (d *decider) cancelSent() bool {
	call := d.Known.Cancel
	failed := call != nil && call.Done && call.Err != nil && call.Err.WithoutEffect()
	return d.status.Phase == v1alpha1.PhaseCancelling || call != nil && !failed
}

// ended reports whether Dafty has said that the job has ended.
func (d *decider) ended() bool {
	job := d.Known.Job
	return job != nil && strings.EqualFold(job.Id, d.status.JobID) && (job.Status == dafty.Completed || job.Status == dafty.Failed)
}

func (d *decider) orphan() Decision {
	message := "deleted with deletionPolicy Orphan: %s runs on at Dafty and is paid for"
	if d.status.InDoubt() {
		message = "deleted with deletionPolicy Orphan: %s runs on at Dafty and is paid for, if it was made"
	}
	return d.release(&Event{Reason: v1alpha1.EventJobOrphaned, Message: fmt.Sprintf(message, d.describeJob())})
}
