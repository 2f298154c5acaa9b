package simulation

import "testing"

// shortAccountHistories is how many histories with DaftyAccounts an ordinary run of the tests plays.
const shortAccountHistories = 400

// TestAccountHistories plays random histories with DaftyAccounts, as TestHistories does without.
func TestAccountHistories(t *testing.T) {
	all := playHistories(t, drawWithAccounts, shortAccountHistories)
	const least, effectsEach, paidOfTen, crashedOfTwenty = 100, 30, 8, 1
	if all.played >= least && (all.effects < effectsEach*all.played || 10*all.paid < paidOfTen*all.played || 20*all.crashed < crashedOfTwenty*all.played) {
		t.Error("too little happens in them to tell anything")
	}
}

// TestReplayWithAccounts plays histories with DaftyAccounts twice: the trace must be the same, line by line.
func TestReplayWithAccounts(t *testing.T) {
	t.Parallel()
	replay(t, drawWithAccounts)
}
