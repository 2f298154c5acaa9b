package account

import (
	"context"
	"slices"
	"sync"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/tracing"
)

const (
	// maxContents is how many contents of an API key are remembered.
	maxContents = 1000
	// maxUnderway is how many are on their way at once: they are in memory meanwhile, and a minute carries few.
	maxUnderway = 8
	// uploadRetry is how soon an upload that failed may be tried again at first, maxUploadRetry after many failures, and
	// refusedRetry where Dafty refused the bytes.
	uploadRetry    = time.Second
	maxUploadRetry = time.Minute
	refusedRetry   = 5 * time.Minute
)

// uploads are what was uploaded with one API key, or is on its way, so that each content is uploaded once while the
// process lives, however many DaftyJobs want it. None of its bytes are kept after the end.
type uploads struct {
	mu sync.Mutex
	// contents are by digest.
	contents map[string]*upload
	underway int
	// ended are the digests of those that aren't under way, in the order of their ends.
	ended []string
	// waiting are the trackers that asked while too many were under way, and are to ask again; those first whose
	// DaftyJobs were created first.
	waiting []*Tracker
	// last is the place of the one that was begun last.
	last *place
}

// upload is that of one content.
type upload struct {
	lifecycle.Upload
	// asked are the trackers that are to be told of its end.
	asked []*Tracker
}

// place is one in the line of uploads. Each reserves after the one before has its answer, which tells what is left of
// the minute.
type place struct{ before, answered chan struct{} }

func newUploads() *uploads {
	first := &place{answered: make(chan struct{})}
	close(first.answered)
	return &uploads{contents: map[string]*upload{}, last: first}
}

// any says whether there is anything to remember.
func (u *uploads) any() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.contents) > 0
}

// known are the contents that are remembered of those that were asked for, and their digests.
func (u *uploads) known(asked []string) (remembered []string, known map[string]lifecycle.Upload) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, digest := range asked {
		if it := u.contents[digest]; it != nil {
			if known == nil {
				known = map[string]lifecycle.Upload{}
			}
			remembered, known[digest] = append(remembered, digest), it.Upload
		}
	}
	return remembered, known
}

// ask gives t a place in the line where it is to begin the upload of a content, which nobody else does or has done. ended
// says that there is an end already, and nothing to wait for.
func (u *uploads) ask(t *Tracker, digest string) (begin *place, ended bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	it := u.contents[digest]
	switch {
	case it != nil && it.Done && it.Err == nil:
		return nil, true
	case it != nil && it.Done && time.Now().Before(it.RetryAt):
		it.tell(t)
		return nil, true
	case it != nil && !it.Done:
		it.tell(t)
		return nil, false
	case u.underway == maxUnderway:
		u.wait(t)
		return nil, false
	case it == nil:
		it = &upload{}
		u.contents[digest] = it
	}
	it.tell(t)
	it.Done = false
	u.underway++
	u.ended = slices.DeleteFunc(u.ended, func(other string) bool { return other == digest })
	u.last = &place{before: u.last.answered, answered: make(chan struct{})}
	return u.last, false
}

// wait has t woken when there is a place.
func (u *uploads) wait(t *Tracker) {
	if slices.Contains(u.waiting, t) {
		return
	}
	i := len(u.waiting)
	for i > 0 && u.waiting[i-1].created.After(t.created) {
		i--
	}
	u.waiting = slices.Insert(u.waiting, i, t)
}

// tell has t told of the end.
func (it *upload) tell(t *Tracker) {
	if !slices.Contains(it.asked, t) {
		it.asked = append(it.asked, t)
	}
}

// end keeps what came of an upload, and says who is to be woken: those who asked for it, and those who may begin theirs.
func (u *uploads) end(digest, id string, at time.Time, err *dafty.CallError) (wake []*Tracker) {
	u.mu.Lock()
	defer u.mu.Unlock()
	it := u.contents[digest]
	wake = slices.Clone(it.asked)
	if err == nil {
		it.Upload, it.asked = lifecycle.Upload{Done: true, ID: id, At: at}, nil
	} else {
		failures, refusals := it.Failures+1, 0
		if err.RefusesUpload() {
			refusals = it.Refusals + 1
		}
		wait := lifecycle.Backoff(uploadRetry, failures, maxUploadRetry)
		if err.Kind == dafty.KindInvalid {
			wait = refusedRetry
		}
		it.Upload = lifecycle.Upload{Done: true, Err: err, Failures: failures, Refusals: refusals, RetryAt: time.Now().Add(max(wait, err.RetryAfter))}
	}
	u.ended = append(u.ended, digest)
	if len(u.ended) > maxContents {
		delete(u.contents, u.ended[0])
		u.ended = slices.Delete(u.ended, 0, 1)
	}
	u.underway--
	next := min(maxUnderway-u.underway, len(u.waiting))
	for _, t := range u.waiting[:next] {
		if !slices.Contains(wake, t) {
			wake = append(wake, t)
		}
	}
	u.waiting = slices.Delete(u.waiting, 0, next)
	return wake
}

// forget drops contents whose ids Dafty may no longer know.
func (u *uploads) forget(digests []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, digest := range digests {
		if it := u.contents[digest]; it != nil && it.Done && it.Err == nil {
			delete(u.contents, digest)
			u.ended = slices.DeleteFunc(u.ended, func(other string) bool { return other == digest })
		}
	}
}

// leave drops t.
func (u *uploads) leave(t *Tracker) {
	u.mu.Lock()
	defer u.mu.Unlock()
	other := func(each *Tracker) bool { return each == t }
	u.waiting = slices.DeleteFunc(u.waiting, other)
	for _, it := range u.contents {
		it.asked = slices.DeleteFunc(it.asked, other)
	}
}

// Upload has a file's content uploaded with the key in the Secret, once for all DaftyJobs that ask for it. They are
// woken when it has ended. One that failed is tried again for whoever asks after its RetryAt.
func (t *Tracker) Upload(file lifecycle.File) {
	t.mu.Lock()
	a := t.secret
	if a == nil || t.closed || t.registry.draining() {
		t.mu.Unlock()
		return
	}
	news := !slices.Contains(t.asked, file.Digest)
	if news {
		t.asked = append(t.asked, file.Digest)
	}
	begin, ended := a.uploads.ask(t, file.Digest)
	if begin != nil {
		go t.registry.upload(t.call(t.registry.open), t.registry.retain(a), file, begin)
	}
	t.mu.Unlock()
	if news && ended {
		t.wake()
	}
}

// upload goes on although the trackers that asked for it are gone: others may come.
func (r *Registry) upload(ctx context.Context, a *Account, file lifecycle.File, line *place) {
	defer r.release(a)
	ctx, span := tracing.Upload(ctx, file.MediaType, len(file.Content))
	id, err := a.upload(ctx, file, line)
	tracing.Failed(span, err)
	span.End()
	if err != nil && r.draining() {
		return // given up with the process: nobody is told of a failure that is none
	}
	wakeAll(a.uploads.end(file.Digest, id, r.config.Now(), dafty.AsError(err)))
}

// upload takes the three steps. What was reserved isn't used again where one fails.
func (a *Account) upload(ctx context.Context, file lifecycle.File, line *place) (id string, err error) {
	reserved, err := a.reserve(ctx, file, line)
	if err != nil {
		return "", err
	}
	if err := a.client.Put(ctx, reserved.URL, file.MediaType, file.Content); err != nil {
		return "", err
	}
	taken, err := a.acquire(ctx, dafty.ClassOther, spareForLooks)
	if err != nil {
		return "", err
	}
	ctx, rate := dafty.WithRate(ctx)
	id, err = a.client.Complete(ctx, reserved.ID)
	a.onResponse(dafty.ClassOther, taken, *rate, dafty.AsError(err))
	return id, err
}

func (a *Account) reserve(ctx context.Context, file lifecycle.File, line *place) (*dafty.Reservation, error) {
	defer close(line.answered)
	select {
	case <-line.before:
	case <-ctx.Done():
	}
	taken, err := a.acquire(ctx, dafty.ClassUpload, 0)
	if err != nil {
		return nil, err
	}
	ctx, rate := dafty.WithRate(ctx)
	reserved, err := a.client.Reserve(ctx, file.Name, file.MediaType)
	a.onResponse(dafty.ClassUpload, taken, *rate, dafty.AsError(err))
	return reserved, err
}
