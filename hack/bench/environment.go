package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// environment is what a scenario runs in, and what it has measured.
type environment struct {
	scenario     string
	scale        float64
	rateWindow   daftysim.RateWindow
	program      string
	operatorArgs []string
	folder       string // removed in the end
	logs         string
	stderr       io.Writer
	began        time.Time

	cp       *kubetest.ControlPlane
	kube     *kubeClient
	dafty    *dafty
	operator *operator
	started  int // operators
	fail     context.CancelCauseFunc

	measurements []measurement
	stops        []func() error
}

// start brings up a control plane.
func (e *environment) start(ctx context.Context) (err error) {
	if err := os.MkdirAll(e.logs, 0o755); err != nil {
		return err
	}
	if e.cp, err = kubetest.New(ctx, kubetest.Options{LogDir: e.logs, Log: e.stderr}); err != nil {
		return err
	}
	e.atEnd(e.cp.Stop)
	e.kube, err = newKubeClient(e.cp)
	return err
}

// atEnd has stop call a function; the last one is called first.
func (e *environment) atEnd(stop func() error) { e.stops = append(e.stops, stop) }

func (e *environment) stop() error {
	var errs []error
	for _, stop := range slices.Backward(e.stops) {
		errs = append(errs, stop())
	}
	return errors.Join(errs...)
}

// logf prints progress.
func (e *environment) logf(format string, args ...any) {
	fmt.Fprintf(e.stderr, "[%s %5.1fs] %s\n", e.scenario, time.Since(e.began).Seconds(), fmt.Sprintf(format, args...))
}

// scaled returns n times -scale, at least the given number.
func (e *environment) scaled(n, least int) int { return max(min(n, least), int(float64(n)*e.scale)) }

// scaledTime is [environment.scaled] for a duration.
func (e *environment) scaledTime(d, least time.Duration) time.Duration {
	return max(min(d, least), time.Duration(float64(d)*e.scale))
}

// measure adds a measurement without a bound.
func (e *environment) measure(name string, value float64, unit string) {
	e.add(measurement{Name: name, Value: value, Unit: unit})
}

func (e *environment) atMost(name string, value float64, unit string, bound float64) {
	e.add(measurement{Name: name, Value: value, Unit: unit, AtMost: &bound})
}

func (e *environment) atLeast(name string, value float64, unit string, bound float64) {
	e.add(measurement{Name: name, Value: value, Unit: unit, AtLeast: &bound})
}

func (e *environment) add(m measurement) {
	m.Scenario = e.scenario
	e.measurements = append(e.measurements, m)
	e.logf("%s: %s %s", m.Name, m.formatted(), m.verdict())
}

// reportTrouble adds what must not happen in any scenario, if it did.
func (e *environment) reportTrouble() {
	if e.dafty != nil {
		if broken := e.dafty.Violations(); len(broken) > 0 {
			e.atMost("broken rules of Dafty's", float64(len(broken)), "", 0)
			e.logf("the first: %s", broken[0])
		}
		if lost := e.dafty.meter.overflow(); lost > 0 {
			e.atMost("calls that the meter had no room for", float64(lost), "", 0)
		}
	}
	if e.operator != nil {
		if n, last := e.operator.errors(); n > 0 {
			e.measure("errors in the operator's log", float64(n), "")
			e.logf("the last: %s", last)
		}
	}
}

// waitFor polls until a condition holds. Its error names the condition, and why it wasn't waited for any longer.
func waitFor(ctx context.Context, within time.Duration, what string, is func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("not within %s", within))
	defer cancel()
	for !is() {
		if !pause(ctx, 20*time.Millisecond) {
			return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
		}
	}
	return nil
}

// pause waits. It returns false if ctx is done first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
