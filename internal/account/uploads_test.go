package account

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	pixels "image"
	"image/png"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// file returns one with this content.
func file(content string) lifecycle.File {
	digest := sha256.Sum256([]byte(content))
	return lifecycle.File{Name: "logo.png", MediaType: "image/png", Content: []byte(content), Digest: hex.EncodeToString(digest[:])}
}

// uploaded returns what t knows of a content, the zero Upload where that is nothing.
func uploaded(t *Tracker, content string) lifecycle.Upload {
	synctest.Wait()
	return t.Known().Uploads[file(content).Digest]
}

// steps returns what was asked of Dafty since it was last asked, without the times.
func steps(f *fakeDafty) string { return named(f.asked()) }

func named(calls []call) string {
	var all []string
	for _, c := range calls {
		all = append(all, c.what)
	}
	return strings.Join(all, " ")
}

const whole = "reserve put complete"

func TestUpload(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		tracker := w.tracker("a", "k")
		if known := tracker.Known().Uploads; known != nil {
			t.Errorf("known before it asked: %v", known)
		}
		w.dafty("k").onUpload(func(context.Context, string) error { time.Sleep(time.Second); return nil })
		tracker.Upload(file("logo"))
		if got := uploaded(tracker, "logo"); got != (lifecycle.Upload{}) || len(tracker.Known().Uploads) != 1 {
			t.Errorf("under way: %+v", got)
		}
		tracker.Upload(file("logo")) // as each reconcile asks
		time.Sleep(2 * time.Second)
		if woken := w.woken(); len(woken) > 0 {
			t.Errorf("woken before there is news: %v", woken)
		}
		time.Sleep(time.Second)
		if got := uploaded(tracker, "logo"); got != (lifecycle.Upload{Done: true, ID: "up_1_done", At: w.began.Add(3 * time.Second)}) {
			t.Errorf("at the end: %+v", got)
		}
		if woken := w.woken(); !slices.Equal(woken, []string{"a"}) {
			t.Errorf("woken: %v", woken)
		}
		tracker.Upload(file("logo"))
		if woken := w.woken(); len(woken) > 0 {
			t.Errorf("what it knows wakes it: %v", woken)
		}
		s := time.Second
		if got, want := w.dafty("k").asked(), []call{{"reserve", 0}, {"put", s}, {"complete", 2 * s}}; !slices.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		want := []lifecycle.File{{Name: "logo.png", MediaType: "image/png", Content: []byte("logo")}}
		if diff := cmp.Diff(want, w.dafty("k").uploads); diff != "" {
			t.Error(diff)
		}
	})
}

// However many DaftyJobs want a content, it is uploaded once, and each of them is told.
func TestOneUploadForAll(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.dafty("k").onUpload(func(context.Context, string) error { time.Sleep(time.Second); return nil })
		var trackers []*Tracker
		var names []string
		for i := range 10 {
			names = append(names, fmt.Sprint("job-", i))
			trackers = append(trackers, w.tracker(names[i], "k"))
			trackers[i].Upload(file("logo"))
		}
		time.Sleep(time.Minute)
		if woken := w.woken(); !slices.Equal(woken, names) {
			t.Errorf("woken: %v", woken)
		}
		late := w.tracker("late", "k")
		late.Upload(file("logo"))
		if woken := w.woken(); !slices.Equal(woken, []string{"late"}) {
			t.Errorf("woken: %v", woken)
		}
		for _, tracker := range append(trackers, late) {
			if got := uploaded(tracker, "logo").ID; got != "up_1_done" {
				t.Errorf("%s knows %q", tracker.name.Name, got)
			}
		}
		if got := steps(w.dafty("k")); got != whole {
			t.Errorf("got %s", got)
		}
	})
}

// Each key has uploads of its own, and one that is put into the Secret uploads again.
func TestUploadsAreOfOneKey(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		a, b := w.tracker("a", "k"), w.tracker("b", "other")
		w.tracker("none", "").Upload(file("logo"))
		a.Upload(file("logo"))
		b.Upload(file("logo"))
		b.Upload(file("photo"))
		time.Sleep(time.Minute)
		if got := steps(w.dafty("k")); got != whole {
			t.Errorf("the first key: %s", got)
		}
		if got := w.dafty("other").stored(); len(got) != 2 {
			t.Errorf("the other key has %v", got)
		}
		w.woken()

		b.SetAPIKey("k")
		if known := b.Known().Uploads; known != nil {
			t.Errorf("with the key of another account: %v", known)
		}
		b.Upload(file("logo")) // which the account has
		b.Upload(file("photo"))
		time.Sleep(time.Minute)
		if got := steps(w.dafty("k")); got != whole {
			t.Errorf("the first key: %s", got)
		}
		if got := uploaded(b, "photo"); got.ID != "up_2_done" || w.dafty("k").stored()[got.ID] != "photo" {
			t.Errorf("got %+v", got)
		}
		if woken := w.woken(); !slices.Equal(woken, []string{"b", "b"}) {
			t.Errorf("woken: %v", woken)
		}
		b.SetAPIKey("")
		if known := b.Known().Uploads; known != nil {
			t.Errorf("without a key: %v", known)
		}
		b.Upload(file("logo"))
		if woken := w.woken(); len(woken) > 0 {
			t.Errorf("woken: %v", woken)
		}
	})
}

// Who has left is told nothing of an upload that it asked for.
func TestUploadsOfThoseWhoLeft(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.dafty("k").onUpload(func(context.Context, string) error { time.Sleep(time.Second); return nil })
		for _, name := range []string{"gone", "rotated", "there"} {
			w.tracker(name, "k").Upload(file("logo"))
		}
		time.Sleep(time.Second)
		w.forget("gone")
		w.tracker("rotated", "other")
		time.Sleep(time.Minute)
		if woken := w.woken(); !slices.Equal(woken, []string{"there"}) {
			t.Errorf("woken: %v", woken)
		}
	})
}

// Whatever a step meets is told to all who asked, and the upload begins again for the one who asks after a while.
func TestUploadFailures(t *testing.T) {
	after := refusal(dafty.KindRateLimit)
	after.RetryAfter = 7 * time.Second
	s, m := time.Second, time.Minute
	for _, tt := range []struct {
		name  string
		step  string
		err   *dafty.CallError
		waits []time.Duration // each time that it fails
	}{
		{"no answer to the reservation", "reserve", refusal(dafty.KindUnavailable), []time.Duration{s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, m, m}},
		{"the storage", "put", refusal(dafty.KindUnavailable), []time.Duration{s, 2 * s}},
		{"no answer at the end", "complete", refusal(dafty.KindUnavailable), []time.Duration{s, 2 * s}},
		{"a reservation that is gone", "complete", refusal(dafty.KindNotFound), []time.Duration{s, 2 * s}},
		{"the bytes", "complete", refusal(dafty.KindInvalid), []time.Duration{5 * m, 5 * m}},
		{"the name", "reserve", refusal(dafty.KindInvalid), []time.Duration{5 * m}},
		{"the key", "reserve", refusal(dafty.KindUnauthorized), []time.Duration{s, 2 * s}},
		{"the minute", "reserve", after, []time.Duration{7 * s, 7 * s, 7 * s, 8 * s}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				w.dafty("k").onUpload(func(_ context.Context, step string) error {
					if step == tt.step {
						return tt.err
					}
					return nil
				})
				tried, _, _ := strings.Cut(whole, tt.step)
				tried += tt.step
				a, b := w.tracker("a", "k"), w.tracker("b", "k")
				for i, wait := range tt.waits {
					a.Upload(file("logo"))
					b.Upload(file("logo"))
					known := uploaded(a, "logo")
					for ; !known.Done; known = uploaded(a, "logo") {
						time.Sleep(s / 10)
					}
					calls := w.dafty("k").asked()
					ended := w.began.Add(calls[len(calls)-1].at)
					if got := known.RetryAt.Sub(ended).Round(s / 10); got != wait || known.ID != "" || known.Err != tt.err || known.Failures != i+1 {
						t.Errorf("%d: got %+v, to be tried again after %v, want %v", i, known, got, wait)
					}
					if got := named(calls); got != tried {
						t.Errorf("%d: got %s, want %s", i, got, tried)
					}
					if woken := w.woken(); !slices.Equal(woken, []string{"a", "b"}) {
						t.Errorf("%d: woken: %v", i, woken)
					}
					if other := uploaded(b, "logo"); other != known {
						t.Errorf("%d: the other knows %+v", i, other)
					}
					time.Sleep(time.Until(known.RetryAt) - time.Millisecond)
					for _, tracker := range []*Tracker{a, b} {
						tracker.Upload(file("logo"))
					}
					if got := steps(w.dafty("k")); got != "" {
						t.Errorf("%d: too early: %s", i, got)
					}
					if woken := w.woken(); len(woken) > 0 {
						t.Errorf("%d: what they know wakes %v", i, woken)
					}
					time.Sleep(time.Millisecond)
				}

				w.dafty("k").onUpload(nil)
				b.Upload(file("logo"))
				time.Sleep(m)
				for _, tracker := range []*Tracker{a, b} {
					if known := uploaded(tracker, "logo"); !known.Done || known.Err != nil || known.Failures != 0 || w.dafty("k").stored()[known.ID] != "logo" {
						t.Errorf("at the end %s knows %+v", tracker.name.Name, known)
					}
				}
				if woken := w.woken(); !slices.Equal(woken, []string{"a", "b"}) {
					t.Errorf("woken: %v", woken)
				}
			})
		})
	}
}

// Only refusals in a row are a person's to mend.
func TestRefusedUploadsAreCounted(t *testing.T) {
	inEnv(t, func(t *testing.T, _ *env) {
		u, asks := newUploads(), &ratelimit.Caller{}
		away, refused := refusal(dafty.KindUnavailable), &dafty.CallError{Kind: dafty.KindUnavailable, Status: 403}
		away.Status = 500
		for i, step := range []struct {
			err  *dafty.CallError
			want int
		}{{away, 0}, {refused, 1}, {refused, 2}, {away, 0}, {refusal(dafty.KindNotFound), 1}, {refusal(dafty.KindRateLimit), 0}, {refused, 1}} {
			if begin, _ := u.ask(asks, "logo"); begin == nil {
				t.Fatal("it isn't begun")
			}
			u.end("logo", "", time.Now(), step.err)
			if got := u.contents["logo"]; got.Refusals != step.want || got.Failures != i+1 {
				t.Errorf("%d: %d refusals, %d failures", i, got.Refusals, got.Failures)
			}
			u.contents["logo"].RetryAt = time.Time{}
		}
	})
}

// What failed shows until it has succeeded, so that status needn't be written at each try.
func TestAFailureShowsWhileItIsTriedAgain(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		failure := refusal(dafty.KindUnavailable)
		w.dafty("k").onUpload(func(ctx context.Context, _ string) error { pass(ctx, time.Second); return failure })
		tracker := w.tracker("a", "k")
		tracker.Upload(file("logo"))
		time.Sleep(time.Minute)
		tracker.Upload(file("logo"))
		if got := uploaded(tracker, "logo"); got.Done || got.Err != failure || got.Failures != 1 {
			t.Errorf("got %+v", got)
		}
	})
}

// An account that nobody uses is dropped. What it uploaded stands for whoever comes with its key.
func TestUploadsOutliveTheirAccount(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.tracker("first", "k").Upload(file("logo"))
		w.tracker("another", "other")
		synctest.Wait()
		for range 3 {
			w.forget("first")
			w.forget("another")
			w.woken()
			w.dafty("k").asked()
			time.Sleep(10 * time.Minute)
			if n := w.accounts(); n > 0 {
				t.Fatalf("%d accounts are left", n)
			}
			if n := len(w.registry.accounts.uploads); n != 1 {
				t.Errorf("uploads of %d accounts are remembered", n)
			}
			again := w.tracker("first", "k")
			again.Upload(file("logo"))
			if got := uploaded(again, "logo"); got.ID != "up_1_done" {
				t.Errorf("got %+v", got)
			}
			if woken, calls := w.woken(), steps(w.dafty("k")); !slices.Equal(woken, []string{"first"}) || calls != "" {
				t.Errorf("woken: %v, after %q", woken, calls)
			}
		}
	})
}

// An upload is for whoever wants the content next, and goes on although all are gone; but not longer than the process.
func TestUploadsGoOnAlone(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.dafty("k").onUpload(func(ctx context.Context, _ string) error {
			pass(ctx, 20*time.Minute)
			return ctx.Err()
		})
		w.tracker("a", "k").Upload(file("logo"))
		synctest.Wait()
		w.forget("a")
		time.Sleep(time.Hour)
		if got := steps(w.dafty("k")); got != whole {
			t.Errorf("got %s", got)
		}
		b := w.tracker("b", "k")
		b.Upload(file("logo"))
		if got := uploaded(b, "logo"); got.ID != "up_1_done" {
			t.Errorf("got %+v", got)
		}
		for i := range 5 { // one at work, the others in the line
			b.Upload(file(fmt.Sprint(i)))
		}
		synctest.Wait()
		w.stop() // the test fails where one goes on after that
	})
}

// Contents are in memory for as long as they are on their way.
func TestContentsAreNotKept(t *testing.T) {
	for name, err := range map[string]*dafty.CallError{"uploaded": nil, "failed": refusal(dafty.KindUnavailable), "refused": refusal(dafty.KindInvalid)} {
		t.Run(name, func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				w.dafty("k").onUpload(func(_ context.Context, step string) error {
					if step == "complete" && err != nil {
						return err
					}
					return nil
				})
				tracker := w.tracker("a", "k")
				content := func() weak.Pointer[byte] {
					big := file(strings.Repeat("logo", 1<<16))
					tracker.Upload(big)
					return weak.Make(&big.Content[0])
				}()
				time.Sleep(time.Minute)
				w.dafty("k").uploads = nil
				runtime.GC()
				if content.Value() != nil {
					t.Error("the content is kept")
				}
				runtime.KeepAlive(tracker)
			})
		})
	}
}

// The newest contents are remembered. Who asked for one that is forgotten knows no more of it, and asks again.
func TestRememberedContents(t *testing.T) {
	u, t0 := newUploads(), &ratelimit.Caller{}
	end := func(digest string, err *dafty.CallError) {
		t.Helper()
		if begin, _ := u.ask(t0, digest); begin == nil {
			t.Fatalf("%s isn't begun", digest)
		}
		u.end(digest, "up_"+digest, time.Now(), err)
	}
	for range 2 {
		end("failed", refusal(dafty.KindInvalid))
		u.contents["failed"].RetryAt = time.Time{}
	}
	if len(u.ended) != 1 {
		t.Errorf("ended: %v", u.ended)
	}
	for i := range maxContents {
		end(fmt.Sprint(i), nil)
	}
	for i := range 10 {
		end(fmt.Sprint("more-", i), nil)
	}
	if len(u.contents) != maxContents || len(u.ended) != maxContents {
		t.Errorf("%d are remembered, of which %d have ended", len(u.contents), len(u.ended))
	}
	asked, known := u.known([]string{"failed", "9", "10", "more-9"})
	if !slices.Equal(asked, []string{"10", "more-9"}) || len(known) != 2 {
		t.Errorf("known are %v, %v", asked, known)
	}
	end("9", nil)
	if asked, _ := u.known([]string{"10", "11"}); !slices.Equal(asked, []string{"11"}) {
		t.Errorf("known are %v", asked)
	}
}

// Reservations keep the limit of their class, go in the order in which they were asked for, and are few at a time.
func TestUploadsTakeTheirTurns(t *testing.T) {
	const contents = 100
	inEnv(t, func(t *testing.T, w *env) {
		var mu sync.Mutex
		underway, atOnce := 0, 0
		w.dafty("k").onUpload(func(ctx context.Context, step string) error {
			if step == "put" {
				pass(ctx, 10*time.Second)
			}
			mu.Lock()
			defer mu.Unlock()
			switch step {
			case "reserve":
				underway++
				atOnce = max(atOnce, underway)
			case "complete":
				underway--
			}
			return nil
		})
		var trackers []*Tracker
		for i := range contents {
			name := types.NamespacedName{Name: fmt.Sprintf("%03d", i)}
			trackers = append(trackers, w.registry.Tracker(name, "uid", w.began.Add(time.Duration(i))))
			trackers[i].SetAPIKey("k")
		}
		for i := range trackers { // They come in no order beyond the first few.
			if i >= maxUnderway {
				i = contents + maxUnderway - 1 - i
			}
			trackers[i].Upload(file(fmt.Sprint(i)))
		}
		for range 1000 { // those that are woken ask, as their reconcilers do
			for _, name := range w.woken() {
				var i int
				if _, err := fmt.Sscanf(name, "%d", &i); err != nil {
					t.Fatal(err)
				}
				trackers[i].Upload(file(fmt.Sprint(i)))
			}
			time.Sleep(time.Second)
		}
		var reserved []arrival
		for _, c := range w.dafty("k").asked() {
			if c.what == "reserve" {
				reserved = append(reserved, arrival{at: c.at})
			}
		}
		if n := most(reserved); len(reserved) != contents || n > 30 || n < 20 {
			t.Errorf("%d are reserved, %d in one minute", len(reserved), n)
		}
		if atOnce != maxUnderway {
			t.Errorf("%d were under way at once", atOnce)
		}
		for id, content := range w.dafty("k").stored() {
			var n, i int
			if _, err := fmt.Sscanf(id+" "+content, "up_%d_done %d", &n, &i); err != nil || n != i+1 {
				t.Errorf("%s is number %s", id, content)
			}
		}
		for i, tracker := range trackers {
			if got := uploaded(tracker, fmt.Sprint(i)); got.ID != fmt.Sprintf("up_%d_done", i+1) {
				t.Errorf("%d: got %+v", i, got)
			}
		}
	})
}

// The last call of an upload leaves those that are for cancels and for jobs that are ending.
func TestUploadsLeaveCallsToCancels(t *testing.T) {
	inEnvWithLimits(t, Limits{dafty.ClassOther: 40}, func(t *testing.T, w *env) {
		w.alone()
		tracker := w.tracker("a", "k")
		w.take(tracker.secret, 40-ratelimit.ReservedForLooks)
		tracker.Upload(file("logo"))
		tracker.Cancel(jobID)
		if got := steps(w.dafty("k")); got != "cancel reserve put" && got != "reserve put cancel" && got != "reserve cancel put" {
			t.Errorf("got %s", got)
		}
		time.Sleep(time.Minute)
		if got := steps(w.dafty("k")); got != "complete" {
			t.Errorf("a minute later: %s", got)
		}
	})
}

// Who waits for a place and leaves holds up nobody.
func TestUploadsThatWaitForAPlace(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		w.dafty("k").onUpload(func(ctx context.Context, _ string) error { pass(ctx, time.Minute); return nil })
		first := w.tracker("first", "k")
		for i := range maxUnderway {
			first.Upload(file(fmt.Sprint(i)))
		}
		gone, next := w.tracker("gone", "k"), w.tracker("next", "k")
		for range 2 { // as each reconcile asks
			gone.Upload(file("gone"))
			next.Upload(file("next"))
		}
		if known := next.Known().Uploads; known != nil {
			t.Errorf("not begun, but known: %v", known)
		}
		w.forget("gone")
		var woken []string
		for ; len(woken) == 0; woken = w.woken() {
			time.Sleep(time.Second)
		}
		if !slices.Equal(woken, []string{"first", "next"}) {
			t.Errorf("woken: %v", woken)
		}
		next.Upload(file("next"))
		if _, begun := next.Known().Uploads[file("next").Digest]; !begun {
			t.Error("it isn't begun")
		}
		time.Sleep(time.Hour)
		if got := uploaded(next, "next"); got.ID == "" {
			t.Errorf("got %+v", got)
		}
	})
}

func TestUploadMetrics(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		before := counted(t)
		tracker := w.tracker("a", "k")
		w.dafty("k").onUpload(func(_ context.Context, step string) error {
			if step == "put" {
				return &dafty.CallError{Kind: dafty.KindUnavailable, Status: 403}
			}
			return nil
		})
		tracker.Upload(file("logo"))
		time.Sleep(time.Minute)
		w.dafty("k").onUpload(nil)
		tracker.Upload(file("logo"))
		time.Sleep(time.Minute)
		if diff := cmp.Diff(map[string]float64{
			`dafty_api_requests_total{code="200",operation="reserve"}`:       2,
			`dafty_api_requests_total{code="403",operation="put"}`:           1,
			`dafty_api_requests_total{code="200",operation="put"}`:           1,
			`dafty_api_requests_total{code="200",operation="complete"}`:      1,
			`dafty_api_request_duration_seconds_count{operation="reserve"}`:  2,
			`dafty_api_request_duration_seconds_count{operation="put"}`:      2,
			`dafty_api_request_duration_seconds_count{operation="complete"}`: 1,
		}, counted(t).Since(before)); diff != "" {
			t.Error(diff)
		}
	})
}

// picture returns a PNG like no other number's.
func picture(t *testing.T, n int) []byte {
	t.Helper()
	img := pixels.NewGray(pixels.Rect(0, 0, 4, 4))
	img.Pix[0], img.Pix[1] = uint8(n), uint8(n>>8)
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// upload has a content uploaded for a DaftyJob as the reconciler does, and returns the upload's id, empty where the
// process ends before.
func (o *operator) upload(name string, content []byte) string {
	tracker, want := o.tracker(name), file(string(content))
	for {
		known := tracker.Known().Uploads[want.Digest]
		if known.Done && known.Err == nil {
			return known.ID
		}
		tracker.Upload(want)
		until := time.Now().Add(time.Minute)
		if known.Done {
			until = known.RetryAt
		}
		if !o.waits(name, until) {
			return ""
		}
	}
}

// Many pictures at once, before and after a restart: each is uploaded once by a process, the limit is kept, and the minute
// is used.
func TestUploadsOfTheSimulator(t *testing.T) {
	const contents, each = 60, 2
	eachReading(t, daftysim.Options{}, func(t *testing.T, s *simulation) {
		begin := func() *sync.Map {
			o, ids := s.operator(), &sync.Map{}
			for i := range contents * each {
				o.running.Go(func() {
					if id := o.upload(fmt.Sprintf("%03d", i), picture(t, i/each)); id != "" {
						ids.Store(i, id)
					}
				})
			}
			return ids
		}
		begin()
		time.Sleep(30 * time.Second)
		s.restart()
		restarted := s.now()
		ids := begin()
		time.Sleep(4 * time.Minute)
		for i := range contents * each {
			id, _ := ids.Load(i)
			first, _ := ids.Load(i - i%each)
			if id == nil || id != first {
				t.Errorf("%d has %v, and the first with its content %v", i, id, first)
			}
		}
		// How much of its minute the process before has used, one call may have to find out.
		first := refused(s.arrived("reserve", restarted, restarted+time.Second))
		for what, spared := range map[string]int{"reserve": first, "put": 0, "complete": 0} {
			calls := s.arrived(what, 0, s.now())
			if n := refused(calls); n > min(spared, 1) {
				t.Errorf("%d of %d calls (%s) are refused", n, len(calls), what)
			}
			if n := len(s.arrived(what, restarted, s.now())); n != contents+spared {
				t.Errorf("%d calls (%s) for %d contents", n, what, contents)
			}
		}
		reserved := s.arrived("reserve", restarted, s.now())
		if took := reserved[len(reserved)-1].at - restarted; took > 3*time.Minute {
			t.Errorf("it took %v", took)
		} else {
			t.Logf("it took %v", took)
		}
	})
}

// A request that Dafty refuses may name a picture that Dafty has forgotten: the next who wants it uploads it again. Any
// other answer leaves it as it is.
func TestUploadsOfARefusedRequest(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer error
		again  bool
	}{
		{"accepted", nil, false},
		{"not valid", refusal(dafty.KindInvalid), true},
		{"not found", refusal(dafty.KindNotFound), true},
		{"no credits", refusal(dafty.KindInsufficientCredits), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				w.alone()
				w.dafty("k").onCreate(func(context.Context, string) (*dafty.Job, error) { return job(dafty.Pending), tt.answer })
				tracker, next := w.tracker("a", "k"), w.tracker("b", "k")
				tracker.Upload(file("logo"))
				if got := uploaded(tracker, "logo"); got.ID != "up_1_done" {
					t.Fatalf("at first: %+v", got)
				}
				w.submit(tracker, image)
				want := "up_1_done"
				if tt.again {
					want = "up_2_done"
				}
				next.Upload(file("logo"))
				if got := uploaded(next, "logo"); got.ID != want {
					t.Errorf("then: %+v, want %s", got, want)
				}
			})
		})
	}
}
