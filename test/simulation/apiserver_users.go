package simulation

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// change edits the spec as a user does.
func (a *apiServer) change(name string, edit func(*v1alpha1.DaftyJob)) {
	job := a.get(name).DeepCopy()
	edit(job)
	job.Generation++
	a.store(job)
}

// tamper edits an object as a user who writes what is the operator's: status, finalizers or annotations.
func (a *apiServer) tamper(name string, edit func(*v1alpha1.DaftyJob)) {
	job := a.get(name).DeepCopy()
	edit(job)
	a.env.invariants.userWrites = true
	a.store(job)
	a.env.invariants.userWrites = false
}

// loseStatus is what an apply of an old backup to the status subresource does.
func (a *apiServer) loseStatus(name string) {
	a.env.invariants.lostStatus[a.get(name).UID] = true
	a.tamper(name, func(job *v1alpha1.DaftyJob) { job.Status = v1alpha1.DaftyJobStatus{ObservedGeneration: -1} })
}

func (a *apiServer) takeFinalizerOff(name string) {
	if a.get(name) == nil {
		return
	}
	a.env.invariants.stripped[a.get(name).UID] = true
	a.tamper(name, func(job *v1alpha1.DaftyJob) { job.Finalizers = nil })
}

func (a *apiServer) takeAnnotationOff(name string) {
	if a.get(name) == nil {
		return
	}
	a.tamper(name, func(job *v1alpha1.DaftyJob) { delete(job.Annotations, v1alpha1.JobAnnotation) })
}

// vanish loses an object without asking anybody, as a cluster that is lost does.
func (a *apiServer) vanish(name string) {
	a.takeFinalizerOff(name)
	a.delete(name)
}

// createFrom makes a new object of an old one's metadata and spec, as a restore from a backup and a manifest that
// was exported do. Status is in neither.
func (a *apiServer) createFrom(old *v1alpha1.DaftyJob, finalizers bool) {
	job := &v1alpha1.DaftyJob{Spec: *old.Spec.DeepCopy()}
	job.Name, job.Annotations = old.Name, maps.Clone(old.Annotations)
	if strings.HasPrefix(job.Spec.IdempotencyKey, ownKeys) {
		job.Spec.IdempotencyKey = a.ownKey()
	}
	if finalizers {
		job.Finalizers = slices.Clone(old.Finalizers)
	}
	a.create(job)
	// Nothing holds it until the operator has seen it.
	a.env.invariants.stripped[job.UID] = len(job.Finalizers) == 0
	if id := lifecycle.Annotated(job); id != "" {
		a.env.invariants.inheritedJobs[job.UID], a.env.invariants.lostStatus[job.UID] = id, true
	}
}

// putSecret creates or changes the Secret of the API key.
func (a *apiServer) putSecret(apiKey string) {
	a.secrets[v1alpha1.DefaultSecretName] = &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1alpha1.DefaultSecretName},
		Data:       map[string][]byte{v1alpha1.DefaultSecretKey: []byte(apiKey)},
	}
}

// putImage creates or changes the ConfigMap of the image.
func (a *apiServer) putImage(content []byte) {
	a.configMaps[imageConfigMap] = &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: imageConfigMap},
		BinaryData: map[string][]byte{imageKey: content},
	}
}

// logoReference returns a reference to the image in that ConfigMap.
func logoReference() v1alpha1.ImageReference {
	return v1alpha1.ImageReference{ConfigMapKeyRef: &v1alpha1.ConfigMapKeyReference{Name: imageConfigMap, Key: imageKey}}
}

// restore replaces an object by a new one that has its metadata, spec and status.
func (a *apiServer) restore(backup *v1alpha1.DaftyJob) {
	if a.get(backup.Name) != nil {
		a.vanish(backup.Name)
	}
	a.createFrom(backup, true)
	a.tamper(backup.Name, func(job *v1alpha1.DaftyJob) { job.Status = *backup.Status.DeepCopy() })

	// What came after the backup isn't on record, and what was in doubt, or known, is the new object's.
	job, inv := a.get(backup.Name), a.env.invariants
	inv.lostStatus[job.UID] = true
	if id := job.Status.JobID; id != "" {
		inv.inheritedJobs[job.UID] = id
	}
	if job.Status.InDoubt() {
		inv.inheritedKeys[job.Status.Submission.IdempotencyKey] = job.UID
		inv.noteSuperseded(job.Status.Submission.IdempotencyKey)
		inv.noteRefused(backup, job.Status.Submission.IdempotencyKey)
	}
	backup = backup.DeepCopy()
	for i := range backup.Status.Inputs {
		in := &backup.Status.Inputs[i]
		for _, name := range lifecycle.DependsOn(&backup.Spec) {
			if other := inv.env.api.get(name); other != nil && other.UID == in.UID {
				in.UID = "" // it is still there, and can be seen to go
			}
		}
	}
	inv.restored[job.UID] = backup
}
