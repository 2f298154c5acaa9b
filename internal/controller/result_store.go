package controller

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// kind is a DaftyJob's, in owner references.
const kind = "DaftyJob"

// storeResult makes the ConfigMap that the spec names hold the result of a status. No failure of it may keep the job from its
// end.
func (r *Reconciler) storeResult(ctx context.Context, job *v1alpha1.DaftyJob, status *v1alpha1.DaftyJobStatus) lifecycle.Storing {
	content := contentOf(job, status)
	const tries = 3 // that lose against another write
	for range tries {
		storing, again := r.tryStoreResult(ctx, job, &content)
		if !again {
			return storing
		}
	}
	return lifecycle.Storing{Unknown: true, Problem: fmt.Sprintf("ConfigMap %q is being changed by somebody else; it is tried again", job.Spec.ResultConfigMap), After: time.Second}
}

// tryStoreResult reads the ConfigMap, and writes what it lacks. It is to be done again where somebody else wrote in between.
func (r *Reconciler) tryStoreResult(ctx context.Context, job *v1alpha1.DaftyJob, content *resultContent) (storing lifecycle.Storing, again bool) {
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
		return lifecycle.Storing{Problem: problem}, false
	case stored.DeletionTimestamp != nil:
		return lifecycle.Storing{Problem: fmt.Sprintf("ConfigMap %q is being deleted, and waits for the finalizers that it has; it is written again once it is gone", name.Name)}, false
	}
	if adopted && metav1.GetControllerOfNoCopy(stored) != nil {
		if storing := r.outlived(ctx, job, name.Name); storing != nil {
			return *storing, false
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
		return lifecycle.Storing{Version: version}, false
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
	return lifecycle.Storing{Version: content.version(stored)}, false
}

// outlived reports why a ConfigMap that another DaftyJob of the same name owns isn't to be taken over, nil where that one is gone:
// to a leader that was deposed and doesn't know it yet, the one that is there by now is the stranger.
func (r *Reconciler) outlived(ctx context.Context, job *v1alpha1.DaftyJob, name string) *lifecycle.Storing {
	current, err := r.live(ctx, job)
	switch {
	case err != nil:
		storing := r.unreadable(ctx, name, err)
		return &storing
	case current == nil:
		return &lifecycle.Storing{Unknown: true, Problem: fmt.Sprintf("this DaftyJob is gone, and ConfigMap %q belongs to the one that came after it", name)}
	}
	return nil
}

// createResult creates the ConfigMap.
func (r *Reconciler) createResult(ctx context.Context, job *v1alpha1.DaftyJob, content *resultContent) (storing lifecycle.Storing, again bool) {
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
	return lifecycle.Storing{Version: content.version(stored)}, false
}

// restored is a write that put right what somebody had done.
func (r *Reconciler) restored(job *v1alpha1.DaftyJob, content *resultContent, written *corev1.ConfigMap, how string) lifecycle.Storing {
	r.results.restored(client.ObjectKeyFromObject(job), r.Clock.Now())
	return lifecycle.Storing{Version: content.version(written), Restored: fmt.Sprintf("ConfigMap %q %s", written.Name, how)}
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
		return false, fmt.Sprintf("ConfigMap %q is there already and belongs to %s %q and not to this DaftyJob, so it is left alone; delete it, or name another in spec.resultConfigMap",
			stored.Name, owner.Kind, owner.Name)
	case len(content.data) > 0 && content.sameData(stored):
		return true, ""
	case stored.Labels[v1alpha1.ResultLabel] != "" && stored.Annotations[v1alpha1.ResultOfAnnotation] == content.annotations[v1alpha1.ResultOfAnnotation]:
		return true, ""
	}
	return false, fmt.Sprintf("ConfigMap %q is there already and doesn't belong to this DaftyJob, so it is left alone; delete it, or name another in spec.resultConfigMap", stored.Name)
}

// namesake reports whether an owner is a DaftyJob of this one's name that is gone: there is one of a name at a time.
func namesake(owner *metav1.OwnerReference, job *v1alpha1.DaftyJob) bool {
	return isDaftyJob(owner) && owner.Name == job.Name
}

func isDaftyJob(owner *metav1.OwnerReference) bool {
	version, err := schema.ParseGroupVersion(owner.APIVersion)
	return err == nil && version.Group == v1alpha1.GroupVersion.Group && owner.Kind == kind
}

// contested is a ConfigMap that somebody changes each time that it is put right.
func contested(name types.NamespacedName, done string, wait time.Duration) lifecycle.Storing {
	return lifecycle.Storing{After: wait, Problem: fmt.Sprintf(
		"ConfigMap %q is %s by somebody else each time that it is written; it is written again, but not at once. To find out by whom, see: kubectl get configmap -n %s %s -o yaml --show-managed-fields",
		name.Name, done, name.Namespace, name.Name)}
}

// unreadable is a ConfigMap that the API server doesn't show. Where it doesn't even refuse, nothing is known.
func (r *Reconciler) unreadable(ctx context.Context, name string, err error) lifecycle.Storing {
	log.FromContext(ctx).Error(err, "reading the ConfigMap of the result", "configMap", name)
	words := describeError(err)
	return lifecycle.Storing{
		Unknown: !lasting(err),
		Problem: fmt.Sprintf("ConfigMap %q can't be read: %s; it is tried again. If it lasts, a cluster administrator must look at the API server, and at the operator's rights", name, words),
	}
}

// refused is a ConfigMap that the API server doesn't let be written.
func (r *Reconciler) refused(ctx context.Context, configMap *corev1.ConfigMap, err error) lifecycle.Storing {
	log.FromContext(ctx).Error(err, "writing the ConfigMap of the result", "configMap", configMap.Name)
	words := describeError(err)
	advice := "labels and annotations that a policy asks for can be given in spec.resultConfigMapMetadata"
	switch {
	case configMap.Immutable != nil && *configMap.Immutable:
		advice = "somebody has made it immutable: delete it, and it is written anew"
	case apierrors.IsForbidden(err) && strings.Contains(words, "cannot "): // by its rights
		advice = "give the operator's service account the rights of docs/security.md"
	}
	return lifecycle.Storing{Problem: fmt.Sprintf("ConfigMap %q can't be written: %s; %s. It is tried again, at least every 30 seconds", configMap.Name, strings.TrimSuffix(words, "."), advice)}
}

const (
	// contestedFrom is after how many restorations in a row the next isn't made at once.
	contestedFrom = 5
	// contestedFor is how soon after one another is one in a row.
	contestedFor = 2 * time.Minute
	// restoreWithin is the longest wait for a restoration.
	restoreWithin = 30 * time.Second
)

// resultMemory is what this process remembers of the ConfigMaps of results, by DaftyJob. It is a saving: without it, they are
// read.
type resultMemory struct {
	mu sync.Mutex
	// right are the versions of those that were found right since status was written.
	right map[types.NamespacedName]string
	// restorations are the last ones.
	restorations map[types.NamespacedName]restoration
}

// restoration counts how often in a row a ConfigMap was put right, and when the last time was.
type restoration struct {
	count int
	last  time.Time
}

func (m *resultMemory) remember(job types.NamespacedName, version string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.right == nil {
		m.right = map[types.NamespacedName]string{}
	}
	m.right[job] = version
}

func (m *resultMemory) isRight(job types.NamespacedName, version string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	right, ok := m.right[job]
	return ok && right == version
}

func (m *resultMemory) restored(job types.NamespacedName, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.restorations == nil {
		m.restorations = map[types.NamespacedName]restoration{}
	}
	last := m.restorations[job]
	if now.Sub(last.last) > contestedFor {
		last.count = 0
	}
	m.restorations[job] = restoration{count: last.count + 1, last: now}
}

// restoreAfter is how long the next restoration is to wait, 0 where it isn't: who changes a ConfigMap each time that it is put
// right is a program, and two of them would go on as fast as they can.
func (m *resultMemory) restoreAfter(job types.NamespacedName, now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := m.restorations[job]
	since := now.Sub(last.last)
	if last.count < contestedFrom || since > contestedFor {
		return 0
	}
	return max(0, dafty.Backoff(2*time.Second, last.count-contestedFrom+1, restoreWithin)-since)
}

func (m *resultMemory) forget(job types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.right, job)
	delete(m.restorations, job)
}
