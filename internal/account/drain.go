package account

import (
	"context"
	"maps"
	"slices"

	"dafty.ai/dafty-operator/internal/lifecycle"
)

// Drain begins nothing new with Dafty from here on: no create, no cancel, no upload, no look. What is held, or of several
// steps, is given up at once; the creates and cancels that are on their way run out. It returns when each of their answers is in status, or gives
// the number of those that aren't when ctx ends.
//
// Without it the answer to a create that is cut off would be found by the next process only, which must wait until that
// request has surely passed.
func (r *Registry) Drain(ctx context.Context) (left int) {
	r.shut()
	r.wakeAnswered()
	for {
		if left = r.owed(); left == 0 {
			return 0
		}
		select {
		case <-r.settled:
		case <-ctx.Done():
			return left
		}
	}
}

// wakeAnswered has the answers written that are there, and wait for something, as a turn for what would follow at once.
func (r *Registry) wakeAnswered() {
	r.mu.Lock()
	trackers := slices.Collect(maps.Values(r.trackers))
	r.mu.Unlock()
	for _, t := range trackers {
		t.mu.Lock()
		answered := t.owes && t.submission != nil && t.submission.Done
		t.mu.Unlock()
		if answered {
			t.wake()
		}
	}
}

// owed is how many DaftyJobs wait for an answer, or for theirs to be written. It gives up what else is on its way for them.
func (r *Registry) owed() int {
	r.mu.Lock()
	trackers := slices.Collect(maps.Values(r.trackers))
	r.mu.Unlock()
	count := 0
	for _, t := range trackers {
		t.mu.Lock()
		t.stopPolling()
		if t.owes && !t.closed {
			count++
		}
		t.mu.Unlock()
	}
	return count
}

// draining says that nothing new may begin. Whoever asks holds the tracker's lock until what it then begins is on record
// there: Drain sees it.
func (r *Registry) draining() bool { return r.open.Err() != nil }

// TryBegin says whether a submission may be begun, before it is put on record. What has begun is waited for at the end of
// the process until Recorded.
func (t *Tracker) TryBegin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.registry.draining() || t.closed {
		return false
	}
	t.owes = true
	return true
}

// AckPersisted tells that status says what was known of the calls that make or cancel the job, and that no submission was
// begun with it.
func (t *Tracker) AckPersisted(known lifecycle.Known) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known.Submission != nil && !known.Submission.Done || known.Cancel != nil && !known.Cancel.Done {
		return
	}
	t.settle()
}

// settle is called with the tracker locked.
func (t *Tracker) settle() {
	if !t.owes {
		return
	}
	t.owes = false
	select {
	case t.registry.settled <- struct{}{}:
	default:
	}
}
