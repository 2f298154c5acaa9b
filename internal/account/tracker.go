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

// Tracker follows one DaftyJob's job at Dafty. Its methods never block on a call, and it
// wakes nobody under a lock. Locks are taken in the order tracker, registry, account.
type Tracker struct {
	registry *Registry
	name     types.NamespacedName
	uid      types.UID
	ctx      context.Context
	stop     context.CancelFunc
	// since is when this process began to look after the DaftyJob.
	since time.Time

	mu     sync.Mutex
	closed bool
	// secret is the account of the key in the Secret, nil where there is none; held the one
	// that a call was last made with. Each is a reference of its own in the registry.
	secret *Account
	held   *Account
	// rejected is the account that was last told that its key, or the job under it, isn't known.
	rejected *Account

	claimed    claim
	submission *lifecycle.SubmissionCall
	failures   int
	class      dafty.Class
	job        *dafty.Job
	trouble    *lifecycle.Trouble
	// missed counts the looks that failed in a row, with whatever key and error.
	missed   int
	cancel   *lifecycle.CancelCall
	follower *follower
}

// claim is a turn to submit that was taken from an account. It counts for a while only: what
// was free or held then need not be so later.
type claim struct {
	account *Account
	at      time.Time
}

// claimLife is how long a turn that was taken may be used.
const claimLife = 30 * time.Second

func (c claim) of(a *Account) bool { return c.account == a && time.Since(c.at) < claimLife }

// follower is the goroutine that looks at the job.
type follower struct {
	account *Account
	jobID   string
	class   dafty.Class
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

func (t *Tracker) wake() { t.registry.config.Wake(t.name) }

// Use tells the API key that the Secret now holds, empty where it holds none. Another key
// may know another truth, so that what was in trouble is tried anew.
func (t *Tracker) Use(apiKey string) {
	t.mu.Lock()
	if t.closed || t.secret != nil && t.secret.key() == apiKey || t.secret == nil && apiKey == "" {
		t.mu.Unlock()
		return
	}
	before := t.secret
	t.secret = nil
	if apiKey != "" {
		t.secret = t.registry.acquire(apiKey)
		t.trouble, t.missed, t.cancel, t.rejected = nil, 0, nil, nil
	}
	var wake []*Tracker
	if before != nil {
		wake = before.leave(t)
		t.registry.release(before)
	}
	t.mu.Unlock()
	wakeAll(wake)
}

// Known is all that was heard so far.
func (t *Tracker) Known() lifecycle.Known {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := lifecycle.Known{Sender: t.registry.config.Sender, Since: t.since, Job: t.job, Trouble: copied(t.trouble), Cancel: copied(t.cancel), Submission: copied(t.submission)}
	if t.secret != nil {
		known.Credentials.Secret = Hash(t.uid, t.secret.key())
	}
	if t.held != nil {
		known.Credentials.Held = Hash(t.uid, t.held.key())
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
// woken where that ends early. A turn that isn't used stays with the tracker for a while.
func (t *Tracker) Claim(create dafty.Create, submission *v1alpha1.Submission) *lifecycle.Hold {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.accountFor(submission)
	if a == nil || t.closed || t.claimed.of(a) {
		return nil
	}
	repeat := !submission.StartedAt.Equal(submission.SentAt)
	hold, taken := a.claim(t, create.Class(), repeat)
	if hold == nil {
		t.claimed = claim{account: a, at: taken}
	}
	return hold
}

// accountFor is the account whose key a submission is, or was, sent with.
func (t *Tracker) accountFor(submission *v1alpha1.Submission) *Account {
	for _, a := range []*Account{t.secret, t.held} {
		if a != nil && Hash(t.uid, a.key()) == submission.CredentialsHash {
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
	t.held = t.registry.retain(a)
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
	taken := t.claimed.at
	t.claimed = claim{}
	t.class = create.Class()
	call := &lifecycle.SubmissionCall{Record: *submission.DeepCopy()}
	t.submission = call
	go t.submit(t.registry.retain(a), create, call, taken)
}

func (t *Tracker) submit(a *Account, create dafty.Create, call *lifecycle.SubmissionCall, taken time.Time) {
	defer t.registry.release(a)
	// Counted from the write-ahead: whoever finds the attempt without an answer repeats it once
	// this deadline has surely passed. A clock that was set back must not put it off.
	left := min(time.Until(call.Record.SentAt.Add(lifecycle.SubmitTimeout)), lifecycle.SubmitTimeout)
	ctx, cancel := context.WithTimeout(t.ctx, left)
	defer cancel()
	job, err := a.client.Create(ctx, create, call.Record.IdempotencyKey)
	callErr := dafty.AsError(err)
	a.submitted(t, create.Class(), taken, callErr, ctx.Err() != nil)

	t.mu.Lock()
	ended := false
	if callErr != nil {
		t.failures++
	} else {
		t.failures = 0
		_, ended = t.observe(job)
	}
	call.Done, call.Job, call.Err, call.Failures = true, job, callErr, t.failures
	t.mu.Unlock()
	if ended {
		a.ended(create.Class())
	}
	t.wake()
}

// observe keeps the newest answer about the job, and says whether it is news, and whether
// the news is the job's end. That is never taken back by an answer that is older.
func (t *Tracker) observe(job *dafty.Job) (news, end bool) {
	before := t.job
	if before != nil && strings.EqualFold(before.Id, job.Id) && ended(before) {
		return false, false
	}
	t.job = job
	return before == nil || before.Id != job.Id || before.Status != job.Status, ended(job)
}

func ended(job *dafty.Job) bool {
	return job.Status == dafty.Completed || job.Status == dafty.Failed
}

// Follow looks at the job until it has ended.
func (t *Tracker) Follow(jobID string, class dafty.Class) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.caller(t.cancel != nil)
	if a == nil || t.closed || t.follower != nil && t.follower.account == a && t.follower.jobID == jobID {
		return
	}
	if t.follower != nil {
		t.follower.stop()
	}
	ctx, stop := context.WithCancel(t.ctx)
	f := &follower{account: t.registry.retain(a), jobID: jobID, class: class, stop: stop, look: make(chan struct{}, 1)}
	t.follower, t.class = f, class
	go t.follow(ctx, f, t.untilFirstLook())
}

// caller is the account that a known job is asked about with: the Secret's; and the last
// good one where the Secret is gone, or where the job must be cancelled and the Secret's key
// can't.
func (t *Tracker) caller(cancelling bool) *Account {
	if t.secret == nil || cancelling && t.rejected == t.secret && t.held != nil {
		return t.held
	}
	return t.secret
}

// untilFirstLook spares a job that has only just been submitted, and keeps up the backoff
// where the one that looked before met trouble.
func (t *Tracker) untilFirstLook() time.Duration {
	switch {
	case t.missed > 0:
		return lifecycle.Backoff(time.Second, t.missed, maxTrouble)
	case t.job != nil && t.cancel == nil:
		return firstLook
	default:
		return 0
	}
}

func (t *Tracker) follow(ctx context.Context, f *follower, wait time.Duration) {
	defer t.registry.release(f.account)
	defer f.stop()
	hurried := 0
	for {
		held := false
		select {
		case <-ctx.Done():
			return
		case <-f.look:
			hurried = 0
		case <-time.After(wait):
			held = t.worthHolding()
		}
		taken, err := f.account.turn(ctx, spareForCancels)
		if err != nil {
			return
		}
		job, err := t.look(ctx, f, held)
		if err == nil && job == nil {
			// A held request was given up to look at once.
			wait, hurried = 0, 0
			continue
		}
		hurried++
		wait = t.looked(f, taken, job, dafty.AsError(err), hurried)
		if job != nil && ended(job) {
			return
		}
	}
}

// look asks once. A held request is given up, with neither job nor error, when a look is
// wanted at once.
func (t *Tracker) look(ctx context.Context, f *follower, held bool) (*dafty.Job, error) {
	if !held {
		return f.account.client.Job(ctx, f.jobID, false)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	type answer struct {
		job *dafty.Job
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		job, err := f.account.client.Job(ctx, f.jobID, true)
		answered <- answer{job, err}
	}()
	select {
	case got := <-answered:
		return got.job, got.err
	case <-f.look:
		return nil, nil
	}
}

// worthHolding says whether the next news is the job's end, for which a request is held at
// Dafty. Before it is processing, looks in between show when it starts.
func (t *Tracker) worthHolding() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.job != nil && t.job.Status == dafty.Processing && t.cancel == nil && t.trouble == nil
}

// looked keeps what a look brought, and says when to look again. hurried counts the looks
// since the last that was wanted at once.
func (t *Tracker) looked(f *follower, taken time.Time, job *dafty.Job, err *dafty.CallError, hurried int) time.Duration {
	a := f.account
	a.called(taken, err)
	t.mu.Lock()
	if t.follower != f {
		// Another looks in its place, with another key perhaps: this answer is none of its.
		t.mu.Unlock()
		return 0
	}
	if err != nil {
		wait := t.looksBad(a, err)
		t.mu.Unlock()
		t.wake()
		return wait
	}
	news, end := t.observe(job)
	news = news || t.trouble != nil
	t.trouble, t.missed = nil, 0
	t.hold(a)
	cancelling := t.cancel != nil
	t.mu.Unlock()
	if end {
		a.ended(f.class)
	}
	if news {
		t.wake()
	}
	switch {
	case cancelling:
		return lifecycle.Backoff(cancelledLook, hurried, pollInterval)
	case job.Status == dafty.Processing && news:
		return 0
	default:
		// A held request has used up the time between two looks. One that Dafty didn't hold is
		// nothing but a poll.
		return max(0, pollInterval-time.Since(taken))
	}
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
		t.rejected = a
		return lifecycle.Backoff(30*time.Second, trouble.Failures, maxHold)
	case err.Kind == dafty.KindNotFound && trouble.Failures > 1:
		// Under the key of another account the job isn't there.
		t.rejected = a
	}
	return max(lifecycle.Backoff(time.Second, t.missed, maxTrouble), err.RetryAfter)
}

// Cancel cancels the job. Whether it has ended is for the looks to tell.
func (t *Tracker) Cancel(jobID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.caller(true)
	if a == nil || t.closed || t.cancel != nil && !t.cancel.Done {
		return
	}
	call := &lifecycle.CancelCall{}
	if t.cancel != nil && t.cancel.Err != nil {
		call.Failures = t.cancel.Failures
	}
	t.cancel = call
	go t.cancelJob(t.registry.retain(a), jobID, call)
}

func (t *Tracker) cancelJob(a *Account, jobID string, call *lifecycle.CancelCall) {
	defer t.registry.release(a)
	taken, err := a.turn(t.ctx, 0)
	if err != nil {
		return
	}
	job, err := a.client.Cancel(t.ctx, jobID)
	callErr := dafty.AsError(err)
	a.called(taken, callErr)

	t.mu.Lock()
	end := false
	call.Done, call.At, call.Err = true, time.Now(), callErr
	switch {
	case callErr == nil:
		_, end = t.observe(job)
		t.hold(a)
		call.Failures = 0
	case callErr.Kind == dafty.KindUnauthorized:
		t.rejected = a
		call.Failures++
	default:
		call.Failures++
	}
	if t.follower != nil {
		t.follower.lookNow()
	}
	class := t.class
	t.mu.Unlock()
	if end {
		a.ended(class)
	}
	t.wake()
}

func (t *Tracker) close() {
	t.stop()
	t.mu.Lock()
	t.closed, t.follower = true, nil
	var wake []*Tracker
	for _, a := range []*Account{t.secret, t.held} {
		if a != nil {
			wake = append(wake, a.leave(t)...)
			t.registry.release(a)
		}
	}
	t.secret, t.held = nil, nil
	t.mu.Unlock()
	wakeAll(wake)
}
