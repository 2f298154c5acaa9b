package account

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// sharedKey returns a submission under a key of the user's own.
func sharedKey(t *Tracker) *v1alpha1.Submission {
	s := submission(t)
	s.IdempotencyKey = "spring-1"
	return s
}

// Two requests with the same key never run beside each other, as they could make two jobs; who waits is woken when the
// first has its answer, and waits until it has surely passed where that never comes.
func TestSameKeyWaits(t *testing.T) {
	unread := &dafty.CallError{Kind: dafty.KindUnavailable, Message: "no answer"}
	for _, tt := range []struct {
		name   string
		answer error
		woken  bool
		// waits is for how long another still waits after the answer.
		waits time.Duration
	}{
		{"accepted", nil, true, 0},
		{"refused for certain", refusal(dafty.KindRateLimit), true, 0},
		{"a conflict, which leaves it open", refusal(dafty.KindConflict), false, lifecycle.RepeatAfter - 3*time.Second},
		{"no answer", unread, false, lifecycle.RepeatAfter - 3*time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				w.alone()
				w.dafty("k").onCreate(func(ctx context.Context, _ string) (*dafty.Job, error) {
					pass(ctx, 3*time.Second)
					return job(dafty.Pending), tt.answer
				})
				first, second, other := w.tracker("first", "k"), w.tracker("second", "k"), w.tracker("other", "another")
				s := sharedKey(first)
				if block := first.Claim(image, s, false); block != nil {
					t.Fatalf("held: %+v", block)
				}
				if block := second.Claim(image, sharedKey(second), false); block == nil || !block.SameKey || until(block) != ratelimit.ClaimLife {
					t.Errorf("a second claim of the key: %+v", block)
				}
				first.Submit(image, s)
				synctest.Wait()
				for range 2 {
					if block := second.Claim(image, sharedKey(second), false); block == nil || !block.SameKey || until(block) != lifecycle.RepeatAfter {
						t.Errorf("while the first is on its way: %+v", block)
					}
				}
				if block := other.Claim(image, sharedKey(other), false); block != nil {
					t.Errorf("of another API key: %+v", block)
				}
				w.woken()
				time.Sleep(3 * time.Second)
				if got, want := w.woken(), map[bool]int{true: 2, false: 1}[tt.woken]; len(got) != want {
					t.Errorf("woken: %v", got)
				}
				block := second.Claim(image, sharedKey(second), false)
				if (block != nil && block.SameKey) != (tt.waits > 0) || tt.waits > 0 && until(block) != tt.waits {
					t.Errorf("after the answer: %+v", block)
				}
				time.Sleep(tt.waits)
				if block := second.Claim(image, sharedKey(second), false); block != nil && block.SameKey {
					t.Errorf("after all: %+v", block)
				}
			})
		})
	}
}

// Whoever sent a key repeats it.
func TestSameKeyIsRepeatedByItsOwner(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		w.dafty("k").onCreate(func(context.Context, string) (*dafty.Job, error) { return nil, errors.New("broken pipe") })
		tracker := w.tracker("job", "k")
		w.submit(tracker, image)
		if block := tracker.Claim(image, repeated(tracker), false); block != nil {
			t.Errorf("held: %+v", block)
		}
	})
}

// A request that an earlier process left in doubt may still be on its way.
func TestSameKeyIsRecalled(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		sent := metav1.Time{Time: time.Now().Add(-20 * time.Second)}
		record := &v1alpha1.Submission{Attempt: 1, IdempotencyKey: "spring-1", StartedAt: &sent, SentAt: &sent, CredentialsHash: Hash("uid-first", "k")}
		w.registry.Recall([]Recalled{{UID: "uid-first", Submission: record, Class: dafty.ClassImageCreate}})
		second := w.tracker("second", "k")
		if block := second.Claim(image, sharedKey(second), false); block == nil || !block.SameKey || until(block) != lifecycle.RepeatAfter-20*time.Second {
			t.Errorf("held: %+v", block)
		}
		if block := w.tracker("first", "k").Claim(image, record, false); block != nil && block.SameKey {
			t.Errorf("its own repeat: %+v", block)
		}
	})
}

// A request that follows a refused one at once passes the block that the refusal made, and waits only for the minute.
func TestAtOnce(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		w.dafty("k").onCreate(refuses(refusal(dafty.KindInsufficientCredits)))
		first, second := w.tracker("first", "k"), w.tracker("second", "k")
		w.submit(first, image)
		if block := second.Claim(image, submission(second), false); block == nil || block.Kind != dafty.KindInsufficientCredits {
			t.Errorf("another isn't held: %+v", block)
		}
		if block := first.Claim(image, submission(first), true); block != nil {
			t.Errorf("held: %+v", block)
		}
	})
}

// parallel has Dafty take a while for each create, and tells how many there were at once.
func (w *env) parallel(key string, take time.Duration) (most func() int) {
	var mu sync.Mutex
	now, top := 0, 0
	w.dafty(key).onCreate(func(ctx context.Context, _ string) (*dafty.Job, error) {
		mu.Lock()
		now++
		top = max(top, now)
		mu.Unlock()
		pass(ctx, take)
		mu.Lock()
		now--
		mu.Unlock()
		return job(dafty.Pending), nil
	})
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return top
	}
}

// A turn that is used again, as its write-ahead failed before, keeps its key.
func TestSameKeyOfATurnThatIsUsedAgain(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		most := w.parallel("k", 5*time.Second)
		first, second := w.tracker("first", "k"), w.tracker("second", "k")
		_ = first.Claim(image, sharedKey(first), false)
		time.Sleep(ratelimit.ClaimLife - time.Second)
		s := sharedKey(first)
		if block := first.Claim(image, s, false); block != nil {
			t.Fatalf("held: %+v", block)
		}
		time.Sleep(2 * time.Second) // the write takes a moment
		if block := second.Claim(image, sharedKey(second), false); block == nil || !block.SameKey {
			t.Errorf("beside it: %+v", block)
		}
		first.Submit(image, s)
		time.Sleep(time.Minute)
		if most() != 1 {
			t.Errorf("%d requests at once", most())
		}
		// A turn that was taken for one key isn't for another.
		third := w.tracker("third", "k")
		_ = third.Claim(image, submission(third), false)
		time.Sleep(20 * time.Second) // the two are spread
		if block := second.Claim(image, sharedKey(second), false); block != nil {
			t.Fatalf("held: %+v", block)
		}
		if block := third.Claim(image, sharedKey(third), false); block == nil || !block.SameKey {
			t.Errorf("by a turn for another key: %+v", block)
		}
	})
}

// A request whose write-ahead took longer than its turn isn't sent beside another's with the same key, and gives up nothing
// that is another's.
func TestSameKeyOfALapsedTurn(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		most := w.parallel("k", 10*time.Second)
		first, second := w.tracker("first", "k"), w.tracker("second", "k")
		late := sharedKey(first)
		_ = first.Claim(image, late, false)
		time.Sleep(ratelimit.ClaimLife + time.Second)
		s := sharedKey(second)
		if block := second.Claim(image, s, false); block != nil {
			t.Fatalf("held: %+v", block)
		}
		second.Submit(image, s)
		synctest.Wait()
		late = sharedKey(first)
		first.Submit(image, late)
		synctest.Wait()
		if err := first.Known().Submission.Err; err == nil || !err.Unsent {
			t.Errorf("the late one: %+v", err)
		}
		if block := first.Claim(image, sharedKey(first), false); block == nil || !block.SameKey {
			t.Errorf("and again: %+v", block)
		}
		time.Sleep(time.Minute)
		if most() != 1 {
			t.Errorf("%d requests at once", most())
		}
	})
}

// Others use the API key too: what follows at once isn't spread over the minute for them.
func TestAtOnceBesideOthers(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		tracker, other := w.tracker("a", "k"), w.tracker("b", "k")
		if block := tracker.Claim(image, submission(tracker), false); block != nil {
			t.Fatalf("held: %+v", block)
		}
		by := ratelimit.Submission{By: &tracker.caller, Class: dafty.ClassImageCreate, Key: tracker.claimed.key}
		turn, _ := tracker.secret.gate.Submit(by, tracker.claimed.at, time.Now().Add(lifecycle.RepeatAfter))
		tracker.claimed = claim{}
		time.Sleep(time.Second)
		rate := dafty.Rate{Limit: 20, Remaining: 15, Reset: 50 * time.Second} // 4 calls more than this one
		turn.OnResponse(rate, refusal(dafty.KindInsufficientCredits), false).Wake()
		if block := other.Claim(image, repeated(other), false); block == nil || block.Kind != dafty.KindRateLimit {
			t.Errorf("a repeat isn't spread: %+v", block)
		}
		if block := tracker.Claim(image, submission(tracker), true); block != nil {
			t.Errorf("held: %+v", block)
		}
	})
}

// Whoever waits for a key takes no wake-up that is for the next in the queue.
func TestSameKeyLeavesTheQueue(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		w.dafty("k").onCreate(refuses(refusal(dafty.KindConcurrency)))
		refused, first, second, third := w.tracker("refused", "k"), w.tracker("first", "k"), w.tracker("second", "k"), w.tracker("third", "k")
		w.submit(refused, image)
		for _, waits := range []*Tracker{first, second} {
			_ = waits.Claim(image, sharedKey(waits), false)
		}
		_ = third.Claim(image, submission(third), false)
		time.Sleep(5 * time.Second) // the block's
		w.dafty("k").onCreate(func(ctx context.Context, _ string) (*dafty.Job, error) { <-ctx.Done(); return nil, ctx.Err() })
		s := sharedKey(first)
		if block := first.Claim(image, s, false); block != nil {
			t.Fatalf("held: %+v", block)
		}
		w.woken()
		if block := second.Claim(image, sharedKey(second), false); block == nil || !block.SameKey {
			t.Errorf("beside it: %+v", block)
		}
		if woken := w.woken(); !slices.Equal(woken, []string{"third"}) {
			t.Errorf("woken in its place: %v", woken)
		}
		first.Submit(image, s)
		time.Sleep(time.Minute)
	})
}
