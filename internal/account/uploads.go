package account

import (
	"slices"
	"sync"
	"time"

	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
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

// uploads remember what was uploaded with one API key, or is on its way, so that each content is uploaded once while the process
// lives, however many DaftyJobs want it. None of its bytes are kept after the end. They are safe for concurrent use.
type uploads struct {
	mu sync.Mutex
	// contents are by digest.
	contents map[string]*upload
	underway int
	// ended are the digests of those that aren't under way, in the order of their ends.
	ended []string
	// waiting asked while too many were under way, and are to ask again; the oldest first.
	waiting ratelimit.Callers
	// last is the place of the one that was begun last.
	last *place
}

// upload is what came of the upload of one content.
type upload struct {
	lifecycle.Upload
	// asked are to be told of its end.
	asked ratelimit.Callers
}

// place is one in the line of uploads. Each reserves after the one before has its answer, which tells what is left of
// the minute.
type place struct{ before, answered chan struct{} }

func newUploads() *uploads {
	first := &place{answered: make(chan struct{})}
	close(first.answered)
	return &uploads{contents: map[string]*upload{}, last: first}
}

// any reports whether there is anything to remember.
func (u *uploads) any() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.contents) > 0
}

// known returns those of the contents asked for that are remembered, and their digests.
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

// ask returns a place in the line where the caller is to begin the upload of a content, which nobody else does or has done.
// ended is set where there is an end already, and nothing to wait for.
func (u *uploads) ask(by *ratelimit.Caller, digest string) (begin *place, ended bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	it := u.contents[digest]
	switch {
	case it != nil && it.Done && it.Err == nil:
		return nil, true
	case it != nil && it.Done && time.Now().Before(it.RetryAt):
		it.tell(by)
		return nil, true
	case it != nil && !it.Done:
		it.tell(by)
		return nil, false
	case u.underway == maxUnderway:
		u.wait(by)
		return nil, false
	case it == nil:
		it = &upload{}
		u.contents[digest] = it
	}
	it.tell(by)
	it.Done = false
	u.underway++
	u.ended = slices.DeleteFunc(u.ended, func(other string) bool { return other == digest })
	u.last = &place{before: u.last.answered, answered: make(chan struct{})}
	return u.last, false
}

// wait has a caller woken when there is a place.
func (u *uploads) wait(by *ratelimit.Caller) {
	if slices.Contains(u.waiting, by) {
		return
	}
	i := len(u.waiting)
	for i > 0 && u.waiting[i-1].Created.After(by.Created) {
		i--
	}
	u.waiting = slices.Insert(u.waiting, i, by)
}

// tell has a caller told of the end.
func (it *upload) tell(by *ratelimit.Caller) {
	if !slices.Contains(it.asked, by) {
		it.asked = append(it.asked, by)
	}
}

// end keeps what came of an upload, and returns those who asked for it, and those who may begin theirs.
func (u *uploads) end(digest, id string, at time.Time, err *dafty.CallError) (wake ratelimit.Callers) {
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
		wait := dafty.Backoff(uploadRetry, failures, maxUploadRetry)
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
	for _, by := range u.waiting[:next] {
		if !slices.Contains(wake, by) {
			wake = append(wake, by)
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

// remove forgets a caller that is gone.
func (u *uploads) remove(by *ratelimit.Caller) {
	u.mu.Lock()
	defer u.mu.Unlock()
	other := func(each *ratelimit.Caller) bool { return each == by }
	u.waiting = slices.DeleteFunc(u.waiting, other)
	for _, it := range u.contents {
		it.asked = slices.DeleteFunc(it.asked, other)
	}
}
