package main

import (
	"context"
	"fmt"
	"time"
)

const (
	// quietBelow is the share of a core that an operator with nothing to do uses at most.
	quietBelow  = 0.02
	quietFor    = 3 // looks in a row
	lookEvery   = 2 * time.Second
	quietWithin = 10 * time.Minute
)

// waitQuiet returns when the operator has nothing more to do.
func (e *environment) waitQuiet(ctx context.Context, o *operator) error {
	ctx, cancel := context.WithTimeoutCause(ctx, quietWithin, fmt.Errorf("the operator still works after %s", quietWithin))
	defer cancel()
	quiet := 0
	for quiet < quietFor {
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
		if quiet++; float64(after-before) > quietBelow*float64(lookEvery) {
			quiet = 0
		}
	}
	return nil
}
