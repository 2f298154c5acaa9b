package lifecycle

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

// follow says how a known job stands, and brings it to the end that is wanted.
func (d *decider) follow() Decision {
	job := d.Known.Job
	if job != nil && !strings.EqualFold(job.Id, d.status.JobID) {
		job = nil
	}
	if job != nil {
		d.observe(job)
		switch job.Status {
		case dafty.Completed:
			return d.completed(job)
		case dafty.Failed:
			return d.failed(job)
		}
	}
	if trouble := d.Known.Trouble; d.jobNotFound() && !d.foreignKey(trouble) && !d.justCreated() && !d.unverifiedID() {
		d.status.Error = jobError(trouble.Err)
		return d.finish(failed(v1alpha1.ReasonJobNotFound, fmt.Sprintf("Dafty doesn't know job %s; whether it made anything can only be seen at Dafty",
			d.status.JobID)))
	}

	now, credentials := d.underway(job), d.Known.Credentials
	cancels := d.stopWanted() && (credentials.Secret != "" || credentials.LastUsed != "")
	switch {
	case cancels:
		// It waits for nothing, as each second may be paid for.
		return d.cancel(now)
	case d.deleting():
	case !d.finalizer():
		return d.setStatus(now, AddFinalizer{}, 0)
	case !d.stopWanted() && d.annotationWanted():
		return d.setStatus(now, Annotate{}, 0)
	}
	if credentials.Secret == "" {
		return d.setStatus(inProgress(now.phase, d.keyless(),
			credentials.Problem+"; job "+d.status.JobID+" goes on at Dafty meanwhile"+d.describeDeletion()), Rest{}, d.credentialsPoll())
	}
	if now.stalled {
		return d.setStatus(now, Follow{}, d.credentialsPoll())
	}
	return d.setStatus(now, Follow{}, 0)
}

// observe records what Dafty says of a job whatever its state.
func (d *decider) observe(job *dafty.Job) {
	if !knownType(job.Type) && job.Type != "" {
		// The operation's own type stands, as Dafty may report a resize as an edit; one that is
		// new is shown as it came.
		d.status.JobType = string(job.Type)
	}
	if unread := job.CreatedAt.IsZero() && job.Status != dafty.Completed && job.Status != dafty.Failed; d.status.SubmittedAt == nil && !unread {
		created := metav1.NewTime(job.CreatedAt)
		if year := created.UTC().Year(); year < 2000 || year > 9999 {
			// None, or one that no status could hold.
			created = metav1.NewTime(d.Now)
		}
		d.status.SubmittedAt = &created
	}
	if job.Status == dafty.Processing && d.status.StartedAt == nil {
		started := metav1.NewTime(d.Now)
		d.status.StartedAt = &started
	}
}

// underway returns how a job that hasn't ended stands. It never goes back: what was
// processing isn't queued again because an old answer says so.
func (d *decider) underway(job *dafty.Job) verdict {
	phase := d.status.Phase
	if phase == "" || phase == v1alpha1.PhasePending {
		phase = v1alpha1.PhaseSubmitting
	}
	message := "asking Dafty how job " + d.status.JobID + " stands"
	if ready := d.ready(); ready != nil && ready.Reason == string(phase) && phase != v1alpha1.PhaseSubmitting {
		// A process that has just begun knows no better. Thousands of jobs would be written twice for nothing.
		message = ready.Message
	}
	if job != nil {
		message = fmt.Sprintf("Dafty reports job %s as %q, which this version of the operator doesn't know; it is followed on", job.Id, job.Status)
		switch job.Status {
		case dafty.Pending:
			if phase == v1alpha1.PhaseSubmitting {
				phase = v1alpha1.PhaseQueued
			}
			message = "job " + job.Id + " waits at Dafty for its turn"
		case dafty.Processing:
			if phase != v1alpha1.PhaseCancelling {
				phase = v1alpha1.PhaseProcessing
			}
			message = "Dafty works on job " + job.Id
		}
	}
	if phase == v1alpha1.PhaseCancelling {
		message = "cancelling job " + d.status.JobID + " at Dafty"
	}
	switch trouble := d.Known.Trouble; {
	case d.jobNotFound() && (d.submittedKey() == "" || d.unverifiedID()):
		return stalled(phase, v1alpha1.ReasonCredentialsRejected, fmt.Sprintf(
			"Dafty doesn't know job %s, which is from %s, under the API key in %s. If that key is of another account than the job, put the right one there; "+
				"if it is the right one, %s%s",
			d.status.JobID, d.describeOrigin(), d.describeSecret(), d.describeAbsence(), d.describeDeletion()))
	case d.jobNotFound() && d.foreignKey(trouble):
		return stalled(phase, v1alpha1.ReasonCredentialsRejected, fmt.Sprintf(
			"Dafty doesn't know job %s under the API key in %s, which isn't the one it was submitted with; put that one back%s",
			d.status.JobID, d.describeSecret(), d.describeDeletion()))
	case trouble != nil && telling(trouble):
		return callFailed(phase, trouble.Err.Kind, trouble.Err.Error()+"; job "+d.status.JobID+" goes on at Dafty meanwhile"+d.describeDeletion(), d.describeSecret())
	}
	return inProgress(phase, string(phase), message)
}

// describeOrigin says where the id of a job comes from that this object didn't submit.
func (d *decider) describeOrigin() string {
	if d.Job.Spec.AdoptJobID != "" {
		return "spec.adoptJobID"
	}
	return "the annotation " + v1alpha1.JobAnnotation
}

// describeAbsence says what else than another account's key may be wrong with such an id.
func (d *decider) describeAbsence() string {
	if d.Job.Spec.AdoptJobID != "" {
		return "Dafty has forgotten the job, and this DaftyJob can be deleted"
	}
	return "the id is wrong and can be corrected in the annotation, or Dafty has forgotten the job, and this DaftyJob can be deleted"
}

// telling reports whether a trouble is worth the user's attention: a wait for the next minute's calls isn't.
func telling(trouble *Trouble) bool {
	return trouble.Err.Kind != dafty.KindRateLimit && repeated(trouble.Failures)
}

// jobNotFound reports whether Dafty denies the job: more than once, as one look proves nothing. An id that a person has written
// may be one that it doesn't even read.
func (d *decider) jobNotFound() bool {
	trouble := d.Known.Trouble
	return trouble != nil && trouble.Failures >= notFoundLooks &&
		(trouble.Err.Kind == dafty.KindNotFound || trouble.Err.Kind == dafty.KindInvalid && d.unverifiedID())
}

// justCreated reports whether the job was made moments ago, and a part of Dafty may not have heard of it yet.
func (d *decider) justCreated() bool {
	made := d.status.SubmittedAt
	return made != nil && d.Now.Sub(made.Time) < unheardOf
}

// foreignKey reports whether the key that met the trouble may be of another account than the one
// that made the job, where every job is absent.
func (d *decider) foreignKey(trouble *Trouble) bool {
	credentials := d.Known.Credentials
	return trouble.Credentials != d.submittedKey() && (credentials.LastUsedUnverified || trouble.Credentials != credentials.LastUsed)
}

// submittedKey returns the hash of the key that the job was made with, empty where that isn't on record.
func (d *decider) submittedKey() string {
	if made := d.status.Submission; made != nil {
		return made.CredentialsHash
	}
	return ""
}

// describeSecret names the Secret and the key in it, for a message.
func (d *decider) describeSecret() string {
	if account := d.Job.Spec.AccountRef; account != nil {
		return fmt.Sprintf("the Secret of DaftyAccount %q", account.Name)
	}
	ref := d.Job.Spec.SecretRef()
	return fmt.Sprintf("key %q of Secret %q", ref.Key, ref.Name)
}
