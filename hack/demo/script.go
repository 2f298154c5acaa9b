package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// playSamples applies the samples and does to them what a user would, until all have ended.
func (st *stage) playSamples(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errTooLong)
	defer cancel()

	st.screen.show(st.board.lines)
	for _, act := range []func() error{
		func() error { return st.kubectl(ctx, "apply", "-f", secretPath) },
		func() error { return st.kubectl(ctx, "apply", "-k", samplesPath) },
		func() error { return st.kubectl(ctx, "apply", "-k", campaignPath) },
		func() error { return st.awaitProcessing(ctx, sampleCancelled) },
		func() error { return st.patch(ctx, sampleCancelled, v1alpha1.DesiredCancelled) },
		func() error { return st.awaitProcessing(ctx, sampleDeleted) },
		func() error { return st.kubectl(ctx, "delete", "daftyjob", sampleDeleted) },
		func() error {
			return st.kubectl(ctx, "wait", "--for=condition=Complete", "daftyjob/"+sampleAwaited, "--timeout=3m")
		},
		func() error { return st.patch(ctx, sampleReleased, v1alpha1.DesiredCompleted) },
		func() error { return st.board.await(ctx, st.ended) },
		func() error {
			return st.kubectl(ctx, "get", "configmap", st.samples.jobs[sampleHandedOn].Spec.ResultConfigMap, "-o", "jsonpath={.data.video_url}")
		},
	} {
		if err := act(); err != nil {
			return fmt.Errorf("%w%s", err, st.unended())
		}
	}
	if st.screen.live {
		return nil // the table is there already
	}
	return st.kubectl(ctx, "get", "daftyjobs")
}

var errTooLong = fmt.Errorf("the samples took longer than %s", patience)

func (st *stage) patch(ctx context.Context, name string, to v1alpha1.DesiredState) error {
	return st.kubectl(ctx, "patch", "daftyjob", name, "--type", "merge", "-p", fmt.Sprintf(`{"spec":{"desiredState":%q}}`, to))
}

// awaitProcessing waits until Dafty works on a job, so that stopping it is worth showing.
func (st *stage) awaitProcessing(ctx context.Context, name string) error {
	err := st.board.await(ctx, func(jobs map[string]known) bool {
		job := jobs[name]
		return job.DaftyJob != nil && (job.Status.Phase == v1alpha1.PhaseProcessing || final(job))
	})
	if err != nil {
		return err
	}
	if job := st.board.all()[name]; final(job) {
		return fmt.Errorf("%s ended before it could be stopped: %s", name, describe(job))
	}
	return nil
}

// ended tells whether every sample has come to an end, whichever.
func (st *stage) ended(jobs map[string]known) bool {
	for name := range st.samples.jobs {
		if !final(jobs[name]) {
			return false
		}
	}
	return true
}

// final tells whether nothing more becomes of a job.
func final(job known) bool {
	return job.DaftyJob != nil && (!job.gone.IsZero() ||
		slices.Contains([]v1alpha1.Phase{v1alpha1.PhaseCompleted, v1alpha1.PhaseFailed, v1alpha1.PhaseCancelled}, job.Status.Phase))
}

// unended says where the samples stand that haven't ended.
func (st *stage) unended() string {
	var b strings.Builder
	jobs := st.board.all()
	for _, name := range st.samples.names() {
		if job := jobs[name]; !final(job) {
			fmt.Fprintf(&b, "\n  %s: %s", name, describe(job))
		}
	}
	return b.String()
}

// describe says where a job stands, in a line.
func describe(job known) string {
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
