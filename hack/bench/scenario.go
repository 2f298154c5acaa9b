package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// scenario is a situation in which the operator is measured.
type scenario struct {
	name, about string
	// limit bounds all of it, including the start of the control plane.
	limit time.Duration
	play  func(ctx context.Context, e *environment) error
}

// scenarios has the order of the table "What it must reach".
var scenarios = []scenario{
	{"one-key", "one key, real limits, 60 images of 20 s", 6 * time.Minute, oneKey(daftysim.RateWindowSliding)},
	{"one-key-fixed", "the same where Dafty counts whole minutes of the clock", 6 * time.Minute, oneKey(daftysim.RateWindowFixed)},
	{"shared-key", "someone else makes 10 creates a minute with the same key", 7 * time.Minute, sharedKey},
	{"calls-per-job", "20 jobs of 50 s in flight on one key", 8 * time.Minute, callsPerJob},
	{"end-to-status-100", "100 in flight on one key, 2 to 3 minutes each", 9 * time.Minute, endToStatus},
	{"in-flight-600", "600 in flight on one key, of which 20 end each minute, and cancels", 10 * time.Minute, inFlight},
	{"throughput", "1,000 keys, 10,000 short jobs, limits lifted, against a bare client", 20 * time.Minute, throughput},
	{"burst", "1,000 jobs of 3 s at once on 100 keys, limits lifted, and cancels", 6 * time.Minute, burst},
	{"held-20000", "1,000 keys, 20,000 jobs in flight that don't end", 30 * time.Minute, heldWaits},
	{"finished-100000", "10,000 live and 100,000 finished DaftyJobs", 40 * time.Minute, finished},
	{"assets", "1,000 DaftyAssets with 10 changes each, 4, 8 and 16 at once, limits lifted", 40 * time.Minute, assets},
	{"assets-idle", "10,000 DaftyAssets that nobody changes", 25 * time.Minute, assetsIdle},
	{"accounts-idle", "1,000 DaftyAccounts with 100 namespaces each, of which nothing is asked", 25 * time.Minute, accountsIdle},
	{"restart", "kill -9 with 2,000 in flight on 100 keys", 10 * time.Minute, restart},
}

func names(all []scenario) []string {
	var list []string
	for _, sc := range all {
		list = append(list, sc.name)
	}
	return list
}

func choose(all []scenario, which *regexp.Regexp) []scenario {
	var chosen []scenario
	for _, sc := range all {
		if which.MatchString(sc.name) {
			chosen = append(chosen, sc)
		}
	}
	return chosen
}

func listing(all []scenario) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	for _, sc := range all {
		fmt.Fprintf(w, "%s\t%s\n", sc.name, sc.about)
	}
	_ = w.Flush() // into memory
	return b.String()
}

// outcome is what came of a scenario: measurements, and the error that ended it early.
type outcome struct {
	measurements []measurement
	err          error
}

// play plays one scenario in an environment of its own.
func play(ctx context.Context, s settings, sc scenario, folder string, stderr io.Writer) outcome {
	// The libraries' own logs would stand between our lines.
	log.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())

	ctx, cancel := context.WithTimeoutCause(ctx, sc.limit, fmt.Errorf("it took over %s", sc.limit))
	defer cancel()
	e := &environment{
		scenario: sc.name, scale: s.scale, rateWindow: s.rateWindow, program: s.program, operatorArgs: s.operatorArgs,
		folder: folder, logs: filepath.Join(s.logs, sc.name), stderr: stderr, began: time.Now(),
	}
	e.logf("%s", sc.about)
	err := e.start(ctx)
	if err == nil {
		err = e.playWith(ctx, sc)
	}
	if stopErr := e.stop(); stopErr != nil {
		err = errors.Join(err, fmt.Errorf("stopping: %w", stopErr))
	}
	if err != nil {
		e.logf("failed: %v", err)
	}
	return outcome{measurements: e.measurements, err: err}
}

// playWith plays until the end, or until the operator ends by itself.
func (e *environment) playWith(ctx context.Context, sc scenario) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e.fail = cancel
	err := sc.play(ctx, e)
	if err != nil && context.Cause(ctx) != nil {
		err = context.Cause(ctx)
	}
	e.reportTrouble()
	return err
}
