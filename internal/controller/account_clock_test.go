package controller

import (
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/dafty"
)

// A clock that is set back by half an hour holds up neither what a DaftyAccount tells nor the question whom its key belongs to.
func TestAccountOnAClockThatIsSetBack(t *testing.T) {
	now := time.Date(2026, 12, 3, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name        string
		then        time.Time
		left, check time.Duration
	}{
		{"this moment", now, accountWriteEvery, checkAgain},
		{"a moment ago", now.Add(-time.Second), accountWriteEvery - time.Second, checkAgain - time.Second},
		{"long ago", now.Add(-time.Hour), 0, 0},
		{"in the future", now.Add(30 * time.Minute), 0, 0},
	} {
		if left := (accountSeen{written: c.then}).left(now); left != c.left {
			t.Errorf("written %s, the status is written again in %s, want %s", c.name, left, c.left)
		}
		refused := &account.Answer{At: c.then, Err: &dafty.CallError{Kind: dafty.KindUnauthorized}, Failures: 1}
		in := &accountRead{now: now, holding: account.Holding{Answer: refused}}
		if wait := in.checkIn(); wait != c.check {
			t.Errorf("refused %s, the key is tried again in %s, want %s", c.name, wait, c.check)
		}
	}
}
