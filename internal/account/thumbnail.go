package account

import (
	"context"
	"time"

	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

const (
	// thumbnailLook is when a thumbnail is looked for first, and maxThumbnailLook the most between two looks.
	thumbnailLook    = 5 * time.Second
	maxThumbnailLook = 30 * time.Second
)

// LookForThumbnail looks now and then whether the video of a job that has completed has its thumbnail. Nothing that goes wrong
// meanwhile is told. It changes nothing while one is looked for already.
func (t *Tracker) LookForThumbnail(jobID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.thumbnails || t.shared.draining() {
		return
	}
	t.thumbnails = true
	go t.lookForThumbnail(jobID)
}

func (t *Tracker) lookForThumbnail(jobID string) {
	ctx, cancel := context.WithTimeout(t.ctx, lifecycle.ThumbnailFor)
	defer cancel()
	defer context.AfterFunc(t.shared.open, cancel)()
	found := false
	for looks := 1; !found && ctx.Err() == nil; looks++ {
		select {
		case <-time.After(dafty.Backoff(thumbnailLook, looks, maxThumbnailLook)):
			found = t.findThumbnail(ctx, jobID)
		case <-ctx.Done():
		}
	}
	t.mu.Lock()
	t.thumbnails = false
	t.mu.Unlock()
	if found {
		t.Wake()
	}
}

// findThumbnail looks once.
func (t *Tracker) findThumbnail(ctx context.Context, jobID string) bool {
	t.mu.Lock()
	a := t.accountOfJob(false)
	if a == nil || t.closed {
		t.mu.Unlock()
		return false
	}
	t.shared.accounts.retain(a)
	ctx = t.callContext.into(ctx)
	t.mu.Unlock()
	defer t.shared.accounts.release(a)

	turn, err := a.gate.Acquire(ctx, dafty.ClassOther, ratelimit.ReservedForLooks)
	if err != nil {
		return false
	}
	job, failure := a.client.Job(ctx, turn, jobID, false)
	if failure != nil || job.Status != dafty.Completed || !hasThumbnail(job) {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.observe(job)
	return true
}
