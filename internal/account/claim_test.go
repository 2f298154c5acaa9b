package account

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// claimed claims a turn for each, and returns the names of those who got one.
func claimed(create dafty.Create, trackers ...*Tracker) (names string) {
	var got []string
	for _, t := range trackers {
		if t.Claim(create, submission(t), false) == nil {
			got = append(got, t.name.Name)
		}
	}
	return strings.Join(got, " ")
}

func until(block *lifecycle.Block) time.Duration {
	if block == nil {
		return 0
	}
	return time.Until(block.Until)
}

// taken returns how many creates of images a minute has had, and uses up the rest of it.
func taken(a *Account) int {
	left := 0
	for {
		_, block, _ := a.gate.Claim(ratelimit.Submission{
			By: &ratelimit.Caller{}, Class: dafty.ClassImageCreate, Key: fmt.Sprint("taken-", left), Urgency: ratelimit.AtOnce,
		})
		if block != nil {
			return DefaultLimits[dafty.ClassImageCreate] - left
		}
		left++
	}
}

func TestBlocksLengthen(t *testing.T) {
	s, m := time.Second, time.Minute
	after := func(kind dafty.Kind, d time.Duration) *dafty.CallError {
		err := refusal(kind)
		err.RetryAfter = d
		return err
	}
	for _, tt := range []struct {
		name  string
		err   *dafty.CallError
		waits []time.Duration
	}{
		{"key rejected", refusal(dafty.KindUnauthorized), []time.Duration{m, 2 * m, 4 * m, 5 * m, 5 * m}},
		{"no credits", refusal(dafty.KindInsufficientCredits), []time.Duration{15 * s, 30 * s, m, 2 * m, 4 * m, 5 * m, 5 * m}},
		{"no subscription", refusal(dafty.KindSubscriptionRequired), []time.Duration{15 * s, 30 * s, m, 2 * m, 4 * m, 5 * m}},
		{"allowance used up", refusal(dafty.KindUsageLimit), []time.Duration{15 * s, 30 * s, m, 2 * m, 4 * m, 5 * m}},
		{"too many in flight", refusal(dafty.KindConcurrency), []time.Duration{5 * s, 10 * s, 20 * s, 40 * s, m, m}},
		{"Dafty out of reach", dialFailure, []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s}},
		{"told to wait", after(dafty.KindUsageLimit, 7*s), []time.Duration{7 * s, 7 * s}},
		{"told to wait long", after(dafty.KindInsufficientCredits, 20*m), []time.Duration{20 * m, 20 * m}},
		{"told to wait for room", after(dafty.KindConcurrency, 90*s), []time.Duration{90 * s, 90 * s}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				w.dafty("k").onCreate(refuses(tt.err))
				if tt.err.Kind == dafty.KindUnauthorized {
					w.submit(w.tracker("prober-0", "k"), image) // once is no verdict
					time.Sleep(secondSubmission)
				}
				for i, want := range tt.waits {
					// Each time another: the last one to be refused lets the others go first.
					prober, next := w.tracker(fmt.Sprint("prober-", i), "k"), w.tracker("next", "k")
					w.submit(prober, image)
					block := next.Claim(image, submission(next), false)
					if block == nil || block.Kind != tt.err.Kind || block.Message != tt.err.Error() || until(block) != want {
						t.Fatalf("refusal %d: held %+v for %v, want %v", i+1, block, until(block), want)
					}
					time.Sleep(want - time.Nanosecond)
					if got := claimed(image, next); got != "" {
						t.Fatalf("refusal %d: a try before its time", i+1)
					}
					time.Sleep(time.Nanosecond)
				}
			})
		})
	}
}

// What a refusal says of others: who waits besides those of the same class.
func TestBlocksByClass(t *testing.T) {
	for _, tt := range []struct {
		kind dafty.Kind
		goes string
	}{
		{dafty.KindUnauthorized, ""},
		{dafty.KindInsufficientCredits, ""},
		{dafty.KindUsageLimit, ""},
		{dafty.KindSubscriptionRequired, "image"},
		{dafty.KindConcurrency, "image"},
		{dafty.KindRateLimit, "image"},
		{dafty.KindInvalid, "image video"},
		{dafty.KindNotFound, "image video"},
		{dafty.KindConflict, "image video"},
		{dafty.KindUnavailable, "image video"}, // with an answer, or after the request was sent
	} {
		t.Run(string(tt.kind), func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				w.dafty("k").onCreate(refuses(refusal(tt.kind)))
				w.submit(w.tracker("first", "k"), video)
				if tt.kind == dafty.KindUnauthorized {
					time.Sleep(secondSubmission) // once is no verdict
					w.submit(w.tracker("first", "k"), video)
				}
				got := strings.TrimSpace(claimed(image, w.tracker("image", "k")) + " " + claimed(video, w.tracker("video", "k")))
				if got != tt.goes {
					t.Errorf("%q may go, want %q", got, tt.goes)
				}
				if claimed(video, w.tracker("other", "other")) == "" {
					t.Error("another key is held too")
				}
			})
		})
	}
}

// blockedEnv has "first" refused, and a, b and c waiting until the block's time is up.
func blockedEnv(w *env, err *dafty.CallError) (a, b, c *Tracker) {
	w.dafty("k").onCreate(refuses(err))
	w.submit(w.tracker("first", "k"), image)
	a, b, c = w.tracker("a", "k"), w.tracker("b", "k"), w.tracker("c", "k")
	if got := claimed(image, a, b, c); got != "" {
		w.t.Fatalf("%s may go", got)
	}
	time.Sleep(time.Until(a.Claim(image, submission(a), false).Until))
	w.woken()
	return a, b, c
}

func TestOneTriesAndTheOthersWait(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  *dafty.CallError
		// then is what becomes of the one that tries.
		then func(w *env, a *Tracker)
		// woken are those that hear of it at once.
		woken string
		// goes are those that may go after.
		goes string
	}{
		{"it is accepted", refusal(dafty.KindInsufficientCredits), func(w *env, a *Tracker) {
			w.dafty("k").onCreate(accepts)
			a.Submit(image, submission(a))
		}, "a b c", "b c"},
		{"it is refused again", refusal(dafty.KindInsufficientCredits), func(_ *env, a *Tracker) {
			a.Submit(image, submission(a))
		}, "a", ""},
		{"it is refused for itself", refusal(dafty.KindInsufficientCredits), func(w *env, a *Tracker) {
			w.dafty("k").onCreate(refuses(refusal(dafty.KindInvalid)))
			a.Submit(image, submission(a))
		}, "a b", "b"},
		{"it is in doubt", refusal(dafty.KindInsufficientCredits), func(w *env, a *Tracker) {
			w.dafty("k").onCreate(refuses(refusal(dafty.KindUnavailable)))
			a.Submit(image, submission(a))
		}, "a b", "b"},
		{"it is deleted", refusal(dafty.KindInsufficientCredits), func(w *env, _ *Tracker) { w.forget("a") }, "b", "b"},
		{"its key changes", refusal(dafty.KindInsufficientCredits), func(_ *env, a *Tracker) { a.SetAPIKey("other") }, "b", "b"},
		{"its Secret goes", refusal(dafty.KindInsufficientCredits), func(_ *env, a *Tracker) { a.SetAPIKey("") }, "b", "b"},
		{"it is suspended and never comes back", refusal(dafty.KindInsufficientCredits), func(*env, *Tracker) {
			time.Sleep(probeTimeout)
		}, "", "b"},
		{"it is deleted on the way", refusal(dafty.KindInsufficientCredits), func(w *env, a *Tracker) {
			w.dafty("k").onCreate(func(ctx context.Context, _ string) (*dafty.Job, error) { <-ctx.Done(); return nil, dialFailure })
			a.Submit(image, submission(a))
			synctest.Wait()
			w.forget("a")
		}, "a b", "b"},

		{"there is room for it", refusal(dafty.KindConcurrency), func(w *env, a *Tracker) {
			w.dafty("k").onCreate(accepts)
			a.Submit(image, submission(a))
		}, "a b", "b"},
		{"there is no room for it", refusal(dafty.KindConcurrency), func(_ *env, a *Tracker) {
			a.Submit(image, submission(a))
		}, "a", ""},
		{"there is no room for it, and a job ends", refusal(dafty.KindConcurrency), func(_ *env, a *Tracker) {
			a.Submit(image, submission(a))
			synctest.Wait()
			a.secret.finished(&a.caller, dafty.ClassImageCreate)
		}, "a b", "b"},
		{"there is no room for it, and a job of another class ends", refusal(dafty.KindConcurrency), func(_ *env, a *Tracker) {
			a.Submit(image, submission(a))
			synctest.Wait()
			a.secret.finished(&a.caller, dafty.ClassVideoCreate)
		}, "a", ""},
		{"it meets something else than room", refusal(dafty.KindConcurrency), func(w *env, a *Tracker) {
			w.dafty("k").onCreate(refuses(refusal(dafty.KindInvalid)))
			a.Submit(image, submission(a))
		}, "a b", "b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				a, b, c := blockedEnv(w, tt.err)
				if got := claimed(image, a, b, c); got != "a" {
					t.Fatalf("%q try, want a alone", got)
				}
				if got := until(b.Claim(image, submission(b), false)); got != probeTimeout {
					t.Errorf("the others are told to come after %v, want %v at the latest", got, probeTimeout)
				}
				tt.then(w, a)
				if got := strings.Join(w.woken(), " "); got != tt.woken {
					t.Errorf("%q are woken, want %q", got, tt.woken)
				}
				if got := claimed(image, b, c); got != tt.goes {
					t.Errorf("%q may go, want %q", got, tt.goes)
				}
			})
		})
	}
}

// With room for one more at a time, all get in one after the other, each woken by the one
// before it.
func TestConcurrencyIsProbedOneByOne(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		a, b, c := blockedEnv(w, refusal(dafty.KindConcurrency))
		w.dafty("k").onCreate(accepts)
		for i, tracker := range []*Tracker{a, b, c} {
			w.submit(tracker, image)
			want := []string{"a b", "b c", "c"}[i]
			if got := strings.Join(w.woken(), " "); got != want {
				t.Fatalf("%q are woken, want %q", got, want)
			}
		}
		if got := claimed(image, w.tracker("d", "k"), w.tracker("e", "k")); got != "d e" {
			t.Errorf("%q may go: the block outlives its queue", got)
		}
	})
}

// Jobs that were on their way when the first was refused are no further tries.
func TestRefusalsAtOnceCountOnce(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.warm("k")
		w.dafty("k").onCreate(func(context.Context, string) (*dafty.Job, error) {
			time.Sleep(time.Second)
			return nil, refusal(dafty.KindInsufficientCredits)
		})
		for i := range 10 {
			w.submit(w.tracker(fmt.Sprint(i), "k"), image)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		next := w.tracker("next", "k")
		if got := until(next.Claim(image, submission(next), false)); got != 15*time.Second {
			t.Errorf("held for %v", got)
		}
	})
}

// A job that is the only one refused, as the plan has no credits for what it costs, lets others go.
func TestTheRefusedLetsOthersTryFirst(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.dafty("k").onCreate(refuses(refusal(dafty.KindInsufficientCredits)))
		dear, cheap := w.tracker("dear", "k"), w.tracker("cheap", "k")
		w.submit(dear, video)
		if claimed(video, dear) != "" || claimed(image, cheap) != "" {
			t.Fatal("nothing is held")
		}
		time.Sleep(15 * time.Second)
		if got := until(dear.Claim(video, submission(dear), false)); got != probeGrace {
			t.Errorf("the refused one is told %v, want %v", got, probeGrace)
		}
		if claimed(image, cheap) == "" {
			t.Error("the other one must wait too")
		}
	})
	t.Run("but not for ever", func(t *testing.T) {
		inEnv(t, func(t *testing.T, w *env) {
			w.dafty("k").onCreate(refuses(refusal(dafty.KindInsufficientCredits)))
			dear, cheap := w.tracker("dear", "k"), w.tracker("cheap", "k")
			w.submit(dear, video)
			_ = claimed(image, cheap)
			time.Sleep(15*time.Second + probeGrace)
			if claimed(video, dear) == "" {
				t.Error("it waits for one that doesn't come")
			}
		})
	})
	t.Run("nor where it is alone", func(t *testing.T) {
		inEnv(t, func(t *testing.T, w *env) {
			w.dafty("k").onCreate(refuses(refusal(dafty.KindInsufficientCredits)))
			dear := w.tracker("dear", "k")
			w.submit(dear, video)
			time.Sleep(15 * time.Second)
			if claimed(video, dear) == "" {
				t.Error("it waits for nobody")
			}
		})
	})
}

func TestRateLimitPausesTheClassForAllOfTheKey(t *testing.T) {
	for _, tt := range []struct {
		retryAfter time.Duration
		want       time.Duration
	}{{0, rateLimitPause}, {42 * time.Second, 42 * time.Second}, {time.Hour, time.Hour}} {
		inEnv(t, func(t *testing.T, w *env) {
			err := refusal(dafty.KindRateLimit)
			err.RetryAfter = tt.retryAfter
			w.dafty("k").onCreate(refuses(err))
			w.submit(w.tracker("first", "k"), image)
			for _, s := range []string{"next", "repeat"} {
				next := w.tracker(s, "k")
				sub := submission(next)
				if s == "repeat" {
					sub = repeated(next)
				}
				if block := next.Claim(image, sub, false); block == nil || block.Kind != dafty.KindRateLimit || until(block) != tt.want {
					t.Errorf("%s: got %+v for %v, want %v", s, block, until(block), tt.want)
				}
			}
			time.Sleep(tt.want)
			if claimed(image, w.tracker("next", "k")) == "" {
				t.Error("not released when its time is up")
			}
		})
	}
}

// A request in doubt must be resolved even where nothing new would be accepted, and before
// anything new.
func TestRepeatsPassBlocks(t *testing.T) {
	inEnvWithLimits(t, Limits{dafty.ClassImageCreate: 2}, func(t *testing.T, w *env) {
		w.dafty("k").onCreate(refuses(refusal(dafty.KindInsufficientCredits)))
		w.submit(w.tracker("first", "k"), image)
		fresh, repeat, another := w.tracker("fresh", "k"), w.tracker("repeat", "k"), w.tracker("another", "k")
		if claimed(image, fresh) != "" || repeat.Claim(image, repeated(repeat), false) != nil {
			t.Error("the repeat is held, or the other isn't")
		}
		if block := another.Claim(image, repeated(another), false); block == nil || block.Kind != dafty.KindRateLimit || until(block) != time.Minute {
			t.Errorf("the repeat goes beyond the rate limit: %+v", block)
		}
	})
}

// A long queue goes out in its order and at the full rate, and each of it is asked to come
// when it is its turn, not each time that it is anybody's.
func TestQueue(t *testing.T) {
	const jobs, limit = 100, 20
	inEnvWithLimits(t, Limits{dafty.ClassImageCreate: limit}, func(t *testing.T, w *env) {
		var (
			mu     sync.Mutex
			order  []string
			claims int
		)
		for i := range jobs {
			tracker := w.tracker(fmt.Sprintf("%03d", i), "k")
			go func() {
				for {
					s := submission(tracker)
					block := tracker.Claim(image, s, false)
					mu.Lock()
					claims++
					if block == nil {
						order = append(order, tracker.name.Name)
					}
					mu.Unlock()
					if block == nil {
						tracker.Submit(image, s)
						return
					}
					w.waits(tracker.name.Name, block)
				}
			}()
			synctest.Wait()
		}
		time.Sleep(jobs / limit * time.Minute)
		calls := w.dafty("k").asked()
		if len(calls) != jobs {
			t.Errorf("%d of %d are out", len(calls), jobs)
		}
		for i := limit; i < len(calls); i++ {
			if calls[i].at-calls[i-limit].at < time.Minute {
				t.Fatalf("%d calls within a minute, the last at %v", limit+1, calls[i].at)
			}
		}
		// All of a minute come at the same moment, in any order.
		for i := 0; i < len(order); i += limit {
			slices.Sort(order[i:min(i+limit, len(order))])
		}
		if !slices.IsSorted(order) {
			t.Errorf("out of order: %v", order)
		}
		if claims > 3*jobs {
			t.Errorf("%d claims for %d jobs", claims, jobs)
		}
		if woken := w.woken(); len(woken) != jobs {
			t.Errorf("%d wake-ups for %d jobs", len(woken), jobs)
		}
	})
}

// Whatever goes on, a key's creates keep its limits as Dafty counts them.
func TestCreatesKeepTheLimit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.IntRange(1, 5).Draw(rt, "limit")
		jobs := rapid.SliceOfN(rapid.IntRange(0, 40), 1, 30).Draw(rt, "start after seconds")
		ways := rapid.SliceOfN(rapid.IntRange(0, 25), 1, 10).Draw(rt, "way in seconds")
		errs := rapid.SliceOfN(rapid.SampledFrom([]*dafty.CallError{
			nil, nil, refusal(dafty.KindRateLimit), refusal(dafty.KindConcurrency), refusal(dafty.KindInsufficientCredits), refusal(dafty.KindUnavailable), dialFailure,
		}), 1, 10).Draw(rt, "answers")
		failure := ""
		inEnvWithLimits(t, Limits{dafty.ClassImageCreate: limit}, func(_ *testing.T, w *env) {
			var (
				mu      sync.Mutex
				counted []time.Time
				n, done int
			)
			w.dafty("k").onCreate(func(context.Context, string) (*dafty.Job, error) {
				mu.Lock()
				way, err := ways[n%len(ways)], errs[n%len(errs)]
				if n++; n > 3*len(jobs) {
					err = nil // It ends.
				}
				mu.Unlock()
				time.Sleep(time.Duration(way) * time.Second)
				mu.Lock()
				counted = append(counted, time.Now())
				mu.Unlock()
				time.Sleep(time.Second)
				if err == nil {
					return job(dafty.Pending), nil
				}
				return nil, err
			})
			for i, after := range jobs {
				go func() {
					time.Sleep(time.Duration(after) * time.Second)
					// DaftyJobs of one name after the other, so that accounts come and go.
					name := fmt.Sprint(i)
					for {
						tracker := w.tracker(name, "k")
						s := submission(tracker)
						if block := tracker.Claim(image, s, false); block != nil {
							time.Sleep(max(time.Second, time.Until(block.Until)))
							continue
						}
						tracker.Submit(image, s)
						time.Sleep(lifecycle.SubmitTimeout)
						accepted := tracker.Known().Submission.Err == nil
						w.forget(name)
						if accepted {
							mu.Lock()
							done++
							mu.Unlock()
							return
						}
					}
				}()
			}
			// Each try can be 5 minutes after the one before.
			time.Sleep(24 * time.Hour)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if done != len(jobs) {
				failure = fmt.Sprintf("%d of %d jobs are stuck", len(jobs)-done, len(jobs))
			}
			for i := limit; i < len(counted); i++ {
				if span := counted[i].Sub(counted[i-limit]); span < time.Minute {
					failure = fmt.Sprintf("%d creates within %v", limit+1, span)
				}
			}
		})
		if failure != "" { // A failure of rapid's can't cross the border of virtual time.
			rt.Fatal(failure)
		}
	})
}

// One that was suspended while it waited doesn't hold up those behind it.
func TestQueueDropsWhoDoesNotCome(t *testing.T) {
	inEnvWithLimits(t, Limits{dafty.ClassImageCreate: 1}, func(t *testing.T, w *env) {
		gone, next := w.tracker("gone", "k"), w.tracker("next", "k")
		w.submit(w.tracker("first", "k"), image)
		if got := until(gone.Claim(image, submission(gone), false)); got != time.Minute {
			t.Fatalf("the first of the queue is told %v", got)
		}
		if got := until(next.Claim(image, submission(next), false)); got != 2*time.Minute {
			t.Fatalf("the second is told %v", got)
		}
		time.Sleep(2 * time.Minute)
		if claimed(image, next) == "" {
			t.Error("it waits for one that doesn't come")
		}
	})
}

// Where most of a queue is deleted, the rest doesn't wait for the time it was told before.
func TestQueueMovesUp(t *testing.T) {
	const limit, deleted, left = 20, 200, 5
	inEnvWithLimits(t, Limits{dafty.ClassImageCreate: limit}, func(t *testing.T, w *env) {
		for i := range limit {
			w.submit(w.tracker(fmt.Sprint("first-", i), "k"), image)
		}
		for i := range deleted {
			_ = claimed(image, w.tracker(fmt.Sprint("deleted-", i), "k"))
		}
		rest := map[string]*Tracker{}
		for i := range left {
			name := fmt.Sprint("left-", i)
			rest[name] = w.tracker(name, "k")
			block := rest[name].Claim(image, submission(rest[name]), false)
			if got := until(block); got < 10*time.Minute || got > 12*time.Minute {
				t.Fatalf("told %v", got)
			}
		}
		w.woken()
		for i := range deleted {
			w.forget(fmt.Sprint("deleted-", i))
		}
		w.dafty("k").asked()
		for range 2 * int(time.Minute/time.Second) {
			// What the reconciler does: come when woken, and when the time is there.
			for _, name := range w.woken() {
				tracker := rest[name]
				if tracker == nil || tracker.Known().Submission != nil {
					continue
				}
				s := submission(tracker)
				if block := tracker.Claim(image, s, false); block == nil {
					tracker.Submit(image, s)
				} else {
					time.AfterFunc(until(block), tracker.Wake)
				}
			}
			time.Sleep(time.Second)
		}
		if got := w.dafty("k").count("create"); got != left {
			t.Errorf("%d of %d are out 2 minutes later", got, left)
		}
	})
}

// One that was deleted while it waited makes room at once.
func TestQueueForgets(t *testing.T) {
	inEnvWithLimits(t, Limits{dafty.ClassImageCreate: 1}, func(t *testing.T, w *env) {
		w.submit(w.tracker("first", "k"), image)
		gone, next := w.tracker("gone", "k"), w.tracker("next", "k")
		if claimed(image, gone, next) != "" {
			t.Fatal("nothing waits")
		}
		w.forget("gone")
		if got := until(next.Claim(image, submission(next), false)); got != time.Minute {
			t.Errorf("the next is told %v", got)
		}
	})
}

// A turn that was taken and isn't used at once, as the write before it failed, stays for the
// next try; later it doesn't let a job pass by what blocks the others.
func TestTurnsThatAreNotUsed(t *testing.T) {
	for _, tt := range []struct {
		name string
		then func(w *env, tracker *Tracker)
		goes bool
		// taken is how many turns of the first key's minute are gone after.
		taken int
	}{
		{"tried again at once", func(*env, *Tracker) {}, true, 1},
		{"tried again soon", func(*env, *Tracker) { time.Sleep(ratelimit.ClaimLife - 1) }, true, 1},
		{"tried again after a while", func(*env, *Tracker) { time.Sleep(ratelimit.ClaimLife) }, true, 2},
		{"suspended, and released while others are held", func(w *env, _ *Tracker) {
			time.Sleep(time.Hour)
			w.dafty("k").onCreate(refuses(refusal(dafty.KindInsufficientCredits)))
			w.submit(w.tracker("other", "k"), image)
		}, false, 1},
		{"the key changed", func(_ *env, tracker *Tracker) { tracker.SetAPIKey("other") }, true, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				tracker := w.tracker("a", "k")
				first := tracker.secret
				w.registry.accounts.retain(first)
				if claimed(image, tracker) == "" {
					t.Fatal("no turn")
				}
				tt.then(w, tracker)
				if goes := claimed(image, tracker) != ""; goes != tt.goes {
					t.Errorf("goes: %t, want %t", goes, tt.goes)
				}
				if got := taken(first); got != tt.taken {
					t.Errorf("%d turns are taken, want %d", got, tt.taken)
				}
				if other := tracker.secret; other != first && taken(other) != 1 {
					t.Error("the other key's turn isn't counted")
				}
			})
		})
	}
}
