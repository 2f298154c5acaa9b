package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// crowd keeps so many jobs in flight on one key: for each that ends another is made.
type crowd struct {
	st      *environment
	watcher *watcher
	size    int
	made    atomic.Int64
}

// gather makes the first of them, and returns once all are in flight.
func (c *crowd) gather(ctx context.Context, within time.Duration) error {
	if err := c.st.kube.createJobs(ctx, namespace, c.size, 1); err != nil {
		return err
	}
	c.made.Store(int64(c.size))
	flying := 0
	err := waitFor(ctx, within, fmt.Sprintf("%d jobs in flight", c.size), func() bool {
		flying = c.watcher.count(v1alpha1.PhaseQueued, v1alpha1.PhaseProcessing)
		// One or another may have ended before the last is in.
		return flying >= c.size-c.size/50
	})
	if err != nil {
		return fmt.Errorf("%d are in flight: %w", flying, err)
	}
	return nil
}

// keep fills the gaps until ctx ends.
func (c *crowd) keep(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.watcher.ended:
			job := newJob(namespace, jobName(int(c.made.Add(1)-1)), 0)
			if _, err := c.st.kube.create(ctx, job); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}
