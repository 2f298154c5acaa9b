package account

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// shared is a submission under a key of the user's own.
func shared(t *Tracker) *v1alpha1.Submission {
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
		{"no answer", unread, false, lifecycle.RepeatAfter - 3*time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.alone()
				w.dafty("k").onCreate(func(ctx context.Context, _ string) (*dafty.Job, error) {
					pass(ctx, 3*time.Second)
					return job(dafty.Pending), tt.answer
				})
				first, second, other := w.tracker("first", "k"), w.tracker("second", "k"), w.tracker("other", "another")
				s := shared(first)
				if hold := first.Claim(image, s, false); hold != nil {
					t.Fatalf("held: %+v", hold)
				}
				if hold := second.Claim(image, shared(second), false); hold == nil || !hold.SameKey || until(hold) != claimLife {
					t.Errorf("a second claim of the key: %+v", hold)
				}
				first.Submit(image, s)
				synctest.Wait()
				for range 2 {
					if hold := second.Claim(image, shared(second), false); hold == nil || !hold.SameKey || until(hold) != lifecycle.RepeatAfter {
						t.Errorf("while the first is on its way: %+v", hold)
					}
				}
				if hold := other.Claim(image, shared(other), false); hold != nil {
					t.Errorf("of another API key: %+v", hold)
				}
				w.woken()
				time.Sleep(3 * time.Second)
				if got, want := w.woken(), map[bool]int{true: 2, false: 1}[tt.woken]; len(got) != want {
					t.Errorf("woken: %v", got)
				}
				hold := second.Claim(image, shared(second), false)
				if (hold != nil && hold.SameKey) != (tt.waits > 0) || tt.waits > 0 && until(hold) != tt.waits {
					t.Errorf("after the answer: %+v", hold)
				}
				time.Sleep(tt.waits)
				if hold := second.Claim(image, shared(second), false); hold != nil && hold.SameKey {
					t.Errorf("after all: %+v", hold)
				}
			})
		})
	}
}

// Whoever sent a key repeats it.
func TestSameKeyIsRepeatedByItsOwner(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.alone()
		w.dafty("k").onCreate(func(context.Context, string) (*dafty.Job, error) { return nil, errors.New("broken pipe") })
		tracker := w.tracker("job", "k")
		w.submit(tracker, image)
		if hold := tracker.Claim(image, repeated(tracker), false); hold != nil {
			t.Errorf("held: %+v", hold)
		}
	})
}

// A request that an earlier process left in doubt may still be on its way.
func TestSameKeyIsRecalled(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		sent := metav1.Time{Time: time.Now().Add(-20 * time.Second)}
		record := &v1alpha1.Submission{Attempt: 1, IdempotencyKey: "spring-1", StartedAt: &sent, SentAt: &sent, CredentialsHash: Hash("uid-first", "k")}
		w.registry.Recall([]Recalled{{UID: "uid-first", Submission: record, Class: dafty.ClassImageCreate, InDoubt: true}})
		second := w.tracker("second", "k")
		if hold := second.Claim(image, shared(second), false); hold == nil || !hold.SameKey || until(hold) != lifecycle.RepeatAfter-20*time.Second {
			t.Errorf("held: %+v", hold)
		}
		if hold := w.tracker("first", "k").Claim(image, record, false); hold != nil && hold.SameKey {
			t.Errorf("its own repeat: %+v", hold)
		}
	})
}

// A request that follows a refused one at once passes the hold that the refusal made, and waits for the minute alone.
func TestAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.alone()
		w.dafty("k").onCreate(refuses(refusal(dafty.KindInsufficientCredits)))
		first, second := w.tracker("first", "k"), w.tracker("second", "k")
		w.submit(first, image)
		if hold := second.Claim(image, submission(second), false); hold == nil || hold.Kind != dafty.KindInsufficientCredits {
			t.Errorf("another isn't held: %+v", hold)
		}
		if hold := first.Claim(image, submission(first), true); hold != nil {
			t.Errorf("held: %+v", hold)
		}
	})
}
