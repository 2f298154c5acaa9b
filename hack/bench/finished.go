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
func finished(ctx context.Context, st *stage) error {
	live, done := st.scaled(10_000, 100), st.scaled(100_000, 1_000)
	if err := st.serve(daftysim.Options{
		PendingFor: daftysim.Fixed(200 * time.Millisecond), ProcessingFor: daftysim.Fixed(time.Second),
	}, false); err != nil {
		return err
	}
	recorded, err := st.record(ctx)
	if err != nil {
		return err
	}
	if err := st.cluster.prepare(ctx, namespace, 1); err != nil {
		return err
	}
	if err := st.writeFinished(ctx, recorded, done); err != nil {
		return err
	}
	if err := each(ctx, live, bulkWriters, func(ctx context.Context, i int) error {
		job := newJob(namespace, jobName(done+i), 0)
		job.Spec.DesiredState = v1alpha1.DesiredSuspended
		_, err := st.cluster.create(ctx, job)
		return err
	}); err != nil {
		return err
	}
	return st.tellQuiet(ctx, live+done)
}

// writeFinished writes DaftyJobs as the operator leaves them.
func (st *stage) writeFinished(ctx context.Context, recorded recording, n int) error {
	last := recorded.last()
	status, err := json.Marshal(map[string]any{"status": last.Object["status"]})
	if err != nil {
		return err
	}
	var written atomic.Int64
	return each(ctx, n, bulkWriters, func(ctx context.Context, i int) error {
		job := newJob(namespace, jobName(i), 0)
		job.Finalizers, job.Annotations = last.GetFinalizers(), last.GetAnnotations()
		if _, err := st.cluster.create(ctx, job); err != nil {
			return err
		}
		if _, err := st.cluster.patch(ctx, namespace, job.Name, "status", status); err != nil {
			return err
		}
		if so := written.Add(1); so%10_000 == 0 {
			st.say("%d finished DaftyJobs are written", so)
		}
		return nil
	})
}

// tellQuiet starts an operator on all that is there, and looks at it when it has nothing more to do.
func (st *stage) tellQuiet(ctx context.Context, objects int) error {
	o, err := st.startWorking(ctx)
	if err != nil {
		return err
	}
	if err := st.settled(ctx, o); err != nil {
		return err
	}
	st.tell("start to quiet", time.Since(o.Started).Seconds(), "s")
	before, err := o.CPUTime()
	if err != nil {
		return err
	}
	st.tell("CPU seconds until quiet", before.Seconds(), "s")
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
	st.atMost("resident memory", m.resident/mebibyte, "MiB", 600)
	st.tell("resident memory, peak", m.peak/mebibyte, "MiB")
	st.atMost("CPU seconds in a quiet minute", (after - before).Seconds(), "s", quietCPU)
	st.tellGo(memory{}, m, float64(objects))
	return nil
}
