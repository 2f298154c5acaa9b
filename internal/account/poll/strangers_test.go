package poll

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

// A job counts as one that nobody follows once it was listed for a minute, and for as long as lists say so.
func TestStrangers(t *testing.T) {
	start := time.Date(2026, 12, 3, 12, 0, 0, 0, time.UTC)
	job := func(id string, age time.Duration) dafty.ListedJob {
		return dafty.ListedJob{ID: id, Type: "image.generate", CreatedAt: start.Add(-age)}
	}
	at := start.Add
	p := &Poller{targets: map[*Target]bool{{Job: Job{ID: "OURS"}}: true}}
	list := func(after time.Duration, status dafty.JobStatus, jobs ...dafty.ListedJob) {
		p.strangers.listed(status, jobs, p.targets, at(after))
	}
	want := func(after time.Duration, ids ...string) {
		t.Helper()
		var got []string
		for _, job := range p.Unfollowed(at(after)) {
			got = append(got, job.ID)
		}
		if !slices.Equal(got, ids) {
			t.Errorf("after %s: got %v, want %v", after, got, ids)
		}
	}
	list(0, dafty.Processing, job("ours", time.Hour), job("old", time.Hour), job("young", time.Minute))
	list(0, dafty.Pending, job("queued", 2*time.Hour))
	want(30 * time.Second)
	list(time.Minute, dafty.Processing, job("old", time.Hour), job("young", time.Minute), job("new", 0))
	want(time.Minute, "queued", "old", "young")
	list(2*time.Minute, dafty.Processing, job("queued", 2*time.Hour), job("old", time.Hour), job("new", 0))
	want(2*time.Minute, "queued", "old", "new")
	target := &Target{Job: Job{ID: "Old"}}
	p.targets[target] = true // adopted
	want(2*time.Minute, "queued", "new")
	list(3*time.Minute, dafty.Pending)
	list(3*time.Minute, dafty.Processing, job("new", 0))
	want(3*time.Minute, "new")
	want(20 * time.Minute)

	var many []dafty.ListedJob
	for i := range 30 {
		many = append(many, job(fmt.Sprintf("%02d", i), time.Duration(i)*time.Hour))
	}
	list(30*time.Minute, dafty.Processing, many...)
	list(31*time.Minute, dafty.Processing, many...)
	if got := p.Unfollowed(at(31 * time.Minute)); len(got) != maxStrangers || got[0].ID != "29" {
		t.Errorf("got %v", got)
	}
}
