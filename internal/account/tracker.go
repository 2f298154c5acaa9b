package account

import (
	"context"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

const (
	// firstLook is when a fresh job is first looked at, and the least time between two looks.
	firstLook = 2 * time.Second
	// pollInterval is the time between looks at a job that waits for its turn at Dafty, so that
	// Processing shows within 10 s.
	pollInterval = 5 * time.Second
	// cancelledLook is the time between looks at a job whose cancel must be confirmed.
	cancelledLook = time.Second
	// maxTrouble is the longest time between two looks that fail.
	maxTrouble = time.Minute
)

// Tracker follows one DaftyJob's job at Dafty. Its methods never block on a call.
type Tracker struct {
	registry *Registry
	name     types.NamespacedName
	uid      types.UID
	ctx      context.Context
	stop     context.CancelFunc

	mu     sync.Mutex
	closed bool
	// secret is the account of the key in the Secret, nil where there is none; held the one
	// that a call was last made with. Each is a reference of its own in the registry.
	secret *Account
	held   *Account
	// rejected is true once Dafty has refused the key of the Secret.
	rejected bool

	claimed    bool
	submission *lifecycle.SubmissionCall
	failures   int
	job        *dafty.Job
	trouble    *lifecycle.Trouble
	cancel     *lifecycle.CancelCall
	follower   *follower
}

// follower is the goroutine that looks at the job.
type follower struct {
	account *Account
	stop    context.CancelFunc
	// look is signalled to look at once, in place of a held request.
	look chan struct{}
}

func (f *follower) lookNow() {
	select {
	case f.look <- struct{}{}:
	default:
	}
}

func (t *Tracker) wake() { t.registry.wake(t.name) }

// Use tells the API key that the Secret now holds, empty where it holds none. Another key
// may know another truth, so that what was in trouble is tried anew.
func (t *Tracker) Use(apiKey string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.secret != nil && t.secret.key == apiKey || t.secret == nil && apiKey == "" {
		return
	}
	before := t.secret
	t.secret = nil
	if apiKey != "" {
		t.secret = t.registry.acquire(apiKey)
		t.trouble, t.cancel, t.rejected = nil, nil, false
	}
	if before != nil {
		before.leave(t)
		t.registry.release(before)
	}
}

// Known is all that was heard so far.
func (t *Tracker) Known() lifecycle.Known {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := lifecycle.Known{Job: t.job, Trouble: copied(t.trouble), Cancel: copied(t.cancel), Submission: copied(t.submission)}
	if t.secret != nil {
		known.Credentials.Secret = Hash(t.uid, t.secret.key)
	}
	if t.held != nil {
		known.Credentials.Held = Hash(t.uid, t.held.key)
	}
	return known
}

func copied[T any](from *T) *T {
	if from == nil {
		return nil
	}
	to := *from
	return &to
}

// Claim takes a turn to submit, or says what the submission waits for; the reconcile is
// woken where that ends early. A turn that isn't used stays with the tracker.
func (t *Tracker) Claim(create dafty.Create, submission *v1alpha1.Submission) *lifecycle.Hold {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.accountFor(submission)
	if t.claimed || a == nil {
		return nil
	}
	repeat := !submission.StartedAt.Equal(submission.SentAt)
	hold := a.claim(t, create.Class(), repeat)
	t.claimed = hold == nil
	return hold
}

// accountFor is the account whose key a submission is, or was, sent with.
func (t *Tracker) accountFor(submission *v1alpha1.Submission) *Account {
	for _, a := range []*Account{t.secret, t.held} {
		if a != nil && Hash(t.uid, a.key) == submission.CredentialsHash {
			return a
		}
	}
	return nil
}

// hold keeps a as the account that was last used.
func (t *Tracker) hold(a *Account) {
	if t.held == a || t.closed {
		return
	}
	before := t.held
	t.held = t.registry.acquire(a.key)
	t.registry.release(before)
}

// Submit sends the request of a submission that is on record in status.
func (t *Tracker) Submit(create dafty.Create, submission *v1alpha1.Submission) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.accountFor(submission)
	if a == nil || t.closed {
		return
	}
	t.hold(a)
	t.claimed = false
	call := &lifecycle.SubmissionCall{IdempotencyKey: submission.IdempotencyKey, SentAt: submission.SentAt.Time}
	t.submission = call
	go t.submit(a, create, call)
}

func (t *Tracker) submit(a *Account, create dafty.Create, call *lifecycle.SubmissionCall) {
	// Counted from the write-ahead: whoever finds the attempt without an answer repeats it once
	// this deadline has surely passed.
	ctx, cancel := context.WithTimeout(t.ctx, time.Until(call.SentAt.Add(lifecycle.SubmitTimeout)))
	defer cancel()
	job, err := a.client.Create(ctx, create, call.IdempotencyKey)
	callErr := dafty.AsError(err)
	a.submitted(t, create.Class(), callErr)

	t.mu.Lock()
	if callErr != nil {
		t.failures++
	} else {
		t.failures = 0
		t.observe(job)
	}
	call.Done, call.Job, call.Err, call.Failures = true, job, callErr, t.failures
	t.mu.Unlock()
	t.wake()
}

// observe keeps the newest answer about the job, and says whether it is news. The end of a
// job is never taken back by an answer that is older.
func (t *Tracker) observe(job *dafty.Job) bool {
	before := t.job
	if before != nil && strings.EqualFold(before.Id, job.Id) && ended(before) {
		return false
	}
	t.job = job
	return before == nil || before.Id != job.Id || before.Status != job.Status
}

func ended(job *dafty.Job) bool {
	return job.Status == dafty.Completed || job.Status == dafty.Failed
}

// Follow looks at the job until it has ended.
func (t *Tracker) Follow(jobID string, class dafty.Class) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.caller()
	if a == nil || t.closed || t.follower != nil && t.follower.account == a {
		return
	}
	if t.follower != nil {
		t.follower.stop()
	}
	ctx, stop := context.WithCancel(t.ctx)
	f := &follower{account: a, stop: stop, look: make(chan struct{}, 1)}
	t.follower = f
	go t.follow(ctx, f, jobID, class)
}

// caller is the account that a known job is asked about with: the Secret's; and the last
// good one where the Secret is gone, or where its key isn't accepted and the job must be
// cancelled.
func (t *Tracker) caller() *Account {
	if t.secret == nil || t.rejected && t.cancel != nil && t.held != nil {
		return t.held
	}
	return t.secret
}

func rejects(err *dafty.CallError) bool { return err != nil && err.Kind == dafty.KindUnauthorized }

func (t *Tracker) follow(ctx context.Context, f *follower, jobID string, class dafty.Class) {
	for wait := t.untilFirstLook(); ; {
		held := false
		select {
		case <-f.look:
		default:
			if wait > 0 {
				select {
				case <-ctx.Done():
				case <-f.look:
				case <-time.After(wait):
				}
			}
			held = t.worthHolding()
		}
		if f.account.turn(ctx, dafty.ClassOther, spareForCancels) != nil {
			return
		}
		began := time.Now()
		job, err := t.look(ctx, f, jobID, held)
		if ctx.Err() != nil {
			return
		}
		if err == nil && job == nil {
			// A held request was given up to look at once.
			wait = 0
			continue
		}
		wait = t.looked(f.account, job, dafty.AsError(err), held && time.Since(began) > firstLook)
		if job != nil && ended(job) {
			f.account.ended(class)
			return
		}
	}
}

// look asks once. A held request is given up, with neither job nor error, when a look is
// wanted at once.
func (t *Tracker) look(ctx context.Context, f *follower, jobID string, held bool) (*dafty.Job, error) {
	if !held {
		return f.account.client.Job(ctx, jobID, false)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	type answer struct {
		job *dafty.Job
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		job, err := f.account.client.Job(ctx, jobID, true)
		answered <- answer{job, err}
	}()
	select {
	case got := <-answered:
		return got.job, got.err
	case <-f.look:
		f.lookNow()
		return nil, nil
	}
}

// untilFirstLook spares a job that has only just been submitted.
func (t *Tracker) untilFirstLook() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.job != nil && t.cancel == nil {
		return firstLook
	}
	return 0
}

// worthHolding says whether the next news is the job's end, for which a request is held at
// Dafty. Before it is processing, looks in between show when it starts.
func (t *Tracker) worthHolding() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.job != nil && t.job.Status == dafty.Processing && t.cancel == nil && t.trouble == nil
}

// looked keeps what a look brought, and says when to look again.
func (t *Tracker) looked(a *Account, job *dafty.Job, err *dafty.CallError, wasHeld bool) time.Duration {
	a.called(err)
	t.mu.Lock()
	if err != nil {
		failures := 1
		if t.trouble != nil && t.trouble.Err.Kind == err.Kind {
			failures = t.trouble.Failures + 1
		}
		t.trouble = &lifecycle.Trouble{Err: err, Credentials: Hash(t.uid, a.key), Failures: failures}
		t.rejected = t.rejected || rejects(err) && a == t.secret
		t.mu.Unlock()
		t.wake()
		if err.Kind == dafty.KindUnauthorized {
			return doubled(30*time.Second, failures, maxHold)
		}
		return max(doubled(time.Second, failures, maxTrouble), err.RetryAfter)
	}
	news := t.observe(job) || t.trouble != nil
	t.trouble = nil
	t.hold(a)
	cancelling := t.cancel != nil
	t.mu.Unlock()
	if news {
		t.wake()
	}
	switch {
	case cancelling:
		return cancelledLook
	case wasHeld:
		return 0
	case job.Status == dafty.Processing:
		// Dafty may not hold requests, and then this is a poll.
		if news {
			return 0
		}
		return pollInterval
	default:
		return pollInterval
	}
}

// Cancel cancels the job. Whether it has ended is for the looks to tell.
func (t *Tracker) Cancel(jobID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.caller()
	if a == nil || t.closed || t.cancel != nil && !t.cancel.Done {
		return
	}
	call := &lifecycle.CancelCall{}
	if t.cancel != nil && t.cancel.Err != nil {
		call.Failures = t.cancel.Failures
	}
	t.cancel = call
	go t.cancelJob(a, jobID, call)
}

func (t *Tracker) cancelJob(a *Account, jobID string, call *lifecycle.CancelCall) {
	if a.turn(t.ctx, dafty.ClassOther, 0) != nil {
		return
	}
	job, err := a.client.Cancel(t.ctx, jobID)
	callErr := dafty.AsError(err)
	a.called(callErr)

	t.mu.Lock()
	call.Done, call.At, call.Err = true, time.Now(), callErr
	if callErr != nil {
		call.Failures++
	} else {
		t.observe(job)
		t.hold(a)
	}
	t.rejected = t.rejected || rejects(callErr) && a == t.secret
	if t.follower != nil {
		t.follower.lookNow()
	}
	t.mu.Unlock()
	t.wake()
}

func (t *Tracker) close() {
	t.stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, a := range []*Account{t.secret, t.held} {
		if a != nil {
			a.leave(t)
			t.registry.release(a)
		}
	}
	t.secret, t.held = nil, nil
}
