package controller

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// scope is all that was read for one reconcile.
type scope struct {
	// Snapshot is what decisions rest on. Its Job is changed by each write, as the API server answers it.
	lifecycle.Snapshot
	// tracker follows the job at Dafty.
	tracker *account.Tracker
	// credentials are what was read of the API key.
	credentials credentials
	// finalized reports whether this reconcile has added the finalizer, and went on.
	finalized bool
}

// read reads all that a decision about a DaftyJob rests on. The scope is nil where none is to be made now.
// Beside an error, it holds what could be read.
func (r *Reconciler) read(ctx context.Context, name types.NamespacedName) (s *scope, wait time.Duration, err error) {
	job := &v1alpha1.DaftyJob{}
	if err := r.Get(ctx, name, job); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(name)
		}
		return nil, 0, client.IgnoreNotFound(err)
	}
	if r.writes.stale(job, r.Clock.Now()) {
		// The cache will bring what this process has written last, and the reconcile with it; unless the API server's store
		// was set back to before that.
		return nil, staleFor, nil
	}
	if err := r.recall(ctx); err != nil {
		return nil, 0, err
	}
	s = &scope{
		Snapshot: lifecycle.Snapshot{Job: job, DeletionTimeout: r.DeletionTimeout},
		tracker:  r.Accounts.Tracker(name, job.UID, job.CreationTimestamp.Time),
	}
	ctx = withJob(ctx, job)
	s.tracker.SetCallContext(ctx)
	s.tracker.SetVersion(versionOf(job))
	var referencesErr error
	var of *lifecycle.Account
	s.credentials, of, err = r.readCredentials(ctx, job, s.tracker)
	s.credentials.tell(s.tracker)
	s.References, referencesErr = r.readReferences(ctx, job)
	s.References.Account = of
	r.observe(s)
	return s, 0, errors.Join(err, referencesErr)
}

// observe puts into the scope what is known by now, and the time.
func (r *Reconciler) observe(s *scope) {
	s.Known = s.tracker.Known()
	s.Now = r.Clock.Now()
	s.Known.Credentials.Problem = s.credentials.problem
	s.Known.Refusals = r.refusals.known(s.Job, s.Now)
	if before := lifecycle.RestoredFrom(s.Job); before != "" {
		s.Known.Rehash = s.tracker.Rehash(before)
	}
}
