package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"dafty.ai/dafty-operator/internal/test/operatortest"
)

// patience bounds how long the samples take, which is two minutes on an idle machine.
const patience = 5 * time.Minute

var errInterrupted = errors.New("interrupted before the samples came to their end")

// run shows the whole demo. It returns nil only if every sample ended as expected.
func run(ctx context.Context, s *screen) error {
	// The libraries' own logs would write across the screen.
	log.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())

	s.open()
	defer s.close()
	s.print(s.ansi.bold("Dafty operator demo") + s.ansi.dim("  real Kubernetes, real operator, simulated Dafty"))
	s.print("")

	e := &environment{screen: s}
	err := show(ctx, e)
	if stopErr := e.stop(); stopErr != nil {
		err = errors.Join(err, fmt.Errorf("stopping: %w", stopErr))
	}
	return err
}

func show(ctx context.Context, e *environment) error {
	s := e.screen
	if err := e.start(ctx); err != nil {
		return causeOf(ctx, err)
	}
	// When the operator dies there is nothing more to wait for.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-ctx.Done():
		case <-e.operator.Done():
			cancel(e.operator.EndError())
		}
	}()

	s.print("")
	began := time.Now()
	if err := e.playSamples(ctx); err != nil {
		return causeOf(ctx, fmt.Errorf("%w\nlogs: %s", err, e.logs()))
	}
	samplesTook := time.Since(began)
	saved := s.step("pictures")
	err := e.downloads.saveAll(ctx, e.jobs.all())
	saved("saved to "+e.pictures(), err)
	if err != nil {
		return causeOf(ctx, fmt.Errorf("saving the pictures: %w", err))
	}
	problems := e.report(samplesTook)

	if s.interactive {
		if !s.live {
			s.print("", hint)
		}
		<-ctx.Done()
		if cause := context.Cause(ctx); errors.Is(cause, operatortest.ErrEnded) {
			return cause
		}
	}
	if problems > 0 {
		return fmt.Errorf("%d things are not as they should be; logs: %s", problems, e.logs())
	}
	return nil
}

// causeOf returns what ended ctx, if something did; else err.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, operatortest.ErrEnded) {
			return cause
		}
		return errInterrupted
	}
	return err
}
