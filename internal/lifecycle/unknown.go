package lifecycle

import (
	"fmt"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

// unknown stops waiting for an answer, unless a person found the job, or found that there is
// none. Another look after a while costs little: the old key may be put back, or a
// wrong clock put right.
func (d *decider) unknown(why string, after time.Duration) Decision {
	submission := d.status.Submission
	switch {
	case d.annotated() != "" && !d.denied():
		return d.pickUp()
	case d.resubmitWanted():
		return d.resubmit()
	}
	return d.setStatus(stalled(v1alpha1.PhaseSubmitting, v1alpha1.ReasonSubmissionUnknown, fmt.Sprintf(
		"a request was sent at %s and its answer never came; %s. %s", submission.StartedAt.UTC().Format(time.RFC3339), why, d.recoveryCommands())), Rest{}, after)
}

// refusedAgain reports whether Dafty refuses the repeats of a request in doubt for what it thinks of the account, or as it knows the
// key otherwise. It may go on so after that, for as long as it remembers the key.
func (d *decider) refusedAgain(err *dafty.CallError) bool {
	return err != nil && (MeaningOf(err.Kind).OfAccount || d.keyTaken(err))
}

// resubmitWanted reports whether a person has found that the request in doubt made no job.
func (d *decider) resubmitWanted() bool {
	return d.Job.Annotations[v1alpha1.ResubmitAnnotation] == d.status.Submission.IdempotencyKey
}

// resubmit forgets the request in doubt. Its attempt stays counted, so that the next has a key of its own.
func (d *decider) resubmit() Decision {
	d.status.Submission = nil
	return d.next()
}

// recoveryCommands returns the commands for a person who has looked for the job of a request in doubt.
func (d *decider) recoveryCommands() string {
	annotate := fmt.Sprintf("kubectl annotate --overwrite -n %s daftyjob %s ", d.Job.Namespace, d.Job.Name)
	unless := "if not"
	if len(d.status.FailedJobIDs) > 0 {
		unless = "if not, or if it is one of status.failedJobIDs"
	}
	return fmt.Sprintf("Look for its job at Dafty. If it is there, run: %s%s=%s; %s, have a new one made with: %s%s=%s",
		annotate, v1alpha1.JobAnnotation, Annotation(d.Job, "ID"), unless, annotate, v1alpha1.ResubmitAnnotation, d.status.Submission.IdempotencyKey)
}
