package main

import (
	"context"
	"fmt"
	"time"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// steadyFor is how long what is to be steady is looked at: longer than Dafty holds a request.
const steadyFor = time.Minute

// heldWaits: as many jobs in flight as are planned for, none of which ends.
//
// Over https, as the real Dafty: requests then share connections, as HTTP/2 has it. With one each there would be no
// telling the operator's memory from the limit of open files.
func heldWaits(ctx context.Context, e *environment) error {
	const perKey = 20
	keys := e.scaled(1_000, 10)
	jobs := keys * perKey
	if err := e.serve(daftysim.Options{
		PendingFor: between(time.Second, 5*time.Second), ProcessingFor: daftysim.Fixed(24 * time.Hour),
	}, true); err != nil {
		return err
	}
	if err := e.kube.prepare(ctx, namespace, keys); err != nil {
		return err
	}
	o, err := e.startWorking(ctx)
	if err != nil {
		return err
	}
	if err := e.waitQuiet(ctx, o); err != nil {
		return err
	}
	before, err := o.memory(ctx)
	if err != nil {
		return err
	}
	if err := e.kube.createJobs(ctx, namespace, jobs, keys); err != nil {
		return err
	}
	if err := e.allHeld(ctx, jobs); err != nil {
		return err
	}
	return e.measureHeld(ctx, o, jobs, before)
}

// mostOf returns how many of n waits must be held at any moment: Dafty answers one after 55 s, and it is sent again.
func mostOf(n int) int { return n - n/200 }

func (e *environment) allHeld(ctx context.Context, jobs int) error {
	most := 0
	err := waitFor(ctx, 20*time.Minute, fmt.Sprintf("%d held waits", mostOf(jobs)), func() bool {
		held := e.dafty.Held()
		most = max(most, held)
		return held >= mostOf(jobs)
	})
	if err != nil {
		return fmt.Errorf("at most %d are held at once: %w", most, err)
	}
	return nil
}

// measureHeld looks at waits that are held for a while.
func (e *environment) measureHeld(ctx context.Context, o *operator, jobs int, before memory) error {
	e.logf("all are held")
	errored, _ := o.errors()
	calls, fewest := e.dafty.meter.count(anyCall), jobs
	cpu, err := o.CPUTime()
	if err != nil {
		return err
	}
	for end := time.Now().Add(steadyFor); time.Now().Before(end) && pause(ctx, 200*time.Millisecond); {
		fewest = min(fewest, e.dafty.Held())
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	used, err := o.CPUTime()
	if err != nil {
		return err
	}
	after, err := o.memory(ctx)
	if err != nil {
		return err
	}
	e.atLeast("waits held, fewest within a minute", float64(fewest), "", float64(mostOf(jobs)))
	e.measure("Dafty calls within that minute", float64(e.dafty.meter.count(anyCall)-calls), "")
	e.measure("CPU seconds within that minute", (used - cpu).Seconds(), "s")
	e.atMost("resident memory per job in flight", (after.resident-before.resident)/float64(jobs)/kibibyte, "KiB", 40)
	e.measure("resident memory before", before.resident/mebibyte, "MiB")
	e.measure("resident memory with all in flight", after.resident/mebibyte, "MiB")
	e.measure("resident memory, peak", after.peak/mebibyte, "MiB")
	e.measureGo(before, after, float64(jobs))
	now, _ := o.errors()
	e.atMost("errors logged while all were held", float64(now-errored), "", 0)
	e.atMost("calls answered by an error", float64(e.dafty.meter.count(erred)), "", 0)
	return nil
}
