package account

import "dafty.ai/dafty-operator/internal/lifecycle"

// TryBegin reports whether a submission may be begun, before it is put on record. What has begun is waited for at the end of the
// process until AckPersisted.
func (t *Tracker) TryBegin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.shared.draining() || t.closed {
		return false
	}
	t.owes = true
	return true
}

// AckPersisted tells that status has what was known of the calls that make or cancel the job, and that no submission was begun
// with it.
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
	case t.shared.settled <- struct{}{}:
	default:
	}
}
