package account

import (
	"context"
	"strings"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// Cancel cancels the job, as its user asked. Whether it has ended is for the looks to tell.
func (t *Tracker) Cancel(jobID string) { t.cancelFor(jobID, lifecycle.CancelForUser) }

// CancelOverdue is Cancel for a job that is past its deadline.
func (t *Tracker) CancelOverdue(jobID string) { t.cancelFor(jobID, lifecycle.CancelForDeadline) }

func (t *Tracker) cancelFor(jobID string, cause lifecycle.CancelCause) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turnTo(jobID)
	a := t.accountOfJob(true)
	if a == nil || t.closed || t.shared.draining() || t.knowsEnd(jobID) || t.cancel != nil && !t.cancel.Done {
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
	go t.cancelJob(t.callContext.into(t.ctx), t.shared.accounts.retain(a), jobID, cause, call, call.Tries > 0)
}

func (t *Tracker) cancelJob(ctx context.Context, a *Account, jobID string, cause lifecycle.CancelCause, call *lifecycle.CancelCall, again bool) {
	defer t.shared.accounts.release(a)
	waiting, giveUp := context.WithCancel(ctx)
	defer context.AfterFunc(t.shared.open, giveUp)()
	defer giveUp()
	turn, err := a.gate.AcquireForCancel(waiting, again)
	t.mu.Lock()
	if err != nil {
		t.settle() // nothing was sent: the next process cancels it
		t.mu.Unlock()
		return
	}
	call.Sent, t.cancelSent = true, t.cancelSent || strings.EqualFold(t.followed, jobID)
	t.mu.Unlock()
	// Before it leaves, as others may read of its effect before its answer is here.
	before, already := t.shared.cancels.get(jobID)
	t.shared.cancels.set(jobID, cancelledBy{t.caller.UID, cause}.after(before))
	job, failure := a.client.Cancel(ctx, turn, jobID)
	if failure != nil && failure.WithoutEffect() && !already {
		t.shared.cancels.remove(jobID) // it had no effect
	}
	t.onCancelled(a, call, job, failure)
}

// onCancelled keeps the answer to a cancel.
func (t *Tracker) onCancelled(a *Account, call *lifecycle.CancelCall, job *dafty.Job, failure *dafty.CallError) {
	t.mu.Lock()
	end := false
	call.Done, call.At, call.Err = true, time.Now(), failure
	call.Tries++
	switch {
	case failure == nil:
		_, end = t.observe(job)
		t.setLastUsed(a)
		call.Failures = 0
	case failure.Kind == dafty.KindUnauthorized:
		t.doubt(a)
		call.Failures++
	default:
		call.Failures++
	}
	class := t.class
	switch {
	case end:
		t.unfollow()
	case t.following != nil:
		t.following.account.poller.LookNow(t.following.target)
	}
	t.mu.Unlock()
	if end {
		a.finished(&t.caller, class)
	}
	t.wakeFirst()
}
