package lifecycle

import (
	"fmt"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// due returns when spec.activeDeadlineSeconds is over, zero where there is none or nothing was submitted yet.
func (d *decider) due() time.Time {
	seconds, from := d.Job.Spec.ActiveDeadlineSeconds, d.submittedSince()
	if seconds == nil || from.IsZero() {
		return time.Time{}
	}
	return from.Add(time.Duration(*seconds) * time.Second)
}

// submittedSince returns since when the job is submitted. Dafty's clock says it, and for the first attempt so does this
// machine's. Where they disagree, the later time that isn't in the future is taken: it is right whichever of them was wrong, as
// long as that is by less than the deadline.
func (d *decider) submittedSince() time.Time {
	var told, sent time.Time
	if at := d.status.SubmittedAt; at != nil {
		told = at.Time
	}
	if s := d.status.Submission; s != nil && s.StartedAt != nil && (s.Attempt == 1 && s.IdempotencyKey != "" || told.IsZero() && d.status.InDoubt()) {
		sent = s.StartedAt.Time
	}
	first, last := told, sent
	if last.Before(first) {
		first, last = last, first
	}
	if last.After(d.Now.Add(clockSkew)) && !first.IsZero() {
		return first
	}
	return last
}

func (d *decider) overdue() bool {
	due := d.due()
	return !due.IsZero() && !d.Now.Before(due)
}

// tooLate ends a job whose deadline came between two attempts.
func (d *decider) tooLate() Decision {
	return d.finish(failed(v1alpha1.ReasonDeadlineExceeded, d.describeOverdue()+"; it isn't tried again"))
}

func (d *decider) describeOverdue() string {
	return fmt.Sprintf("the job took longer than the %d seconds of spec.activeDeadlineSeconds", *d.Job.Spec.ActiveDeadlineSeconds)
}
