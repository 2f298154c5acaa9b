package account

import "context"

// Drain begins nothing new with Dafty from here on: no create, no cancel, no upload, no look. Long polls, and what has several
// steps, are given up at once; the creates and cancels that are on their way run out. It returns when each of their answers is
// in status, or the number of those that aren't when ctx ends.
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
	for _, t := range r.all() {
		t.mu.Lock()
		answered := t.owes && t.submission != nil && t.submission.Done
		t.mu.Unlock()
		if answered {
			t.Wake()
		}
	}
}

// owed returns how many DaftyJobs wait for an answer, or for theirs to be written. It gives up what else is on its way for them.
func (r *Registry) owed() int {
	count := 0
	for _, t := range r.all() {
		t.mu.Lock()
		t.unfollow()
		if t.owes && !t.closed {
			count++
		}
		t.mu.Unlock()
	}
	return count
}
