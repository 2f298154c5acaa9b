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
	replay(t, drawWithAssets)
}
