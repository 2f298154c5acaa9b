package lifecycle

import (
	"slices"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

// One answer that is out of line is no verdict. A proxy that is being replaced, or a part of Dafty that is, may answer 401 or
// 404 for a second, and whoever waits for the job (Helm's rollback, a wave of Argo CD) takes Stalled for the end. So a call
// that met it is made once more within seconds, and only what repeats is told.
//
// What Dafty says of an account's credits, plan or allowance in answer to a create is told at once: nothing but Dafty itself
// words that, it is the account's and not the call's, and the request is asked again as soon as a person may have mended it.

// repeated reports whether something failed more than once in a row.
func repeated(failures int) bool { return failures > 1 }

// odd reports whether a cancel or an upload met an answer that asks for a person, and nothing has confirmed it yet. Neither costs
// credits.
func odd(kind dafty.Kind, failures int) bool {
	return MeaningOf(kind).Stalled && !repeated(failures)
}

// refusedOnce reports whether a submission met a refusal of its API key that nothing has confirmed yet.
func refusedOnce(call *SubmissionCall) bool {
	return call.Err != nil && call.Err.Kind == dafty.KindUnauthorized && !repeated(call.KeyRefusals)
}

// askAgain has a request sent again whose API key was refused once. A job that was in trouble before goes on telling so until
// Dafty says otherwise, as in send.
func (d *decider) askAgain(message string, after time.Duration) Decision {
	after = max(after, time.Second)
	if ready := d.ready(); ready != nil && slices.Contains(retriedReasons, ready.Reason) {
		d.status.Phase = v1alpha1.PhasePending
		return d.keepStatus(Rest{}, after)
	}
	return d.setStatus(inProgress(v1alpha1.PhaseSubmitting, v1alpha1.ReasonSubmitting,
		"Dafty didn't accept the API key once ("+message+"); the request is sent again, which shows whether it does"), Rest{}, after)
}
