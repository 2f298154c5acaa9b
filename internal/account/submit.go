package account

import (
	"context"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// claim is a turn to submit under a key that was taken from an account. It counts for a while only: what
// was free or held then need not be so later.
type claim struct {
	account *Account
	class   dafty.Class
	at      time.Time
	key     string
}

// claimLife is how long a turn that was taken may be used.
const claimLife = 30 * time.Second

func (c claim) of(a *Account, key string) bool {
	return c.account == a && c.key == key && time.Since(c.at) < claimLife
}

// Claim takes a turn to submit, or says what the submission waits for; the reconcile is
// woken where that ends early. A turn that isn't used stays with the tracker for a while. follows says that the submission
// follows one that was refused at once.
func (t *Tracker) Claim(create dafty.Create, submission *v1alpha1.Submission, follows bool) *lifecycle.Block {
	hold, wake := t.claim(create, submission, follows)
	wakeAll(wake)
	return hold
}

func (t *Tracker) claim(create dafty.Create, submission *v1alpha1.Submission, follows bool) (*lifecycle.Block, []*Tracker) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, key := t.accountFor(submission), submission.IdempotencyKey
	if a == nil || t.closed || t.claimed.of(a, key) && a.reserveKey(t, key) {
		return nil, nil
	}
	how := inTurn
	switch repeat := !submission.StartedAt.Equal(submission.SentAt); {
	case repeat:
		how = repeats
	case follows:
		how = atOnce
	}
	hold, taken, wake := a.claim(t, create.Class(), key, how)
	if hold == nil {
		t.claimed = claim{account: a, class: create.Class(), at: taken, key: key}
	}
	return hold, wake
}

// Withdraw tells that the job isn't to be submitted now, as one that is suspended: it holds up nobody who waits.
func (t *Tracker) Withdraw() {
	t.mu.Lock()
	a := t.secret
	t.mu.Unlock()
	if a != nil {
		wakeAll(a.withdraw(t))
	}
}

// GiveBack returns a turn that isn't used, as the submission can't be put on record: others of the API key may have it.
func (t *Tracker) GiveBack() {
	t.mu.Lock()
	a, taken, class := t.claimed.account, t.claimed.at, t.claimed.class
	t.claimed = claim{}
	t.mu.Unlock()
	if a != nil {
		wakeAll(a.giveBack(t, class, taken))
	}
}

// accountFor is the account whose key a submission is, or was, sent with.
func (t *Tracker) accountFor(submission *v1alpha1.Submission) *Account {
	for _, a := range []*Account{t.secret, t.lastUsed, t.previous} {
		if a != nil && Hash(t.uid, a.key()) == submission.CredentialsHash {
			return a
		}
	}
	return nil
}

// Submit sends the request of a submission that is on record in status.
func (t *Tracker) Submit(create dafty.Create, submission *v1alpha1.Submission) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.accountFor(submission)
	if a == nil || t.closed {
		t.settle()
		return
	}
	t.setLastUsed(a)
	taken := t.claimed.at
	t.claimed = claim{}
	t.class = create.Class()
	call := &lifecycle.SubmissionCall{Record: *submission.DeepCopy()}
	t.submission = call
	go t.submit(t.call(t.ctx), t.registry.retain(a), create, call, taken)
}

func (t *Tracker) submit(ctx context.Context, a *Account, create dafty.Create, call *lifecycle.SubmissionCall, taken time.Time) {
	defer t.registry.release(a)
	// Counted from the write-ahead: whoever finds the attempt without an answer repeats it once
	// this deadline has surely passed. A clock that was set back must not put it off.
	left := min(call.Record.SentAt.Add(lifecycle.SubmitTimeout).Sub(t.registry.config.Now()), lifecycle.SubmitTimeout)
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	job, callErr := t.create(ctx, a, create, call.Record.IdempotencyKey, taken)

	t.mu.Lock()
	ended := false
	if callErr != nil {
		t.failures++
	} else {
		t.failures = 0
		_, ended = t.observe(job)
	}
	call.Done, call.Job, call.Err, call.Failures, call.KeyRefusals = true, job, callErr, t.failures, a.keyRefusals(t)
	if callErr != nil && lifecycle.MeaningOf(callErr.Kind).Impossible {
		// Perhaps for a picture that Dafty has forgotten: the next who wants it uploads it again.
		a.uploads.forget(t.asked)
	}
	closed := t.closed
	t.mu.Unlock()
	if ended {
		a.ended(t, create.Class())
	}
	if closed {
		wakeAll(a.remove(t)) // what its answer left there
	}
	t.wake()
}

// create sends a request, if it still may.
func (t *Tracker) create(ctx context.Context, a *Account, create dafty.Create, key string, taken time.Time) (*dafty.Job, *dafty.CallError) {
	if !a.sends(t, create.Class(), key) {
		return nil, &dafty.CallError{Kind: dafty.KindUnavailable, Unsent: true,
			Message: "it took too long to write the request down, and another DaftyJob sends one with the same idempotency key meanwhile"}
	}
	ctx, rate := dafty.WithRate(ctx)
	job, err := a.client.Create(ctx, create, key)
	failure := dafty.AsError(err)
	a.submitted(t, create.Class(), taken, *rate, failure, ctx.Err() != nil)
	if failure == nil || failure.Refused() {
		a.releaseKey(t, key)
	}
	return job, failure
}
