package lifecycle

import (
	"slices"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// requeueBy has the decision made anew after a time at the latest.
func (d *Decision) requeueBy(after time.Duration) {
	if d.After == 0 || d.After > after {
		d.After = after
	}
}

// credentialsPoll is when to look for a key again: soon for a user who is just creating it,
// and rarer the longer nobody has.
func (d *decider) credentialsPoll() time.Duration { return d.poll(credentialsReasons) }

// poll is when to look again for what a person is to bring, and that no watch tells of.
func (d *decider) poll(reasons []string) time.Duration {
	var waited time.Duration
	if ready := d.ready(); ready != nil && !d.deleting() && slices.Contains(reasons, ready.Reason) {
		waited = d.Now.Sub(ready.LastTransitionTime.Time)
	}
	return min(max(waited/16, credentialsPoll), maxCredentialsPoll)
}

// accountReasons are those of a job that waits for what a person does about the account.
var accountReasons = []string{
	v1alpha1.ReasonInsufficientCredits,
	v1alpha1.ReasonSubscriptionRequired,
	v1alpha1.ReasonUsageLimitExceeded,
}

// credentialsReasons are those of a job that waits for a key.
var credentialsReasons = []string{
	v1alpha1.ReasonCredentialsRejected,
	v1alpha1.ReasonSubmissionUnknown,
	v1alpha1.ReasonWaitingForCredentials,
}
