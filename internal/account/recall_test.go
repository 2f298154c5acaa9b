package account

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// recalledSubmission returns one that is on record for a DaftyJob, under a key, since so long ago.
func recalledSubmission(n int, key string, ago time.Duration, class dafty.Class) Recalled {
	uid := types.UID(fmt.Sprint("old-", n))
	sent := metav1.NewTime(time.Now().Add(-ago).Truncate(time.Second))
	return Recalled{UID: uid, Class: class, Submission: &v1alpha1.Submission{SentAt: &sent, StartedAt: &sent, CredentialsHash: Hash(uid, key)}}
}

// What other processes have submitted counts for the same key and class, for a minute.
func TestRecall(t *testing.T) {
	const limit = 5
	for _, tt := range []struct {
		name string
		// old are so many submissions, this long ago.
		old   int
		ago   time.Duration
		key   string
		class dafty.Class
		// after is when the key is first used.
		after time.Duration
		goes  int // of ten that want to go
	}{
		{"none", 0, 0, "k", dafty.ClassImageCreate, 0, limit},
		{"some of this minute", 3, 20 * time.Second, "k", dafty.ClassImageCreate, 0, 2},
		{"all of this minute", 5, 20 * time.Second, "k", dafty.ClassImageCreate, 0, 0},
		{"more than there can be, as some were refused", 12, 20 * time.Second, "k", dafty.ClassImageCreate, 0, 0},
		{"as old as a minute, and the time on its way", 5, 61 * time.Second, "k", dafty.ClassImageCreate, 0, 0},
		{"older", 5, 63 * time.Second, "k", dafty.ClassImageCreate, 0, limit},
		{"by a clock that is ahead", 3, -3 * time.Second, "k", dafty.ClassImageCreate, 0, 2},
		{"another key's", 5, 20 * time.Second, "another", dafty.ClassImageCreate, 0, limit},
		{"another class's", 5, 20 * time.Second, "k", dafty.ClassVideoCreate, 0, limit},
		{"a class that isn't known", 5, 20 * time.Second, "k", "sound", 0, limit},
		{"the key is used later in the minute", 3, 5 * time.Second, "k", dafty.ClassImageCreate, 40 * time.Second, 2},
		{"the key is used a minute later", 5, 5 * time.Second, "k", dafty.ClassImageCreate, 70 * time.Second, limit},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inEnvWithLimits(t, Limits{dafty.ClassImageCreate: limit}, func(t *testing.T, w *env) {
				var old []Recalled
				for i := range tt.old {
					old = append(old, recalledSubmission(i, tt.key, tt.ago, tt.class))
				}
				w.registry.accounts.previousUntil = time.Time{} // As in a process that has just begun.
				w.registry.Recall(old)
				w.tracker("first", "elsewhere") // Another key is used at once.
				time.Sleep(tt.after)
				goes := 0
				for i := range 10 {
					tracker := w.tracker(fmt.Sprint(i), "k")
					s := submission(tracker)
					if block := tracker.Claim(image, s, false); block != nil {
						if tt.goes == 0 && block.Kind != dafty.KindRateLimit {
							t.Errorf("held as %s", block.Kind)
						}
						break
					}
					goes++
					tracker.Submit(image, s)
					synctest.Wait()
				}
				if goes != tt.goes {
					t.Errorf("%d go, want %d", goes, tt.goes)
				}
			})
		})
	}
}

// Each place of the minute is free again when its submission is a minute old.
func TestRecalledSubmissionsLeaveOneByOne(t *testing.T) {
	inEnvWithLimits(t, Limits{dafty.ClassImageCreate: 3}, func(t *testing.T, w *env) {
		w.registry.accounts.previousUntil = time.Time{}
		w.registry.Recall([]Recalled{ // as they come, in no order
			recalledSubmission(1, "k", 30*time.Second, dafty.ClassImageCreate),
			recalledSubmission(2, "k", 50*time.Second, dafty.ClassImageCreate),
			recalledSubmission(3, "k", 10*time.Second, dafty.ClassImageCreate),
		})
		first, second, third := w.tracker("first", "k"), w.tracker("second", "k"), w.tracker("third", "k")
		for i, tracker := range []*Tracker{first, second, third} {
			want := time.Duration(10+20*i)*time.Second + recalledAfter
			// The class is full: what waits is spread as well.
			if got := until(tracker.Claim(image, submission(tracker), false)); got < want || got > want+time.Minute {
				t.Errorf("the %dth is told %v, want %v at least", i+1, got, want)
			}
		}
		time.Sleep(until(first.Claim(image, submission(first), false)))
		if claimed(image, first) == "" {
			t.Error("the first has no turn when its time is there")
		}
	})
}

// A new process in front of a long queue goes on at the rate at which the one before it stopped, and is never refused.
func TestAQueueGoesOnAfterARestart(t *testing.T) {
	eachReading(t, daftysim.Options{}, func(t *testing.T, s *simulation) {
		s.processing = func() time.Duration { return 20 * time.Second }
		for i := range 160 {
			s.begin(fmt.Sprintf("%03d", i), "", nil)
		}
		time.Sleep(150 * time.Second)
		before := s.now()
		s.restart()
		time.Sleep(4 * time.Minute)
		creates := s.arrived("create", 0, s.now())
		if n := refused(creates); n > 0 {
			t.Errorf("%d of %d creates are refused", n, len(creates))
		}
		after := s.arrived("create", before, before+4*time.Minute)
		t.Logf("%d creates in 4 minutes", len(after))
		if len(after) < 74 {
			t.Errorf("%d creates in 4 minutes", len(after))
		}
		seen := map[string]int{}
		for _, e := range s.sim.Ledger() {
			if seen[e.IdempotencyKey]++; seen[e.IdempotencyKey] > 1 {
				t.Errorf("%s is paid twice", e.IdempotencyKey)
			}
		}
	})
}
