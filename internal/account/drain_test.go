package account

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// drain begins to drain, and returns how many answers are missing in the end, once that is known.
func (w *env) drain(atMost time.Duration) (left <-chan int) {
	result := make(chan int, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), atMost)
		defer cancel()
		result <- w.registry.Drain(ctx)
	}()
	synctest.Wait()
	return result
}

// begin submits as the reconciler does.
func (w *env) begin(t *Tracker, create dafty.Create) {
	w.t.Helper()
	if !t.TryBegin() {
		w.t.Fatal("it may not begin")
	}
	w.submit(t, create)
}

func drained(left <-chan int) bool {
	synctest.Wait()
	return len(left) == 1
}

func TestDrainWaitsForTheAnswerAndItsRecord(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.dafty("k").onCreate(func(ctx context.Context, _ string) (*dafty.Job, error) {
			pass(ctx, 20*time.Second)
			return job(dafty.Pending), ctx.Err()
		})
		tracker := w.tracker("a", "k")
		w.begin(tracker, image)
		before := tracker.Known()

		left := w.drain(time.Minute)
		tracker.AckPersisted(before) // by a reconcile that knew nothing of the answer
		time.Sleep(19 * time.Second)
		if drained(left) {
			t.Fatal("a create that is on its way isn't waited for")
		}
		time.Sleep(time.Second)
		if woken := w.woken(); !slices.Equal(woken, []string{"a"}) {
			t.Errorf("woken to write the answer: %v", woken)
		}
		if known := tracker.Known(); known.Job == nil {
			t.Errorf("the answer is lost: %+v", known.Submission)
		}
		if drained(left) {
			t.Fatal("an answer that isn't in status isn't waited for")
		}
		tracker.AckPersisted(tracker.Known())
		if !drained(left) || <-left != 0 {
			t.Error("all is in status, and something is waited for")
		}
	})
}

func TestDrainWaitsForWhatIsAboutToBeSent(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		tracker := w.tracker("a", "k")
		if !tracker.TryBegin() {
			t.Fatal("it may not begin")
		}
		left := w.drain(time.Minute)
		if drained(left) {
			t.Fatal("a submission is about to be written down, and isn't waited for")
		}
		w.submit(tracker, image)
		if calls := w.dafty("k").asked(); len(calls) != 1 || drained(left) {
			t.Errorf("what is on record is sent: %v", calls)
		}
		tracker.AckPersisted(tracker.Known())
		if !drained(left) {
			t.Error("all is in status, and something is waited for")
		}
	})
}

func TestDrainBeginsNothingAndGivesUpWhatIsHeld(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		end := make(chan struct{})
		defer close(end)
		released := make(chan time.Time, 1)
		look := holds(end)
		w.dafty("k").onLook(func(ctx context.Context, wait bool) (*dafty.Job, error) {
			job, err := look(ctx, wait)
			if wait && ctx.Err() != nil {
				released <- time.Now()
			}
			return job, err
		})
		followed, other := w.tracker("followed", "k"), w.tracker("other", "k")
		followed.Follow(jobID, dafty.ClassImageCreate)
		settle()
		if calls := w.dafty("k").asked(); !slices.ContainsFunc(calls, func(c call) bool { return c.what == "hold" }) {
			t.Fatalf("nothing is held: %v", calls)
		}

		began := time.Now()
		if left := w.drain(time.Minute); !drained(left) || <-left != 0 {
			t.Error("a look is waited for")
		}
		if at := <-released; !at.Equal(began) {
			t.Errorf("the held look was given up after %s", at.Sub(began))
		}
		if other.TryBegin() {
			t.Error("a submission begins")
		}
		other.Follow(jobID, dafty.ClassImageCreate)
		other.Cancel(jobID)
		other.LookForThumbnail(jobID)
		other.Upload(lifecycle.File{Name: "logo.png", MediaType: "image/png", Content: []byte("x"), Digest: "d"})
		time.Sleep(10 * time.Minute)
		if calls := w.dafty("k").asked(); len(calls) > 0 {
			t.Errorf("it begins %v", calls)
		}
	})
}

// An upload that is given up with the process hasn't failed, and one that ends in time has succeeded.
func TestDrainAndUploads(t *testing.T) {
	for name, heeds := range map[string]bool{"given up": true, "ended in time": false} {
		t.Run(name, func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				w.dafty("k").onUpload(func(ctx context.Context, step string) error {
					if step != "complete" {
						return nil
					}
					time.Sleep(time.Second)
					if heeds && ctx.Err() != nil {
						return &dafty.CallError{Kind: dafty.KindUnavailable, Message: "the call was given up"}
					}
					return nil
				})
				tracker := w.tracker("a", "k")
				tracker.Upload(file("logo"))
				synctest.Wait()
				left := w.drain(time.Minute)
				time.Sleep(2 * time.Second)
				if !drained(left) || <-left != 0 {
					t.Error("it is waited for")
				}
				known, woken := uploaded(tracker, "logo"), w.woken()
				if heeds && (known.Done || known.Err != nil || len(woken) > 0) {
					t.Errorf("told of a failure: %+v, woken %v", known, woken)
				}
				if !heeds && (known.ID == "" || len(woken) != 1) {
					t.Errorf("not told of its end: %+v, woken %v", known, woken)
				}
			})
		})
	}
}

// What takes several looks or steps is given up between them.
func TestDrainGivesUpWhatGoesOn(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		w.dafty("k").onLook(func(context.Context, bool) (*dafty.Job, error) { return job(dafty.Completed), nil })
		w.dafty("k").onUpload(func(ctx context.Context, _ string) error { pass(ctx, time.Second); return ctx.Err() })
		film, still := w.tracker("film", "k"), w.tracker("still", "k")
		film.LookForThumbnail(jobID)
		still.Upload(file("logo"))
		synctest.Wait()
		if calls := steps(w.dafty("k")); calls != "reserve" {
			t.Fatalf("before: %s", calls)
		}
		if left := w.drain(time.Minute); !drained(left) || <-left != 0 {
			t.Error("a look for a thumbnail or an upload is waited for")
		}
		time.Sleep(10 * time.Minute)
		if calls := steps(w.dafty("k")); calls != "" {
			t.Errorf("it goes on: %s", calls)
		}
	})
}

// An answer that waits for something, as a turn for the request that would follow at once, is written down at the end.
func TestDrainWakesWhoHasAnAnswer(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.dafty("k").onCreate(refuses(refusal(dafty.KindInsufficientCredits)))
		tracker := w.tracker("a", "k")
		w.begin(tracker, image)
		w.woken()
		left := w.drain(time.Minute)
		if woken := w.woken(); !slices.Equal(woken, []string{"a"}) || drained(left) {
			t.Errorf("woken: %v", woken)
		}
		tracker.AckPersisted(tracker.Known())
		if !drained(left) {
			t.Error("it is in status, and waited for")
		}
	})
}

// A submission that can't be sent any more is owed by nobody, and one whose DaftyJob is gone begins none.
func TestDrainOfWhatCannotBeSent(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		tracker := w.tracker("a", "k")
		s := submission(tracker)
		s.CredentialsHash = "0badc0de" // of a key that isn't at hand any more
		if !tracker.TryBegin() {
			t.Fatal("it may not begin")
		}
		tracker.Submit(image, s)
		gone := w.tracker("gone", "k")
		w.forget("gone")
		if gone.TryBegin() {
			t.Error("one that is gone begins a submission")
		}
		if left := w.drain(time.Minute); !drained(left) || <-left != 0 {
			t.Error("it is waited for")
		}
	})
}

func TestDrainAndCancels(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		w.dafty("k").onCancel(func(ctx context.Context) (*dafty.Job, error) {
			pass(ctx, 5*time.Second)
			return job(dafty.Failed), ctx.Err()
		})
		sent, waits := w.tracker("sent", "k"), w.tracker("waits", "k")
		sent.Cancel(jobID)
		synctest.Wait()
		a := w.registry.accounts.acquire("k")
		w.take(a, DefaultLimits[dafty.ClassOther]-1) // all but that of the cancel
		w.registry.accounts.release(a)
		waits.Cancel(jobID)
		synctest.Wait()

		left := w.drain(time.Minute)
		sent.AckPersisted(sent.Known()) // by a reconcile that knew nothing of the answer
		time.Sleep(5 * time.Second)
		if drained(left) {
			t.Fatal("a cancel that is on its way isn't waited for")
		}
		if drained(left) {
			t.Fatal("the answer to a cancel that isn't in status isn't waited for")
		}
		if known := sent.Known(); !known.Cancel.Done || known.Job == nil {
			t.Errorf("the answer to the cancel is lost: %+v", known.Cancel)
		}
		sent.AckPersisted(sent.Known())
		if !drained(left) || <-left != 0 {
			t.Error("a cancel that waits for its turn is waited for")
		}
		if n := w.dafty("k").count("cancel"); n != 1 {
			t.Errorf("%d cancels were sent, want the first alone", n)
		}
	})
}

func TestDrainEndsInAnyCase(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		w.warm("k")
		w.dafty("k").onCreate(func(ctx context.Context, _ string) (*dafty.Job, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		stuck, gone := w.tracker("stuck", "k"), w.tracker("gone", "k")
		w.begin(stuck, image)
		w.begin(gone, image)
		left := w.drain(10 * time.Second)
		w.forget("gone")
		time.Sleep(10 * time.Second)
		if !drained(left) || <-left != 1 {
			t.Error("it must end, and tell of the one answer that is missing")
		}
	})
}
