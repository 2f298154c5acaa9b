package ratelimit

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

// What was never tried goes before what is tried again.
func TestCancelQueueOrder(t *testing.T) {
	var q cancelQueue
	again := q.join(true)
	first := q.join(false)
	second := q.join(false)
	if !slices.Equal(q.waiting, []*queuedCancel{first, second, again}) {
		t.Errorf("the order is %v", q.waiting)
	}
	q.remove(first)
	if !slices.Equal(q.waiting, []*queuedCancel{second, again}) {
		t.Errorf("the order is %v", q.waiting)
	}
}

// A cancel that is given up while it waits leaves the queue.
func TestCancelQueueForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(map[dafty.Class]int{dafty.ClassOther: 1}, time.Time{})
		if _, err := g.AcquireForCancel(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var err error
		go func() { _, err = g.AcquireForCancel(ctx, false) }()
		synctest.Wait()
		if n := g.cancels.untried(); n != 1 {
			t.Errorf("%d wait", n)
		}
		stop()
		synctest.Wait()
		if n := len(g.cancels.waiting); n != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("%d wait on, after %v", n, err)
		}
	})
}
