package account

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

var badKey = &dafty.CallError{Kind: dafty.KindUnauthorized, Status: 401, Message: "no"}

// refusesOnce answers the create of that number, counted from 1, with a 401, and takes the others.
func refusesOnce(number int) func(context.Context, string) (*dafty.Job, error) {
	n := 0
	return func(context.Context, string) (*dafty.Job, error) {
		if n++; n == number {
			return nil, badKey
		}
		return job(dafty.Pending), nil
	}
}

// One refusal of the key among many creates that are accepted blocks nobody but the one that met it, and that one
// for seconds.
func TestOneRefusalOfTheKeyBlocksNobody(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		w.warm("k")
		time.Sleep(time.Second)
		w.dafty("k").onCreate(refusesOnce(2))
		w.submit(w.tracker("a", "k"), image)
		odd, other := w.tracker("odd", "k"), w.tracker("other", "k")
		w.submit(odd, image)
		if call := odd.Known().Submission; call.Err == nil || call.KeyRefusals != 1 {
			t.Fatalf("it isn't known to be the first: %+v", call)
		}
		block := odd.Claim(image, submission(odd), false)
		if block == nil || !block.Once || block.Kind != dafty.KindUnauthorized || until(block) != secondSubmission {
			t.Errorf("whoever met it: %+v", block)
		}
		w.submit(other, image)
		w.submit(w.tracker("video", "k"), video)
		time.Sleep(secondSubmission)
		w.submit(odd, image)
		if call := odd.Known().Submission; call.Err != nil || call.KeyRefusals != 0 {
			t.Errorf("the second try: %+v", call)
		}
	})
}

// A key that is refused again seconds later is refused: everybody waits, and is told.
func TestARefusalOfTheKeyThatRepeats(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		w.warm("k")
		time.Sleep(time.Second)
		w.dafty("k").onCreate(refuses(badKey))
		first, second, third := w.tracker("first", "k"), w.tracker("second", "k"), w.tracker("third", "k")
		w.submit(first, image)
		w.submit(second, image) // at the same moment
		if claimed(image, third) == "" {
			t.Fatal("two at the same moment block others")
		}
		third.Withdraw()
		time.Sleep(secondSubmission)
		w.submit(first, image)
		if got := first.Known().Submission.KeyRefusals; got != 2 {
			t.Errorf("refused %d times in a row", got)
		}
		for _, tracker := range []*Tracker{first, second, w.tracker("fourth", "k")} {
			if block := tracker.Claim(image, submission(tracker), false); block == nil || block.Once || block.Kind != dafty.KindUnauthorized {
				t.Errorf("%s: %+v", tracker.name.Name, block)
			}
		}
	})
}

// While it is known that the key is refused, the first try of another DaftyJob confirms it.
func TestAKeyThatIsKnownToBeRefused(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		w.warm("k")
		time.Sleep(time.Second)
		w.dafty("k").onCreate(refuses(badKey))
		first, next := w.tracker("first", "k"), w.tracker("next", "k")
		w.submit(first, image)
		time.Sleep(secondSubmission)
		w.submit(first, image)
		time.Sleep(time.Minute)
		w.submit(next, image)
		if got := next.Known().Submission.KeyRefusals; got < 2 {
			t.Errorf("refused %d times", got)
		}
		other := w.tracker("other", "k")
		if block := other.Claim(image, submission(other), false); until(block) != 2*time.Minute {
			t.Errorf("others: %+v", block)
		}
	})
}

// Where only the requests of one DaftyJob are refused, as those of a kind that the key isn't allowed, the others go on, and
// that one is told, and asks less and less often.
func TestOnlyOneIsRefused(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		w.warm("k")
		time.Sleep(time.Second)
		odd := w.tracker("odd", "k")
		w.dafty("k").onCreate(func(_ context.Context, key string) (*dafty.Job, error) {
			if key == submission(odd).IdempotencyKey {
				return nil, badKey
			}
			return job(dafty.Pending), nil
		})
		for i, want := range []time.Duration{secondSubmission, 15 * time.Second, 30 * time.Second, time.Minute} {
			w.submit(odd, image)
			w.submit(w.tracker(fmt.Sprint("other-", i), "k"), image)
			if got := odd.Known().Submission.KeyRefusals; got != i+1 {
				t.Errorf("refused %d times, want %d", got, i+1)
			}
			block := odd.Claim(image, submission(odd), false)
			if block == nil || block.Once != (i == 0) || until(block) != want {
				t.Errorf("after %d refusals: %+v", i+1, block)
			}
			time.Sleep(want)
		}
	})
}

// What one odd answer to a look, or to a cancel, leads to: another within seconds, under the same key.
func TestOneOddLook(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  *dafty.CallError
		want time.Duration
	}{
		{"401", badKey, secondLook},
		{"402", &dafty.CallError{Kind: dafty.KindInsufficientCredits, Status: 402}, time.Second},
		{"404", &dafty.CallError{Kind: dafty.KindNotFound, Status: 404}, secondLook},
		{"a proxy's page", &dafty.CallError{Kind: dafty.KindUnavailable, Status: 403}, time.Second},
		{"not Dafty's", &dafty.CallError{Kind: dafty.KindUnavailable, Status: 200}, time.Second},
		{"told to wait", &dafty.CallError{Kind: dafty.KindUnauthorized, Status: 401, RetryAfter: 5 * time.Second}, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				w.alone()
				odd := true
				w.dafty("k").lists(dafty.Processing)
				w.dafty("k").onLook(func(context.Context, bool) (*dafty.Job, error) {
					if odd {
						odd = false
						return nil, tt.err
					}
					return job(dafty.Processing), nil
				})
				tracker := w.tracker("a", "k")
				tracker.Follow(jobID, dafty.ClassImageCreate)
				settle()
				if got := tracker.Known().Trouble; got == nil || got.Failures != 1 {
					t.Errorf("trouble: %+v", got)
				}
				w.dafty("k").asked()
				time.Sleep(tt.want)
				settle()
				if got := w.dafty("k").count("look"); got != 1 {
					t.Errorf("%d looks after %v", got, tt.want)
				}
				if got := tracker.Known(); got.Trouble != nil || got.Job == nil {
					t.Errorf("after the second look: %+v", got)
				}
				w.forget("a")
			})
		})
	}
}

// Refusals of the key count although other trouble comes in between.
func TestRefusalsOfTheKeyBetweenOtherTrouble(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		n := 0
		w.dafty("k").onLook(func(context.Context, bool) (*dafty.Job, error) {
			if n++; n%2 == 1 {
				return nil, badKey
			}
			return nil, &dafty.CallError{Kind: dafty.KindUnavailable, Status: 502}
		})
		tracker := w.tracker("a", "k")
		tracker.Follow(jobID, dafty.ClassImageCreate)
		time.Sleep(secondLook + 2*time.Second)
		settle()
		if got := tracker.Known().Trouble; got == nil || got.Err.Kind != dafty.KindUnauthorized || got.Failures != 2 {
			t.Errorf("trouble: %+v", got)
		}
		w.forget("a")
	})
}

// A cancel that meets one refusal of the key goes out once more within a second or two, with the same key, although another
// is at hand.
func TestOneOddCancel(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		tracker := w.tracker("a", "old")
		tracker.Follow(jobID, dafty.ClassImageCreate)
		settle()
		tracker.SetAPIKey("k")
		w.dafty("k").onCancel(func(context.Context) (*dafty.Job, error) { return nil, badKey })
		w.dafty("k").onLook(func(context.Context, bool) (*dafty.Job, error) { return job(dafty.Processing), nil })
		tracker.Cancel(jobID)
		settle()
		if got := tracker.Known().Cancel; !got.Done || got.Err == nil || got.Failures != 1 {
			t.Fatalf("cancel: %+v", got)
		}
		w.dafty("k").onCancel(nil)
		tracker.Cancel(jobID)
		settle()
		if got := tracker.Known().Cancel; got.Err != nil {
			t.Errorf("cancel: %+v", got)
		}
		if got := w.dafty("old").count("cancel"); got > 0 {
			t.Errorf("%d cancels with the key that was there before", got)
		}
		w.forget("a")
	})
}

// Whoever is gone before its answer comes leaves nothing behind.
func TestAKeyRefusalOfWhoeverIsGone(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		w.warm("k")
		time.Sleep(time.Second)
		answer := make(chan struct{})
		w.dafty("k").onCreate(func(context.Context, string) (*dafty.Job, error) {
			<-answer
			return nil, badKey
		})
		gone := w.tracker("gone", "k")
		a := w.tracker("other", "k").secret
		w.submit(gone, image)
		w.forget("gone")
		close(answer)
		synctest.Wait()
		if n := a.gate.KeyRefusals(&gone.caller); n > 0 {
			t.Errorf("%d refusals of a DaftyJob that is gone are remembered", n)
		}
	})
}
