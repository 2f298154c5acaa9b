package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// burst: as many short jobs at once as saturate the API server, while people cancel jobs that have long been running.
func burst(ctx context.Context, e *environment) error {
	const keys, cancelled = 100, 10 // so that each key has fewer than it may submit in a minute
	jobs := e.scaled(1_000, 100)
	long, hour := atomic.Bool{}, time.Hour
	w, err := e.startAll(ctx, daftysim.Options{
		PendingFor: daftysim.Fixed(200 * time.Millisecond), Limits: daftysim.NoLimits,
		ProcessingFor: func(daftysim.Operation) time.Duration {
			if long.Load() {
				return hour
			}
			return 3 * time.Second
		},
	}, keys)
	if err != nil {
		return err
	}
	long.Store(true)
	for i := range cancelled {
		if _, err := e.kube.create(ctx, newJob(namespace, longName(i), i%keys)); err != nil {
			return err
		}
	}
	running := func() bool { return w.count(v1alpha1.PhaseProcessing) >= cancelled }
	if err := waitFor(ctx, time.Minute, fmt.Sprintf("%d jobs to run", cancelled), running); err != nil {
		return err
	}
	long.Store(false)
	began := time.Now()
	all, playing := errgroup.WithContext(ctx)
	all.Go(func() error {
		if err := e.kube.createJobs(playing, namespace, jobs, keys); err != nil {
			return err
		}
		return waitFor(playing, 5*time.Minute, fmt.Sprintf("%d jobs to end", jobs), func() bool { return w.count(v1alpha1.PhaseCompleted) >= jobs })
	})
	var took []time.Duration
	all.Go(func() error {
		for i := range cancelled {
			if !pause(playing, time.Second) {
				return context.Cause(playing)
			}
			d, err := e.cancelOne(playing, longName(i), w.snapshot()[longName(i)].jobID)
			if err != nil {
				return err
			}
			took = append(took, d)
		}
		return nil
	})
	if err := all.Wait(); err != nil {
		return err
	}
	seen := w.snapshot()
	ends := lags(seen, e.dafty.Ledger(), began, time.Now(), time.Now(), endedByItself, saidFinal)
	e.measure("ends measured", float64(len(ends)), "")
	e.measure("end to status, p50", percentile(ends, 0.5).Seconds(), "s")
	e.measure("end to status, max", percentile(ends, 1).Seconds(), "s")
	e.measure("jobs a second", float64(jobs)/lastFinal(seen).Sub(began).Seconds(), "")
	e.atMost("patch to cancel at Dafty, max", milliseconds(percentile(took, 1)), "ms", 1000)
	return nil
}

func longName(n int) string { return fmt.Sprintf("long-%02d", n) }
