package account

import (
	"strings"
	"time"

	"dafty.ai/dafty-operator/internal/account/poll"
	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// secondLook is how soon a job is looked at again whose look met a refusal of the key, or that it isn't there: late enough that
// what passes has passed, and early enough that a key that was revoked shows within 15 s.
const secondLook = 3 * time.Second

// Follow looks at the job until it has ended.
func (t *Tracker) Follow(jobID string, class dafty.Class) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turnTo(jobID)
	a := t.accountOfJob(t.cancel != nil)
	switch f := t.following; {
	case a == nil || t.closed || t.shared.draining() || t.knowsEnd(jobID):
		return
	case f != nil && f.account == a && f.target.ID == jobID:
		a.gate.Enter(&t.caller, f.target.Class) // a Secret that was away for a moment gave its place back
		return
	}
	t.unfollow()
	job := poll.Job{ID: jobID, Class: class, Name: t.name, Created: t.caller.Created, Cancelling: t.cancel != nil}
	switch now := time.Now(); {
	case t.missed > 0:
		// The backoff goes on where the one that looked before failed.
		job.LookAt = now.Add(dafty.Backoff(time.Second, t.missed, poll.MaxBackoff))
	case t.cancel != nil:
		job.LookAt, job.Urgent = now, true
	}
	if t.job != nil && strings.EqualFold(t.job.Id, jobID) {
		job.Status, job.Made = t.job.Status, t.job.CreatedAt
	}
	t.class = class
	a.gate.Enter(&t.caller, class)
	target := a.poller.Follow(t.callContext.into(t.ctx), job, follower{t})
	t.following = &following{account: t.shared.accounts.retain(a), target: target}
}

// unfollow ends the polling. It is called with the tracker locked.
func (t *Tracker) unfollow() {
	f := t.following
	if f == nil {
		return
	}
	f.account.gate.Leave(&t.caller, f.target.Class)
	f.account.poller.Unfollow(f.target)
	t.shared.accounts.release(f.account)
	t.following = nil
}

// followedBy returns the polling that a target is of, nil where another has taken its place, with another key perhaps: an answer
// to the target is none to that.
func (t *Tracker) followedBy(target *poll.Target) *following {
	if t.following == nil || t.following.target != target {
		return nil
	}
	return t.following
}

// follower is what a Tracker is to package poll.
type follower struct{ *Tracker }

// OnLook implements poll.Follower.
func (t follower) OnLook(target *poll.Target, look poll.Look) {
	t.mu.Lock()
	f := t.followedBy(target)
	if f == nil {
		t.mu.Unlock()
		return
	}
	a, cancelling := f.account, t.cancel != nil
	if look.Err != nil {
		a.poller.Again(target, time.Now().Add(t.onFailedLook(a, look.Err)), cancelling)
		t.mu.Unlock()
		t.Wake()
		return
	}
	news, end := t.observe(look.Job)
	news = news || t.trouble != nil
	t.trouble, t.missed, t.lookRefusals = nil, 0, 0
	t.setLastUsed(a)
	if end {
		if !cancelling {
			a.poller.EndedByItself(target, look.Job)
		}
		t.unfollow()
	} else {
		a.poller.GoOn(target, look, cancelling)
	}
	t.mu.Unlock()
	switch {
	case end:
		a.finished(&t.caller, target.Class)
		t.wakeFirst()
	case news:
		t.Wake()
	}
}

// OnListed implements poll.Follower. It is no news that a job waits which is known to have begun.
func (t follower) OnListed(target *poll.Target, status dafty.JobStatus) {
	t.mu.Lock()
	f := t.followedBy(target)
	if f == nil {
		t.mu.Unlock()
		return
	}
	t.setLastUsed(f.account) // it is the job's account
	if t.job != nil && (ended(t.job) || t.job.Status == status || t.job.Status == dafty.Processing) {
		t.mu.Unlock()
		return
	}
	job := dafty.Job{Id: target.ID}
	if t.job != nil {
		job = *t.job
	}
	job.Status = status
	t.job = &job
	t.mu.Unlock()
	t.Wake()
}

// onFailedLook keeps what went wrong with a look, and returns when to look again.
func (t *Tracker) onFailedLook(a *Account, err *dafty.CallError) time.Duration {
	trouble := &lifecycle.Trouble{Err: err, Credentials: t.hash(a), Failures: 1}
	if before := t.trouble; before != nil && before.Err.Kind == err.Kind && before.Credentials == trouble.Credentials {
		trouble.Failures = before.Failures + 1
	}
	t.trouble = trouble
	t.missed++
	switch {
	case err.Kind == dafty.KindUnauthorized:
		t.lookRefusals++
		trouble.Failures = t.lookRefusals
		t.doubt(a)
		if trouble.Failures == 1 {
			return max(secondLook, err.RetryAfter)
		}
		return max(dafty.Backoff(30*time.Second, trouble.Failures-1, ratelimit.MaxBlock), err.RetryAfter)
	case err.Kind == dafty.KindNotFound && trouble.Failures == 1:
		return max(secondLook, err.RetryAfter)
	case err.Kind == dafty.KindNotFound:
		// Under the key of another account the job isn't there, and won't be.
		t.rejected = a
		return max(dafty.Backoff(time.Second, t.missed, ratelimit.MaxBlock), err.RetryAfter)
	}
	return max(dafty.Backoff(time.Second, t.missed, poll.MaxBackoff), err.RetryAfter)
}
