package simulation

import (
	"math/rand/v2"
	"slices"
	"time"
)

// assetEventKinds are the events of histories with DaftyAssets, beside those of eventKinds, each as often as it is likely. They are
// a list of their own: what the seeds of the other histories mean stays.
var assetEventKinds = []eventKind{
	{"asset created", 60, createAsset},
	{"template changed", 70, changeTemplate},
	{"revision changed", 15, changeRevision},
	{"template reverted", 40, revert},
	{"policies changed", 16, changePolicy},
	{"asset suspended", 12, suspendAsset},
	{"approved", 20, approve},
	{"asset deleted", 14, deleteAsset},
	{"asset renamed", 8, rename},
	{"synced again", 24, resync},
	{"asset restored", 20, restoreAsset},
	{"asset's status lost", 8, loseAssetStatus},
	{"DaftyJob meddled with", 20, meddle},
	{"name taken", 6, takeName},
	{"asset used", 8, useAsset},
	{"cycle closed", 5, closeCycle},
	{"asset's result tampered with", 10, tamperWithAssetResult},
	{"watch of assets lags", 8, assetWatchLags},
	{"watch of assets breaks", 6, assetWatchBreaks},
}

// drawWithAssets makes the history with DaftyAssets of a seed.
func drawWithAssets(seed uint64) history {
	r := rand.New(rand.NewPCG(seed, 0xa55e7)) //nolint:gosec // Chance, not secrecy.
	h := history{options: drawOptions(r, seed)}
	h.events = append(h.events, event{gap: time.Second, kind: "asset created", choice: r.Uint64()})
	h.drawEvents(r, slices.Concat(eventKinds, assetEventKinds), 4+r.IntN(18))
	return h
}
