package account

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/metrics"
)

// measured counts and times the calls of a client.
type measured struct{ dafty Dafty }

// Create implements Dafty.
func (m measured) Create(ctx context.Context, create dafty.Create, idempotencyKey string) (*dafty.Job, error) {
	began := time.Now()
	job, err := m.dafty.Create(ctx, create, idempotencyKey)
	logCall(ctx, metrics.OperationCreate, began, err, "idempotencyKey", idempotencyKey)
	metrics.RecordSubmission(create, dafty.AsError(err))
	return job, err
}

// Job implements Dafty.
func (m measured) Job(ctx context.Context, id string, wait bool) (*dafty.Job, error) {
	operation, began := metrics.OperationJob, time.Now()
	if wait {
		operation = metrics.OperationWait
	}
	job, err := m.dafty.Job(ctx, id, wait)
	logCall(ctx, operation, began, err)
	return job, err
}

// List implements Dafty.
func (m measured) List(ctx context.Context, status dafty.JobStatus, cursor string) (*dafty.JobPage, error) {
	began := time.Now()
	page, err := m.dafty.List(ctx, status, cursor)
	logCall(ctx, metrics.OperationList, began, err)
	return page, err
}

// Cancel implements Dafty.
func (m measured) Cancel(ctx context.Context, id string) (*dafty.Job, error) {
	began := time.Now()
	job, err := m.dafty.Cancel(ctx, id)
	logCall(ctx, metrics.OperationCancel, began, err)
	metrics.RecordCancel(dafty.AsError(err))
	return job, err
}

// Reserve implements Dafty.
func (m measured) Reserve(ctx context.Context, filename, contentType string) (*dafty.Reservation, error) {
	began := time.Now()
	reserved, err := m.dafty.Reserve(ctx, filename, contentType)
	logCall(ctx, metrics.OperationReserve, began, err)
	return reserved, err
}

// Put implements Dafty.
func (m measured) Put(ctx context.Context, to, contentType string, content []byte) error {
	began := time.Now()
	err := m.dafty.Put(ctx, to, contentType, content)
	logCall(ctx, metrics.OperationPut, began, err)
	return err
}

// Complete implements Dafty.
func (m measured) Complete(ctx context.Context, id string) (uploadID string, err error) {
	began := time.Now()
	uploadID, err = m.dafty.Complete(ctx, id)
	logCall(ctx, metrics.OperationComplete, began, err)
	return uploadID, err
}

// Load implements metrics.Accounts.
func (r *Registry) Load() metrics.Load {
	r.mu.Lock()
	accounts := slices.Collect(maps.Values(r.accounts))
	r.mu.Unlock()
	load, now := metrics.NewLoad(), time.Now()
	for _, a := range accounts {
		load.Add(a.load(now))
	}
	return load
}

func (a *Account) load(now time.Time) metrics.Load {
	a.mu.Lock()
	defer a.mu.Unlock()
	load := metrics.NewLoad()
	load.Held = a.poller.held
	for name, c := range a.classes {
		class := metrics.ClassLoad{InFlight: len(c.concurrency.inFlight)}
		for _, w := range c.queue {
			if !w.lapsed(now) {
				class.Waiting++
				class.Oldest = max(class.Oldest, now.Sub(w.joined))
			}
		}
		load.Classes[name] = class
		if c.limiter.limit > 0 {
			load.Remaining[metrics.Minute{Account: a.label, Class: name}] = c.limiter.remaining
		}
	}
	return load
}

// label is the short name of an API key in metrics. The salt keeps it from being compared with anything else that is
// made of the key, such as the hash in status.
func label(salt, apiKey string) string {
	sum := sha256.Sum256([]byte(salt + "\x00" + apiKey))
	return hex.EncodeToString(sum[:3])
}

// waits notes until when, and what for.
func (w *queued) waits(until time.Time, why dafty.Kind) {
	w.due = until
	if w.why == "" || why != dafty.KindRateLimit {
		w.why = why
	}
}

// EndedAt is when the answer arrived that told of the job's end, zero where none has.
func (t *Tracker) EndedAt() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.endedAt
}
