package resultmap

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// Store keeps the results of all owners of one kind.
type Store struct {
	// Client reads ConfigMaps live.
	Client client.Client
	Clock  clock.PassiveClock
	// Versions tells what a watch has seen of the ConfigMaps.
	Versions Versions
	Memory   *Memory
}

// Changed reports whether the ConfigMap of a result that was written isn't known to be as it was written, or as the owner's spec
// now wants it. It asks nobody: that the resourceVersion is the one that was written proves it.
func (s *Store) Changed(ctx context.Context, owner Owner, jobID string, result *v1alpha1.JobResult) bool {
	if owner.ConfigMap == "" || owner.StoredIn != owner.ConfigMap || result == nil {
		return false
	}
	version, known := s.Versions.Version(ctx, owner.configMap(), owner.name())
	if !known {
		return false
	}
	wanted := contentOf(&owner, jobID, result)
	version += "-" + wanted.digest()
	return version != owner.StoredVersion && !s.Memory.isRight(owner.name(), version)
}

// Write makes the owner's ConfigMap hold the result of a job at Dafty. It returns what came of it and no error, as no failure of
// it may keep a job from its end.
func (s *Store) Write(ctx context.Context, owner Owner, jobID string, result *v1alpha1.JobResult) *lifecycle.StoreOutcome {
	wanted := contentOf(&owner, jobID, result)
	const tries = 3 // that lose against another write
	for range tries {
		if outcome, again := s.tryWrite(ctx, &owner, &wanted); !again {
			return &outcome
		}
	}
	return &lifecycle.StoreOutcome{Unknown: true, Problem: fmt.Sprintf("ConfigMap %q is being changed by somebody else; it is tried again",
		owner.ConfigMap), After: time.Second}
}

// tryWrite reads the ConfigMap, and writes what it lacks. It is to be done again where somebody else wrote in between.
func (s *Store) tryWrite(ctx context.Context, owner *Owner, wanted *content) (outcome lifecycle.StoreOutcome, again bool) {
	name := owner.configMap()
	stored := &corev1.ConfigMap{}
	err := s.Client.Get(ctx, name, stored)
	if apierrors.IsNotFound(err) {
		return s.create(ctx, owner, wanted)
	}
	if err != nil {
		return unreadable(ctx, name.Name, err), false
	}
	adopted, problem := belongs(stored, owner, wanted)
	switch {
	case problem != "":
		return lifecycle.StoreOutcome{Problem: problem}, false
	case stored.DeletionTimestamp != nil:
		return lifecycle.StoreOutcome{Problem: fmt.Sprintf("ConfigMap %q is being deleted, and waits for the finalizers that it has; "+
			"it is written again once it is gone", name.Name)}, false
	}
	if adopted && metav1.GetControllerOfNoCopy(stored) != nil {
		if outcome := outlived(ctx, owner); outcome != nil {
			return *outcome, false
		}
	}
	known := wanted.recorded(owner)
	base := stored.DeepCopy()
	wanted.put(stored)
	if equality.Semantic.DeepEqual(base, stored) {
		// Whoever has changed what isn't the operator's has changed the resourceVersion too.
		version := wanted.version(stored)
		s.Memory.remember(owner.name(), version)
		if known {
			version = ""
		}
		return lifecycle.StoreOutcome{Version: version}, false
	}
	if wait := s.Memory.restoreAfter(owner.name(), s.Clock.Now()); known && wait > 0 {
		return contested(name, "changed", wait), false
	}
	if err := s.Client.Patch(ctx, stored, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})); err != nil {
		return refused(ctx, base, err), apierrors.IsConflict(err) || apierrors.IsNotFound(err)
	}
	switch {
	case adopted:
		return s.restored(owner, wanted, stored, fmt.Sprintf("had no owner, and belongs to this %s again", owner.Kind)), false
	case known:
		return s.restored(owner, wanted, stored, "was changed by somebody, and is again as it was written"), false
	}
	return lifecycle.StoreOutcome{Version: wanted.version(stored)}, false
}

// outlived reports why a ConfigMap that another object of the owner's kind and name owns isn't to be taken over, nil where that
// one is gone: to a leader that was deposed and doesn't know it yet, the one that is there by now is the stranger.
func outlived(ctx context.Context, owner *Owner) *lifecycle.StoreOutcome {
	exists, err := owner.Exists(ctx)
	switch {
	case err != nil:
		outcome := unreadable(ctx, owner.ConfigMap, err)
		return &outcome
	case !exists:
		return &lifecycle.StoreOutcome{Unknown: true, Problem: fmt.Sprintf("this %s is gone, and ConfigMap %q belongs to the one that came after it",
			owner.Kind, owner.ConfigMap)}
	}
	return nil
}

// create creates the ConfigMap.
func (s *Store) create(ctx context.Context, owner *Owner, wanted *content) (outcome lifecycle.StoreOutcome, again bool) {
	stored := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: owner.ConfigMap, Namespace: owner.GetNamespace()}}
	known := wanted.recorded(owner)
	if wait := s.Memory.restoreAfter(owner.name(), s.Clock.Now()); known && wait > 0 {
		return contested(owner.configMap(), "deleted", wait), false
	}
	wanted.put(stored)
	if err := s.Client.Create(ctx, stored); err != nil {
		return refused(ctx, stored, err), apierrors.IsAlreadyExists(err)
	}
	if known {
		return s.restored(owner, wanted, stored, "was deleted by somebody, and is written again"), false
	}
	return lifecycle.StoreOutcome{Version: wanted.version(stored)}, false
}

// restored returns the outcome of a write that put right what somebody had done.
func (s *Store) restored(owner *Owner, wanted *content, written *corev1.ConfigMap, how string) lifecycle.StoreOutcome {
	s.Memory.restored(owner.name(), s.Clock.Now())
	return lifecycle.StoreOutcome{Version: wanted.version(written), Restored: fmt.Sprintf("ConfigMap %q %s", written.Name, how)}
}

// belongs reports why a ConfigMap isn't the owner's to write, for the user, empty where it is; and whether it is to be adopted.
// One without an owner, as a backup brings it back, is the owner's where it has its result, or where the operator wrote it for the
// very same job at Dafty, or for any that the owner may have had.
func belongs(stored *corev1.ConfigMap, owner *Owner, wanted *content) (adopted bool, problem string) {
	current := metav1.GetControllerOfNoCopy(stored)
	switch {
	case current != nil && current.UID == owner.GetUID():
		return false, ""
	case current != nil && !owner.isNamesake(current):
		return false, fmt.Sprintf("ConfigMap %q is there already and belongs to %s %q and not to this %s, so it is left alone; delete it, "+
			"or name another in spec.resultConfigMap",
			stored.Name, current.Kind, current.Name, owner.Kind)
	case len(wanted.data) > 0 && wanted.sameData(stored):
		return true, ""
	case stored.Labels[v1alpha1.ResultLabel] != "" && owner.isResult(stored.Annotations[v1alpha1.ResultOfAnnotation], wanted):
		return true, ""
	}
	return false, fmt.Sprintf("ConfigMap %q is there already and doesn't belong to this %s, so it is left alone; delete it, "+
		"or name another in spec.resultConfigMap", stored.Name, owner.Kind)
}
