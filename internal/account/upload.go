package account

import (
	"context"
	"slices"

	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/tracing"
)

// Upload has a file's content uploaded with the key in the Secret, once for all DaftyJobs that ask for it. They are woken when
// it has ended. One that failed is tried again for whoever asks after its RetryAt.
func (t *Tracker) Upload(file lifecycle.File) {
	t.mu.Lock()
	a := t.secret
	if a == nil || t.closed || t.shared.draining() {
		t.mu.Unlock()
		return
	}
	news := !slices.Contains(t.asked, file.Digest)
	if news {
		t.asked = append(t.asked, file.Digest)
	}
	begin, ended := a.uploads.ask(&t.caller, file.Digest)
	if begin != nil {
		go t.shared.upload(t.callContext.into(t.shared.open), t.shared.accounts.retain(a), file, begin)
	}
	t.mu.Unlock()
	if news && ended {
		t.Wake()
	}
}

// upload goes on although the trackers that asked for it are gone: others may come.
func (s *shared) upload(ctx context.Context, a *Account, file lifecycle.File, line *place) {
	defer s.accounts.release(a)
	ctx, span := tracing.Upload(ctx, file.MediaType, len(file.Content))
	id, err := a.upload(ctx, file, line)
	tracing.Failed(span, err)
	span.End()
	if err != nil && s.draining() {
		return // given up with the process: nobody is told of a failure that is none
	}
	a.uploads.end(file.Digest, id, s.config.Now(), dafty.AsError(err)).Wake()
}

// upload takes the three steps. What was reserved isn't used again where one fails.
func (a *Account) upload(ctx context.Context, file lifecycle.File, line *place) (id string, err error) {
	reserved, err := a.reserve(ctx, file, line)
	if err != nil {
		return "", err
	}
	if failure := a.client.Put(ctx, reserved.URL, file.MediaType, file.Content); failure != nil {
		return "", failure
	}
	turn, err := a.gate.Acquire(ctx, dafty.ClassOther, ratelimit.ReservedForLooks)
	if err != nil {
		return "", err
	}
	id, failure := a.client.Complete(ctx, turn, reserved.ID)
	if failure != nil {
		return "", failure
	}
	return id, nil
}

func (a *Account) reserve(ctx context.Context, file lifecycle.File, line *place) (*dafty.Reservation, error) {
	defer close(line.answered)
	select {
	case <-line.before:
	case <-ctx.Done():
	}
	turn, err := a.gate.Acquire(ctx, dafty.ClassUpload, 0)
	if err != nil {
		return nil, err
	}
	reserved, failure := a.client.Reserve(ctx, turn, file.Name, file.MediaType)
	if failure != nil {
		return nil, failure
	}
	return reserved, nil
}
