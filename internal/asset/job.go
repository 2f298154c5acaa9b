package asset

import (
	"maps"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// Kind is a DaftyAsset's, in owner references.
const Kind = "DaftyAsset"

// newJob returns the DaftyJob of a request. It has its finalizer from the first, which saves a write.
func newJob(asset *v1alpha1.DaftyAsset, hash string) *v1alpha1.DaftyJob {
	owner := metav1.NewControllerRef(asset, v1alpha1.GroupVersion.WithKind(Kind))
	// A deletion of the asset in the foreground doesn't wait for Dafty. To have it wait takes the right to update finalizers of
	// DaftyAssets, where a cluster checks that.
	owner.BlockOwnerDeletion = nil
	job := &v1alpha1.DaftyJob{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       asset.Namespace,
			Name:            jobName(asset, hash),
			Finalizers:      []string{v1alpha1.CancelFinalizer},
			OwnerReferences: []metav1.OwnerReference{*owner},
		},
		Spec: *asset.Spec.Template.Spec.DeepCopy(),
	}
	setMetadata(job, asset.Spec.Template.Metadata)
	job.Labels[v1alpha1.AssetLabel] = asset.Name
	return job
}

// newChange returns the DaftyJob that makes the wanted result.
func (d *decider) newChange() *v1alpha1.DaftyJob {
	job := newJob(d.Asset, d.wanted.hash)
	if key := job.Spec.IdempotencyKey; key != "" {
		job.Spec.IdempotencyKey = key + "-" + d.wanted.hash
	}
	if p := d.status.Pending; p != nil && p.IdempotencyKey != "" {
		job.Spec.IdempotencyKey = p.IdempotencyKey
	}
	if d.Asset.Spec.ChangePolicy == v1alpha1.ChangeManual {
		job.Spec.DesiredState = v1alpha1.DesiredSuspended
	}
	return job
}

// newAdoption returns the DaftyJob that fetches the current result again from the job at Dafty that has it. It submits nothing.
func newAdoption(asset *v1alpha1.DaftyAsset, of *v1alpha1.AssetResult) *v1alpha1.DaftyJob {
	job := newJob(asset, of.Hash)
	job.Spec.AdoptJobID = of.JobID
	job.Spec.IdempotencyKey, job.Spec.BackoffLimit = "", nil
	job.Spec.ActiveDeadlineSeconds, job.Spec.StartingDeadlineSeconds = nil, nil
	return job
}

// Follow has a DaftyJob follow the template, in what makes no other request, and reports whether that changes anything. What was
// taken out of the template's metadata stays.
func Follow(job *v1alpha1.DaftyJob, template *v1alpha1.DaftyJobTemplate) (changed bool) {
	before := job.DeepCopy()
	setMetadata(job, template.Metadata)
	from := template.Spec.DeepCopy()
	if job.Spec.AccountRef == nil && from.AccountRef == nil {
		job.Spec.CredentialsSecretRef = from.CredentialsSecretRef
	}
	job.Spec.DeletionPolicy = from.DeletionPolicy
	job.Spec.BackoffLimit = from.BackoffLimit
	job.Spec.ActiveDeadlineSeconds = from.ActiveDeadlineSeconds
	job.Spec.StartingDeadlineSeconds = from.StartingDeadlineSeconds
	return !maps.Equal(before.Labels, job.Labels) || !maps.Equal(before.Annotations, job.Annotations) || !equality.Semantic.DeepEqual(before.Spec, job.Spec)
}

func setMetadata(job *v1alpha1.DaftyJob, given *v1alpha1.JobTemplateMetadata) {
	if job.Labels == nil {
		job.Labels = map[string]string{}
	}
	if given == nil {
		return
	}
	for key, value := range given.Labels {
		job.Labels[key] = string(value)
	}
	if job.Annotations == nil && len(given.Annotations) > 0 {
		job.Annotations = map[string]string{}
	}
	for key, value := range given.Annotations {
		job.Annotations[key] = string(value)
	}
}

// calledOff reports whether a DaftyJob is to be cancelled, or is.
func calledOff(job *v1alpha1.DaftyJob) bool {
	return job.Spec.DesiredState == v1alpha1.DesiredCancelled || job.Status.CancelRequestedAt != nil || job.Status.Phase == v1alpha1.PhaseCancelled
}

// calledOffByAsset reports whether it was the asset that called a DaftyJob off, and no person.
func calledOffByAsset(job *v1alpha1.DaftyJob) bool {
	return calledOff(job) && job.Annotations[v1alpha1.OvertakenAnnotation] == v1alpha1.OvertakenValue
}

// completed reports whether a DaftyJob has a result.
func completed(job *v1alpha1.DaftyJob) bool {
	return job.Status.Phase == v1alpha1.PhaseCompleted && job.Status.Result != nil
}

// submitted reports whether a request of a DaftyJob may have reached Dafty.
func submitted(job *v1alpha1.DaftyJob) bool {
	return job.Status.JobID != "" || job.Status.Attempts > 0
}
