package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// startAll starts what most scenarios begin with: a Dafty, a namespace with Secrets, a watch of it, and an operator at work.
func (e *environment) startAll(ctx context.Context, options daftysim.Options, keys int) (*watcher, error) {
	if err := e.serve(options, false); err != nil {
		return nil, err
	}
	if err := e.kube.prepare(ctx, namespace, keys); err != nil {
		return nil, err
	}
	w, err := e.watch(ctx, namespace)
	if err != nil {
		return nil, err
	}
	_, err = e.startWorking(ctx)
	return w, err
}

// allCompleted returns once n DaftyJobs have completed.
func (w *watcher) allCompleted(ctx context.Context, n int, within time.Duration) error {
	err := waitFor(ctx, within, fmt.Sprintf("%d jobs to end", n), func() bool { return w.finals() >= n })
	if completed := w.count(v1alpha1.PhaseCompleted); err != nil || completed < n {
		return fmt.Errorf("%d of %d jobs completed, %d ended otherwise: %w", completed, n, w.finals()-completed, errorOr(err))
	}
	return nil
}

func errorOr(err error) error {
	if err == nil {
		return fmt.Errorf("all should complete")
	}
	return err
}

// uidLength is the length of an object's UID, with which the operator's idempotency keys begin.
const uidLength = 36

// byUID returns the ledger's entries by the UID of their DaftyJob; those of other clients are left out.
func byUID(ledger []daftysim.Entry) map[types.UID][]daftysim.Entry {
	entries := map[types.UID][]daftysim.Entry{}
	for _, entry := range ledger {
		if key := entry.IdempotencyKey; len(key) > uidLength && key[uidLength] == '-' {
			uid := types.UID(key[:uidLength])
			entries[uid] = append(entries[uid], entry)
		}
	}
	return entries
}

// lags returns the times between what happened at Dafty and when status said so, for all that happened in [from, to). What
// status doesn't say yet lags until now.
func lags(jobs map[string]jobState, ledger []daftysim.Entry, from, to, now time.Time,
	happened func(daftysim.Entry) time.Time, said func(jobState) time.Time) []time.Duration {
	entries := byUID(ledger)
	var all []time.Duration
	for _, job := range jobs {
		for _, entry := range entries[job.uid] {
			at := happened(entry)
			if at.IsZero() || at.Before(from) || !at.Before(to) {
				continue
			}
			until := said(job)
			if until.IsZero() {
				until = now
			}
			all = append(all, max(0, until.Sub(at)))
		}
	}
	return all
}

// endedByItself returns when a job at Dafty ended; zero if it was cancelled.
func endedByItself(e daftysim.Entry) time.Time {
	if e.Cancelled {
		return time.Time{}
	}
	return e.Finished
}

func started(e daftysim.Entry) time.Time { return e.Started }

func saidFinal(s jobState) time.Time { return s.final }

func saidProcessing(s jobState) time.Time { return s.processing }
