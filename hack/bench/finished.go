package main

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

const (
	// bulkWriters is for what isn't measured.
	bulkWriters = 32
	// quietCPU is what counts as nothing: 1 % of a core.
	quietCPU = 0.6
)

// finished: a cluster that has been used for long.
func finished(ctx context.Context, e *environment) error {
	live, done := e.scaled(10_000, 100), e.scaled(100_000, 1_000)
	if err := e.serve(daftysim.Options{
		PendingFor: daftysim.Fixed(200 * time.Millisecond), ProcessingFor: daftysim.Fixed(time.Second),
	}, false); err != nil {
		return err
	}
	recorded, err := e.record(ctx)
	if err != nil {
		return err
	}
	if err := e.kube.prepare(ctx, namespace, 1); err != nil {
		return err
	}
	if err := e.writeFinished(ctx, recorded, done); err != nil {
		return err
	}
	if err := each(ctx, live, bulkWriters, func(ctx context.Context, i int) error {
		job := newJob(namespace, jobName(done+i), 0)
		job.Spec.DesiredState = v1alpha1.DesiredSuspended
		_, err := e.kube.create(ctx, job)
		return err
	}); err != nil {
		return err
	}
	return e.measureQuiet(ctx, live+done)
}

// writeFinished writes DaftyJobs as the operator leaves them.
func (e *environment) writeFinished(ctx context.Context, recorded recording, n int) error {
	last := recorded.last()
	status, err := json.Marshal(map[string]any{"status": last.Object["status"]})
	if err != nil {
		return err
	}
	var written atomic.Int64
	return each(ctx, n, bulkWriters, func(ctx context.Context, i int) error {
		job := newJob(namespace, jobName(i), 0)
		job.Finalizers, job.Annotations = last.GetFinalizers(), last.GetAnnotations()
		if _, err := e.kube.create(ctx, job); err != nil {
			return err
		}
		if _, err := e.kube.patch(ctx, namespace, job.Name, "status", status); err != nil {
			return err
		}
		if so := written.Add(1); so%10_000 == 0 {
			e.logf("%d finished DaftyJobs are written", so)
		}
		return nil
	})
}

// measureQuiet starts an operator on all that is there, and looks at it when it has nothing more to do.
func (e *environment) measureQuiet(ctx context.Context, objects int) error {
	o, err := e.startWorking(ctx)
	if err != nil {
		return err
	}
	if err := e.waitQuiet(ctx, o); err != nil {
		return err
	}
	e.measure("start to quiet", time.Since(o.Started).Seconds(), "s")
	before, err := o.CPUTime()
	if err != nil {
		return err
	}
	e.measure("CPU seconds until quiet", before.Seconds(), "s")
	if !pause(ctx, time.Minute) {
		return context.Cause(ctx)
	}
	after, err := o.CPUTime()
	if err != nil {
		return err
	}
	m, err := o.memory(ctx)
	if err != nil {
		return err
	}
	e.atMost("resident memory", m.resident/mebibyte, "MiB", 600)
	e.measure("resident memory, peak", m.peak/mebibyte, "MiB")
	e.atMost("CPU seconds in a quiet minute", (after - before).Seconds(), "s", quietCPU)
	e.measureGo(memory{}, m, float64(objects))
	return nil
}
