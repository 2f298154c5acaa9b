package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

const (
	// aMinuteLater is after the window in which Dafty counts the calls of a key.
	aMinuteLater = 65 * time.Second
	// newJobs are created while the process starts, and as many once it is at work.
	newJobs = 10
)

// restart: the operator dies with many jobs in flight.
func restart(ctx context.Context, e *environment) error {
	const perKey = 20
	keys := e.scaled(100, newJobs)
	jobs := keys * perKey
	w, err := e.startAll(ctx, daftysim.Options{
		PendingFor: between(time.Second, 5*time.Second), ProcessingFor: daftysim.Fixed(time.Hour),
	}, keys)
	if err != nil {
		return err
	}
	if err := e.kube.createJobs(ctx, namespace, jobs, keys); err != nil {
		return err
	}
	err = waitFor(ctx, 4*time.Minute, fmt.Sprintf("%d jobs to be seen processing", jobs), func() bool {
		return w.count(v1alpha1.PhaseProcessing) >= jobs
	})
	if err != nil {
		return fmt.Errorf("%d are: %w", w.count(v1alpha1.PhaseProcessing), err)
	}
	e.logf("%d jobs are in flight", jobs)
	if !pause(ctx, aMinuteLater) {
		return context.Cause(ctx)
	}
	return e.killAndFollow(ctx, w, jobs, keys)
}

// killAndFollow kills the operator, starts another, creates new jobs at once, and measures what becomes of all.
func (e *environment) killAndFollow(ctx context.Context, w *watcher, jobs, keys int) error {
	m := e.dafty.meter
	refusedBefore := m.count(refused)
	if err := e.operator.Kill(); err != nil {
		return err
	}
	m.resetLooks()
	killed := time.Now()
	old := w.snapshot()
	o, err := e.startOperator()
	if err != nil {
		return err
	}
	if err := e.createNew(ctx, "early", keys); err != nil {
		return err
	}
	if err := o.waitWorking(ctx); err != nil {
		return err
	}
	if err := e.createNew(ctx, "late", keys); err != nil {
		return err
	}
	all := func() bool { return e.followed(old) >= jobs && len(e.dafty.Ledger()) >= jobs+2*newJobs }
	lateErr := waitFor(ctx, 2*time.Minute, "all to be followed, and the new jobs to be submitted", all)
	if lateErr != nil {
		e.logf("%v", lateErr)
	}
	e.atLeast("jobs in flight followed again", 100*share(e.followed(old), jobs), "%", 100)
	e.measureFollowed(o, old)
	e.measureNew(o, w.snapshot())
	if !pause(ctx, e.scaledTime(time.Minute, 10*time.Second)) { // for refusals that come late
		return context.Cause(ctx)
	}
	e.measure("writes per job in flight since", rewrites(old, w.snapshot()), "")
	e.atMost("calls answered 429 since", float64(m.count(refused)-refusedBefore), "", 0)
	e.measure("other calls of a key in any minute since, most", float64(e.mostOthersSince(killed)), "")
	e.atMost("second submissions", float64(len(e.dafty.Ledger())-len(byUID(e.dafty.Ledger()))), "", 0)
	return nil
}

// createNew creates newJobs DaftyJobs, spread over the keys.
func (e *environment) createNew(ctx context.Context, name string, keys int) error {
	return each(ctx, newJobs, newJobs, func(ctx context.Context, i int) error {
		_, err := e.kube.create(ctx, newJob(namespace, fmt.Sprintf("%s-%d", name, i), i*keys/newJobs))
		return err
	})
}

// followed returns how many of the jobs were looked at since resetLooks.
func (e *environment) followed(jobs map[string]jobState) int {
	looked, n := e.dafty.meter.lookedAt(), 0
	for _, job := range jobs {
		if _, ok := looked[job.jobID]; ok {
			n++
		}
	}
	return n
}

// measureFollowed adds when the jobs were looked at again.
func (e *environment) measureFollowed(o *operator, jobs map[string]jobState) {
	looked := e.dafty.meter.lookedAt()
	var after []time.Duration
	for _, job := range jobs {
		if at, ok := looked[job.jobID]; ok {
			after = append(after, at.Sub(o.Started))
		}
	}
	e.measure("process start to at work", o.WorkingSince().Sub(o.Started).Seconds(), "s")
	e.measure("process start to followed again, p50", percentile(after, 0.5).Seconds(), "s")
	e.measure("process start to followed again, last", percentile(after, 1).Seconds(), "s")
}

// measureNew adds how soon the new jobs were submitted: those created while the process started, from when it was at work, and those
// created later, from their creation. One that isn't submitted yet has taken until now.
func (e *environment) measureNew(o *operator, jobs map[string]jobState) {
	entries := byUID(e.dafty.Ledger())
	var early, late, sinceStart []time.Duration
	for name, job := range jobs {
		at := time.Now()
		if of := entries[job.uid]; len(of) > 0 {
			at = of[0].Created
		}
		switch {
		case strings.HasPrefix(name, "early-"):
			early, sinceStart = append(early, max(0, at.Sub(o.WorkingSince()))), append(sinceStart, at.Sub(o.Started))
		case strings.HasPrefix(name, "late-"):
			late = append(late, at.Sub(job.made))
		}
	}
	e.atMost("at work to submitted, a job made before, max", percentile(early, 1).Seconds(), "s", 2)
	e.atMost("made to submitted, a job made after, max", percentile(late, 1).Seconds(), "s", 2)
	e.measure("process start to submitted, a job made before, max", percentile(sinceStart, 1).Seconds(), "s")
}

// rewrites returns how often a job in flight was written to since, on average.
func rewrites(old, now map[string]jobState) float64 {
	n := 0
	for name, job := range old {
		n += now[name].changes - job.changes
	}
	return float64(n) / float64(max(1, len(old)))
}

// mostOthersSince returns the highest number of calls of one key within a minute from then on, without creates.
func (e *environment) mostOthersSince(from time.Time) int {
	most := 0
	other := of(otherKinds...)
	for _, times := range e.dafty.meter.times(func(c call) bool { return other(c) && !c.at.Before(from) }) {
		most = max(most, mostWithin(times, time.Minute))
	}
	return most
}
