package lifecycle

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// heldByAccount says why the DaftyAccount lets nothing new be submitted, nil where it does. What a request in doubt came to is found
// out all the same: it may run.
func (d *decider) heldByAccount() *verdict {
	switch account := d.References.Account; {
	case account == nil:
		return nil
	case account.Denied != "":
		v := inProgress(v1alpha1.PhasePending, v1alpha1.ReasonAccountNotFound, account.Denied)
		return &v
	case account.Suspended:
		return &verdict{phase: v1alpha1.PhasePending, ready: metav1.ConditionFalse, reason: v1alpha1.ReasonAccountSuspended, message: fmt.Sprintf(
			"DaftyAccount %q is suspended, and nothing new is submitted with it; the job goes on by itself when the account is resumed", account.Name)}
	}
	return nil
}

// denied reports whether the DaftyAccount isn't for this DaftyJob. Nothing is followed then that this object has no record of having
// submitted: anybody can write an id into its annotation.
func (d *decider) denied() bool {
	return d.References.Account != nil && d.References.Account.Denied != ""
}

// leaveAlone says that a job isn't followed, as the DaftyAccount isn't for this DaftyJob.
func (d *decider) leaveAlone(id string) Decision {
	switch {
	case d.cancelWanted():
		return d.finish(current(v1alpha1.PhaseCancelled, v1alpha1.ReasonCancelledBeforeSubmission,
			fmt.Sprintf("called off before it followed anything; job %s is left as it is: %s", id, d.References.Account.Denied)))
	case d.overdue():
		return d.tooLate()
	}
	return d.setStatus(*d.heldByAccount(), Rest{}, maxBackoff)
}

// mendable returns what is to be told of a job whose API key Dafty refuses, and which has that key from before the DaftyAccount was taken
// from it: another key in the account's Secret would not be used for it.
func (d *decider) mendable(v verdict) verdict {
	if v.reason != v1alpha1.ReasonCredentialsRejected || !d.denied() {
		return v
	}
	return inProgress(v.phase, v1alpha1.ReasonAccountNotFound, d.References.Account.Denied+"; the API key that was used before is refused: "+v.message)
}

// keyless returns the reason of a job that there is no API key for.
func (d *decider) keyless() string {
	if d.denied() {
		return v1alpha1.ReasonAccountNotFound
	}
	return v1alpha1.ReasonWaitingForCredentials
}
