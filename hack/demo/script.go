package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// playSamples applies the samples and acts as their user until all have ended.
func (e *environment) playSamples(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errTooLong)
	defer cancel()

	e.screen.show(e.jobs.lines)
	for _, act := range []func() error{
		func() error { return e.kubectl(ctx, "apply", "-f", secretPath) },
		func() error { return e.kubectl(ctx, "apply", "-k", samplesPath) },
		func() error { return e.kubectl(ctx, "apply", "-k", campaignPath) },
		func() error { return e.kubectl(ctx, "apply", "-k", assetsPath) },
		func() error { return e.playSharing(ctx) },
		func() error { return e.awaitProcessing(ctx, sampleCancelled) },
		func() error { return e.patch(ctx, sampleCancelled, v1alpha1.DesiredCancelled) },
		func() error { return e.awaitProcessing(ctx, sampleDeleted) },
		func() error { return e.kubectl(ctx, "delete", "daftyjob", sampleDeleted) },
		func() error {
			return e.kubectl(ctx, "wait", "--for=condition=Complete", "daftyjob/"+sampleAwaited, "--timeout=3m")
		},
		func() error { return e.patch(ctx, sampleReleased, v1alpha1.DesiredCompleted) },
		func() error { return e.jobs.await(ctx, e.allFinal) },
		func() error {
			return e.kubectl(ctx, "get", "configmap", e.samples.jobs[sampleHandedOn].Spec.ResultConfigMap, "-o", "jsonpath={.data.video_url}")
		},
		func() error { return e.playAssets(ctx) },
		func() error { return e.playBudget(ctx) },
	} {
		if err := act(); err != nil {
			return fmt.Errorf("%w%s", err, e.describeUnfinished())
		}
	}
	if e.screen.live {
		return nil // the table is there already
	}
	return e.kubectl(ctx, "get", "daftyjobs")
}

var errTooLong = fmt.Errorf("the samples took longer than %s", patience)

func (e *environment) patch(ctx context.Context, name string, to v1alpha1.DesiredState) error {
	return e.kubectl(ctx, "patch", "daftyjob", name, "--type", "merge", "-p", fmt.Sprintf(`{"spec":{"desiredState":%q}}`, to))
}

// awaitProcessing waits until Dafty works on a job, so that there is something to cancel.
func (e *environment) awaitProcessing(ctx context.Context, name string) error {
	err := e.jobs.await(ctx, func(jobs map[string]jobState) bool {
		job := jobs[name]
		return job.DaftyJob != nil && (job.Status.Phase == v1alpha1.PhaseProcessing || final(job))
	})
	if err != nil {
		return err
	}
	if job := e.jobs.all()[name]; final(job) {
		return fmt.Errorf("%s ended before it could be stopped: %s", name, describe(job))
	}
	return nil
}

// allFinal reports whether every sample has ended, however it did.
func (e *environment) allFinal(jobs map[string]jobState) bool {
	for name := range e.samples.jobs {
		if !final(jobs[name]) {
			return false
		}
	}
	return true
}

// final reports whether a job has ended or was deleted.
func final(job jobState) bool {
	return job.DaftyJob != nil && (!job.deletedAt.IsZero() ||
		slices.Contains([]v1alpha1.Phase{v1alpha1.PhaseCompleted, v1alpha1.PhaseFailed, v1alpha1.PhaseCancelled}, job.Status.Phase))
}

// describeUnfinished returns the state of the samples that haven't ended.
func (e *environment) describeUnfinished() string {
	var b strings.Builder
	jobs := e.jobs.all()
	for _, name := range e.samples.names() {
		if job := jobs[name]; !final(job) {
			fmt.Fprintf(&b, "\n  %s: %s", name, describe(job))
		}
	}
	return b.String()
}

// describe returns the state of a job in a line.
func describe(job jobState) string {
	if job.DaftyJob == nil {
		return "not there"
	}
	r := rowOf(job)
	text := r.phase + ", " + r.reason
	if ready := ready(job); ready != nil {
		text += ": " + plain(ready.Message)
	}
	return strings.Trim(text, ", ")
}
