package account

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// Whom a job was cancelled for, and why, is remembered when its DaftyJob has ended: status may be set back to before it.
func TestItsOwnCancelIsRemembered(t *testing.T) {
	user, overdue := (*Tracker).Cancel, (*Tracker).CancelOverdue
	for _, tt := range []struct {
		name    string
		cancels []func(*Tracker, string)
		want    lifecycle.CancelCause
	}{
		{"for its user", []func(*Tracker, string){user}, lifecycle.CancelForUser},
		{"for its deadline", []func(*Tracker, string){overdue}, lifecycle.CancelForDeadline},
		{"for its deadline, and then for its user", []func(*Tracker, string){overdue, user}, lifecycle.CancelForUser},
		{"for its user, and past its deadline", []func(*Tracker, string){user, overdue}, lifecycle.CancelForUser},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inEnv(t, func(t *testing.T, w *env) {
				w.alone()
				w.dafty("k").onLook(func(context.Context, bool) (*dafty.Job, error) { return job(dafty.Processing), nil })
				w.dafty("k").onCancel(func(context.Context) (*dafty.Job, error) { return job(dafty.Processing), nil }) // it ends later
				one := w.tracker("one", "k")
				one.Follow(jobID, dafty.ClassImageCreate)
				time.Sleep(10 * time.Second)
				if is := one.Known().Cancelled; is != "" {
					t.Errorf("cancelled for %q before it was", is)
				}
				for _, cancel := range tt.cancels {
					cancel(one, jobID)
					synctest.Wait()
				}
				w.forget("one") // as at its end
				one = w.tracker("one", "k")
				if is := one.Known().Cancelled; is != "" {
					t.Errorf("cancelled for %q, and which job it is isn't known yet", is)
				}
				one.Follow(jobID, dafty.ClassImageCreate)
				time.Sleep(10 * time.Second)
				if known := one.Known(); known.Cancelled != tt.want || known.CancelledElsewhere {
					t.Errorf("cancelled for %q, elsewhere: %t", known.Cancelled, known.CancelledElsewhere)
				}
				other := w.tracker("other", "k")
				other.Follow(jobID, dafty.ClassImageCreate)
				time.Sleep(10 * time.Second)
				if known := other.Known(); known.Cancelled != "" || !known.CancelledElsewhere {
					t.Errorf("another's: cancelled for %q, elsewhere: %t", known.Cancelled, known.CancelledElsewhere)
				}
			})
		})
	}
}
