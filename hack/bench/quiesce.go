package main

import (
	"context"
	"fmt"
	"time"
)

const (
	// settledBelow is how much of a core an operator uses that has nothing to do.
	settledBelow  = 0.02
	settledFor    = 3 // looks in a row
	lookEvery     = 2 * time.Second
	settledWithin = 10 * time.Minute
)

// settled returns when the operator has nothing more to do.
func (st *stage) settled(ctx context.Context, o *operator) error {
	ctx, cancel := context.WithTimeoutCause(ctx, settledWithin, fmt.Errorf("the operator still works after %s", settledWithin))
	defer cancel()
	quiet := 0
	for quiet < settledFor {
		before, err := o.CPUTime()
		if err != nil {
			return err
		}
		if !pause(ctx, lookEvery) {
			return context.Cause(ctx)
		}
		after, err := o.CPUTime()
		if err != nil {
			return err
		}
		if quiet++; float64(after-before) > settledBelow*float64(lookEvery) {
			quiet = 0
		}
	}
	return nil
}
