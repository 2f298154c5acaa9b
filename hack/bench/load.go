package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// load keeps a number of jobs in flight on one key: for each that ends another is created.
type load struct {
	env     *environment
	watcher *watcher
	size    int
	made    atomic.Int64
}

// start creates the first of them, and returns once all are in flight.
func (l *load) start(ctx context.Context, within time.Duration) error {
	if err := l.env.kube.createJobs(ctx, namespace, l.size, 1); err != nil {
		return err
	}
	l.made.Store(int64(l.size))
	flying := 0
	err := waitFor(ctx, within, fmt.Sprintf("%d jobs in flight", l.size), func() bool {
		flying = l.watcher.count(v1alpha1.PhaseQueued, v1alpha1.PhaseProcessing)
		// Some may have ended before the last is in flight.
		return flying >= l.size-l.size/50
	})
	if err != nil {
		return fmt.Errorf("%d are in flight: %w", flying, err)
	}
	return nil
}

// refill replaces those that end until ctx is done.
func (l *load) refill(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.watcher.ended:
			job := newJob(namespace, jobName(int(l.made.Add(1)-1)), 0)
			if _, err := l.env.kube.create(ctx, job); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}
