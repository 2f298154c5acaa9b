package main

import (
	"context"
	"time"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// throughput: as many jobs a second as the API server takes.
func throughput(ctx context.Context, st *stage) error {
	jobs, keys := st.scaled(10_000, 100), st.scaled(1_000, 10)
	if err := st.serve(daftysim.Options{
		PendingFor: daftysim.Fixed(200 * time.Millisecond), ProcessingFor: daftysim.Fixed(time.Second), Limits: daftysim.NoLimits,
	}, false); err != nil {
		return err
	}
	recorded, err := st.record(ctx)
	if err != nil {
		return err
	}
	writes, err := recorded.writes()
	if err != nil {
		return err
	}
	st.tell("writes per job, bare client", float64(len(writes)), "")
	// One half before and one after, as a machine isn't as fast at each moment.
	before, err := st.playBare(ctx, "bench-before", jobs/2, writes)
	if err != nil {
		return err
	}
	rate, err := st.playMany(ctx, jobs, keys)
	if err != nil {
		return err
	}
	if err := st.operator.Kill(); err != nil {
		return err
	}
	after, err := st.playBare(ctx, "bench-after", jobs/2, writes)
	if err != nil {
		return err
	}
	bareRate := float64(jobs/2*2) / (before + after).Seconds()
	st.tell("jobs a second, bare client", bareRate, "")
	st.tell("… slower after than before by", 100*(after-before).Seconds()/before.Seconds(), "%")
	st.atLeast("jobs a second, of the bare client's", 100*rate/bareRate, "%", 70)
	return nil
}

// playMany gives the operator many short jobs, and gives how many a second were done from the first create to the last end.
func (st *stage) playMany(ctx context.Context, jobs, keys int) (rate float64, err error) {
	if err := st.cluster.prepare(ctx, namespace, keys); err != nil {
		return 0, err
	}
	w, err := st.watch(ctx, namespace)
	if err != nil {
		return 0, err
	}
	o, err := st.startWorking(ctx)
	if err != nil {
		return 0, err
	}
	before, err := st.apiRequests(ctx)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := st.cluster.createJobs(ctx, namespace, jobs, keys); err != nil {
		return 0, err
	}
	st.say("%d jobs are made", jobs)
	if err := w.allCompleted(ctx, jobs, 15*time.Minute); err != nil {
		return 0, err
	}
	rate = float64(jobs) / lastFinal(w.all()).Sub(began).Seconds()
	st.tell("jobs a second, operator", rate, "")
	used, err := o.CPUTime()
	if err != nil {
		return 0, err
	}
	pause(ctx, afterwards)
	after, err := st.apiRequests(ctx)
	if err != nil {
		return 0, err
	}
	st.tellRequests(after, before, float64(jobs))
	st.tell("CPU of the operator per job", milliseconds(used)/float64(jobs), "ms")
	st.tell("Dafty calls per job", float64(st.dafty.meter.count(anyCall))/float64(jobs+samples), "")
	return rate, nil
}

// tellRequests notes what each job costs the API server.
func (st *stage) tellRequests(after, before requests, jobs float64) {
	const objects = `resource="daftyjobs"`
	st.atMost("writes per job", after.since(before, objects, `verb="PATCH"`, `code="200"`)/jobs, "", 6)
	st.tell("… of them of status", after.since(before, objects, `verb="PATCH"`, `code="200"`, `subresource="status"`)/jobs, "")
	st.tell("writes lost to a conflict per job", after.since(before, objects, `verb="PATCH"`, `code="409"`)/jobs, "")
	st.tell("events written per job", after.since(before, `group="events.k8s.io"`, `resource="events"`)/jobs, "")
	st.tell("Secrets read per job", after.since(before, `resource="secrets"`, `verb="GET"`)/jobs, "")
}
