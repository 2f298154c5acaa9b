package account

import (
	"context"
	"encoding/json"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"dafty.ai/dafty-operator/internal/account/ratelimit"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/metrics"
)

// Dafty is the part of *dafty.Client that is used here.
type Dafty interface {
	Create(ctx context.Context, create dafty.Create, idempotencyKey string) (*dafty.Job, error)
	Job(ctx context.Context, id string, wait bool) (*dafty.Job, error)
	List(ctx context.Context, status dafty.JobStatus, cursor string) (*dafty.JobPage, error)
	Cancel(ctx context.Context, id string) (*dafty.Job, error)
	Search(ctx context.Context, styleID, query string, limit int) ([]dafty.StyleAsset, error)
	Reserve(ctx context.Context, filename, contentType string) (*dafty.Reservation, error)
	Put(ctx context.Context, to, contentType string, content []byte) error
	Complete(ctx context.Context, id string) (uploadID string, err error)
	Account(ctx context.Context) (json.RawMessage, error)
}

// client makes the calls of an API key. Whoever calls has waited for the call's turn, and hands it over.
type client struct{ dafty Dafty }

// send makes a call: every call to Dafty leaves here. It counts, times and logs it, and ends its turn with what the answer says
// of the minute.
func send[T any](
	ctx context.Context, turn *ratelimit.Turn, operation string, call func(ctx context.Context) (T, error), fields ...any,
) (answer T, failure *dafty.CallError) {
	ctx, rate := dafty.WithRate(ctx)
	began := time.Now()
	answer, err := call(ctx)
	failure = dafty.AsError(err)
	took := time.Since(began)
	metrics.RecordCall(operation, took, failure)
	logCall(ctx, operation, took, failure, fields)
	turn.OnResponse(*rate, failure, ctx.Err() != nil).Wake()
	return answer, failure
}

func logCall(ctx context.Context, operation string, took time.Duration, failure *dafty.CallError, fields []any) {
	logger := log.FromContext(ctx).V(1)
	if !logger.Enabled() {
		return
	}
	fields = append(fields, "operation", operation, "seconds", took.Seconds())
	if failure == nil {
		logger.Info("Dafty has answered", fields...)
		return
	}
	logger.Info("the call to Dafty failed", append(fields, "status", failure.Status, "kind", failure.Kind, "cause", failure.Error())...)
}

// Create submits a request for a job.
func (c client) Create(ctx context.Context, turn *ratelimit.Turn, create dafty.Create, key string) (*dafty.Job, *dafty.CallError) {
	return send(ctx, turn, metrics.OperationCreate, func(ctx context.Context) (*dafty.Job, error) {
		job, err := c.dafty.Create(ctx, create, key)
		metrics.RecordSubmission(create, dafty.AsError(err))
		return job, err
	}, "idempotencyKey", key)
}

// Job implements poll.Calls.
func (c client) Job(ctx context.Context, turn *ratelimit.Turn, id string, wait bool) (*dafty.Job, *dafty.CallError) {
	operation := metrics.OperationJob
	if wait {
		operation = metrics.OperationWait
	}
	return send(ctx, turn, operation, func(ctx context.Context) (*dafty.Job, error) { return c.dafty.Job(ctx, id, wait) })
}

// List implements poll.Calls.
func (c client) List(ctx context.Context, turn *ratelimit.Turn, status dafty.JobStatus, cursor string) (*dafty.JobPage, *dafty.CallError) {
	return send(ctx, turn, metrics.OperationList, func(ctx context.Context) (*dafty.JobPage, error) {
		return c.dafty.List(ctx, status, cursor)
	})
}

// Cancel cancels a job.
func (c client) Cancel(ctx context.Context, turn *ratelimit.Turn, id string) (*dafty.Job, *dafty.CallError) {
	return send(ctx, turn, metrics.OperationCancel, func(ctx context.Context) (*dafty.Job, error) {
		job, err := c.dafty.Cancel(ctx, id)
		metrics.RecordCancel(dafty.AsError(err))
		return job, err
	})
}

// Search searches in a style.
func (c client) Search(ctx context.Context, turn *ratelimit.Turn, query lifecycle.StyleQuery) ([]dafty.StyleAsset, *dafty.CallError) {
	return send(ctx, turn, metrics.OperationSearch, func(ctx context.Context) ([]dafty.StyleAsset, error) {
		return c.dafty.Search(ctx, query.StyleID, query.Query, query.Limit)
	})
}

// Account asks whom the API key belongs to.
func (c client) Account(ctx context.Context, turn *ratelimit.Turn) (json.RawMessage, *dafty.CallError) {
	return send(ctx, turn, metrics.OperationAccount, c.dafty.Account)
}

// Reserve is the first step of an upload.
func (c client) Reserve(ctx context.Context, turn *ratelimit.Turn, filename, contentType string) (*dafty.Reservation, *dafty.CallError) {
	return send(ctx, turn, metrics.OperationReserve, func(ctx context.Context) (*dafty.Reservation, error) {
		return c.dafty.Reserve(ctx, filename, contentType)
	})
}

// Put is the second step. It goes to the storage, which has no limit.
func (c client) Put(ctx context.Context, to, contentType string, content []byte) *dafty.CallError {
	_, failure := send(ctx, nil, metrics.OperationPut, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, c.dafty.Put(ctx, to, contentType, content)
	})
	return failure
}

// Complete is the last step.
func (c client) Complete(ctx context.Context, turn *ratelimit.Turn, id string) (uploadID string, failure *dafty.CallError) {
	return send(ctx, turn, metrics.OperationComplete, func(ctx context.Context) (string, error) { return c.dafty.Complete(ctx, id) })
}
