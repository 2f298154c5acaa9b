package lifecycle

import (
	"slices"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// credentialsPoll returns when to look for a key again: soon for a user who is just creating it, and less often the longer
// nobody has.
func (d *decider) credentialsPoll() time.Duration { return d.poll(credentialsReasons) }

// poll returns when to look again for what a person is to bring and no watch tells of. A job that waits
// for it has one of the reasons.
func (d *decider) poll(reasons []string) time.Duration {
	var waited time.Duration
	if ready := d.ready(); ready != nil && !d.deleting() && slices.Contains(reasons, ready.Reason) {
		waited = d.Now.Sub(ready.LastTransitionTime.Time)
	}
	return min(max(waited/16, credentialsPoll), maxCredentialsPoll)
}

// accountReasons are the reasons of a job that waits for what a person does about the account.
var accountReasons = reasonsOf(func(m Meaning) bool { return m.Mendable && m.OfAccount })

// credentialsReasons are the reasons of a job that waits for a key.
var credentialsReasons = []string{
	v1alpha1.ReasonCredentialsRejected,
	v1alpha1.ReasonSubmissionUnknown,
	v1alpha1.ReasonWaitingForCredentials,
	v1alpha1.ReasonAccountNotFound,
}
