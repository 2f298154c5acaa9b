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

// stage is all that a scenario plays with, and what it has measured.
type stage struct {
	scenario     string
	scale        float64
	rateWindow   daftysim.RateWindow
	program      string
	operatorArgs []string
	folder       string // of what nobody wants to keep
	logs         string
	stderr       io.Writer
	began        time.Time

	cp       *kubetest.ControlPlane
	cluster  *cluster
	dafty    *dafty
	operator *operator
	started  int // operators
	giveUp   context.CancelCauseFunc

	figures []figure
	stops   []func() error
}

// start brings up a control plane.
func (st *stage) start(ctx context.Context) (err error) {
	if err := os.MkdirAll(st.logs, 0o755); err != nil {
		return err
	}
	if st.cp, err = kubetest.New(ctx, kubetest.Options{LogDir: st.logs, Log: st.stderr}); err != nil {
		return err
	}
	st.stopping(st.cp.Stop)
	st.cluster, err = newCluster(st.cp)
	return err
}

// stopping remembers what to do in the end; the last comes first.
func (st *stage) stopping(stop func() error) { st.stops = append(st.stops, stop) }

func (st *stage) stop() error {
	var errs []error
	for _, stop := range slices.Backward(st.stops) {
		errs = append(errs, stop())
	}
	return errors.Join(errs...)
}

// say tells how far things are.
func (st *stage) say(format string, args ...any) {
	fmt.Fprintf(st.stderr, "[%s %5.1fs] %s\n", st.scenario, time.Since(st.began).Seconds(), fmt.Sprintf(format, args...))
}

// scaled shrinks a number by -scale, down to a least one.
func (st *stage) scaled(n, least int) int { return max(min(n, least), int(float64(n)*st.scale)) }

// scaledTime is scaled for a time.
func (st *stage) scaledTime(d, least time.Duration) time.Duration {
	return max(min(d, least), time.Duration(float64(d)*st.scale))
}

// tell notes a figure that nothing must be reached of.
func (st *stage) tell(name string, value float64, unit string) {
	st.note(figure{Name: name, Value: value, Unit: unit})
}

func (st *stage) atMost(name string, value float64, unit string, bound float64) {
	st.note(figure{Name: name, Value: value, Unit: unit, AtMost: &bound})
}

func (st *stage) atLeast(name string, value float64, unit string, bound float64) {
	st.note(figure{Name: name, Value: value, Unit: unit, AtLeast: &bound})
}

func (st *stage) note(f figure) {
	f.Scenario = st.scenario
	st.figures = append(st.figures, f)
	st.say("%s: %s %s", f.Name, f.measured(), f.verdict())
}

// tellTrouble notes what must never happen, whatever the scenario, where it did.
func (st *stage) tellTrouble() {
	if st.dafty != nil {
		if broken := st.dafty.Violations(); len(broken) > 0 {
			st.atMost("broken rules of Dafty's", float64(len(broken)), "", 0)
			st.say("the first: %s", broken[0])
		}
		if lost := st.dafty.meter.overflow(); lost > 0 {
			st.atMost("calls that the meter had no room for", float64(lost), "", 0)
		}
	}
	if st.operator != nil {
		if n, last := st.operator.errors(); n > 0 {
			st.tell("errors in the operator's log", float64(n), "")
			st.say("the last: %s", last)
		}
	}
}

// patiently polls until is holds. The error says what it waited for, and why it waits no more.
func patiently(ctx context.Context, within time.Duration, what string, is func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("not within %s", within))
	defer cancel()
	for !is() {
		if !pause(ctx, 20*time.Millisecond) {
			return fmt.Errorf("waiting for %s: %w", what, context.Cause(ctx))
		}
	}
	return nil
}

// pause is false where ctx ended first.
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
