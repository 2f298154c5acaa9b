package account

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

// Eighty jobs are called off at once under twenty calls a minute: each cancel leaves before the first look that is to
// confirm one, and no minute has more calls than it may.
func TestCancelsOfManyDeletions(t *testing.T) {
	limits := Limits{dafty.ClassOther: 20}
	inEnvWithLimits(t, limits, func(t *testing.T, w *env) {
		w.dafty("a").onCancel(func(context.Context) (*dafty.Job, error) { return job(dafty.Processing), nil }) // it ends later
		w.tracker("first", "a")
		time.Sleep(2 * time.Minute) // nothing of a process before counts
		const jobs = 80
		began := time.Since(w.began)
		for i := range jobs {
			tracker := w.tracker(fmt.Sprintf("job%d", i), "a")
			tracker.Cancel(jobID)
			tracker.Follow(jobID, dafty.ClassImageCreate)
		}
		time.Sleep(3*time.Minute + 10*time.Second)
		var cancels, looks int
		var times []time.Duration
		for _, call := range w.dafty("a").asked() {
			times = append(times, call.at)
			if call.what == "cancel" {
				cancels++
				continue
			}
			if looks++; cancels < jobs {
				t.Fatalf("a %s at %s, after %d cancels", call.what, call.at-began, cancels)
			}
		}
		if cancels != jobs {
			t.Errorf("%d of %d cancels left within 3 minutes", cancels, jobs)
		}
		for i := range times {
			if i >= 20 && times[i]-times[i-20] < time.Minute {
				t.Fatalf("21 calls within %s", times[i]-times[i-20])
			}
		}
		time.Sleep(2 * time.Minute)
		if looks := w.dafty("a").count("look"); looks == 0 {
			t.Error("nothing is confirmed")
		}
	})
}

// A cancel is known to be sent, and tried, once it was; one that is given up leaves the line-up.
func TestACancelThatWaits(t *testing.T) {
	inEnvWithLimits(t, Limits{dafty.ClassOther: 1}, func(t *testing.T, w *env) {
		time.Sleep(2 * time.Minute)
		one, two := w.tracker("one", "a"), w.tracker("two", "a")
		one.Cancel(jobID)
		synctest.Wait()
		two.Cancel(jobID)
		synctest.Wait()
		if call := one.Known().Cancel; !call.Sent || !call.Done || call.Tries != 1 || !one.Known().CancelSent {
			t.Errorf("the first is %+v", call)
		}
		if call := two.Known().Cancel; call.Sent || call.Done || call.Tries != 0 || two.Known().CancelSent {
			t.Errorf("the second is %+v", call)
		}
		w.forget("two")
		synctest.Wait()
		time.Sleep(time.Minute)
		if turn, _ := one.secret.gate.TryAcquire(dafty.ClassOther, 0, false); turn == nil {
			t.Error("it waits on")
		}
	})
}

// Cancels that are tried again, as of jobs that have ended, don't keep the looks waiting that tell so.
func TestCancelsThatAreTriedAgainLeaveRoomForLooks(t *testing.T) {
	inEnvWithLimits(t, Limits{dafty.ClassOther: 20}, func(t *testing.T, w *env) {
		w.dafty("a").onCancel(func(context.Context) (*dafty.Job, error) {
			return nil, &dafty.CallError{Kind: dafty.KindConflict, Status: 409, Message: "the job has ended"}
		})
		w.dafty("a").onLook(func(context.Context, bool) (*dafty.Job, error) { return job(dafty.Failed), nil })
		w.tracker("first", "a")
		time.Sleep(2 * time.Minute) // nothing of a process before counts
		const jobs = 40
		var trackers []*Tracker
		for i := range jobs {
			tracker := w.tracker(fmt.Sprintf("job%d", i), "a")
			tracker.Cancel(jobID)
			tracker.Follow(jobID, dafty.ClassImageCreate)
			trackers = append(trackers, tracker)
		}
		for range 10 * 60 {
			time.Sleep(time.Second)
			for _, tracker := range trackers {
				if known := tracker.Known(); known.Job == nil && known.Cancel.Done && time.Since(known.Cancel.At) >= time.Second {
					tracker.Cancel(jobID) // as it is decided where no look has told anything
				}
			}
		}
		for i, tracker := range trackers {
			if tracker.Known().Job == nil {
				t.Errorf("job%d: nobody has looked, after %d cancels", i, tracker.Known().Cancel.Tries)
			}
		}
	})
}
