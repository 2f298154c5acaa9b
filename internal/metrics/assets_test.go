package metrics

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubetypes "k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// someAsset returns an asset with a reason of its Ready condition, and where one is given, the condition that it has had for an age.
func someAsset(uid, reason, condition string, age time.Duration) *v1alpha1.DaftyAsset {
	asset := &v1alpha1.DaftyAsset{ObjectMeta: metav1.ObjectMeta{UID: kubetypes.UID(uid)}}
	asset.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: reason, LastTransitionTime: metav1.NewTime(assetNow)}}
	if condition != "" {
		asset.Status.Conditions = append(asset.Status.Conditions, metav1.Condition{
			Type: condition, Status: metav1.ConditionTrue, Reason: reason, LastTransitionTime: metav1.NewTime(assetNow.Add(-age)),
		})
	}
	return asset
}

// DaftyAssets are counted by why they are Ready or not, and those that are under way or stuck are timed.
func TestAssets(t *testing.T) {
	stuck := someAsset("a", v1alpha1.ReasonGenerationFailed, v1alpha1.ConditionStalled, time.Hour)
	for name, row := range map[string]struct {
		when    func(cache.ResourceEventHandler)
		reasons map[string]int
		oldest  map[string]time.Duration
	}{
		"one that nobody has looked at": {
			func(h cache.ResourceEventHandler) { h.OnAdd(&v1alpha1.DaftyAsset{}, false) },
			map[string]int{noReason: 1}, nil,
		},
		"one with the result of its newest spec": {
			func(h cache.ResourceEventHandler) { h.OnAdd(someAsset("a", v1alpha1.ReasonCompleted, "", 0), true) },
			map[string]int{v1alpha1.ReasonCompleted: 1}, nil,
		},
		"the oldest of several, by condition": {
			func(h cache.ResourceEventHandler) {
				h.OnAdd(stuck, true)
				h.OnAdd(someAsset("b", v1alpha1.ReasonJobDeleted, v1alpha1.ConditionStalled, 2*time.Hour), true)
				h.OnAdd(someAsset("c", v1alpha1.ReasonProgressing, v1alpha1.ConditionReconciling, time.Minute), true)
			},
			map[string]int{v1alpha1.ReasonGenerationFailed: 1, v1alpha1.ReasonJobDeleted: 1, v1alpha1.ReasonProgressing: 1},
			map[string]time.Duration{v1alpha1.ConditionStalled: 2 * time.Hour, v1alpha1.ConditionReconciling: time.Minute},
		},
		"one that somebody holds back": {
			func(h cache.ResourceEventHandler) {
				h.OnAdd(someAsset("a", v1alpha1.ReasonWaitingForApproval, "", 0), false)
				h.OnAdd(someAsset("b", v1alpha1.ReasonSuspended, "", 0), false)
			},
			map[string]int{v1alpha1.ReasonWaitingForApproval: 1, v1alpha1.ReasonSuspended: 1}, nil,
		},
		"one that waits for another": {
			func(h cache.ResourceEventHandler) {
				h.OnAdd(someAsset("a", v1alpha1.ReasonWaitingForDependency, v1alpha1.ConditionReconciling, time.Hour), false)
			},
			map[string]int{v1alpha1.ReasonWaitingForDependency: 1}, nil,
		},
		"a change comes through": {
			func(h cache.ResourceEventHandler) {
				h.OnAdd(stuck, false)
				h.OnUpdate(stuck, someAsset("a", v1alpha1.ReasonCompleted, "", 0))
			},
			map[string]int{v1alpha1.ReasonCompleted: 1}, nil,
		},
		"a deletion": {
			func(h cache.ResourceEventHandler) {
				h.OnAdd(stuck, false)
				h.OnDelete(stuck)
			},
			nil, nil,
		},
		"a deletion that was missed": {
			func(h cache.ResourceEventHandler) {
				h.OnAdd(stuck, false)
				h.OnDelete(cache.DeletedFinalStateUnknown{Key: "ns/a", Obj: stuck})
			},
			nil, nil,
		},
		"a reason that isn't known": {
			func(h cache.ResourceEventHandler) { h.OnAdd(someAsset("a", "Pondering", "", 0), false) },
			map[string]int{other: 1}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			counts := newAssets()
			row.when(moves(counts.move))
			got := counts.counted(assetNow)
			maps.DeleteFunc(got.reasons, func(_ string, n int) bool { return n == 0 })
			maps.DeleteFunc(got.oldest, func(_ string, age time.Duration) bool { return age == 0 })
			if diff := cmp.Diff(row.reasons, got.reasons, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("reasons: %s", diff)
			}
			if diff := cmp.Diff(row.oldest, got.oldest, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("oldest: %s", diff)
			}
			if len(row.oldest) == 0 && len(counts.open) > 0 {
				t.Errorf("it keeps %v", counts.open)
			}
		})
	}
}

// Each reason that package asset gives the Ready condition of an asset is known from the start.
func TestAssetReasons(t *testing.T) {
	names := regexp.MustCompile(`(?:inProgress|stalled|heldBack|ready)\(v1alpha1\.Reason(\w+)|reason: v1alpha1\.Reason(\w+)`)
	found := 0
	for _, file := range []string{"pursue.go", "request.go", "verdict.go", "next.go"} {
		raw, err := os.ReadFile("../asset/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range names.FindAllStringSubmatch(string(raw), -1) {
			found++
			// The constants read as their values do.
			if reason := match[1] + match[2]; !slices.Contains(assetReasons, reason) {
				t.Errorf("%s gives the reason %s, which isn't known", file, reason)
			}
		}
	}
	if found < 12 {
		t.Errorf("%d reasons are found", found)
	}
	if reasons := slices.Sorted(slices.Values(assetReasons)); len(slices.Compact(reasons)) != len(assetReasons) {
		t.Errorf("some are there twice: %q", reasons)
	}
}
