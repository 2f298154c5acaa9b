package budget

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

func TestWhoWaitsIsWoken(t *testing.T) {
	t.Run("at the period's end, all, the oldest first", func(t *testing.T) {
		e := newEnv(t, daily(1))
		e.mustReserve("a")
		e.wait("c", "b", "d")
		e.book.Withdraw(agency, "d")
		e.clock.SetTime(at("2026-12-03T23:59:58Z"))
		e.running.Wait()
		e.step(time.Second)
		e.wantWoken()
		e.step(time.Second)
		e.wantWoken("b", "c")
		if e.check("c") {
			t.Error("the younger one goes first")
		}
		if !e.check("b") {
			t.Error("the oldest must wait")
		}
		e.mustReserve("b")
		e.wait("c")
	})
	t.Run("when something is given back, as many as there is room", func(t *testing.T) {
		e := newEnv(t, daily(3))
		e.mustReserve("a", "b", "c")
		e.wait("f", "d", "e")
		e.settle("a", Taken)
		e.step(settleAfter)
		e.wantWoken()
		e.settle("b", GivenBack)
		e.wantWoken("d")
		e.step(wakeInterval)
		e.settle("c", GivenBack)
		e.wantWoken("e")
	})
	t.Run("when another process gives something back", func(t *testing.T) {
		e := newEnv(t, daily(1))
		e.mustReserve("a")
		e.wait("b", "c")
		other := e.newBook(e.clock)
		other.Changed(e.account())
		other.Settle(agency, reservationOf("a", 1, "5"), GivenBack)
		e.step(settleAfter)
		e.wantWoken()
		e.book.Changed(e.account())
		e.running.Wait()
		e.wantWoken("b")
	})
	t.Run("when a budget grows, all", func(t *testing.T) {
		e := newEnv(t, daily(1))
		e.mustReserve("a")
		e.wait("b", "c")
		e.edit(func(a *v1alpha1.DaftyAccount) { a.Spec.Suspend = true })
		e.wantWoken()
		e.edit(func(a *v1alpha1.DaftyAccount) { a.Spec.Budgets = []v1alpha1.Budget{daily(2)} })
		e.wantWoken("b", "c")
		e.wait("c")
		e.mustReserve("b")
	})
	t.Run("when one that had its turn doesn't come", func(t *testing.T) {
		e := newEnv(t, daily(1))
		e.mustReserve("a")
		e.wait("b", "c")
		e.settle("a", GivenBack)
		e.wantWoken("b")
		e.step(turnLife - 1)
		e.wantWoken()
		e.wait("c") // the room is kept for b
		e.step(1)
		e.wantWoken("c")
		e.mustReserve("c")
	})
	t.Run("when one that had its turn is withdrawn", func(t *testing.T) {
		e := newEnv(t, daily(1))
		e.mustReserve("a")
		e.wait("b", "c")
		e.settle("a", GivenBack)
		e.wantWoken("b")
		e.step(wakeInterval)
		e.book.Withdraw(agency, "b")
		e.running.Wait()
		e.wantWoken("c")
	})
	t.Run("never, while nothing changes", func(t *testing.T) {
		e := newEnv(t, daily(1))
		e.mustReserve("a")
		e.wait("b", "c")
		for range 100 {
			e.step(backstopAfter)
		}
		e.wantWoken()
	})
	t.Run("now and then, if it had its turn and didn't come", func(t *testing.T) {
		e := newEnv(t, daily(1))
		e.mustReserve("a")
		e.wait("b")
		e.settle("a", GivenBack)
		e.wantWoken("b")
		for range 3 {
			e.step(backstopAfter - turnLife)
			e.step(turnLife)
			e.wantWoken("b")
		}
	})
	t.Run("a while after it was told what is no longer so", func(t *testing.T) {
		e := newEnv(t, daily(1))
		e.mustReserve("a")
		e.wait("b", "c")
		e.settle("a", GivenBack)
		e.wantWoken("b")
		e.wait("c") // for b, which is older
		e.mustReserve("b")
		e.wantWoken()
		e.step(backstopAfter)
		e.wantWoken("c")
		e.wait("c")
		e.step(backstopAfter)
		e.wantWoken()
	})
	t.Run("no longer, once it is reserved", func(t *testing.T) {
		e := newEnv(t, daily(1))
		e.mustReserve("a")
		e.wait("b")
		e.edit(func(a *v1alpha1.DaftyAccount) { a.Spec.Budgets = []v1alpha1.Budget{daily(2)} })
		e.wantWoken("b")
		e.mustReserve("b")
		e.step(24 * time.Hour)
		e.wantWoken()
		if e.clock.HasWaiters() {
			t.Error("a timer runs on")
		}
	})
}

// However many wait, they come one after the other.
func TestNoStampede(t *testing.T) {
	e := newEnv(t, daily(1))
	e.mustReserve("a")
	for n := range 50 {
		e.wait(fmt.Sprintf("uid-%02d", n))
	}
	e.wantPatches(1)
	e.edit(func(a *v1alpha1.DaftyAccount) { a.Spec.Budgets = []v1alpha1.Budget{daily(100)} })
	for _, want := range []int{20, 20, 10, 0} {
		if len(e.woken) != want {
			t.Errorf("%d are woken at once, not %d", len(e.woken), want)
		}
		e.woken = nil
		e.step(wakeInterval)
	}
}

// So many wait that not all are reached until the backstop: it doesn't begin anew with the oldest.
func TestTheYoungestIsReached(t *testing.T) {
	e := newEnv(t, daily(0))
	n := wakeBurst*int(backstopAfter/wakeInterval) + 100
	for i := range n {
		e.wait(fmt.Sprintf("uid-%05d", i))
	}
	e.edit(func(a *v1alpha1.DaftyAccount) { a.Spec.Budgets[0].Submissions = new(int64(-1)) })
	for range n / wakeBurst {
		e.step(wakeInterval)
	}
	if len(e.woken) != n {
		t.Errorf("%d of %d are woken", len(e.woken), n)
	}
}

// Room that the oldest can't use, as it waits for another budget too, is for others.
func TestTheOldestKeepsNothingThatItCannotUse(t *testing.T) {
	e := newEnv(t, daily(2), budgetOf(v1alpha1.PerNamespace, v1alpha1.PeriodMonth, 1))
	e.mustReserve("a")
	e.wait("b") // for the month of its namespace
	elsewhere := e.submission("c")
	elsewhere.Reservation.Namespace = "blog"
	if exhausted, err := e.book.Check(t.Context(), agency, elsewhere); exhausted != nil || err != nil {
		t.Errorf("%v, %v", exhausted, err)
	}
}

// An exhausted budget costs nothing, and is said with who is before.
func TestChecks(t *testing.T) {
	e := newEnv(t, daily(2))
	e.mustReserve("a", "b")
	for range 100 {
		e.wait("c", "d", "e")
	}
	e.wantPatches(2)
	e.settle("a", GivenBack)
	exhausted, err := e.book.Check(t.Context(), agency, e.submission("e"))
	if err != nil || exhausted == nil || exhausted.Older != 1 || exhausted.Used != 1 || exhausted.Limit != 2 {
		t.Errorf("%v, %v", exhausted, err)
	}
	if !e.check("b") {
		t.Error("what is reserved must wait")
	}
	e.edit(func(a *v1alpha1.DaftyAccount) { a.Spec.Budgets[0].TimeZone = "Europe/Atlantis" })
	if _, err := e.book.Check(t.Context(), agency, e.submission("c")); err == nil {
		t.Error("a time zone that isn't is passed over")
	}
	e.before = func() error { return errors.New("nothing is to be written") }
	if _, err := e.reserve(e.submission("c")); err == nil {
		t.Error("a time zone that isn't is passed over")
	}
}
