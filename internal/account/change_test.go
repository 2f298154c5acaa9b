package account

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/internal/dafty"
)

// made returns the tracker of a DaftyJob that was created just now.
func (w *env) made(name, key string) *Tracker {
	t := w.registry.Tracker(types.NamespacedName{Namespace: "ns", Name: name}, types.UID("uid-"+name), time.Now())
	t.SetAPIKey(key)
	t.SetSecretVersion("1")
	t.SetVersion("1")
	return t
}

// refusedUntil has creates refused until enough is true.
func refusedUntil(enough *bool, kind dafty.Kind) func(context.Context, string) (*dafty.Job, error) {
	return func(ctx context.Context, _ string) (*dafty.Job, error) {
		pass(ctx, 500*time.Millisecond)
		if *enough {
			return job(dafty.Pending), nil
		}
		return nil, refusal(kind)
	}
}

// mendedKinds are what a person mends, and nothing tells of.
var mendedKinds = []dafty.Kind{dafty.KindInsufficientCredits, dafty.KindSubscriptionRequired, dafty.KindUsageLimit}

// What a person does after they have mended the account has the DaftyJob that it is about ask at once, and if it is accepted,
// the others follow.
func TestAChangeAsksAtOnce(t *testing.T) {
	for name, change := range map[string]func(w *env, waiting *Tracker) *Tracker{
		"a new DaftyJob": func(w *env, _ *Tracker) *Tracker { return w.made("new", "k") },
		"a waiting one is touched": func(_ *env, waiting *Tracker) *Tracker {
			waiting.SetVersion("2")
			return waiting
		},
		"the Secret is touched": func(_ *env, waiting *Tracker) *Tracker {
			waiting.SetSecretVersion("2")
			return waiting
		},
	} {
		for _, kind := range mendedKinds {
			t.Run(name+", "+string(kind), func(t *testing.T) {
				inEnv(t, func(t *testing.T, w *env) {
					w.alone()
					w.warm("k")
					mended := false
					w.dafty("k").onCreate(refusedUntil(&mended, kind))
					waiting := []*Tracker{w.made("a", "k"), w.made("b", "k"), w.made("c", "k")}
					for range 6 { // until it is asked seldom
						w.submit(waiting[0], image)
						time.Sleep(time.Second)
						if block := waiting[1].Claim(image, submission(waiting[1]), false); block != nil {
							time.Sleep(until(block))
						}
						waiting[1].Withdraw()
					}
					w.submit(waiting[0], image)
					time.Sleep(time.Second)
					if block := waiting[1].Claim(image, submission(waiting[1]), false); until(block) < 4*time.Minute {
						t.Fatalf("held: %+v", block)
					}
					if waiting[2].Claim(image, submission(waiting[2]), false) == nil {
						t.Fatal("not held")
					}
					time.Sleep(20 * time.Second)
					mended = true
					w.woken()
					w.submit(change(w, waiting[1]), image)
					time.Sleep(time.Second)
					if got := w.woken(); !slices.Contains(got, "c") {
						t.Errorf("woken: %v", got)
					}
					w.submit(waiting[2], image)
				})
			})
		}
	}
}

// What changes nothing asks nobody: a DaftyJob that is old when it is first seen, as all are after a restart, and one that
// is told to be as it was.
func TestNoChangeAsksNothing(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		w.warm("k")
		w.dafty("k").onCreate(refuses(refusal(dafty.KindInsufficientCredits)))
		seen := w.made("seen", "k")
		time.Sleep(time.Minute)
		w.submit(w.made("first", "k"), image)
		time.Sleep(earlyProbeInterval)
		old := w.tracker("old", "k")
		old.SetVersion("1")
		seen.SetVersion("1")
		seen.SetSecretVersion("1")
		if got := claimed(image, old, seen); got != "" {
			t.Errorf("%s may ask", got)
		}
	})
}

// What only time or another job's end mends isn't asked about earlier.
func TestAChangeMendsNoCeiling(t *testing.T) {
	for _, err := range []*dafty.CallError{refusal(dafty.KindConcurrency), dialFailure} {
		t.Run(string(err.Kind), func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				w.alone()
				w.warm("k")
				w.dafty("k").onCreate(refuses(err))
				first := w.made("first", "k")
				for range 4 {
					w.submit(first, image)
					time.Sleep(until(first.Claim(image, submission(first), false)))
				}
				w.submit(first, image)
				time.Sleep(time.Second)
				if claimed(image, w.made("new", "k")) != "" {
					t.Error("it may go")
				}
			})
		})
	}
}

// A thousand DaftyJobs that are created while there are no credits don't make a thousand requests: they ask one after the
// other, and only those that came after the request before was let go.
func TestNoStampede(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		w.warm("k")
		enough := false
		w.dafty("k").onCreate(refusedUntil(&enough, dafty.KindInsufficientCredits))
		drive := func(tracker *Tracker) {
			for !tracker.accepted() {
				if block := tracker.Claim(image, submission(tracker), false); block != nil {
					w.waits(tracker.name.Name, block)
					continue
				}
				tracker.Submit(image, submission(tracker))
				for !tracker.Known().Submission.Done {
					time.Sleep(100 * time.Millisecond)
				}
			}
		}
		go drive(w.made("first", "k"))
		time.Sleep(time.Minute)
		w.dafty("k").asked()
		for i := range 1000 {
			go drive(w.made(fmt.Sprint("job-", i), "k"))
		}
		time.Sleep(14 * time.Second)
		if got := w.dafty("k").count("create"); got > 3 {
			t.Errorf("%d requests for a thousand at once", got)
		}
		// And then one every second.
		for i := range 60 {
			go drive(w.made(fmt.Sprint("late-", i), "k"))
			time.Sleep(time.Second)
		}
		if got := w.dafty("k").count("create"); got < 6 || got > 16 {
			t.Errorf("%d requests for one DaftyJob a second", got)
		}
		time.Sleep(10 * time.Minute)
		if got := w.dafty("k").count("create"); got > 10 {
			t.Errorf("%d requests in 10 minutes without a change", got)
		}
		enough = true
		w.submit(w.made("last", "k"), image)
		time.Sleep(2*time.Minute + time.Second)
		if got := w.dafty("k").count("create"); got < 30 {
			t.Errorf("%d requests in two minutes that have credits", got)
		}
		time.Sleep(2 * time.Hour)
		if got := w.dafty("k").count("create"); got < 1000 {
			t.Errorf("%d requests, of 1060", got)
		}
	})
}

// accepted reports whether Dafty has taken the job.
func (t *Tracker) accepted() bool {
	known := t.Known()
	return known.Submission != nil && known.Submission.Done && known.Submission.Err == nil
}
