package account

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

// Each submission counts once. This runs in real time on purpose: virtual time stands still
// between two readings of the clock, and hid that a call was counted at one of them and
// looked for at the other.
func TestASubmissionCountsOnce(t *testing.T) {
	answered := make(chan struct{}, 1)
	registry := NewRegistry(t.Context(), Config{
		Client: func(string) Dafty { return &fakeDafty{} },
		Wake:   func(types.NamespacedName) { answered <- struct{}{} },
	})
	create := dafty.GenerateImageRequest{Prompt: "A logo"}
	limit := DefaultLimits[create.Class()]
	for i := range limit + 1 {
		name := fmt.Sprint("job-", i)
		tracker := registry.Tracker(types.NamespacedName{Name: name}, types.UID(name), time.Time{})
		tracker.SetAPIKey("key")
		now := metav1.Now()
		submission := &v1alpha1.Submission{IdempotencyKey: name, StartedAt: &now, SentAt: &now, CredentialsHash: tracker.Known().Credentials.Secret}
		block := tracker.Claim(create, submission, false)
		if i == limit {
			if block == nil {
				t.Errorf("submission %d goes within the minute, over the limit of %d", i+1, limit)
			}
			break
		}
		if block != nil {
			t.Fatalf("submission %d of %d waits until %s", i+1, limit, block.Until)
		}
		tracker.Submit(create, submission)
		await(t, answered)
	}
}

// await is for what takes no time, on a machine that may be slow.
func await(t *testing.T, done <-chan struct{}) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	select {
	case <-done:
	case <-ctx.Done():
		t.Fatal("nothing came")
	}
}
