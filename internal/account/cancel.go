package account

import (
	"context"
	"strings"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// MarkAbandoned notes that a deletion has given up the job's cancel, and says whether that is news.
func (t *Tracker) MarkAbandoned() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.gaveUp
	t.gaveUp = true
	return !before
}

// Cancel cancels the job, as its user asked. Whether it has ended is for the looks to tell.
func (t *Tracker) Cancel(jobID string) { t.cancelFor(jobID, lifecycle.CancelForUser) }

// CancelOverdue is Cancel for a job that is past its deadline.
func (t *Tracker) CancelOverdue(jobID string) { t.cancelFor(jobID, lifecycle.CancelForDeadline) }

func (t *Tracker) cancelFor(jobID string, cause lifecycle.CancelCause) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turnTo(jobID)
	a := t.caller(true)
	if a == nil || t.closed || t.registry.draining() || t.knowsEnd(jobID) || t.cancel != nil && !t.cancel.Done {
		return
	}
	t.owes = true
	call := &lifecycle.CancelCall{}
	if before := t.cancel; before != nil {
		call.Tries = before.Tries
		if before.Err != nil {
			call.Failures = before.Failures
		}
	}
	t.cancel = call
	go t.cancelJob(t.call(t.ctx), t.registry.retain(a), jobID, cause, call, call.Tries > 0)
}

func (t *Tracker) cancelJob(ctx context.Context, a *Account, jobID string, cause lifecycle.CancelCause, call *lifecycle.CancelCall, again bool) {
	defer t.registry.release(a)
	waiting, giveUp := context.WithCancel(ctx)
	defer context.AfterFunc(t.registry.open, giveUp)()
	defer giveUp()
	taken, err := a.acquireForCancel(waiting, again)
	t.mu.Lock()
	if err != nil {
		t.settle() // nothing was sent: the next process cancels it
		t.mu.Unlock()
		return
	}
	call.Sent, t.cancelSent = true, t.cancelSent || strings.EqualFold(t.followed, jobID)
	t.mu.Unlock()
	// Before it leaves, as others may read of its effect before its answer is here.
	before, already := t.registry.cancelOf(jobID)
	t.registry.setCancel(jobID, cancelledBy{t.uid, cause}.after(before))
	ctx, rate := dafty.WithRate(ctx)
	job, err := a.client.Cancel(ctx, jobID)
	callErr := dafty.AsError(err)
	if callErr != nil && callErr.WithoutEffect() && !already {
		t.registry.unsetCancel(jobID) // it had no effect
	}
	a.onResponse(dafty.ClassOther, taken, *rate, callErr)

	t.mu.Lock()
	end := false
	call.Done, call.At, call.Err = true, time.Now(), callErr
	call.Tries++
	switch {
	case callErr == nil:
		_, end = t.observe(job)
		t.setLastUsed(a)
		call.Failures = 0
	case callErr.Kind == dafty.KindUnauthorized:
		t.refusedKey(a)
		call.Failures++
	default:
		call.Failures++
	}
	class := t.class
	switch {
	case end:
		t.stopPolling()
	case t.poll != nil:
		t.poll.lookNow()
	}
	t.mu.Unlock()
	if end {
		a.ended(t, class)
	}
	t.wake()
}
