package account

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/internal/dafty"
)

// The end of a job and the answer to a cancel go before all other news.
func TestWhatIsToldFirst(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		var first []string
		w.registry.config.WakeFirst = func(name types.NamespacedName) {
			w.wake(name)
			w.mu.Lock()
			defer w.mu.Unlock()
			first = append(first, name.Name)
		}
		told := func() []string {
			synctest.Wait()
			w.mu.Lock()
			defer w.mu.Unlock()
			names := first
			first = nil
			return names
		}
		ends := make(chan struct{})
		w.dafty("k").onLook(func(ctx context.Context, _ bool) (*dafty.Job, error) {
			select {
			case <-ends:
				return job(dafty.Completed), nil
			case <-ctx.Done():
				return nil, &dafty.CallError{Kind: dafty.KindUnavailable}
			}
		})
		one := w.tracker("one", "k")
		w.submit(one, image)
		one.Follow(jobID, dafty.ClassImageCreate)
		if got := told(); len(got) > 0 || !slices.Contains(w.woken(), "one") {
			t.Errorf("told first of a submission: %v", got)
		}
		time.Sleep(time.Minute) // a look is held by then
		if got := told(); len(got) > 0 {
			t.Errorf("told first while the job runs: %v", got)
		}
		close(ends)
		time.Sleep(time.Minute)
		if got := told(); !slices.Equal(got, []string{"one"}) {
			t.Errorf("told first of an end: %v", got)
		}
		two := w.tracker("two", "other")
		two.Cancel(jobID)
		if got := told(); !slices.Equal(got, []string{"two"}) {
			t.Errorf("told first of the answer to a cancel: %v", got)
		}
	})
}
