package controller

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// kind is a DaftyJob's, in owner references.
const kind = "DaftyJob"

// storeResult makes the ConfigMap that the spec names hold a result. No failure of it may keep the job from its end.
func (r *Reconciler) storeResult(ctx context.Context, job *v1alpha1.DaftyJob, step lifecycle.StoreResult) *lifecycle.StoreOutcome {
	content := contentOf(job, step.JobID, step.Result)
	const tries = 3 // that lose against another write
	for range tries {
		if outcome, again := r.tryStoreResult(ctx, job, &content); !again {
			return &outcome
		}
	}
	return &lifecycle.StoreOutcome{Unknown: true, Problem: fmt.Sprintf("ConfigMap %q is being changed by somebody else; it is tried again",
		job.Spec.ResultConfigMap), After: time.Second}
}

// tryStoreResult reads the ConfigMap, and writes what it lacks. It is to be done again where somebody else wrote in between.
func (r *Reconciler) tryStoreResult(ctx context.Context, job *v1alpha1.DaftyJob, content *resultContent) (outcome lifecycle.StoreOutcome, again bool) {
	name := types.NamespacedName{Namespace: job.Namespace, Name: job.Spec.ResultConfigMap}
	stored := &corev1.ConfigMap{}
	err := r.Get(ctx, name, stored)
	if apierrors.IsNotFound(err) {
		return r.createResult(ctx, job, content)
	}
	if err != nil {
		return r.unreadable(ctx, name.Name, err), false
	}
	adopted, problem := belongs(stored, job, content)
	switch {
	case problem != "":
		return lifecycle.StoreOutcome{Problem: problem}, false
	case stored.DeletionTimestamp != nil:
		return lifecycle.StoreOutcome{Problem: fmt.Sprintf("ConfigMap %q is being deleted, and waits for the finalizers that it has; "+
			"it is written again once it is gone", name.Name)}, false
	}
	if adopted && metav1.GetControllerOfNoCopy(stored) != nil {
		if outcome := r.outlived(ctx, job, name.Name); outcome != nil {
			return *outcome, false
		}
	}
	key, known := client.ObjectKeyFromObject(job), content.recorded(job)
	base := stored.DeepCopy()
	content.put(stored)
	if equality.Semantic.DeepEqual(base, stored) {
		// Whoever has changed what isn't the operator's has changed the resourceVersion too.
		version := content.version(stored)
		r.results.remember(key, version)
		if known {
			version = ""
		}
		return lifecycle.StoreOutcome{Version: version}, false
	}
	if wait := r.results.restoreAfter(key, r.Clock.Now()); known && wait > 0 {
		return contested(name, "changed", wait), false
	}
	if err := r.Patch(ctx, stored, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})); err != nil {
		return r.refused(ctx, base, err), apierrors.IsConflict(err) || apierrors.IsNotFound(err)
	}
	switch {
	case adopted:
		return r.restored(job, content, stored, "had no owner, and belongs to this DaftyJob again"), false
	case known:
		return r.restored(job, content, stored, "was changed by somebody, and is again as it was written"), false
	}
	return lifecycle.StoreOutcome{Version: content.version(stored)}, false
}

// outlived reports why a ConfigMap that another DaftyJob of the same name owns isn't to be taken over, nil where that one is gone:
// to a leader that was deposed and doesn't know it yet, the one that is there by now is the stranger.
func (r *Reconciler) outlived(ctx context.Context, job *v1alpha1.DaftyJob, name string) *lifecycle.StoreOutcome {
	current, err := r.live(ctx, job)
	switch {
	case err != nil:
		outcome := r.unreadable(ctx, name, err)
		return &outcome
	case current == nil:
		return &lifecycle.StoreOutcome{Unknown: true, Problem: fmt.Sprintf("this DaftyJob is gone, and ConfigMap %q belongs to the one that came after it", name)}
	}
	return nil
}

// createResult creates the ConfigMap.
func (r *Reconciler) createResult(ctx context.Context, job *v1alpha1.DaftyJob, content *resultContent) (outcome lifecycle.StoreOutcome, again bool) {
	stored := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: job.Spec.ResultConfigMap, Namespace: job.Namespace}}
	known := content.recorded(job)
	if wait := r.results.restoreAfter(client.ObjectKeyFromObject(job), r.Clock.Now()); known && wait > 0 {
		return contested(client.ObjectKeyFromObject(stored), "deleted", wait), false
	}
	content.put(stored)
	if err := r.Create(ctx, stored); err != nil {
		return r.refused(ctx, stored, err), apierrors.IsAlreadyExists(err)
	}
	if known {
		return r.restored(job, content, stored, "was deleted by somebody, and is written again"), false
	}
	return lifecycle.StoreOutcome{Version: content.version(stored)}, false
}

// restored returns the outcome of a write that put right what somebody had done.
func (r *Reconciler) restored(job *v1alpha1.DaftyJob, content *resultContent, written *corev1.ConfigMap, how string) lifecycle.StoreOutcome {
	r.results.restored(client.ObjectKeyFromObject(job), r.Clock.Now())
	return lifecycle.StoreOutcome{Version: content.version(written), Restored: fmt.Sprintf("ConfigMap %q %s", written.Name, how)}
}

// belongs reports why a ConfigMap isn't job's to write, for the user, empty where it is; and whether it is to be adopted. One
// without an owner, as a backup brings it back, is job's where it has its result, or where the operator wrote it for the very
// same job at Dafty.
func belongs(stored *corev1.ConfigMap, job *v1alpha1.DaftyJob, content *resultContent) (adopted bool, problem string) {
	owner := metav1.GetControllerOfNoCopy(stored)
	switch {
	case owner != nil && owner.UID == job.UID:
		return false, ""
	case owner != nil && !namesake(owner, job):
		return false, fmt.Sprintf("ConfigMap %q is there already and belongs to %s %q and not to this DaftyJob, so it is left alone; delete it, "+
			"or name another in spec.resultConfigMap",
			stored.Name, owner.Kind, owner.Name)
	case len(content.data) > 0 && content.sameData(stored):
		return true, ""
	case stored.Labels[v1alpha1.ResultLabel] != "" && stored.Annotations[v1alpha1.ResultOfAnnotation] == content.annotations[v1alpha1.ResultOfAnnotation]:
		return true, ""
	}
	return false, fmt.Sprintf("ConfigMap %q is there already and doesn't belong to this DaftyJob, so it is left alone; delete it, "+
		"or name another in spec.resultConfigMap", stored.Name)
}

// namesake reports whether an owner is a DaftyJob of this one's name that is gone: there is one of a name at a time.
func namesake(owner *metav1.OwnerReference, job *v1alpha1.DaftyJob) bool {
	return isDaftyJob(owner) && owner.Name == job.Name
}

func isDaftyJob(owner *metav1.OwnerReference) bool {
	version, err := schema.ParseGroupVersion(owner.APIVersion)
	return err == nil && version.Group == v1alpha1.GroupVersion.Group && owner.Kind == kind
}
