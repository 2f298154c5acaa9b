package metrics

import (
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubetypes "k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// assets counts DaftyAssets, and keeps since when those are under way or stuck that are.
type assets struct {
	mu      sync.Mutex
	reasons map[string]int
	open    map[kubetypes.UID]open
}

// open is an asset that isn't Ready, and that nobody holds back.
type open struct {
	condition string
	since     time.Time
}

// openConditions are those of an open asset.
var openConditions = []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled}

// assetCounts has the number of DaftyAssets by reason, and for how long the oldest open one has been so, by condition.
type assetCounts struct {
	reasons map[string]int
	oldest  map[string]time.Duration
}

// noAssetCounts returns counts with each series that always exists, at 0.
func noAssetCounts() assetCounts {
	c := assetCounts{reasons: map[string]int{}, oldest: map[string]time.Duration{}}
	for _, reason := range assetReasons {
		c.reasons[reason] = 0
	}
	for _, condition := range openConditions {
		c.oldest[condition] = 0
	}
	return c
}

// add adds other counts.
func (c *assetCounts) add(more assetCounts) {
	for reason, n := range more.reasons {
		c.reasons[reason] += n
	}
	for condition, age := range more.oldest {
		c.oldest[condition] = max(c.oldest[condition], age)
	}
}

func newAssets() *assets {
	return &assets{reasons: noAssetCounts().reasons, open: map[kubetypes.UID]open{}}
}

// move is called as moves tells.
func (a *assets) move(from, to any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if asset, ok := from.(*v1alpha1.DaftyAsset); ok {
		a.reasons[assetReasonOf(asset)]--
		delete(a.open, asset.UID)
	}
	if asset, ok := to.(*v1alpha1.DaftyAsset); ok {
		a.reasons[assetReasonOf(asset)]++
		if is := openAs(asset); is.condition != "" {
			a.open[asset.UID] = is
		}
	}
}

func (a *assets) counted(now time.Time) assetCounts {
	c := noAssetCounts()
	a.mu.Lock()
	defer a.mu.Unlock()
	c.reasons = maps.Clone(a.reasons)
	for _, is := range a.open {
		c.oldest[is.condition] = max(c.oldest[is.condition], now.Sub(is.since))
	}
	return c
}

// assetReasonOf returns the reason of an asset's Ready condition.
func assetReasonOf(asset *v1alpha1.DaftyAsset) string {
	ready := meta.FindStatusCondition(asset.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case ready == nil:
		return noReason
	case slices.Contains(assetReasons, ready.Reason):
		return ready.Reason
	default:
		return other
	}
}

// openAs returns what an asset is open as, the zero value if it isn't. One that waits for another is none: that one is.
func openAs(asset *v1alpha1.DaftyAsset) open {
	for _, condition := range openConditions {
		is := meta.FindStatusCondition(asset.Status.Conditions, condition)
		if is != nil && is.Status == metav1.ConditionTrue && is.Reason != v1alpha1.ReasonWaitingForDependency {
			return open{condition: condition, since: is.LastTransitionTime.Time}
		}
	}
	return open{}
}

// RecordAssetChange counts a result that has become an asset's current one with the status that was just written. job is the DaftyJob
// that has it, nil if it is gone.
func RecordAssetChange(before, status *v1alpha1.DaftyAssetStatus, job *v1alpha1.DaftyJob, now time.Time) {
	hash := status.Current.Hash
	switch {
	case slices.ContainsFunc(before.History, func(h v1alpha1.AssetResult) bool { return h.Hash == hash }):
		assetChanges.WithLabelValues(reverted).Inc()
	case job != nil && job.Spec.AdoptJobID != "":
		assetChanges.WithLabelValues(restored).Inc()
	default:
		assetChanges.WithLabelValues(made).Inc()
		if job != nil {
			assetChangeSeconds.WithLabelValues().Observe(max(now.Sub(job.CreationTimestamp.Time), 0).Seconds())
		}
	}
}

// RecordOvertaken counts a DaftyJob that was called off, as a newer change has overtaken it.
func RecordOvertaken() { assetsOvertaken.WithLabelValues().Inc() }
