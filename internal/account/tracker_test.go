package account

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

func TestSubmissionAnswers(t *testing.T) {
	refused := refusal(dafty.KindInvalid)
	for _, tt := range []struct {
		name   string
		answer func(context.Context, string) (*dafty.Job, error)
		err    *dafty.CallError
	}{
		{"accepted", accepts, nil},
		{"refused", refuses(refused), refused},
		{"any other error", func(context.Context, string) (*dafty.Job, error) { return nil, context.Canceled },
			&dafty.CallError{Kind: dafty.KindUnavailable, Message: context.Canceled.Error()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				w.dafty("k").onCreate(func(ctx context.Context, key string) (*dafty.Job, error) {
					time.Sleep(time.Second)
					if key != "uid-a-1" {
						t.Errorf("sent under the key %q", key)
					}
					return tt.answer(ctx, key)
				})
				tracker := w.tracker("a", "k")
				s := submission(tracker)
				tracker.Submit(image, s)
				synctest.Wait()
				call := tracker.Known().Submission
				if call == nil || call.Done || call.Record.IdempotencyKey != s.IdempotencyKey || !call.Record.SentAt.Equal(s.SentAt) {
					t.Errorf("on its way: %+v", call)
				}
				if woken := w.woken(); len(woken) > 0 {
					t.Errorf("woken before there is news: %v", woken)
				}
				time.Sleep(time.Second)
				if woken := w.woken(); !slices.Equal(woken, []string{"a"}) {
					t.Errorf("woken: %v", woken)
				}
				known := tracker.Known()
				if call = known.Submission; !call.Done || fmt.Sprint(call.Err) != fmt.Sprint(tt.err) || (call.Job == nil) != (tt.err != nil) {
					t.Errorf("got %+v", call)
				}
				if (known.Job == nil) != (tt.err != nil) {
					t.Errorf("known job: %+v", known.Job)
				}
			})
		})
	}
}

func TestSubmissionFailuresAreCounted(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		tracker := w.tracker("a", "k")
		for i, tt := range []struct {
			err  *dafty.CallError
			want int
		}{
			{refusal(dafty.KindUnavailable), 1}, {refusal(dafty.KindConcurrency), 2}, {nil, 0}, {refusal(dafty.KindUnavailable), 1},
		} {
			w.dafty("k").onCreate(refuses(tt.err))
			if tt.err == nil {
				w.dafty("k").onCreate(accepts)
			}
			tracker.Submit(image, submission(tracker))
			synctest.Wait()
			if got := tracker.Known().Submission.Failures; got != tt.want {
				t.Errorf("submission %d: %d failures, want %d", i, got, tt.want)
			}
		}
	})
}

// The deadline is counted from the write-ahead, whatever happened since, with the client that
// the operator uses.
func TestSubmissionDeadline(t *testing.T) {
	for _, tt := range []struct {
		name    string
		written time.Duration // before now
		after   time.Duration
		sent    bool
	}{
		{"at once", 0, 30 * time.Second, true},
		{"after a slow write", 12 * time.Second, 18 * time.Second, true},
		{"just too late", 30 * time.Second, 0, false},
		{"long past", time.Hour, 0, false},
		{"by a clock that was set back since", -time.Hour, 30 * time.Second, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				sent := make(chan struct{}, 1)
				never := doer(func(req *http.Request) (*http.Response, error) {
					sent <- struct{}{}
					httptrace.ContextClientTrace(req.Context()).GotConn(httptrace.GotConnInfo{})
					<-req.Context().Done()
					return nil, req.Context().Err()
				})
				w.registry.config.Client = func(key string) Dafty { return dafty.New("http://127.0.0.1", key, "test", never) }
				tracker, next := w.tracker("a", "k"), w.tracker("next", "k")
				s := submission(tracker)
				s.SentAt = &metav1.Time{Time: time.Now().Add(-tt.written)}
				tracker.Submit(image, s)
				if tt.after > 0 {
					time.Sleep(tt.after - time.Nanosecond)
					synctest.Wait()
					if tracker.Known().Submission.Done {
						t.Error("given up before its time")
					}
					time.Sleep(time.Nanosecond)
				}
				synctest.Wait()
				call := tracker.Known().Submission
				if !call.Done || call.Err == nil || call.Err.Unsent == tt.sent || len(sent) == 1 != tt.sent {
					t.Errorf("got %+v (%+v), sent: %t", call, call.Err, len(sent) == 1)
				}
				if claimed(image, next) == "" {
					t.Error("a submission that was given up holds the others")
				}
			})
		})
	}
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(req *http.Request) (*http.Response, error) { return d(req) }

func TestFollowing(t *testing.T) {
	at := func(what string, seconds ...int) (calls []call) {
		for _, s := range seconds {
			calls = append(calls, call{what, time.Duration(s) * time.Second})
		}
		return calls
	}
	sorted := func(calls ...[]call) []call {
		all := slices.Concat(calls...)
		slices.SortStableFunc(all, func(a, b call) int { return cmp.Compare(a.at, b.at) })
		return all
	}
	for _, tt := range []struct {
		name string
		look func(w *env) func(context.Context, bool) (*dafty.Job, error)
		// listed is the status that the lists have the job under.
		listed dafty.JobStatus
		span   time.Duration
		want   []call
		// woken is how often there is news.
		woken int
	}{
		{
			name: "pending: a held request, and a look at who has begun each 8 s",
			look: func(*env) func(context.Context, bool) (*dafty.Job, error) { return holds(nil) }, listed: dafty.Pending,
			span: 21 * time.Second, want: sorted(at("hold", 0), at("list", 2, 10, 18)),
		},
		{
			name: "an unknown status is news once",
			look: func(*env) func(context.Context, bool) (*dafty.Job, error) { return says("paused") },
			span: 7 * time.Second, want: sorted(at("hold", 0, 5), at("list", 2)), woken: 1,
		},
		{
			name: "processing: held requests, one after the other, and no lists any more",
			look: func(*env) func(context.Context, bool) (*dafty.Job, error) { return holds(nil) }, listed: dafty.Processing,
			span: 111 * time.Second, want: sorted(at("hold", 0, 55, 110), at("list", 2)), woken: 1,
		},
		{
			name: "completed while it is held: told at once, and then no more looks",
			look: func(*env) func(context.Context, bool) (*dafty.Job, error) {
				end := make(chan struct{})
				time.AfterFunc(30*time.Second, func() { close(end) })
				return holds(end)
			}, listed: dafty.Processing,
			span: 5 * time.Minute, want: sorted(at("hold", 0), at("list", 2)), woken: 2,
		},
		{
			name: "a Dafty that doesn't hold: polls, no tight loop",
			look: func(*env) func(context.Context, bool) (*dafty.Job, error) { return says(dafty.Processing) },
			span: 16 * time.Second, want: at("hold", 0, 5, 10, 15), woken: 1,
		},
		{
			name: "a Dafty that holds for a moment only: no more than one each 5 s",
			look: func(*env) func(context.Context, bool) (*dafty.Job, error) {
				return func(ctx context.Context, _ bool) (*dafty.Job, error) {
					pass(ctx, 3*time.Second)
					return job(dafty.Processing), nil
				}
			},
			span: 14 * time.Second, want: sorted(at("hold", 0, 5, 10), at("list", 2)), woken: 1,
		},
		{
			name: "errors: looks further and further apart, a minute at most, and each is news",
			look: func(*env) func(context.Context, bool) (*dafty.Job, error) {
				return fails(&dafty.CallError{Kind: dafty.KindUnavailable})
			},
			span: 190 * time.Second, want: append(at("hold", 0), at("look", 1, 3, 7, 15, 31, 63, 123, 183)...), woken: 9,
		},
		{
			name: "a rejected key: once more within seconds, then each half a minute, then fewer",
			look: func(*env) func(context.Context, bool) (*dafty.Job, error) {
				return fails(&dafty.CallError{Kind: dafty.KindUnauthorized})
			},
			span: 15 * time.Minute, want: append(at("hold", 0), at("look", 3, 33, 93, 213, 453, 753)...), woken: 7,
		},
		{
			name: "Retry-After: no look before its time",
			look: func(*env) func(context.Context, bool) (*dafty.Job, error) {
				return fails(&dafty.CallError{Kind: dafty.KindRateLimit, RetryAfter: 40 * time.Second})
			},
			span: 81 * time.Second, want: append(at("hold", 0), at("look", 40, 80)...), woken: 3,
		},
		{
			name: "trouble that passes: told, and told that it is over",
			look: func(w *env) func(context.Context, bool) (*dafty.Job, error) {
				return func(context.Context, bool) (*dafty.Job, error) {
					if s := time.Since(w.began); s > 4*time.Second && s < 9*time.Second {
						return nil, &dafty.CallError{Kind: dafty.KindUnavailable}
					}
					return job(dafty.Processing), nil
				}
			},
			// Processing; trouble at 5, 6 and 8; over at 12.
			span: 20 * time.Second, want: sorted(at("hold", 0, 5), at("look", 6, 8, 12), at("hold", 12, 17)), woken: 5,
		},
		{
			name: "held requests that a proxy cuts short: looks in between, so that the end is seen",
			look: func(*env) func(context.Context, bool) (*dafty.Job, error) {
				return func(ctx context.Context, wait bool) (*dafty.Job, error) {
					if wait {
						pass(ctx, 30*time.Second)
						return nil, &dafty.CallError{Kind: dafty.KindUnavailable, Status: 504}
					}
					return job(dafty.Processing), nil
				}
			}, listed: dafty.Processing,
			span: 40 * time.Second, want: sorted(at("hold", 0), at("list", 2), at("look", 31), at("hold", 31)), woken: 3,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				w.alone()
				w.dafty("k").onLook(tt.look(w))
				w.dafty("k").lists(tt.listed)
				w.tracker("a", "k").Follow(jobID, dafty.ClassImageCreate)
				time.Sleep(tt.span)
				if got := w.dafty("k").asked(); !slices.Equal(got, tt.want) {
					t.Errorf("got  %v\nwant %v", got, tt.want)
				}
				if got := w.woken(); len(got) != tt.woken {
					t.Errorf("woken %d times, want %d", len(got), tt.woken)
				}
			})
		})
	}
}

func TestFollowingAgainChangesNothing(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.dafty("k").onLook(holds(nil))
		tracker := w.tracker("a", "k")
		for range 10 {
			tracker.Follow(jobID, dafty.ClassImageCreate)
			time.Sleep(time.Second)
		}
		if got := w.dafty("k").count("hold"); got != 1 {
			t.Errorf("%d requests are held", got)
		}
	})
}

// Looks leave a part of the minute to cancels, and wait where it is used up.
func TestLooksKeepTheLimitAndLeaveRoom(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		trackers := make([]*Tracker, 30)
		for i := range trackers {
			trackers[i] = w.tracker(fmt.Sprint(i), "k")
			trackers[i].Follow(jobID, dafty.ClassImageCreate)
		}
		time.Sleep(59 * time.Second)
		if got := len(w.dafty("k").asked()); got < 120-ratelimit.ReservedForLooks || got > 120-ratelimit.ReservedForCancels {
			t.Errorf("%d calls in the first minute", got)
		}
		time.Sleep(2 * time.Minute)
		var last int
		for _, call := range w.dafty("k").asked() {
			if call.at >= 2*time.Minute {
				last++
			}
		}
		if last > 120-ratelimit.ReservedForLooks || last < 100-ratelimit.ReservedForLooks {
			t.Errorf("%d calls in the third minute", last)
		}
		for _, tracker := range trackers[:20] {
			tracker.Cancel(jobID)
		}
		if got := w.dafty("k").count("cancel"); got < ratelimit.ReservedForLooks {
			t.Errorf("%d cancels go at once", got)
		}
		time.Sleep(2 * time.Second)
		if got := w.dafty("k").count("cancel"); got != 20-ratelimit.ReservedForLooks {
			t.Errorf("%d cancels go before other calls", got)
		}
	})
}

func TestTinyLimitsStopNothing(t *testing.T) {
	inEnvWithLimits(t, Limits{dafty.ClassOther: 1, dafty.ClassImageCreate: 0}, func(t *testing.T, w *env) {
		tracker := w.tracker("a", "k")
		w.submit(tracker, image)
		tracker.Follow(jobID, dafty.ClassImageCreate)
		w.dafty("k").asked()
		time.Sleep(3 * time.Minute)
		if got := len(w.dafty("k").asked()); got < 2 || got > 3 {
			t.Errorf("%d calls in 3 minutes", got)
		}
	})
}

// An answer that was on its way when the job ended doesn't bring it back to life.
func TestTheEndIsFinal(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		late := make(chan struct{})
		w.dafty("k").onLook(func(context.Context, bool) (*dafty.Job, error) { <-late; return job(dafty.Processing), nil })
		tracker := w.tracker("a", "k")
		tracker.Follow(jobID, dafty.ClassImageCreate)
		synctest.Wait()
		tracker.Cancel(jobID)
		synctest.Wait()
		if got := tracker.Known().Job.Status; got != dafty.Failed {
			t.Fatalf("after the cancel the job is %s", got)
		}
		w.woken()
		close(late)
		synctest.Wait()
		if got := tracker.Known().Job.Status; got != dafty.Failed {
			t.Errorf("a late answer made it %s", got)
		}
		if woken := w.woken(); len(woken) > 0 {
			t.Error("a late answer is news")
		}
	})
}

func TestCancelInterruptsALongPoll(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		end := make(chan struct{})
		w.dafty("k").onLook(holds(end))
		w.dafty("k").lists(dafty.Processing)
		w.dafty("k").onCancel(func(context.Context) (*dafty.Job, error) {
			time.Sleep(time.Second)
			time.AfterFunc(4*time.Second, func() { close(end) })
			return job(dafty.Processing), nil
		})
		tracker := w.tracker("a", "k")
		tracker.Follow(jobID, dafty.ClassImageCreate)
		time.Sleep(10 * time.Second)
		w.woken()
		tracker.Cancel(jobID)
		tracker.Follow(jobID, dafty.ClassImageCreate)
		tracker.Cancel(jobID) // One at a time.
		time.Sleep(time.Minute)
		s := time.Second
		want := []call{{"hold", 0}, {"list", 2 * s}, {"cancel", 10 * s}, {"look", 11 * s}, {"look", 12 * s}, {"look", 14 * s}, {"look", 18 * s}}
		if got := w.dafty("k").asked(); !slices.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		if got := w.woken(); len(got) != 2 {
			t.Errorf("woken %d times, want for the cancel and the end", len(got))
		}
		call := tracker.Known().Cancel
		if !call.Done || call.Err != nil || call.Failures != 0 || call.At.Round(s) != w.began.Add(11*s) {
			t.Errorf("got %+v", call)
		}
	})
}

// Whatever a cancel meets is kept and counted, and the look after it tells the truth.
func TestCancelAnswers(t *testing.T) {
	for _, kind := range []dafty.Kind{
		dafty.KindNotFound, dafty.KindConflict, dafty.KindUnavailable, dafty.KindUnauthorized, dafty.KindRateLimit, dafty.KindInvalid,
	} {
		t.Run(string(kind), func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				w.dafty("k").onLook(holds(nil))
				w.dafty("k").onCancel(func(context.Context) (*dafty.Job, error) { return nil, refusal(kind) })
				tracker := w.tracker("a", "k")
				tracker.Follow(jobID, dafty.ClassImageCreate)
				time.Sleep(5 * time.Second)
				w.dafty("k").asked()
				for failures := 1; failures <= 3; failures++ {
					w.woken()
					tracker.Cancel(jobID)
					time.Sleep(30 * time.Second)
					call := tracker.Known().Cancel
					if !call.Done || call.Err == nil || call.Err.Kind != kind || call.Failures != failures {
						t.Errorf("cancel %d: got %+v", failures, call)
					}
					if len(w.woken()) == 0 {
						t.Errorf("cancel %d: not woken", failures)
					}
					if w.dafty("k").count("look") == 0 {
						t.Errorf("cancel %d: no look after it", failures)
					}
				}
				w.dafty("k").onCancel(nil)
				tracker.Cancel(jobID)
				synctest.Wait()
				if call := tracker.Known().Cancel; kind != dafty.KindRateLimit && (call.Err != nil || call.Failures != 0) {
					t.Errorf("after it worked: %+v", call)
				}
			})
		})
	}
}

// Who shares a job learns that another had it cancelled, whichever of its namespaces that is in.
func TestACancelOfASharedJob(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		end := make(chan struct{})
		w.dafty("k").onCancel(func(context.Context) (*dafty.Job, error) {
			close(end)
			pass(context.Background(), time.Second)
			return job(dafty.Failed), nil
		})
		w.dafty("k").onLook(func(context.Context, bool) (*dafty.Job, error) {
			select {
			case <-end:
				return job(dafty.Failed), nil
			default:
				return job(dafty.Processing), nil
			}
		})
		one, other := w.tracker("one", "k"), w.tracker("other", "k")
		one.Follow(jobID, dafty.ClassImageCreate)
		other.Follow(jobID, dafty.ClassImageCreate)
		time.Sleep(10 * time.Second)
		if one.Known().CancelledElsewhere || other.Known().CancelledElsewhere {
			t.Error("cancelled before it was")
		}
		one.Cancel(jobID)
		synctest.Wait() // its answer isn't there yet
		if !other.Known().CancelledElsewhere {
			t.Error("the other doesn't know")
		}
		time.Sleep(time.Minute)
		if one.Known().CancelledElsewhere {
			t.Error("its own cancel is another's")
		}
		w.forget("one")
		if !other.Known().CancelledElsewhere {
			t.Error("it is forgotten with who cancelled it")
		}
	})
}

// A cancel that can't have worked isn't remembered, unless one before it may have.
func TestACancelOfASharedJobThatFailed(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  *dafty.CallError
		is   bool
	}{
		{"refused", &dafty.CallError{Kind: dafty.KindUnauthorized, Status: 401}, false},
		{"too late", &dafty.CallError{Kind: dafty.KindConflict, Status: 409}, false},
		{"never sent", dialFailure, false},
		{"no answer", &dafty.CallError{Kind: dafty.KindUnavailable, Message: "no answer"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				w.alone()
				w.dafty("k").onCancel(func(context.Context) (*dafty.Job, error) { return nil, tt.err })
				one, other := w.tracker("one", "k"), w.tracker("other", "k")
				other.Follow(jobID, dafty.ClassImageCreate)
				time.Sleep(10 * time.Second)
				one.Cancel(jobID)
				synctest.Wait()
				if other.Known().CancelledElsewhere != tt.is {
					t.Errorf("cancelled elsewhere: %v", !tt.is)
				}
				w.dafty("k").onCancel(nil)
				one.Cancel(jobID)
				synctest.Wait()
				w.dafty("k").onCancel(func(context.Context) (*dafty.Job, error) { return nil, tt.err })
				one.Cancel(jobID)
				synctest.Wait()
				if !other.Known().CancelledElsewhere {
					t.Error("what failed after it worked takes it back")
				}
			})
		})
	}
}

// An ended job makes room, by whatever call that is learnt.
func TestTheEndMakesRoom(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(w *env, tracker *Tracker)
	}{
		{"by a look", func(w *env, _ *Tracker) { w.dafty("k").onLook(says(dafty.Completed)) }},
		{"by a cancel", func(_ *env, tracker *Tracker) { tracker.Cancel(jobID) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				runs, waits := w.tracker("runs", "k"), w.tracker("waits", "k")
				w.submit(runs, image)
				runs.Follow(jobID, dafty.ClassImageCreate)
				w.dafty("k").onCreate(refuses(refusal(dafty.KindConcurrency)))
				w.submit(waits, image)
				if claimed(image, waits) != "" {
					t.Fatal("not held")
				}
				w.woken()
				tt.end(w, runs)
				time.Sleep(6 * time.Second) // less than until it would be tried anyway
				if got := w.woken(); !slices.Contains(got, "waits") {
					t.Errorf("woken: %v", got)
				}
				if claimed(image, waits) == "" {
					t.Error("still held")
				}
			})
		})
	}
}

func TestARotatedKeyFollowsOn(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.dafty("old").onLook(fails(&dafty.CallError{Kind: dafty.KindUnauthorized}))
		tracker := w.tracker("a", "old")
		tracker.Follow(jobID, dafty.ClassImageCreate)
		settle()
		if trouble := tracker.Known().Trouble; trouble == nil || trouble.Credentials != Hash("uid-a", "old") {
			t.Fatalf("got %+v", trouble)
		}
		tracker.SetAPIKey("new")
		if known := tracker.Known(); known.Trouble != nil || known.Credentials.Secret != Hash("uid-a", "new") {
			t.Errorf("the old key's trouble stays: %+v", known)
		}
		w.dafty("old").asked()
		tracker.Follow(jobID, dafty.ClassImageCreate)
		time.Sleep(time.Hour)
		if got := w.dafty("old").asked(); len(got) > 0 {
			t.Errorf("the old key is used on: %v", got)
		}
		if got := len(w.dafty("new").asked()); got == 0 {
			t.Error("the new key isn't used")
		}
		if held := tracker.Known().Credentials.LastUsed; held != Hash("uid-a", "new") {
			t.Error("the new key isn't kept")
		}
	})
}

// The answer to the old key's look, when it comes after the change, says nothing of the new.
func TestALateAnswerToTheOldKey(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		late := make(chan struct{})
		w.dafty("old").onLook(func(context.Context, bool) (*dafty.Job, error) {
			<-late
			return nil, &dafty.CallError{Kind: dafty.KindUnauthorized}
		})
		tracker := w.tracker("a", "old")
		tracker.Follow(jobID, dafty.ClassImageCreate)
		settle()
		tracker.SetAPIKey("new")
		tracker.Follow(jobID, dafty.ClassImageCreate)
		settle()
		close(late)
		settle()
		if known := tracker.Known(); known.Trouble != nil || known.Job == nil {
			t.Errorf("got %+v", known)
		}
	})
}

// good has a job under the key "good", which is the last one that worked.
func good(w *env) *Tracker {
	tracker := w.tracker("a", "good")
	w.submit(tracker, image)
	tracker.Follow(jobID, dafty.ClassImageCreate)
	time.Sleep(3 * time.Second)
	w.dafty("good").asked()
	return tracker
}

// drive does what the reconciler does while a job is to be cancelled, on each wake-up.
func drive(w *env, tracker *Tracker, span time.Duration) {
	for end := time.Now().Add(span); time.Now().Before(end); {
		call := tracker.Known().Cancel
		if call == nil || call.Done && call.Err != nil && time.Since(call.At) > 10*time.Second {
			tracker.Cancel(jobID)
		}
		tracker.Follow(jobID, dafty.ClassImageCreate)
		synctest.Wait()
		if len(w.woken()) == 0 {
			time.Sleep(time.Second)
		}
		if job := tracker.Known().Job; job != nil && ended(job) {
			return
		}
	}
}

func TestCancelsUseTheLastGoodKey(t *testing.T) {
	for _, tt := range []struct {
		name string
		// answers are those of the key that the Secret holds now, if it holds one.
		key string
		err *dafty.CallError
	}{
		{"where the Secret is gone", "", nil},
		{"where its key is rejected", "bad", &dafty.CallError{Kind: dafty.KindUnauthorized}},
		{"where its key is another account's", "bad", &dafty.CallError{Kind: dafty.KindNotFound}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				tracker := good(w)
				w.dafty("bad").onLook(fails(tt.err))
				w.dafty("bad").onCancel(func(context.Context) (*dafty.Job, error) { return nil, tt.err })
				tracker.SetAPIKey(tt.key)
				if held := tracker.Known().Credentials.LastUsed; held != Hash("uid-a", "good") {
					t.Fatal("the last good key isn't kept")
				}
				drive(w, tracker, time.Minute)
				if got := tracker.Known().Job; got == nil || got.Status != dafty.Failed {
					t.Errorf("not cancelled: %+v", got)
				}
				if got := w.dafty("good").count("cancel"); got != 1 {
					t.Errorf("%d cancels with the last good key", got)
				}
				// One try of each kind, and what confirms it.
				if got := w.dafty("bad").asked(); len(got) > 4 {
					t.Errorf("the bad key is tried on: %v", got)
				}
			})
		})
	}
	t.Run("but not without a cancel", func(t *testing.T) {
		inEnv(t, func(t *testing.T, w *env) {
			tracker := good(w)
			w.dafty("bad").onLook(fails(&dafty.CallError{Kind: dafty.KindUnauthorized}))
			tracker.SetAPIKey("bad")
			for range 60 {
				tracker.Follow(jobID, dafty.ClassImageCreate)
				time.Sleep(time.Second)
			}
			if got := w.dafty("good").asked(); len(got) > 0 {
				t.Errorf("the key that was taken out of the Secret is used on: %v", got)
			}
		})
	})
	t.Run("with both rejected, at a walking pace", func(t *testing.T) {
		inEnv(t, func(t *testing.T, w *env) {
			tracker := good(w)
			rejected := &dafty.CallError{Kind: dafty.KindUnauthorized}
			for _, key := range []string{"good", "bad"} {
				w.dafty(key).onLook(fails(rejected))
				w.dafty(key).onCancel(func(context.Context) (*dafty.Job, error) { return nil, rejected })
			}
			tracker.SetAPIKey("bad")
			drive(w, tracker, 5*time.Minute)
			for _, key := range []string{"good", "bad"} {
				if got := len(w.dafty(key).asked()); got < 2 || got > 60 {
					t.Errorf("%d calls with the key %q in 5 minutes", got, key)
				}
			}
		})
	})
}

// A process that has just begun knows a key only from the Secret, when that goes.
func TestTheSecretGoesBeforeItsKeyWasUsed(t *testing.T) {
	t.Run("the job is cancelled with it", func(t *testing.T) {
		inEnv(t, func(t *testing.T, w *env) {
			w.alone()
			tracker := w.tracker("a", "k")
			tracker.SetAPIKey("")
			if got := tracker.Known().Credentials; got.Secret != "" || got.LastUsed != Hash("uid-a", "k") || !got.LastUsedUnverified {
				t.Fatalf("known: %+v", got)
			}
			tracker.Cancel(jobID)
			if got := w.dafty("k").count("cancel"); got != 1 {
				t.Errorf("%d cancels", got)
			}
			if tracker.Known().Credentials.LastUsedUnverified {
				t.Error("it isn't known that Dafty took the key")
			}
		})
	})
	t.Run("a request in doubt is repeated with it", func(t *testing.T) {
		inEnv(t, func(t *testing.T, w *env) {
			w.alone()
			tracker := w.tracker("a", "k")
			repeat := repeated(tracker)
			tracker.SetAPIKey("another")
			if block := tracker.Claim(image, repeat, false); block != nil {
				t.Fatalf("held: %+v", block)
			}
			tracker.Submit(image, repeat)
			if got := w.dafty("k").count("create"); got != 1 {
				t.Errorf("%d repeats", got)
			}
		})
	})
	t.Run("a list shows that it is the job's", func(t *testing.T) {
		inEnv(t, func(t *testing.T, w *env) {
			w.alone()
			w.dafty("k").onLook(holds(nil))
			w.dafty("k").lists(dafty.Processing)
			tracker := w.tracker("a", "k")
			tracker.Follow(jobID, dafty.ClassImageCreate)
			time.Sleep(10 * time.Second)
			if tracker.Known().Job == nil {
				t.Fatal("no list was read")
			}
			tracker.SetAPIKey("")
			if got := tracker.Known().Credentials; got.LastUsed != Hash("uid-a", "k") || got.LastUsedUnverified {
				t.Errorf("known: %+v", got)
			}
		})
	})
	t.Run("what the Secret had last is kept beside what worked before", func(t *testing.T) {
		inEnv(t, func(t *testing.T, w *env) {
			tracker := good(w)
			revoked := &dafty.CallError{Kind: dafty.KindUnauthorized}
			w.dafty("good").onLook(fails(revoked))
			w.dafty("good").onCancel(func(context.Context) (*dafty.Job, error) { return nil, revoked })
			tracker.SetAPIKey("new")
			tracker.SetAPIKey("")
			drive(w, tracker, time.Minute)
			if got := w.dafty("new").count("cancel"); got != 1 {
				t.Errorf("%d cancels with the key that was there last", got)
			}
			if got := tracker.Known(); got.Job == nil || got.Job.Status != dafty.Failed || got.Credentials.LastUsed != Hash("uid-a", "new") {
				t.Errorf("known: %+v", got)
			}
			w.forget("a")
		})
	})
	t.Run("one that was rejected isn't kept", func(t *testing.T) {
		inEnv(t, func(t *testing.T, w *env) {
			w.alone()
			w.dafty("bad").onLook(fails(&dafty.CallError{Kind: dafty.KindUnauthorized}))
			tracker := w.tracker("a", "bad")
			tracker.Follow(jobID, dafty.ClassImageCreate)
			time.Sleep(secondLook) // once is no verdict
			settle()
			tracker.SetAPIKey("")
			if got := tracker.Known().Credentials.LastUsed; got != "" {
				t.Errorf("held: %s", got)
			}
		})
	})
}

// A request in doubt is repeated with the key that it was sent with, as long as that is known.
func TestRepeatsUseTheKeyTheyWereSentWith(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.dafty("old").onCreate(refuses(refusal(dafty.KindUnavailable)))
		tracker := w.tracker("a", "old")
		s := submission(tracker)
		w.submit(tracker, image)
		for _, key := range []string{"new", ""} {
			tracker.SetAPIKey(key)
			repeat := repeated(tracker)
			repeat.CredentialsHash = s.CredentialsHash
			w.dafty("old").asked()
			if block := tracker.Claim(image, repeat, false); block != nil {
				t.Fatalf("held: %+v", block)
			}
			tracker.Submit(image, repeat)
			if got := w.dafty("old").count("create"); got != 1 {
				t.Errorf("with %q in the Secret: %d creates with the old key", key, got)
			}
			if got := w.dafty("new").count("create"); got != 0 {
				t.Error("repeated with another key")
			}
		}
		unknown := submission(tracker)
		unknown.CredentialsHash = "0badc0de"
		for _, key := range []string{"", "new"} {
			tracker.SetAPIKey(key)
			tracker.Submit(image, unknown)
			if got := append(w.dafty("old").asked(), w.dafty("new").asked()...); len(got) > 0 {
				t.Errorf("with %q in the Secret: sent with a key that it wasn't made for: %v", key, got)
			}
		}
	})
}

// What status has of an API key tells it from another key of the same object and nothing else.
// It outlives the process: another version must find the same.
func TestHash(t *testing.T) {
	for _, tt := range []struct{ uid, key, want string }{
		{"8c5f1f0e-0000-4000-8000-000000000001", "dk_live_1", "f494c455"},
		{"8c5f1f0e-0000-4000-8000-000000000001", "dk_live_2", "e0cf1d98"},
		{"8c5f1f0e-0000-4000-8000-000000000002", "dk_live_1", "35f34255"}, // equal keys of two objects don't look equal
	} {
		if got := Hash(types.UID(tt.uid), tt.key); got != tt.want {
			t.Errorf("%s, %s: %s, want %s", tt.uid, tt.key, got, tt.want)
		}
	}
}

// A 429 that a look meets stops every look and cancel of the key, and a Retry-After of another
// failure the job that met it.
func TestRetryAfterOfALook(t *testing.T) {
	for _, tt := range []struct {
		name        string
		err         *dafty.CallError
		own, others time.Duration
	}{
		{"rate limit", &dafty.CallError{Kind: dafty.KindRateLimit, Status: 429, RetryAfter: 42 * time.Second}, 42 * time.Second, 42 * time.Second},
		{"rate limit without a time", &dafty.CallError{Kind: dafty.KindRateLimit, Status: 429}, rateLimitPause, rateLimitPause},
		{"unavailable", &dafty.CallError{Kind: dafty.KindUnavailable, Status: 503, RetryAfter: 42 * time.Second}, 42 * time.Second, 0},
	} {
		for who, next := range map[string]struct {
			want time.Duration
			call func(w *env)
		}{
			"its own":  {tt.own, func(*env) {}},
			"another":  {tt.others, func(w *env) { w.forget("a"); w.tracker("b", "k").Follow(jobID, dafty.ClassImageCreate) }},
			"a cancel": {tt.others, func(w *env) { w.forget("a"); w.tracker("b", "k").Cancel(jobID) }},
		} {
			t.Run(tt.name+"/"+who, func(t *testing.T) {
				inEnv(t, func(t *testing.T, w *env) {
					w.dafty("k").onLook(fails(tt.err))
					w.tracker("a", "k").Follow(jobID, dafty.ClassImageCreate)
					settle()
					if got := w.dafty("k").asked(); len(got) != 1 {
						t.Fatalf("asked: %v", got)
					}
					next.call(w)
					time.Sleep(2 * time.Minute)
					if got := w.dafty("k").asked(); len(got) == 0 || got[0].at != next.want {
						t.Errorf("the next calls: %v, want the first after %v", got, next.want)
					}
				})
			})
		}
	}
}

func TestForgetStopsAllAndDropsTheAccount(t *testing.T) {
	for _, tt := range []struct {
		name  string
		begin func(w *env, tracker *Tracker)
	}{
		{"that does nothing", func(*env, *Tracker) {}},
		{"that waits for its turn", func(w *env, tracker *Tracker) {
			for range 20 {
				w.submit(w.tracker("other", "k"), image)
			}
			w.forget("other")
			if claimed(image, tracker) != "" {
				w.t.Error("it doesn't wait")
			}
		}},
		{"that submits", func(w *env, tracker *Tracker) {
			w.dafty("k").onCreate(func(ctx context.Context, _ string) (*dafty.Job, error) { <-ctx.Done(); return nil, ctx.Err() })
			w.submit(tracker, image)
		}},
		{"that waits between two looks", func(_ *env, tracker *Tracker) { tracker.Follow(jobID, dafty.ClassImageCreate) }},
		{"that holds a look", func(w *env, tracker *Tracker) {
			w.dafty("k").onLook(holds(nil))
			tracker.Follow(jobID, dafty.ClassImageCreate)
		}},
		{"that cancels", func(w *env, tracker *Tracker) {
			w.dafty("k").onCancel(func(ctx context.Context) (*dafty.Job, error) { <-ctx.Done(); return nil, ctx.Err() })
			tracker.Cancel(jobID)
			tracker.Follow(jobID, dafty.ClassImageCreate)
		}},
		{"whose key changed on the way", func(w *env, tracker *Tracker) {
			w.dafty("k").onLook(holds(nil))
			tracker.Follow(jobID, dafty.ClassImageCreate)
			synctest.Wait()
			tracker.SetAPIKey("other")
			tracker.Follow(jobID, dafty.ClassImageCreate)
			synctest.Wait()
			tracker.SetAPIKey("")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				tracker := w.tracker("a", "k")
				tt.begin(w, tracker)
				time.Sleep(5 * time.Second)
				w.forget("a")
				synctest.Wait()
				asked := w.dafty("k").asked()
				w.woken()
				time.Sleep(2 * time.Minute)
				if n := w.accounts(); n != 0 {
					t.Errorf("%d accounts are left", n)
				}
				// Nobody who still has the tracker can bring it back to life.
				tracker.SetAPIKey("k")
				s := submission(tracker)
				_ = tracker.Claim(image, s, false)
				tracker.Submit(image, s)
				tracker.Follow(jobID, dafty.ClassImageCreate)
				tracker.Cancel(jobID)
				time.Sleep(time.Hour)
				if got := w.dafty("k").asked(); len(got) > 0 {
					t.Errorf("calls after it was forgotten: %v (before: %v)", got, asked)
				}
				if got := w.woken(); len(got) > 0 {
					t.Errorf("woken after it was forgotten: %v", got)
				}
				w.stop = func() {} // The goroutines must have ended by themselves.
			})
		})
	}
}

// What a key has used of its minute counts for the DaftyJobs that come after, too.
func TestAnUnusedAccountIsRememberedForAsLongAsItMatters(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		for i := range 20 {
			name := fmt.Sprint(i)
			w.submit(w.tracker(name, "k"), image)
			w.forget(name)
		}
		next := w.tracker("next", "k")
		if got := until(next.Claim(image, submission(next), false)); got != time.Minute {
			t.Errorf("the next may go after %v", got)
		}
		w.forget("next")
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := w.accounts(); n != 0 {
			t.Errorf("%d accounts are left after that", n)
		}
	})
}

func TestAnotherObjectOfTheSameName(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.dafty("k").onLook(holds(nil))
		first := good2(w)
		second := w.registry.Tracker(types.NamespacedName{Namespace: "ns", Name: "a"}, "another-uid", time.Time{})
		if second == first {
			t.Fatal("it gets the tracker of the one before")
		}
		if known := second.Known(); known.Job != nil || known.Submission != nil || known.Credentials != (lifecycle.Credentials{}) {
			t.Errorf("it knows of the one before: %+v", known)
		}
		synctest.Wait()
		w.dafty("k").asked()
		time.Sleep(time.Hour)
		if got := w.dafty("k").asked(); len(got) > 0 {
			t.Errorf("the one before is followed on: %v", got)
		}
		again := w.registry.Tracker(types.NamespacedName{Namespace: "ns", Name: "a"}, "another-uid", time.Time{})
		if again != second {
			t.Error("it gets a new tracker each time")
		}
	})
}

func good2(w *env) *Tracker {
	tracker := w.tracker("a", "k")
	w.submit(tracker, image)
	tracker.Follow(jobID, dafty.ClassImageCreate)
	time.Sleep(5 * time.Second)
	return tracker
}

func TestTheEndOfTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		f := &fakeDafty{began: time.Now(), look: holds(nil)}
		r := NewRegistry(ctx, Config{Client: func(string) Dafty { return f }, Wake: func(types.NamespacedName) {}})
		for i := range 200 {
			tracker := r.Tracker(types.NamespacedName{Name: fmt.Sprint(i)}, "uid", time.Time{})
			tracker.SetAPIKey("k")
			tracker.Follow(jobID, dafty.ClassImageCreate)
		}
		time.Sleep(30 * time.Second)
		stop() // synctest fails where a goroutine stays.
	})
}

// Reconciles, answers and deletions of many DaftyJobs at once. The race detector and
// synctest's watch for deadlocks are the judges.
func TestEverythingAtOnce(t *testing.T) {
	inEnv(t, func(_ *testing.T, w *env) {
		keys := []string{"k1", "k2", ""}
		for _, key := range keys {
			n := 0
			w.dafty(key).onCreate(func(ctx context.Context, _ string) (*dafty.Job, error) {
				w.mu.Lock()
				n++
				kinds := []dafty.Kind{"", dafty.KindConcurrency, dafty.KindInsufficientCredits, dafty.KindUnavailable, dafty.KindRateLimit}
				kind := kinds[n%len(kinds)]
				w.mu.Unlock()
				pass(ctx, time.Second)
				if kind == "" {
					return job(dafty.Processing), nil
				}
				return nil, refusal(kind)
			})
			w.dafty(key).onLook(holds(nil))
		}
		for i := range 40 {
			go func() {
				name := fmt.Sprint(i % 20) // Two goroutines each: a reconcile and a deletion, say.
				for round := range 60 {
					tracker := w.tracker(name, keys[(i+round/10)%len(keys)])
					create := []dafty.Create{image, video, style}[i%3]
					s := submission(tracker)
					if tracker.Claim(create, s, false) == nil {
						tracker.Submit(create, s)
					}
					tracker.Follow(jobID, create.Class())
					if round%7 == 0 {
						tracker.Cancel(jobID)
					}
					tracker.Known()
					time.Sleep(time.Duration(1+(i*round)%5) * time.Second)
					if round%11 == 0 {
						w.forget(name)
					}
				}
				w.forget(name)
			}()
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if n := w.accounts(); n != 0 {
			w.t.Errorf("%d accounts are left", n)
		}
	})
}

func TestKeyIsNotPrinted(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		const key = "dk_live_0a1b2c3d4e5f"
		tracker := w.tracker("a", key)
		w.submit(tracker, image)
		for _, value := range []any{tracker, tracker.secret, w.registry, tracker.Known(), w.registry.accounts, &w.registry.accounts.byID} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
				if text := fmt.Sprintf(verb, value); strings.Contains(text, key) || strings.Contains(text, fmt.Sprintf("%x", key)) {
					t.Errorf("%s of %T shows the key: %s", verb, value, text)
				}
			}
		}
	})
}
