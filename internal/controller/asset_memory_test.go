package controller

import (
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

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
