package account

import (
	"context"
	"strings"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// observe keeps the newest answer about the job, and says whether it is news, and whether
// the news is the job's end. That is never taken back by an answer that is older; a video's
// thumbnail may come after it.
func (t *Tracker) observe(job *dafty.Job) (news, end bool) {
	before := t.job
	if before != nil && strings.EqualFold(before.Id, job.Id) && ended(before) {
		late := before.Status == dafty.Completed && job.Status == dafty.Completed && hasThumbnail(job) && !hasThumbnail(before)
		if late {
			t.job = job
		}
		return late, false
	}
	t.job = job
	if ended(job) {
		t.endedAt = time.Now()
	}
	dated := before != nil && before.CreatedAt.IsZero() && !job.CreatedAt.IsZero() // a list told of it before
	return before == nil || before.Id != job.Id || before.Status != job.Status || dated, ended(job)
}

// knowsEnd reports whether Dafty has said that the job ended: who asks decided before that came.
func (t *Tracker) knowsEnd(jobID string) bool {
	return t.job != nil && strings.EqualFold(t.job.Id, jobID) && ended(t.job)
}

func ended(job *dafty.Job) bool {
	return job.Status == dafty.Completed || job.Status == dafty.Failed
}

// Follow looks at the job until it has ended.
func (t *Tracker) Follow(jobID string, class dafty.Class) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turnTo(jobID)
	a := t.caller(t.cancel != nil)
	switch {
	case a == nil || t.closed || t.registry.draining() || t.knowsEnd(jobID):
		return
	case t.poll != nil && t.poll.account == a && t.poll.jobID == jobID:
		a.enter(t.poll) // a Secret that was away for a moment gave its place back
		return
	}
	t.stopPolling()
	w := &poll{tracker: t, account: t.registry.retain(a), jobID: jobID, class: class, cancelling: t.cancel != nil}
	w.ctx, w.stop = context.WithCancel(t.call(t.ctx))
	switch now := time.Now(); {
	case t.missed > 0:
		// The backoff goes on where the one that looked before met trouble.
		w.look = now.Add(lifecycle.Backoff(time.Second, t.missed, maxTrouble))
	case t.cancel != nil:
		w.look, w.urgent = now, true
	}
	if t.job != nil && strings.EqualFold(t.job.Id, jobID) {
		w.status, w.made = t.job.Status, t.job.CreatedAt
	}
	t.poll, t.class = w, class
	a.follow(t.registry.ctx, w)
}

// turnTo forgets what was heard of another job: a person may have corrected the id.
func (t *Tracker) turnTo(jobID string) {
	if t.followed != "" && !strings.EqualFold(t.followed, jobID) {
		t.trouble, t.missed, t.lookRefusals, t.cancel, t.cancelSent = nil, 0, 0, nil, false
	}
	t.followed = jobID
}

// stopPolling stops to look.
func (t *Tracker) stopPolling() {
	if t.poll == nil {
		return
	}
	t.poll.account.unfollow(t.poll)
	t.registry.release(t.poll.account)
	t.poll = nil
}

// looked keeps what a look brought. held says that Dafty was asked to hold it.
func (t *Tracker) looked(w *poll, taken time.Time, held bool, job *dafty.Job, err *dafty.CallError) {
	t.mu.Lock()
	if t.poll != w {
		// Another looks in its place, with another key perhaps: this answer is none of its.
		t.mu.Unlock()
		return
	}
	a, cancelling := w.account, t.cancel != nil
	if err != nil {
		w.again(time.Now().Add(t.looksBad(a, err)), cancelling)
		t.mu.Unlock()
		t.wake()
		return
	}
	news, end := t.observe(job)
	news = news || t.trouble != nil
	t.trouble, t.missed, t.lookRefusals = nil, 0, 0
	t.setLastUsed(a)
	if end {
		if !cancelling {
			w.endsByItself(job)
		}
		t.stopPolling()
	} else {
		w.goesOn(job, cancelling, held, taken)
	}
	t.mu.Unlock()
	if end {
		a.ended(t, w.class)
	}
	if news {
		t.wake()
	}
}

// listed keeps that a list has the job under a status. It is no news that a job waits which is known to have begun.
func (t *Tracker) listed(w *poll, status dafty.JobStatus) {
	t.mu.Lock()
	if t.poll != w {
		t.mu.Unlock()
		return
	}
	t.setLastUsed(w.account) // it is the job's account
	if t.job != nil && (ended(t.job) || t.job.Status == status || t.job.Status == dafty.Processing) {
		t.mu.Unlock()
		return
	}
	job := dafty.Job{Id: w.jobID}
	if t.job != nil {
		job = *t.job
	}
	job.Status = status
	t.job = &job
	t.mu.Unlock()
	t.wake()
}

// looksBad keeps what went wrong with a look, and says when to look again.
func (t *Tracker) looksBad(a *Account, err *dafty.CallError) time.Duration {
	trouble := &lifecycle.Trouble{Err: err, Credentials: Hash(t.uid, a.key()), Failures: 1}
	if before := t.trouble; before != nil && before.Err.Kind == err.Kind && before.Credentials == trouble.Credentials {
		trouble.Failures = before.Failures + 1
	}
	t.trouble = trouble
	t.missed++
	switch {
	case err.Kind == dafty.KindUnauthorized:
		t.lookRefusals++
		trouble.Failures = t.lookRefusals
		t.refusedKey(a)
		if trouble.Failures == 1 {
			return max(secondLook, err.RetryAfter)
		}
		return max(lifecycle.Backoff(30*time.Second, trouble.Failures-1, maxHold), err.RetryAfter)
	case err.Kind == dafty.KindNotFound && trouble.Failures == 1:
		return max(secondLook, err.RetryAfter)
	case err.Kind == dafty.KindNotFound:
		// Under the key of another account the job isn't there, and won't be.
		t.rejected = a
		return max(lifecycle.Backoff(time.Second, t.missed, maxHold), err.RetryAfter)
	}
	return max(lifecycle.Backoff(time.Second, t.missed, maxTrouble), err.RetryAfter)
}
