package account

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
)

// clip returns a video's job, with a thumbnail where a URL is given.
func clip(status dafty.JobStatus, thumbnail string) *dafty.Job {
	made := `{"video":{"id":"` + jobID + `","url":"https://x/clip.mp4","thumbnailUrl":null}}`
	if thumbnail != "" {
		made = strings.Replace(made, "null", `"`+thumbnail+`"`, 1)
	}
	j := job(status)
	if err := json.Unmarshal([]byte(made), &j.Result); err != nil {
		panic(err)
	}
	return j
}

const thumbnailURL = "https://x/clip.png"

// completes has a video's job followed until it has ended, without a thumbnail.
func (w *env) completes(name, key string) *Tracker {
	tracker := w.tracker(name, key)
	w.dafty(key).onLook(shows(clip(dafty.Completed, "")))
	tracker.Follow(jobID, dafty.ClassVideoCreate)
	settle()
	w.woken()
	w.dafty(key).asked()
	return tracker
}

// shows answers every look with a job.
func shows(j *dafty.Job) func(context.Context, bool) (*dafty.Job, error) {
	return func(context.Context, bool) (*dafty.Job, error) { return j, nil }
}

// looksAt returns the times of the looks since then, when nothing else is asked.
func (w *env) looksAt(t *testing.T, key string, since time.Time) (at []time.Duration) {
	t.Helper()
	for _, c := range w.dafty(key).asked() {
		if c.what != "look" {
			t.Errorf("asked: %s", c.what)
		}
		at = append(at, (c.at - since.Sub(w.began)).Round(time.Second))
	}
	return at
}

func TestLookForThumbnail(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		tracker, s := w.completes("a", "k"), time.Second
		began := time.Now()
		tracker.LookForThumbnail(jobID)
		tracker.LookForThumbnail(jobID) // as each reconcile asks
		time.Sleep(20 * s)
		tracker.LookForThumbnail(jobID)
		w.dafty("k").onLook(fails(refusal(dafty.KindNotFound)))
		time.Sleep(20 * s)
		if woken := w.woken(); len(woken) > 0 {
			t.Errorf("woken before there is news: %v", woken)
		}
		if known := tracker.Known(); known.Trouble != nil || hasThumbnail(known.Job) {
			t.Errorf("known: %+v", known)
		}
		w.dafty("k").onLook(shows(clip(dafty.Completed, thumbnailURL)))
		time.Sleep(30 * s)
		if woken := w.woken(); !slices.Equal(woken, []string{"a"}) {
			t.Errorf("woken: %v", woken)
		}
		if got := tracker.Known().Job; !hasThumbnail(got) || *got.Result.Video.ThumbnailUrl != thumbnailURL {
			t.Errorf("known: %+v", got)
		}
		time.Sleep(10 * time.Minute)
		if got, want := w.looksAt(t, "k", began), []time.Duration{5 * s, 15 * s, 35 * s, 65 * s}; !slices.Equal(got, want) {
			t.Errorf("looked at %v, want %v", got, want)
		}
	})
}

// A thumbnail that doesn't come isn't waited for any longer, until it is asked for again.
func TestNoThumbnailComes(t *testing.T) {
	for name, look := range map[string]func(context.Context, bool) (*dafty.Job, error){
		"none":                       shows(clip(dafty.Completed, "")),
		"no result":                  says(dafty.Completed),
		"an answer from before":      shows(clip(dafty.Processing, thumbnailURL)),
		"a job that has failed":      shows(clip(dafty.Failed, thumbnailURL)),
		"errors":                     fails(dialFailure),
		"a key that isn't valid":     fails(refusal(dafty.KindUnauthorized)),
		"more than the minute takes": fails(refusal(dafty.KindConcurrency)),
	} {
		t.Run(name, func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				tracker, s := w.completes("a", "k"), time.Second
				known := tracker.Known()
				w.dafty("k").onLook(look)
				for range 2 {
					began := time.Now()
					tracker.LookForThumbnail(jobID)
					time.Sleep(10 * time.Minute)
					if got, want := w.looksAt(t, "k", began), []time.Duration{5 * s, 15 * s, 35 * s, 65 * s, 95 * s}; !slices.Equal(got, want) {
						t.Errorf("looked at %v, want %v", got, want)
					}
				}
				if woken := w.woken(); len(woken) > 0 {
					t.Errorf("woken: %v", woken)
				}
				if now := tracker.Known(); now.Job != known.Job || now.Trouble != nil {
					t.Errorf("known: %+v", now)
				}
			})
		})
	}
}

// Looks for a thumbnail end with the tracker, and in the middle of one.
func TestLooksForAThumbnailEnd(t *testing.T) {
	for name, end := range map[string]func(w *env){
		"forgotten":   func(w *env) { w.forget("a") },
		"the process": func(w *env) { w.stop() },
	} {
		for _, after := range []time.Duration{time.Second, 6 * time.Second} {
			t.Run(name+" after "+after.String(), func(t *testing.T) {
				inEnv(t, func(t *testing.T, w *env) {
					tracker := w.completes("a", "k")
					w.dafty("k").onLook(func(ctx context.Context, _ bool) (*dafty.Job, error) {
						pass(ctx, time.Hour)
						return clip(dafty.Completed, thumbnailURL), ctx.Err()
					})
					tracker.LookForThumbnail(jobID)
					time.Sleep(after)
					end(w)
					w.dafty("k").asked()
					if tracker.thumbnails {
						t.Error("it goes on")
					}
					time.Sleep(10 * time.Minute)
					tracker.LookForThumbnail(jobID)
					time.Sleep(10 * time.Minute)
					if calls := w.dafty("k").asked(); len(calls) > 0 {
						t.Errorf("asked: %v", calls)
					}
					if woken := w.woken(); len(woken) > 0 {
						t.Errorf("woken: %v", woken)
					}
				})
			})
		}
	}
}

// A process that has just begun knows nothing of the job. Each look is made with the key that is there.
func TestThumbnailAfterARestart(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		tracker := w.tracker("a", "")
		tracker.LookForThumbnail(jobID)
		time.Sleep(30 * time.Second)
		tracker.SetAPIKey("k")
		w.dafty("k").onLook(shows(clip(dafty.Completed, thumbnailURL)))
		time.Sleep(10 * time.Second)
		if got := tracker.Known().Job; got == nil || !hasThumbnail(got) {
			t.Errorf("known: %+v", got)
		}
		if woken := w.woken(); !slices.Equal(woken, []string{"a"}) {
			t.Errorf("woken: %v", woken)
		}
		w.forget("a")
		time.Sleep(10 * time.Minute)
		if n := w.accounts(); n > 0 {
			t.Errorf("%d accounts are left", n)
		}
	})
}

// A look for a thumbnail leaves the calls that are for cancels and for jobs that are ending.
func TestLooksForAThumbnailAreNotUrgent(t *testing.T) {
	inEnvWithLimits(t, Limits{dafty.ClassOther: 40}, func(t *testing.T, w *env) {
		w.alone()
		tracker := w.completes("a", "k")
		time.Sleep(2 * time.Minute)
		tracker.LookForThumbnail(jobID)
		time.Sleep(4 * time.Second)
		w.take(tracker.secret, 40-ratelimit.ReservedForLooks)
		time.Sleep(50 * time.Second)
		if got := w.dafty("k").asked(); len(got) > 0 {
			t.Errorf("asked: %v", got)
		}
		time.Sleep(15 * time.Second)
		if got := w.dafty("k").count("look"); got != 1 {
			t.Errorf("%d looks", got)
		}
	})
}

// Once an answer had the thumbnail, none takes it back.
func TestAThumbnailIsFinal(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		tracker := w.completes("a", "k")
		told := tracker.EndedAt()
		with, without := clip(dafty.Completed, thumbnailURL), clip(dafty.Completed, "")
		time.Sleep(time.Second)
		for _, step := range []struct {
			job  *dafty.Job
			news bool
		}{{without, false}, {clip(dafty.Processing, thumbnailURL), false}, {with, true}, {clip(dafty.Completed, "https://x/another.png"), false}, {without, false}, {job(dafty.Processing), false}} {
			if news, end := tracker.observe(step.job); news != step.news || end {
				t.Errorf("%+v: news %t, end %t", step.job, news, end)
			}
		}
		synctest.Wait()
		if tracker.Known().Job != with || !tracker.EndedAt().Equal(told) {
			t.Errorf("known: %+v", tracker.Known().Job)
		}
	})
}
