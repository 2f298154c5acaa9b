package controller

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
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
		in := &accountRead{account: anAccount("", ""), now: now, holding: account.Holding{Answer: refused}}
		if wait := in.checkIn(); wait != c.check {
			t.Errorf("refused %s, the key is tried again in %s, want %s", c.name, wait, c.check)
		}
	}
}

// A thousand accounts are asked about neither all at once as the operator starts, nor in step from hour to hour. What is new, or has
// another key, is asked about at once.
func TestAccountsAreAskedAboutEachAtItsTime(t *testing.T) {
	start := time.Date(2026, 12, 3, 12, 0, 0, 0, time.UTC)
	accepted := &account.Answer{At: start}
	const accounts, slots = 1000, 10
	for _, c := range []struct {
		name           string
		answer         *account.Answer
		earliest, last time.Duration
	}{
		{"the operator starts", nil, 0, startSpread},
		{"an hour later", accepted, checkEvery - checkSpread, checkEvery},
	} {
		var at [slots]int
		for i := range accounts {
			of := anAccount(metav1.ConditionTrue, v1alpha1.ReasonAccepted)
			of.UID = types.UID(fmt.Sprintf("6d1c1a4e-5b0f-4a3e-9d5e-%012x", i))
			in := &accountRead{account: of, first: start, now: start, holding: account.Holding{HasKey: true, Answer: c.answer}}
			wait := in.checkIn()
			if wait < c.earliest || wait > c.last {
				t.Fatalf("%s, one is asked about in %s", c.name, wait)
			}
			at[min(slots-1, int(slots*(wait-c.earliest)/(c.last-c.earliest)))]++
			if in.now = start.Add(wait); in.checkIn() != 0 {
				t.Fatalf("%s, one is put off again by %s", c.name, in.checkIn())
			}
		}
		for _, n := range at {
			if n < accounts/slots/2 || n > accounts/slots*2 {
				t.Errorf("%s, they are asked about unevenly: %d in the tenths of the time", c.name, at)
				break
			}
		}
	}
	for _, c := range []struct {
		name string
		with func(*accountRead)
	}{
		{"it is new", func(in *accountRead) { in.account.Status.Conditions = nil }},
		{"it had no key", func(in *accountRead) { in.account.Status.Conditions[0].Reason = v1alpha1.ReasonWaitingForCredentials }},
		{"its key has changed", func(in *accountRead) { in.holding.Changed = true }},
		{"its spec has changed", func(in *accountRead) { in.account.Generation++ }},
		{"the clock was set back", func(in *accountRead) { in.first = in.now.Add(time.Hour) }},
	} {
		of := anAccount(metav1.ConditionTrue, v1alpha1.ReasonAccepted)
		of.UID = "one whose share of the time isn't nothing"
		in := &accountRead{account: of, first: start, now: start, holding: account.Holding{HasKey: true}}
		if in.checkIn() == 0 {
			t.Fatal("it has no time of its own")
		}
		if c.with(in); in.checkIn() != 0 {
			t.Errorf("%s, and it is asked about in %s", c.name, in.checkIn())
		}
	}
}
