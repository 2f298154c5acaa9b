package simulation

import "testing"

// shortAssetHistories is how many histories with DaftyAssets an ordinary run of the tests plays.
const shortAssetHistories = 400

// TestAssetHistories plays random histories with DaftyAssets, as TestHistories does without.
func TestAssetHistories(t *testing.T) {
	all := playHistories(t, drawWithAssets, shortAssetHistories)
	const least, effectsEach, paidOfTen, crashedOfTwenty = 100, 30, 8, 1
	if all.played >= least && (all.effects < effectsEach*all.played || 10*all.paid < paidOfTen*all.played || 20*all.crashed < crashedOfTwenty*all.played) {
		t.Error("too little happens in them to tell anything")
	}
}

// TestReplayWithAssets plays histories with DaftyAssets twice: the trace must be the same, line by line.
func TestReplayWithAssets(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		h := drawWithAssets(seed)
		once, again := run(t, h.options, h.play).trace.String(), run(t, h.options, h.play).trace.String()
		if once != again {
			t.Errorf("seed %d isn't the same when it is played again", seed)
		}
	}
}
