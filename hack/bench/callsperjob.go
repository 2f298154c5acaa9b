package main

import (
	"context"
	"time"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// callsPerJob: what a job costs of the key's minute, and how soon its start shows.
func callsPerJob(ctx context.Context, e *environment) error {
	const whole = 50 * time.Second // shorter than Dafty holds a request
	jobs := e.scaled(80, 20)
	pending, last := between(time.Second, 9*time.Second), time.Duration(0)
	w, err := e.startAll(ctx, daftysim.Options{
		// The simulator asks for both at once, under its lock.
		PendingFor:    func(op daftysim.Operation) time.Duration { last = pending(op); return last },
		ProcessingFor: func(daftysim.Operation) time.Duration { return whole - last },
	}, 1)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := e.kube.createJobs(ctx, namespace, jobs, 1); err != nil {
		return err
	}
	if err := w.allCompleted(ctx, jobs, 7*time.Minute); err != nil {
		return err
	}
	now := time.Now()
	m := e.dafty.meter
	e.atMost("Dafty calls per job", float64(m.count(anyCall))/float64(jobs), "", 2.5)
	for _, k := range []struct {
		name string
		kind kind
	}{{"creates", kindCreate}, {"looks", kindLook}, {"held waits", kindWait}, {"pages of the list", kindList}} {
		e.measure("… of them "+k.name, float64(m.count(of(k.kind)))/float64(jobs), "")
	}
	starts := lags(w.snapshot(), e.dafty.Ledger(), began, now, now, started, saidProcessing)
	e.measure("start to status, p95", percentile(starts, 0.95).Seconds(), "s")
	e.atMost("start to status, max", percentile(starts, 1).Seconds(), "s", 10)
	ends := lags(w.snapshot(), e.dafty.Ledger(), began, now, now, endedByItself, saidFinal)
	e.measure("end to status, p95", milliseconds(percentile(ends, 0.95)), "ms")
	e.atMost("calls answered 429", float64(m.count(refused)), "", 0)
	return nil
}
