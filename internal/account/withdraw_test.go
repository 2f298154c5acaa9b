package account

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

// A job that was suspended while it was the first of the queue lets the next one know at once.
func TestAWithdrawnJobHoldsUpNobody(t *testing.T) {
	inEnvWithLimits(t, Limits{dafty.ClassImageCreate: 1}, func(t *testing.T, w *env) {
		w.submit(w.tracker("first", "k"), image)
		x, y := w.tracker("x", "k"), w.tracker("y", "k")
		if got := claimed(image, x, y); got != "" {
			t.Fatalf("%s may go", got)
		}
		w.woken()
		x.Withdraw()
		if got := w.woken(); !slices.Equal(got, []string{"y"}) {
			t.Errorf("woken: %v", got)
		}
		x.Withdraw() // once more changes nothing
		if got := w.woken(); len(got) > 0 {
			t.Errorf("woken: %v", got)
		}
		time.Sleep(time.Minute)
		if got := claimed(image, y); got != "y" {
			t.Error("y is still held")
		}
	})
}

// A submission that a wrong clock dated in the future counts for a minute, and no longer.
func TestRecallOfTheFuture(t *testing.T) {
	inEnvWithLimits(t, Limits{dafty.ClassImageCreate: 1}, func(t *testing.T, w *env) {
		ahead := metav1.NewTime(time.Now().Add(time.Hour))
		w.registry.Recall([]Recalled{{
			UID: types.UID("uid-old"), Class: dafty.ClassImageCreate,
			Submission: &v1alpha1.Submission{SentAt: &ahead, CredentialsHash: Hash("uid-old", "k")},
		}})
		tracker := w.tracker("new", "k")
		if claimed(image, tracker) != "" {
			t.Error("it doesn't count")
		}
		time.Sleep(time.Minute)
		if claimed(image, tracker) == "" {
			t.Error("it counts for ever")
		}
	})
}
