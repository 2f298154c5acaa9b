package account

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

const searchedStyle = "22222222-2222-4222-8222-222222222222"

// logos is a search for so many.
func logos(limit int) lifecycle.StyleQuery {
	return lifecycle.StyleQuery{StyleID: searchedStyle, Query: "logo", Limit: limit}
}

// searched returns what t knows of a search, the zero Search where that is nothing.
func searched(t *Tracker, query lifecycle.StyleQuery) lifecycle.Search {
	synctest.Wait()
	return t.Known().Searches[query]
}

func wantSearch(t *testing.T, is, want lifecycle.Search) {
	t.Helper()
	if diff := cmp.Diff(want, is, cmp.AllowUnexported(dafty.CallError{})); diff != "" {
		t.Error(diff)
	}
}

var foundLogo = []dafty.StyleAsset{{ID: "asset", Name: "logo"}}

func TestSearch(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		tracker := w.tracker("a", "k")
		if known := tracker.Known().Searches; known != nil {
			t.Errorf("known before it asked: %v", known)
		}
		w.dafty("k").onSearch(func(_ context.Context, query string, limit int) ([]dafty.StyleAsset, error) {
			time.Sleep(2 * time.Second)
			return slices.Repeat([]dafty.StyleAsset{{ID: "asset", Name: query}}, limit), nil
		})
		tracker.Search(logos(1))
		wantSearch(t, searched(tracker, logos(1)), lifecycle.Search{Underway: true})
		tracker.Search(logos(1)) // as each reconcile asks
		tracker.Search(logos(2)) // which is another
		time.Sleep(time.Second)
		if woken := w.woken(); len(woken) > 0 {
			t.Errorf("woken before there is news: %v", woken)
		}
		time.Sleep(2 * time.Second)
		wantSearch(t, searched(tracker, logos(1)), lifecycle.Search{Answered: true, Assets: foundLogo, Age: time.Second})
		if got := searched(tracker, logos(2)); len(got.Assets) != 2 {
			t.Errorf("of two: %+v", got)
		}
		if woken := w.woken(); !slices.Equal(woken, []string{"a", "a"}) {
			t.Errorf("woken: %v", woken)
		}
		if got, want := w.dafty("k").asked(), []call{{"search", 0}, {"search", 0}}; !slices.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}

		// Whether it is made again is for lifecycle to say. What it found before is known meanwhile.
		time.Sleep(time.Hour)
		tracker.Search(logos(1))
		wantSearch(t, searched(tracker, logos(1)), lifecycle.Search{Underway: true, Answered: true, Assets: foundLogo, Age: time.Hour + time.Second})
		time.Sleep(2 * time.Second)
		wantSearch(t, searched(tracker, logos(1)), lifecycle.Search{Answered: true, Assets: foundLogo})

		// What was found is in the request, and on record.
		w.submit(tracker, image)
		if known := tracker.Known().Searches; known != nil {
			t.Errorf("known after the submission: %v", known)
		}
	})
}

// A search that fails is made again at ever greater intervals, and not before Dafty allows it.
func TestSearchFailures(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		tracker := w.tracker("a", "k")
		failure := &dafty.CallError{Kind: dafty.KindUnavailable, Status: 500, Message: "no"}
		w.dafty("k").onSearch(func(context.Context, string, int) ([]dafty.StyleAsset, error) { return nil, failure })
		for failures, wait := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
			tracker.Search(logos(1))
			wantSearch(t, searched(tracker, logos(1)), lifecycle.Search{Answered: true, Err: failure, Failures: failures + 1, RetryIn: wait * time.Second})
			tracker.Search(logos(1))
			time.Sleep(wait*time.Second - time.Millisecond)
			tracker.Search(logos(1))
			if n := w.dafty("k").count("search"); n != 1 {
				t.Fatalf("%d searches after %d failures", n, failures+1)
			}
			time.Sleep(time.Millisecond)
		}
		failure = &dafty.CallError{Kind: dafty.KindUsageLimit, Status: 429, RetryAfter: 10 * time.Minute}
		tracker.Search(logos(1))
		wantSearch(t, searched(tracker, logos(1)), lifecycle.Search{Answered: true, Err: failure, Failures: 9, RetryIn: 10 * time.Minute})
		time.Sleep(10 * time.Minute)
		w.dafty("k").onSearch(nil)
		tracker.Search(logos(1))
		wantSearch(t, searched(tracker, logos(1)), lifecycle.Search{Answered: true, Assets: foundLogo})
	})
}

// What a person changes of the DaftyJob or of its Secret has a search made again at once; what the operator writes doesn't.
func TestSearchesAfterAChange(t *testing.T) {
	for name, change := range map[string]func(*Tracker){
		"of the DaftyJob": func(t *Tracker) { t.SetVersion("2") },
		"of the Secret":   func(t *Tracker) { t.SetSecretVersion("2") },
		"of the key":      func(t *Tracker) { t.SetAPIKey("other") },
	} {
		inEnv(t, func(t *testing.T, w *env) {
			tracker := w.tracker("a", "k")
			tracker.SetVersion("1")
			tracker.SetSecretVersion("1")
			w.dafty("k").onSearch(func(context.Context, string, int) ([]dafty.StyleAsset, error) {
				time.Sleep(time.Second)
				return nil, &dafty.CallError{Kind: dafty.KindUnauthorized, Status: 401, RetryAfter: time.Hour}
			})
			tracker.Search(logos(1))
			time.Sleep(2 * time.Second)
			tracker.SetVersion("1")
			tracker.SetSecretVersion("1")
			tracker.StatusWritten()
			if got := searched(tracker, logos(1)); !got.Answered {
				t.Errorf("%s: nothing has changed, and it is forgotten", name)
			}
			change(tracker)
			if known := tracker.Known().Searches; len(known) != 0 {
				t.Errorf("%s: known is %v", name, known)
			}
			tracker.Search(logos(1))
			change(tracker)
			if got := searched(tracker, logos(1)); !got.Underway && !got.Answered {
				t.Errorf("%s: the one on its way is forgotten", name)
			}
			time.Sleep(2 * time.Second)
			if got := searched(tracker, logos(1)); !got.Answered {
				t.Errorf("%s: %+v", name, got)
			}
			w.woken()
		})
	}
}

// A search of a key that is gone tells nothing of the one that took its place.
func TestSearchesAreOfOneKey(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.tracker("none", "").Search(logos(1))
		tracker := w.tracker("a", "k")
		w.dafty("k").onSearch(func(context.Context, string, int) ([]dafty.StyleAsset, error) {
			time.Sleep(time.Minute)
			return foundLogo, nil
		})
		tracker.Search(logos(1))
		synctest.Wait()
		tracker.SetAPIKey("other")
		w.dafty("other").onSearch(func(context.Context, string, int) ([]dafty.StyleAsset, error) { return nil, nil })
		tracker.Search(logos(1))
		synctest.Wait()
		w.woken()
		time.Sleep(2 * time.Minute)
		if got := searched(tracker, logos(1)); !got.Answered || len(got.Assets) > 0 {
			t.Errorf("got %+v", got)
		}
		if woken := w.woken(); len(woken) > 0 {
			t.Errorf("woken: %v", woken)
		}
	})
}

// Nothing is left over of a DaftyJob that is gone, or of a process that ends: neither a call nor somebody who is woken.
func TestSearchesOfThoseWhoLeft(t *testing.T) {
	for name, leave := range map[string]func(*env){
		"gone":    func(w *env) { w.forget("a") },
		"drained": func(w *env) { <-w.drain(time.Minute) },
		"stopped": func(w *env) { w.stop() },
	} {
		t.Run(name, func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				tracker := w.tracker("a", "k")
				given := make(chan struct{})
				w.dafty("k").onSearch(func(ctx context.Context, _ string, _ int) ([]dafty.StyleAsset, error) {
					<-ctx.Done()
					close(given)
					return nil, ctx.Err()
				})
				tracker.Search(logos(1))
				synctest.Wait()
				leave(w)
				<-given
				tracker.Search(logos(2))
				time.Sleep(time.Hour)
				if woken := w.woken(); len(woken) > 0 {
					t.Errorf("woken: %v", woken)
				}
				if got := searched(tracker, logos(1)); got.Answered || got.Err != nil {
					t.Errorf("told of a failure: %+v", got)
				}
				if n := w.dafty("k").count("search"); n != 1 {
					t.Errorf("%d searches", n)
				}
			})
		})
	}
}

// Searches leave the calls that are for cancels and for jobs that are ending.
func TestSearchesLeaveCallsToCancels(t *testing.T) {
	inEnvWithLimits(t, Limits{dafty.ClassOther: 40}, func(t *testing.T, w *env) {
		w.alone()
		tracker := w.tracker("a", "k")
		w.take(tracker.secret, 40-ratelimit.ReservedForLooks)
		tracker.Search(logos(1))
		tracker.Cancel(jobID)
		if got := steps(w.dafty("k")); got != "cancel" {
			t.Errorf("got %s", got)
		}
		time.Sleep(time.Minute)
		if got := steps(w.dafty("k")); got != "search" {
			t.Errorf("a minute later: %s", got)
		}
	})
}

func TestSearchMetrics(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		before := counted(t)
		tracker := w.tracker("a", "k")
		tracker.Search(logos(1))
		synctest.Wait()
		w.dafty("k").onSearch(func(context.Context, string, int) ([]dafty.StyleAsset, error) {
			return nil, &dafty.CallError{Kind: dafty.KindNotFound, Status: 404}
		})
		tracker.Search(logos(2))
		if diff := cmp.Diff(map[string]float64{
			`dafty_api_requests_total{code="200",operation="search"}`:      1,
			`dafty_api_requests_total{code="404",operation="search"}`:      1,
			`dafty_api_request_duration_seconds_count{operation="search"}`: 2,
		}, counted(t).Since(before)); diff != "" {
			t.Error(diff)
		}
	})
}

// Many searches at once keep the limit of the key, which Dafty counts, and each is answered.
func TestSearchesOfTheSimulator(t *testing.T) {
	const searches = 300
	synctest.Test(t, func(t *testing.T) {
		sim := daftysim.New(daftysim.Options{
			Accounts:       []daftysim.Account{{Name: "acme", APIKeys: []string{"a key of acme"}, Styles: []daftysim.Style{{ID: searchedStyle}}}},
			StrictRequests: true,
		})
		ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
		defer stop()
		woken := make(chan struct{}, searches)
		registry := NewRegistry(ctx, Config{
			Limits: DefaultLimits, Wake: func(types.NamespacedName) { woken <- struct{}{} },
			Client: func(key string) Dafty {
				return dafty.New("http://dafty.test"+daftysim.BasePath, key, "test", doer(func(req *http.Request) (*http.Response, error) {
					answer := httptest.NewRecorder()
					sim.ServeHTTP(answer, req)
					return answer.Result(), nil
				}))
			},
		})
		began := time.Now()
		var trackers []*Tracker
		for i := range searches {
			trackers = append(trackers, registry.Tracker(types.NamespacedName{Name: fmt.Sprint(i)}, types.UID(fmt.Sprint(i)), began))
			trackers[i].SetAPIKey("a key of acme")
			trackers[i].Search(logos(1))
		}
		for range searches {
			<-woken
		}
		if took := time.Since(began); took < 2*time.Minute || took > 5*time.Minute {
			t.Errorf("%d searches took %s", searches, took)
		}
		for i, tracker := range trackers {
			if got := searched(tracker, logos(1)); got.Err != nil || len(got.Assets) != 1 {
				t.Fatalf("%d: %+v", i, got)
			}
		}
		for _, request := range sim.Requests() {
			if request.Status != 200 {
				t.Fatalf("%s %s met %d", request.Method, request.Path, request.Status)
			}
		}
		for _, violation := range sim.Violations() {
			t.Error(violation)
		}
	})
}
