package controller

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// What is known of refused writes is taken back once such a write is taken, and status never says that it can't itself be written.
func TestAssetMemoryOfRefusals(t *testing.T) {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	name := types.NamespacedName{Namespace: "shop", Name: "hero"}
	read := &v1alpha1.DaftyAsset{}
	read.Namespace, read.Name = name.Namespace, name.Name
	m := &assetMemory{}
	refused := func() string { return m.known(read, now).Refused }

	if !m.refused(name, statusWrite, "denied", now) || m.refused(name, statusWrite, "denied", now) {
		t.Error("a refusal is news the first time, and not the second")
	}
	if got := refused(); got != "" {
		t.Errorf("of a status that is refused it says %q", got)
	}
	if !m.refused(name, stepWrite, "denied, too", now) {
		t.Error("another kind of write that is refused is news")
	}
	m.taken(name, statusWrite)
	if got := refused(); got != "denied, too" {
		t.Errorf("of another write that is refused it says %q", got)
	}
	m.taken(name, stepWrite)
	if got := refused(); got != "" {
		t.Errorf("once it was taken it says %q", got)
	}
	m.refused(name, stepWrite, "denied", now)
	now = now.Add(refusalLife + time.Second)
	if got := refused(); got != "" {
		t.Errorf("long after the last try it says %q", got)
	}
}

// A decision is made again at the sooner of two times.
func TestSooner(t *testing.T) {
	for _, c := range []struct{ a, b, want time.Duration }{{0, 0, 0}, {0, 2, 2}, {2, 0, 2}, {2, 3, 2}, {3, 2, 2}} {
		if got := sooner(c.a, c.b); got != c.want {
			t.Errorf("sooner(%d, %d) is %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// Of an asset that nobody changes, nothing is remembered: there may be thousands.
func TestIdleAssetsAreNotRemembered(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	idle := &v1alpha1.DaftyAsset{}
	idle.Namespace, idle.Name, idle.UID, idle.Generation, idle.Status.ObservedGeneration = "shop", "hero", "a", 3, 3
	m := &assetMemory{}
	if known := m.known(idle, now); !known.SpecSince.IsZero() || len(m.assets) != 0 {
		t.Errorf("known: %+v, remembered: %v", known, m.assets)
	}
	if jobs := m.correct(client.ObjectKeyFromObject(idle), nil, now); jobs != nil || len(m.assets) != 0 {
		t.Errorf("jobs: %v, remembered: %v", jobs, m.assets)
	}

	changed := idle.DeepCopy()
	changed.Generation = 4
	for _, later := range []time.Duration{0, time.Second, time.Minute} {
		if known := m.known(changed, now.Add(later)); !known.SpecSince.Equal(now) {
			t.Errorf("%s after the change was seen, it is known since %s", later, known.SpecSince)
		}
	}
	m.annotated(client.ObjectKeyFromObject(changed), "shop/hero:0123456789=b")
	changed.Status.ObservedGeneration = 4
	if known := m.known(changed, now.Add(time.Hour)); known.Annotated == "" {
		t.Error("what was written is forgotten")
	}
}

// What was made and deleted a moment ago is remembered of an asset that was idle before, and not of one that came after it.
func TestAssetMemoryOfJobs(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	hero := &v1alpha1.DaftyAsset{}
	hero.Namespace, hero.Name, hero.UID, hero.Generation, hero.Status.ObservedGeneration = "shop", "hero", "a", 3, 3
	jobOf := func(asset *v1alpha1.DaftyAsset, uid types.UID) *v1alpha1.DaftyJob {
		job := &v1alpha1.DaftyJob{}
		job.Namespace, job.Name, job.UID = "shop", "hero-"+string(uid), uid
		job.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(asset, v1alpha1.GroupVersion.WithKind("DaftyAsset"))}
		return job
	}
	m := &assetMemory{}
	m.known(hero, now)
	made, gone := jobOf(hero, "made"), jobOf(hero, "gone")
	m.created(made, now)
	m.deleted(gone, now)
	m.known(hero, now)
	jobs := m.correct(client.ObjectKeyFromObject(hero), []*v1alpha1.DaftyJob{gone}, now)
	if len(jobs) != 1 || jobs[0] != made {
		t.Errorf("the DaftyJobs are %v", jobs)
	}
	later := hero.DeepCopy()
	later.UID = "b"
	m.known(later, now)
	if jobs := m.correct(client.ObjectKeyFromObject(later), nil, now); len(jobs) > 0 {
		t.Errorf("an asset of the same name has the DaftyJobs of the one before: %v", jobs)
	}
}
