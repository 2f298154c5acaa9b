package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// endToStatus: so many in flight that a held request for each is about what the budget carries.
func endToStatus(ctx context.Context, e *environment) error {
	p, err := e.playLoad(ctx, 100, 2*time.Minute, 3*time.Minute, 0)
	if err != nil {
		return err
	}
	e.measure("ends measured", float64(len(p.ends)), "")
	e.measure("end to status, p50", milliseconds(percentile(p.ends, 0.5)), "ms")
	e.atMost("end to status, p95", milliseconds(percentile(p.ends, 0.95)), "ms", 250)
	e.measure("end to status, max", milliseconds(percentile(p.ends, 1)), "ms")
	e.measureOthers()
	return nil
}

// inFlight: more in flight than the budget carries held requests for, and some of them are cancelled.
func inFlight(ctx context.Context, e *environment) error {
	// They end at the rate at which a key's limit lets others begin, about 20 a minute.
	p, err := e.playLoad(ctx, 600, 2*time.Minute, 30*time.Minute, 10)
	if err != nil {
		return err
	}
	e.measure("ends measured", float64(len(p.ends)), "")
	e.measure("end to status, p50", percentile(p.ends, 0.5).Seconds(), "s")
	e.atMost("end to status, p95", percentile(p.ends, 0.95).Seconds(), "s", 15)
	e.measure("end to status, max", percentile(p.ends, 1).Seconds(), "s")
	e.atMost("patch to cancel at Dafty, max", milliseconds(percentile(p.cancels, 1)), "ms", 1000)
	e.measureOthers()
	return nil
}

// measureOthers notes what became of the budget.
func (e *environment) measureOthers() {
	e.atMost("other calls in any minute, most", float64(e.dafty.meter.mostOthersAMinute()), "", 120)
	e.atMost("calls answered 429", float64(e.dafty.meter.count(refused)), "", 0)
}

// loadResult is what came of a load.
type loadResult struct {
	ends, cancels []time.Duration
}

const (
	// measuredFor is how long a load lasts after the first of its jobs can end.
	measuredFor = 3 * time.Minute
	// latestEnd is how long before the measuring is over a job must have ended to count: its status has that time to say so.
	latestEnd = 30 * time.Second
)

// playLoad keeps size jobs in flight on one key that take from shortest to longest each, and cancels some.
func (e *environment) playLoad(ctx context.Context, size int, shortest, longest time.Duration, cancels int) (*loadResult, error) {
	size = e.scaled(size, 10)
	shortest, longest = e.scaledTime(shortest, 10*time.Second), e.scaledTime(longest, 20*time.Second)
	measured := e.scaledTime(measuredFor, 30*time.Second)
	w, err := e.startAll(ctx, daftysim.Options{
		PendingFor: between(time.Second, 5*time.Second), ProcessingFor: between(shortest, longest), Limits: liftedCreates,
	}, 1)
	if err != nil {
		return nil, err
	}
	l := &load{env: e, watcher: w, size: size}
	if err := l.start(ctx, max(shortest, time.Minute)); err != nil {
		return nil, err
	}
	e.logf("%d jobs are in flight", size)
	if !pause(ctx, shortest/2) {
		return nil, context.Cause(ctx)
	}
	from, p := time.Now(), &loadResult{}
	keeping, stop := context.WithTimeout(ctx, shortest/2+measured)
	defer stop()
	all, keeping := errgroup.WithContext(keeping)
	all.Go(func() error { return l.refill(keeping) })
	all.Go(func() (err error) {
		p.cancels, err = e.cancelSome(keeping, w, cancels, (shortest/2+measured)/time.Duration(cancels+1))
		return err
	})
	if err := all.Wait(); err != nil {
		return nil, err
	}
	to := time.Now().Add(-e.scaledTime(latestEnd, 3*time.Second))
	p.ends = lags(w.snapshot(), e.dafty.Ledger(), from, to, time.Now(), endedByItself, saidFinal)
	if len(p.ends) == 0 {
		return nil, fmt.Errorf("no job has ended")
	}
	return p, nil
}

// cancelSome cancels n jobs, one each time, and returns how long each took from the user's request to Dafty.
func (e *environment) cancelSome(ctx context.Context, w *watcher, n int, every time.Duration) ([]time.Duration, error) {
	var took []time.Duration
	chosen := map[string]bool{}
	for range n {
		if !pause(ctx, every) {
			break
		}
		name, jobID, found := youngest(w.snapshot(), e.dafty.Running(), chosen)
		if !found {
			return nil, fmt.Errorf("no job to cancel")
		}
		chosen[name] = true
		d, err := e.cancelOne(ctx, name, jobID)
		if err != nil {
			return nil, err
		}
		took = append(took, d)
	}
	return took, nil
}

// youngest is the job that will run longest, as far as one can tell, that the operator follows.
func youngest(jobs map[string]jobState, running []daftysim.Entry, but map[string]bool) (name, jobID string, found bool) {
	slices.SortFunc(running, func(a, b daftysim.Entry) int { return cmp.Compare(b.Started.UnixNano(), a.Started.UnixNano()) })
	names := map[string]string{}
	for name, job := range jobs {
		if job.phase == v1alpha1.PhaseProcessing || job.phase == v1alpha1.PhaseQueued {
			names[job.jobID] = name
		}
	}
	for _, entry := range running {
		if name := names[entry.JobID]; name != "" && !but[name] && !entry.Started.IsZero() {
			return name, entry.JobID, true
		}
	}
	return "", "", false
}

const cancelWithin = 30 * time.Second

// cancelOne asks for a cancel. One that doesn't come has taken as long as was waited for it.
func (e *environment) cancelOne(ctx context.Context, name, jobID string) (time.Duration, error) {
	asked := time.Now()
	if _, err := e.kube.patch(ctx, namespace, name, "", []byte(`{"spec":{"desiredState":"Cancelled"}}`)); err != nil {
		return 0, err
	}
	came := func() bool { _, ok := e.dafty.meter.cancelAt(jobID); return ok }
	if err := waitFor(ctx, cancelWithin, "the cancel", came); err != nil {
		return time.Since(asked), nil //nolint:nilerr // how long it took is what is measured
	}
	at, _ := e.dafty.meter.cancelAt(jobID)
	return at.Sub(asked), nil
}
