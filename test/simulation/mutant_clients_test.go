package simulation

import (
	"context"
	"strings"

	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/dafty"
)

// createWithoutDeadline makes creates that are never given up.
type createWithoutDeadline struct{ account.Dafty }

func (c createWithoutDeadline) Create(ctx context.Context, create dafty.Create, key string) (*dafty.Job, error) {
	return c.Dafty.Create(context.WithoutCancel(ctx), create, key)
}

// createRepeated repeats a create whose connection broke, while the server may still work on the first.
type createRepeated struct{ account.Dafty }

func (c createRepeated) Create(ctx context.Context, create dafty.Create, key string) (*dafty.Job, error) {
	job, err := c.Dafty.Create(ctx, create, key)
	if e := dafty.AsError(err); e != nil && e.Kind == dafty.KindUnavailable && e.Status == 0 && ctx.Err() == nil {
		return c.Dafty.Create(ctx, create, key)
	}
	return job, err
}

// searchedAnew has what a request goes by searched again before each time that it is sent.
type searchedAnew struct{ account.Dafty }

func (c searchedAnew) Create(ctx context.Context, create dafty.Create, key string) (*dafty.Job, error) {
	request, images := create.(dafty.GenerateImageRequest)
	if images && request.References != nil && strings.HasPrefix((*request.References)[0], assetsAt) {
		if found, err := c.Search(ctx, searchedStyle, searchedFor, 1); err == nil {
			request.References = &dafty.References{found[0].URL}
			create = request
		}
	}
	return c.Dafty.Create(ctx, create, key)
}

// keyInErrors returns errors with the API key in them.
type keyInErrors struct {
	account.Dafty
	apiKey string
}

func (c keyInErrors) Create(ctx context.Context, create dafty.Create, key string) (*dafty.Job, error) {
	job, err := c.Dafty.Create(ctx, create, key)
	if e := dafty.AsError(err); e != nil {
		e.Message += " (sent with " + c.apiKey + ")"
		return nil, e
	}
	return job, nil
}

// cancelledWithoutCall says of a job that its cancel has ended it, and asks nobody.
type cancelledWithoutCall struct{ account.Dafty }

func (c cancelledWithoutCall) Cancel(_ context.Context, id string) (*dafty.Job, error) {
	return &dafty.Job{Id: id, Status: dafty.Failed}, nil
}

// refusedOnTimeout takes a create without an answer for one that was refused.
type refusedOnTimeout struct{ account.Dafty }

func (c refusedOnTimeout) Create(ctx context.Context, create dafty.Create, key string) (*dafty.Job, error) {
	job, err := c.Dafty.Create(ctx, create, key)
	if e := dafty.AsError(err); e != nil && e.Kind == dafty.KindUnavailable {
		return nil, &dafty.CallError{Kind: dafty.KindRateLimit, Message: "taken for a refusal"}
	}
	return job, err
}

// failedOnError takes a look that failed for a job that failed.
type failedOnError struct{ account.Dafty }

func (c failedOnError) Job(ctx context.Context, id string, wait bool) (*dafty.Job, error) {
	if job, err := c.Dafty.Job(ctx, id, wait); err == nil {
		return job, nil
	}
	return &dafty.Job{Id: id, Status: dafty.Failed}, nil
}

// notFoundOnError takes a look that failed for a job that isn't there.
type notFoundOnError struct{ account.Dafty }

func (c notFoundOnError) Job(ctx context.Context, id string, wait bool) (*dafty.Job, error) {
	job, err := c.Dafty.Job(ctx, id, wait)
	if err != nil {
		return nil, &dafty.CallError{Kind: dafty.KindNotFound, Message: "taken for absent"}
	}
	return job, nil
}
