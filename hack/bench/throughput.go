package main

import (
	"context"
	"time"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// throughput: as many jobs a second as the API server takes.
func throughput(ctx context.Context, e *environment) error {
	jobs, keys := e.scaled(10_000, 100), e.scaled(1_000, 10)
	if err := e.serve(daftysim.Options{
		PendingFor: daftysim.Fixed(200 * time.Millisecond), ProcessingFor: daftysim.Fixed(time.Second), Limits: daftysim.NoLimits,
	}, false); err != nil {
		return err
	}
	recorded, err := e.record(ctx)
	if err != nil {
		return err
	}
	writes, err := recorded.writes()
	if err != nil {
		return err
	}
	e.measure("writes per job, bare client", float64(len(writes)), "")
	// One half before and one after, as a machine isn't as fast at each moment.
	before, err := e.playBareClient(ctx, "bench-before", jobs/2, writes)
	if err != nil {
		return err
	}
	rate, err := e.playMany(ctx, jobs, keys)
	if err != nil {
		return err
	}
	if err := e.operator.Kill(); err != nil {
		return err
	}
	after, err := e.playBareClient(ctx, "bench-after", jobs/2, writes)
	if err != nil {
		return err
	}
	bareRate := float64(jobs/2*2) / (before + after).Seconds()
	e.measure("jobs a second, bare client", bareRate, "")
	e.measure("… slower after than before by", 100*(after-before).Seconds()/before.Seconds(), "%")
	e.atLeast("jobs a second, of the bare client's", 100*rate/bareRate, "%", 70)
	return nil
}

// playMany creates many short jobs, and returns how many a second the operator completed, from the first create to the last end.
func (e *environment) playMany(ctx context.Context, jobs, keys int) (rate float64, err error) {
	if err := e.kube.prepare(ctx, namespace, keys); err != nil {
		return 0, err
	}
	w, err := e.watch(ctx, namespace)
	if err != nil {
		return 0, err
	}
	o, err := e.startWorking(ctx)
	if err != nil {
		return 0, err
	}
	before, err := e.apiRequests(ctx)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := e.kube.createJobs(ctx, namespace, jobs, keys); err != nil {
		return 0, err
	}
	e.logf("%d jobs are made", jobs)
	if err := w.allCompleted(ctx, jobs, 15*time.Minute); err != nil {
		return 0, err
	}
	rate = float64(jobs) / lastFinal(w.snapshot()).Sub(began).Seconds()
	e.measure("jobs a second, operator", rate, "")
	used, err := o.CPUTime()
	if err != nil {
		return 0, err
	}
	pause(ctx, afterwards)
	after, err := e.apiRequests(ctx)
	if err != nil {
		return 0, err
	}
	e.measureRequests(after, before, float64(jobs))
	e.measure("CPU of the operator per job", milliseconds(used)/float64(jobs), "ms")
	e.measure("Dafty calls per job", float64(e.dafty.meter.count(anyCall))/float64(jobs+samples), "")
	return rate, nil
}

// measureRequests adds the requests to the API server per job.
func (e *environment) measureRequests(after, before requests, jobs float64) {
	const objects = `resource="daftyjobs"`
	e.atMost("writes per job", after.since(before, objects, `verb="PATCH"`, `code="200"`)/jobs, "", 6)
	e.measure("… of them of status", after.since(before, objects, `verb="PATCH"`, `code="200"`, `subresource="status"`)/jobs, "")
	e.measure("writes lost to a conflict per job", after.since(before, objects, `verb="PATCH"`, `code="409"`)/jobs, "")
	e.measure("events written per job", after.since(before, `group="events.k8s.io"`, `resource="events"`)/jobs, "")
	e.measure("Secrets read per job", after.since(before, `resource="secrets"`, `verb="GET"`)/jobs, "")
}
