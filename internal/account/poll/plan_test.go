package poll

import (
	"testing"
	"testing/synctest"
	"time"

	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
)

// The plan of a minute: what there is decides between long polls and lists.
func TestPlan(t *testing.T) {
	for _, tt := range []struct {
		name                string
		jobs, ready, cancel int // ready are those that process, cancel those that are cancelled
		limit               int
		longPolls           int
		lists               int
		crowded             bool
		atLeast             time.Duration // between two sweeps
		spaced              bool
	}{
		{name: "nothing", limit: 120, atLeast: sweepInterval},
		{name: "one that waits", jobs: 1, limit: 120, longPolls: 1, lists: 1, atLeast: sweepInterval},
		{name: "one that has begun", jobs: 1, ready: 1, limit: 120, longPolls: 1, atLeast: sweepInterval},
		{name: "one that is cancelled", jobs: 1, cancel: 1, limit: 120, atLeast: sweepInterval},
		{name: "as many as can begin at once", jobs: 55, limit: 120, longPolls: 55, lists: 1, atLeast: sweepInterval},
		{name: "more than that", jobs: 56, limit: 120, longPolls: 56, lists: 2, atLeast: sweepInterval, spaced: true},
		{name: "as many as can be held", jobs: 86, limit: 120, longPolls: 86, lists: 2, atLeast: sweepInterval, spaced: true},
		{name: "more", jobs: 101, limit: 120, longPolls: 101, lists: 2, crowded: true, atLeast: sweepInterval, spaced: true},
		{name: "far more", jobs: 600, limit: 120, longPolls: 20, lists: 2, crowded: true, atLeast: sweepInterval, spaced: true},
		{name: "a tiny limit", jobs: 3, limit: 2, longPolls: 0, lists: 2, crowded: true, atLeast: time.Minute, spaced: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate := ratelimit.New(map[dafty.Class]int{dafty.ClassOther: tt.limit}, time.Time{})
				p := New(t.Context(), gate, nil)
				for i := range tt.jobs {
					target := &Target{Job: Job{Cancelling: i < tt.cancel}}
					if i < tt.ready {
						target.Status = dafty.Processing
					}
					p.targets[target] = true
				}
				got := p.plan(time.Now())
				if got.crowded != tt.crowded || len(got.lists) != tt.lists || got.every < tt.atLeast || (got.spacing > 0) != tt.spaced {
					t.Errorf("got %+v", got)
				}
				if !tt.crowded && got.longPolls != tt.longPolls || tt.crowded && got.longPolls > tt.longPolls {
					t.Errorf("%d long polls, want %d", got.longPolls, tt.longPolls)
				}
				// All of it together is no more than the minute has, whatever is left for looks; where all may have a long poll, the
				// spacing sees to that.
				cost := float64(got.longPolls) * 60 / 55
				if tt.crowded {
					cost += float64(1+(tt.jobs+dafty.PageSize-1)/dafty.PageSize) * float64(time.Minute) / float64(got.every)
				}
				if got.longPolls < tt.jobs && cost > float64(max(1, tt.limit-min(ratelimit.ReservedForLooks, tt.limit/2))) {
					t.Errorf("%.1f calls a minute of %d: %+v", cost, tt.limit, got)
				}
			})
		})
	}
}
