package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"dafty.ai/dafty-operator/internal/test/operatortest"
)

const (
	readyWithin = 3 * time.Minute
	// errorLevel is in each error line of the log.
	errorLevel = `"level":"error"`
)

// operator is the operator's process.
type operator struct {
	*operatortest.Process
	metrics string // address
}

// startOperator starts an operator, which isn't at work yet.
func (e *environment) startOperator() (*operator, error) {
	metrics, err := operatortest.FindFreeAddress()
	if err != nil {
		return nil, err
	}
	e.started++
	p, err := operatortest.Start(operatortest.Config{
		Program: e.program,
		Args: append([]string{
			"--kubeconfig=" + e.cp.Kubeconfig, "--dafty-url=" + e.dafty.url,
			"--metrics-bind-address=" + metrics, "--health-probe-bind-address=0",
		}, e.operatorArgs...),
		Env:     e.dafty.environment(),
		LogFile: filepath.Join(e.logs, fmt.Sprintf("operator-%d.log", e.started)),
	})
	if err != nil {
		return nil, err
	}
	o := &operator{Process: p, metrics: metrics}
	e.operator = o
	e.atEnd(o.Kill)
	go func() {
		<-o.Done()
		if o.EndedByItself() {
			e.fail(o.EndError())
		}
	}()
	return o, nil
}

// startWorking starts an operator and returns when it is at work.
func (e *environment) startWorking(ctx context.Context) (*operator, error) {
	o, err := e.startOperator()
	if err != nil {
		return nil, err
	}
	return o, o.waitWorking(ctx)
}

// waitWorking returns when the operator has read what there is and looks after it.
func (o *operator) waitWorking(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("not within %s", readyWithin))
	defer cancel()
	return o.WaitWorking(ctx)
}

// errors returns the number of error lines in the log, and the last one.
func (o *operator) errors() (n int, last string) {
	for line := range strings.Lines(o.Log.String()) {
		if strings.Contains(line, errorLevel) {
			n, last = n+1, strings.TrimSuffix(line, "\n")
		}
	}
	return n, last
}
