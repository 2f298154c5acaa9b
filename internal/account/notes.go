package account

import (
	"context"
	"time"
)

// youngFor is how old a DaftyJob may be that counts as new when it is first seen: after a restart thousands are seen that aren't,
// and two clocks differ.
const youngFor = 30 * time.Second

// SetVersion tells the version of the DaftyJob, which changes with whatever a person changes of it.
func (t *Tracker) SetVersion(version string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	isNew := t.version == "" && t.shared.config.Now().Sub(t.caller.Created) < youngFor
	if isNew || t.version != "" && t.version != version {
		t.changed = time.Now()
		t.forgetSearches()
	}
	t.version = version
}

// SetSecretVersion tells the version of the Secret that was read.
func (t *Tracker) SetSecretVersion(version string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.secretVersion != "" && t.secretVersion != version {
		t.changed = time.Now()
		t.forgetSearches()
	}
	t.secretVersion = version
}

// SetCallContext tells which reconcile the next calls come from.
func (t *Tracker) SetCallContext(ctx context.Context) {
	from := newCallContext(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.callContext = from
}

// StatusWritten tells that the status was written.
func (t *Tracker) StatusWritten() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.statusWrittenAt = t.shared.config.Now()
}

// Annotated tells that the job's id was written into the annotation.
func (t *Tracker) Annotated(jobID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.annotated = jobID
}
