package simulation

import (
	"slices"
	"strings"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// putImage creates, changes or deletes the ConfigMap of the image.
func putImage(e *env, p picker) {
	switch p.n(4) {
	case 0:
		e.trace.add("user", "deletes the image")
		delete(e.api.configMaps, imageConfigMap)
	case 1:
		e.trace.add("user", "puts what is no image in its place")
		e.api.putImage([]byte("no image"))
	default:
		e.trace.add("user", "puts the image there")
		e.api.putImage(logo)
	}
}

// setDesiredState changes desiredState, also of what is cancelled already.
func (e *env) setDesiredState(p picker, state v1alpha1.DesiredState) {
	name := p.job()
	job := e.api.get(name)
	if job == nil || job.Spec.DesiredState == state {
		return
	}
	e.trace.add("user", "wants %s to be %s", name, state)
	e.api.change(name, func(job *v1alpha1.DaftyJob) { job.Spec.DesiredState = state })
}

func deleteJob(e *env, p picker) {
	name := p.job()
	if e.api.get(name) == nil {
		return
	}
	e.trace.add("user", "deletes %s", name)
	e.api.delete(name)
}

func deleteNamespace(e *env, p picker) {
	e.trace.add("user", "deletes the namespace")
	e.api.terminating = true
	if p.n(2) == 0 {
		clear(e.api.secrets)
	}
	for _, job := range all(e.api.jobs) {
		e.api.delete(job.Name)
	}
	for _, asset := range all(e.api.assets) {
		e.api.deleteAsset(asset.Name)
	}
	e.afterFunc(e.random.between(0, 10*time.Second, "the namespace's Secrets go"), func() { clear(e.api.secrets) })
}

func putSecret(e *env, p picker) {
	if e.api.terminating {
		return
	}
	key := pick(&p, keyOne, keyOne, keyTwo, keyTwo, keyOther, keyBad)
	e.trace.add("user", "puts key %s… into the Secret", key[:len("dk_live_acme_one")])
	e.api.putSecret(key)
}

func deleteSecret(e *env, _ picker) {
	e.trace.add("user", "deletes the Secret")
	delete(e.api.secrets, v1alpha1.DefaultSecretName)
}

func loseStatus(e *env, p picker) {
	name := p.job()
	if job := e.api.get(name); job == nil || lifecycle.Annotated(job) == "" {
		return // without the annotation nothing is promised
	}
	e.trace.add("user", "empties the status of %s", name)
	e.api.loseStatus(name)
}

func takeFinalizerOff(e *env, p picker) {
	name := p.job()
	if job := e.api.get(name); job == nil || len(job.Finalizers) == 0 {
		return
	}
	e.trace.add("user", "takes the finalizer off %s", name)
	e.api.takeFinalizerOff(name)
}

func takeAnnotationOff(e *env, p picker) {
	name := p.job()
	if job := e.api.get(name); job == nil || lifecycle.Annotated(job) == "" || job.Status.JobID == "" {
		return // with neither, it is a new object
	}
	e.trace.add("user", "takes the annotation off %s", name)
	e.api.takeAnnotationOff(name)
}

// restore brings an object back as it was some time ago, but for its status, in place of what is there now.
func restore(e *env, p picker) {
	name := p.job()
	var backups []jobVersion
	for _, v := range e.api.history {
		if v.name == name && v.object != nil && v.object.DeletionTimestamp == nil {
			backups = append(backups, v)
		}
	}
	if len(backups) == 0 || e.api.terminating {
		return
	}
	backup := backups[p.n(len(backups))]
	if e.api.get(name) != nil {
		e.api.vanish(name)
	}
	e.trace.add("user", "restores %s as it was at version %d, without status", name, backup.revision)
	e.api.createFrom(backup.object, p.n(2) == 0)
}

// toolApplies puts the manifest of a tool in the place of what users have set, as Flux and kubectl replace do. Mostly it is
// silent about desiredState.
func toolApplies(e *env, p picker) {
	e.apply(p.job(), pick(&p, "", "", "", v1alpha1.DesiredCompleted))
}

// apply puts back what the manifest of a tool says of desiredState.
func (e *env) apply(name string, state v1alpha1.DesiredState) {
	if job := e.api.get(name); job == nil || job.Spec.DesiredState == state {
		return
	}
	e.trace.add("tool", "applies %s, with desiredState %q", name, state)
	e.api.change(name, func(job *v1alpha1.DaftyJob) { job.Spec.DesiredState = state })
}

// setOrphan changes the policy as a user, when the object may be on its way out already.
func setOrphan(e *env, p picker) { e.orphan(p.job()) }

func (e *env) orphan(name string) {
	if job := e.api.get(name); job == nil || job.Spec.DeletionPolicy == v1alpha1.DeletionOrphan {
		return
	}
	e.trace.add("user", "sets deletionPolicy Orphan on %s", name)
	e.api.change(name, func(job *v1alpha1.DaftyJob) { job.Spec.DeletionPolicy = v1alpha1.DeletionOrphan })
}

// restoreWithStatus brings an object back as it was some time ago, with its status, in place of what is there now.
func restoreWithStatus(e *env, p picker) {
	name := p.job()
	var backups []jobVersion
	for _, v := range e.api.history {
		if v.name == name && v.object != nil && v.object.DeletionTimestamp == nil && v.object.Status.Phase != "" &&
			!strings.HasPrefix(v.object.Spec.IdempotencyKey, ownKeys) {
			backups = append(backups, v)
		}
	}
	if len(backups) == 0 || e.api.terminating {
		return
	}
	backup := backups[p.n(len(backups))]
	e.trace.add("user", "restores %s as it was at version %d, with its status", name, backup.revision)
	e.api.restore(backup.object)
}

// userPatience is how long a user waits before they look for the job of a request at Dafty: longer than one may be
// on its way.
const userPatience = 2 * time.Minute

// askUser are the reasons whose message has commands for a user to run.
var askUser = []string{
	v1alpha1.ReasonSubmissionUnknown,
	v1alpha1.ReasonInsufficientCredits, v1alpha1.ReasonSubscriptionRequired, v1alpha1.ReasonUsageLimitExceeded, v1alpha1.ReasonWaitingForConcurrency,
}

// answerMessages does what the messages of requests in doubt ask for: looks for the job at Dafty, and says which it is, or that
// there is none. The caller holds the lock.
func (e *env) answerMessages() {
	now := time.Now().Add(e.clockOff)
	for _, job := range e.invariants.objects() {
		submission, reason := job.Status.Submission, readyOf(job).Reason
		if !job.Status.InDoubt() || !slices.Contains(askUser, reason) {
			continue
		}
		sent := submission.StartedAt // the repeats that are refused come each minute
		if reason == v1alpha1.ReasonSubmissionUnknown {
			if sent = submission.SentAt; !e.invariants.unrepeatable(job) {
				continue // the operator can find it out by itself, and must
			}
		}
		if now.Sub(sent.Time) < userPatience {
			continue
		}
		annotation, value := v1alpha1.ResubmitAnnotation, submission.IdempotencyKey
		for _, entry := range e.sim.Ledger() {
			if entry.IdempotencyKey == submission.IdempotencyKey && !slices.Contains(job.Status.FailedJobIDs, entry.JobID) {
				annotation, value = v1alpha1.JobAnnotation, lifecycle.Annotation(job, entry.JobID)
			}
		}
		if job.Annotations[annotation] == value {
			continue
		}
		e.trace.add("user", "annotates %s: %s=%s", job.Name, annotation, value)
		e.api.tamper(job.Name, func(job *v1alpha1.DaftyJob) {
			if job.Annotations == nil {
				job.Annotations = map[string]string{}
			}
			job.Annotations[annotation] = value
		})
	}
}
