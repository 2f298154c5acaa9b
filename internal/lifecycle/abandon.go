package lifecycle

import (
	"fmt"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// heldBack reports whether a deletion whose time is over isn't let go yet: nothing is given up that wasn't tried, nor whose
// end is known.
func (d *decider) heldBack() bool {
	if d.ended() {
		return true
	}
	if d.status.JobID == "" && d.status.InDoubt() {
		call := d.ownCall()
		accepted := call != nil && call.Done && call.Err == nil
		return accepted || d.repeatable() && !d.repeatFailed()
	}
	if !d.hasKey() {
		return false
	}
	call := d.Known.Cancel
	switch {
	case call == nil, call.Tries == 0:
		return true
	case call.Tries == 1 && call.Done && call.Err == nil:
		// It left late, as where many waited for the rate limit, and is about to be confirmed.
		left := call.At.Add(recancelAfter).Sub(d.Now)
		return left > 0 && left <= recancelAfter
	}
	return false
}

// hasKey reports whether there is an API key to ask Dafty with.
func (d *decider) hasKey() bool {
	return d.Known.Credentials.Secret != "" || d.Known.Credentials.LastUsed != ""
}

// ownCall returns this process's call that the request on record is of, nil where there is none.
func (d *decider) ownCall() *SubmissionCall {
	call := d.Known.Submission
	if call == nil || !sameSending(&call.Record, d.status.Submission) {
		return nil
	}
	return call
}

// repeatable reports whether the request in doubt can be repeated, to learn which job to cancel.
func (d *decider) repeatable() bool {
	submission, credentials := d.status.Submission, d.Known.Credentials
	_, err := withReferences(&d.Job.Spec, d.status.Inputs)
	return err == nil && JobType(&d.Job.Spec) != "" && d.Now.Before(submission.StartedAt.Add(keyMemory)) && submission.CredentialsHash != "" &&
		(credentials.Secret == submission.CredentialsHash || credentials.LastUsed == submission.CredentialsHash)
}

// repeatFailed reports whether this process has repeated the request in doubt, in vain.
func (d *decider) repeatFailed() bool {
	call := d.ownCall()
	return call != nil && call.Done && call.Err != nil && !refusedOnce(call) && !call.Record.SentAt.Equal(call.Record.StartedAt)
}

// abandon lets the object go although its job may still run.
func (d *decider) abandon() Decision {
	waited := d.DeletionTimeout
	if since := d.Now.Sub(d.deadline()); since > time.Minute {
		waited += since.Round(time.Second) // it was held back
	}
	return Decision{Status: d.status, Step: RemoveFinalizer{Abandoned: true}, Event: &Event{Warning: true, Reason: v1alpha1.EventCancelAbandoned,
		Message: fmt.Sprintf(
			"gave up cancelling after %s: %s may still run and cost; look for it at Dafty and cancel it there; %s", waited, d.describeJob(), d.describeTries())}}
}

// describeTries says what was done to cancel a job, and what came of it.
func (d *decider) describeTries() string {
	call, inDoubt := d.Known.Cancel, d.status.JobID == "" && d.status.InDoubt()
	switch {
	case inDoubt && d.repeatFailed():
		return "its request was repeated to learn the job's id, and failed: " + d.ownCall().Err.Error()
	case inDoubt && !d.Now.Before(d.status.Submission.StartedAt.Add(keyMemory)):
		return "it is too late to repeat its request safely, which would tell the job's id"
	case inDoubt:
		return "its request couldn't be repeated to learn the job's id, as the API key that it was sent with, or what it refers to, is gone"
	case call != nil && call.Tries > 0 && call.Err != nil:
		return fmt.Sprintf("its cancel was tried %s and failed, the last time with: %s", times(call.Tries), call.Err.Error())
	case call != nil && call.Tries > 0 && d.Known.Trouble != nil:
		return fmt.Sprintf("Dafty accepted its cancel, sent %s, but hasn't confirmed it: the last look at the job failed with: %s", times(call.Tries),
			d.Known.Trouble.Err.Error())
	case call != nil && call.Tries > 0 && d.Known.Job != nil:
		return fmt.Sprintf("Dafty accepted its cancel, sent %s, but still reports the job as %q", times(call.Tries), d.Known.Job.Status)
	case call != nil && call.Tries > 0:
		return fmt.Sprintf("Dafty accepted its cancel, sent %s, but hasn't confirmed it", times(call.Tries))
	case d.Known.Credentials.Problem != "":
		return "there was no API key to cancel it with: " + d.Known.Credentials.Problem
	}
	return "there was no API key to cancel it with"
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
