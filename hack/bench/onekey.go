package main

import (
	"context"
	"time"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// imagesAMinute is Dafty's limit of image creates per API key.
const imagesAMinute = 20

// oneKey: one key is used as far as Dafty allows, and never further.
func oneKey(window daftysim.RateWindow) func(context.Context, *environment) error {
	return func(ctx context.Context, e *environment) error {
		jobs := e.scaled(60, 30)
		w, err := e.startAll(ctx, daftysim.Options{
			PendingFor: daftysim.Fixed(time.Second), ProcessingFor: daftysim.Fixed(19 * time.Second),
			Variants: daftysim.Variants{RateWindow: window},
		}, 1)
		if err != nil {
			return err
		}
		if err := e.kube.createJobs(ctx, namespace, jobs, 1); err != nil {
			return err
		}
		if err := w.allCompleted(ctx, jobs, 5*time.Minute); err != nil {
			return err
		}
		var created []time.Time
		for _, entry := range e.dafty.Ledger() {
			created = append(created, entry.Created)
		}
		e.atLeast("creates a minute after the first, of 20", 100*creationRate(created, imagesAMinute)/imagesAMinute, "%", 98)
		e.atMost("calls answered 429", float64(e.dafty.meter.count(refused)), "", 0)
		return nil
	}
}

// creationRate returns the creates a minute once the first minute is over: those after the first limit, over the time since. The
// last has its share of a minute, too.
func creationRate(created []time.Time, limit int) float64 {
	if len(created) <= limit {
		return 0
	}
	took := created[len(created)-1].Sub(created[0].Add(time.Minute)) + time.Minute/time.Duration(limit)
	return float64(len(created)-limit) / took.Minutes()
}
