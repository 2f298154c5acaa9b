package main

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// playBareClient creates n DaftyJobs as users do, and makes the operator's writes to them, as many at once, and each as soon as the one
// before is answered: without jobs, decisions, events and reads. It returns the time from the first create to the last end seen, and deletes
// the DaftyJobs.
func (e *environment) playBareClient(ctx context.Context, namespace string, n int, writes []write) (took time.Duration, err error) {
	if err := e.kube.prepare(ctx, namespace, 0); err != nil {
		return 0, err
	}
	w, err := e.watch(ctx, namespace) // as when the operator is measured
	if err != nil {
		return 0, err
	}
	began := time.Now()
	made := make(chan madeJob, n)
	all, working := errgroup.WithContext(ctx)
	all.Go(func() error {
		defer close(made)
		return each(working, n, writers, func(ctx context.Context, i int) error {
			answer, err := e.kube.create(ctx, newJob(namespace, jobName(i), 0))
			made <- madeJob{jobName(i), answer} // there is room for all
			return err
		})
	})
	for range writers {
		all.Go(func() error {
			for job := range made {
				if err := e.kube.replay(working, namespace, job, writes); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return 0, err
	}
	if err := w.allCompleted(ctx, n, time.Minute); err != nil {
		return 0, err
	}
	took = lastFinal(w.snapshot()).Sub(began)
	return took, e.clearBareClient(ctx, namespace, n)
}

// madeJob is a DaftyJob's name, and what the API server answered to its create.
type madeJob struct {
	name   string
	answer []byte
}

// replay makes the writes of a recording to one DaftyJob.
func (c *kubeClient) replay(ctx context.Context, namespace string, job madeJob, writes []write) error {
	answer := job.answer
	for _, w := range writes {
		version, err := versionOf(answer)
		if err != nil {
			return err
		}
		body, err := w.body(version)
		if err != nil {
			return err
		}
		if answer, err = c.patch(ctx, namespace, job.name, w.subresource, body); err != nil {
			return err
		}
	}
	return nil
}

// clearBareClient deletes what playBareClient created, so that the operator doesn't find it.
func (e *environment) clearBareClient(ctx context.Context, namespace string, n int) error {
	err := each(ctx, n, writers, func(ctx context.Context, i int) error {
		_, err := e.kube.patch(ctx, namespace, jobName(i), "", []byte(`{"metadata":{"finalizers":null}}`))
		return err
	})
	if err != nil {
		return err
	}
	return e.kube.client.DeleteAllOf(ctx, &v1alpha1.DaftyJob{}, client.InNamespace(namespace))
}

func lastFinal(jobs map[string]jobState) time.Time {
	var last time.Time
	for _, job := range jobs {
		if job.final.After(last) {
			last = job.final
		}
	}
	return last
}
