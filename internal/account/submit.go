package account

import (
	"context"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/metrics"
	"dafty.ai/dafty-operator/internal/tracing"
)

// Claim takes a turn to submit, or returns what the submission waits for; the reconcile is woken where that ends early. A turn
// that isn't used stays with the tracker for a while. follows is set where the submission follows one that was refused at once.
func (t *Tracker) Claim(create dafty.Create, submission *v1alpha1.Submission, follows bool) *lifecycle.Block {
	block, wake := t.claim(create, submission, follows)
	wake.Wake()
	return block
}

func (t *Tracker) claim(create dafty.Create, submission *v1alpha1.Submission, follows bool) (*lifecycle.Block, ratelimit.Callers) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, key := t.accountOf(submission), submission.IdempotencyKey
	if a == nil || t.closed || t.claimed.of(a, key) && a.gate.KeepClaim(&t.caller, key) {
		return nil, nil
	}
	urgency := ratelimit.InTurn
	switch repeat := !submission.StartedAt.Equal(submission.SentAt); {
	case repeat:
		urgency = ratelimit.Repeat
	case follows:
		urgency = ratelimit.AtOnce
	}
	taken, block, wake := a.gate.Claim(ratelimit.Submission{
		By: &t.caller, Class: create.Class(), Key: key, Urgency: urgency, Changed: t.changed,
	})
	if block != nil {
		return block, wake
	}
	if !taken.Joined.IsZero() {
		metrics.RecordQueueWait(create.Class(), taken.Why, taken.At.Sub(taken.Joined))
		tracing.Waited(t.callContext.span, string(create.Class()), string(taken.Why), taken.Joined, taken.At)
	}
	t.claimed = claim{account: a, class: create.Class(), at: taken.At, key: key}
	return nil, wake
}

// of reports whether the claim is of an account and an idempotency key, and may still be used.
func (c claim) of(a *Account, key string) bool {
	return c.account == a && c.key == key && time.Since(c.at) < ratelimit.ClaimLife
}

// Withdraw tells that the job isn't to be submitted now, as one that is suspended: it holds up nobody who waits.
func (t *Tracker) Withdraw() {
	t.mu.Lock()
	a := t.secret
	t.mu.Unlock()
	if a != nil {
		a.gate.Withdraw(&t.caller).Wake()
	}
}

// GiveBack returns a turn that isn't used, as the submission can't be put on record: others of the API key may have it.
func (t *Tracker) GiveBack() {
	t.mu.Lock()
	claimed := t.claimed
	t.claimed = claim{}
	t.mu.Unlock()
	if claimed.account != nil {
		claimed.account.gate.GiveBack(&t.caller, claimed.class, claimed.at).Wake()
	}
}

// Submit sends the request of a submission that is on record in status.
func (t *Tracker) Submit(create dafty.Create, submission *v1alpha1.Submission) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.accountOf(submission)
	if a == nil || t.closed {
		t.settle()
		return
	}
	t.setLastUsed(a)
	claimed := t.claimed.at
	t.claimed = claim{}
	t.class = create.Class()
	t.searches = nil // what they found is in the request, and on record
	call := &lifecycle.SubmissionCall{Record: *submission.DeepCopy()}
	t.submission = call
	go t.submit(t.callContext.into(t.ctx), t.shared.accounts.retain(a), create, call, claimed)
}

func (t *Tracker) submit(ctx context.Context, a *Account, create dafty.Create, call *lifecycle.SubmissionCall, claimed time.Time) {
	defer t.shared.accounts.release(a)
	// Counted from the write-ahead: whoever finds the attempt without an answer repeats it once this deadline has surely
	// passed. A clock that was set back must not put it off.
	left := min(call.Record.SentAt.Add(lifecycle.SubmitTimeout).Sub(t.shared.config.Now()), lifecycle.SubmitTimeout)
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	job, failure := t.create(ctx, a, create, call.Record.IdempotencyKey, claimed)

	t.mu.Lock()
	ended := false
	if failure != nil {
		t.failures++
	} else {
		t.failures = 0
		_, ended = t.observe(job)
	}
	call.Done, call.Job, call.Err, call.Failures, call.KeyRefusals = true, job, failure, t.failures, a.gate.KeyRefusals(&t.caller)
	if failure != nil && lifecycle.MeaningOf(failure.Kind).Impossible {
		// Perhaps for a picture that Dafty has forgotten: the next who wants it uploads it again.
		a.uploads.forget(t.asked)
	}
	closed := t.closed
	t.mu.Unlock()
	if ended {
		a.finished(&t.caller, create.Class())
	}
	if closed {
		a.remove(&t.caller).Wake() // what its answer left there
	}
	t.Wake()
}

// create sends a request, if it still may.
func (t *Tracker) create(ctx context.Context, a *Account, create dafty.Create, key string, claimed time.Time) (*dafty.Job, *dafty.CallError) {
	submission := ratelimit.Submission{By: &t.caller, Class: create.Class(), Key: key}
	turn, wake := a.gate.Submit(submission, claimed, time.Now().Add(lifecycle.RepeatAfter))
	wake.Wake()
	if turn == nil {
		return nil, &dafty.CallError{Kind: dafty.KindUnavailable, Unsent: true,
			Message: "it took too long to write the request down, and another DaftyJob sends one with the same idempotency key meanwhile"}
	}
	job, failure := a.client.Create(ctx, turn, create, key)
	if failure == nil || failure.Refused() {
		a.gate.ReleaseKey(&t.caller, key).Wake()
	}
	return job, failure
}
