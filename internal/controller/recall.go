package controller

import (
	"context"
	"fmt"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// recallSince is how old a submission may be that still counts against a minute: the minute, the time until it was
// sent, and the difference of two clocks.
const recallSince = 2 * time.Minute

// recalled is whether the submissions of the processes before this one are known.
type recalled struct {
	mu   sync.Mutex
	done bool
}

// classOf returns the class of the create that made a job. The request of one that has ended isn't in memory; the type of
// one that hasn't may be new to this version.
func classOf(job *v1alpha1.DaftyJob) dafty.Class {
	if class := lifecycle.Class(&job.Spec); class != dafty.ClassOther {
		return class
	}
	return dafty.JobType(job.Status.JobType).CreateClass()
}

// recall reads, before the first decision of this process, which submissions were made a short while ago: they count
// against the minutes of their API keys. The process may have stood by for long before.
func (r *Reconciler) recall(ctx context.Context) error {
	r.recalled.mu.Lock()
	defer r.recalled.mu.Unlock()
	if r.recalled.done {
		return nil
	}
	jobs := &v1alpha1.DaftyJobList{}
	if err := r.List(ctx, jobs, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing DaftyJobs: %w", err)
	}
	since := r.Clock.Now().Add(-recallSince)
	var submissions []account.Recalled
	for i := range jobs.Items {
		job := &jobs.Items[i]
		submission := job.Status.Submission
		if submission == nil || submission.SentAt == nil || submission.SentAt.Time.Before(since) {
			continue
		}
		submissions = append(submissions, account.Recalled{
			UID: job.UID, RecordUID: job.Status.UID, Submission: submission.DeepCopy(), Class: classOf(job),
		})
	}
	r.Accounts.Recall(submissions)
	r.recalled.done = true
	return nil
}
