package controller

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

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

// Of an asset that nobody changes, nothing is remembered; what was done just now is.
func TestIdleAssetsAreNotRemembered(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	name := types.NamespacedName{Namespace: "shop", Name: "hero"}
	asset := &v1alpha1.DaftyAsset{}
	asset.Namespace, asset.Name, asset.UID, asset.Generation, asset.Status.ObservedGeneration = name.Namespace, name.Name, "a", 3, 3
	m := &assetMemory{}
	look := func() time.Time {
		since := m.known(asset, now).SpecSince
		m.correct(name, nil, now)
		m.settle(asset)
		return since
	}
	if since := look(); !since.IsZero() || len(m.assets) != 0 {
		t.Errorf("a new spec since %s, remembered: %v", since, m.assets)
	}

	asset.Generation = 4
	changed := now
	for range 3 {
		if since := look(); !since.Equal(changed) {
			t.Errorf("at %s there is a new spec since %s", now, since)
		}
		now = now.Add(time.Second)
	}
	asset.Status.ObservedGeneration = 4
	if look(); len(m.assets) != 0 {
		t.Errorf("remembered: %v", m.assets)
	}

	m.known(asset, now)
	m.annotated(name, "shop/hero:0123456789=b")
	m.settle(asset)
	if known := m.known(asset, now); known.Annotated == "" {
		t.Error("what was written is forgotten")
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
