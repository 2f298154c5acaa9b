package controller

import (
	"context"
	"fmt"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/apierror"
	"dafty.ai/dafty-operator/internal/budget"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// plan is a decision that is to be carried out.
type plan struct {
	lifecycle.Decision
	// create is the request of a submission.
	create dafty.Create
	// before is the phase that was on record.
	before v1alpha1.Phase
	// owes reports whether an answer that is known is left out of Status: it goes on record with the submission that follows it.
	owes bool
}

// admit has a submission pass the queue and the rate limit of its API key, and the budgets of its DaftyAccount. Where it must wait,
// lifecycle decides once more, and knows why.
func (r *Reconciler) admit(ctx context.Context, s *scope, decision lifecycle.Decision) plan {
	p := plan{Decision: decision, before: s.Job.Status.Phase}
	if lifecycle.Is[lifecycle.Release](decision.Step) {
		if wait := r.releases.wait(s.Job, s.Now); wait > 0 {
			p.Step, p.After = lifecycle.Rest{}, sooner(p.After, wait)
		}
	}
	submit, submits := decision.Step.(lifecycle.Submit)
	if !submits {
		if s.Job.Status.JobID == "" {
			s.tracker.Withdraw()
			r.withdraw(s.Job)
		}
		return p
	}
	if !s.tracker.TryBegin() {
		// The process ends. What it would put on record is for the next one to send.
		if submit.AtOnce {
			// That the request before was refused is known to this process only.
			p.Decision = s.decideBlocked(&lifecycle.Block{Kind: dafty.KindUnavailable, Until: s.Now})
		} else {
			p.Decision = lifecycle.Postpone(s.Snapshot, 0)
		}
		return p
	}
	// A spec without a request is for lifecycle to report: it never asks to submit one.
	p.create, _ = lifecycle.Request(&s.Job.Spec, decision.Status.Inputs)
	counts := counted(s.Job, decision.Status.Submission, submit)
	if counts {
		// What must wait for a budget holds up nobody who waits for the rate limit.
		if block := s.waitForBudget(r.Budgets.Check(ctx, s.Job.Spec.AccountRef.Name, s.submission(decision.Status.Submission))); block != nil {
			s.tracker.Withdraw()
			p.Decision = s.decideBlocked(block)
			return p
		}
	}
	block := s.tracker.Claim(p.create, decision.Status.Submission, submit.AtOnce)
	old := false
	if block == nil && counts {
		if old, block = r.reserve(ctx, s, decision.Status.Submission); old || block != nil {
			s.tracker.GiveBack()
		}
	}
	switch {
	case old:
		p.Decision = lifecycle.Postpone(s.Snapshot, conflictRetry)
	case block != nil && submit.AtOnce:
		// It keeps its place: that the request before was refused isn't put on record until then.
		p.Decision, p.owes = lifecycle.Postpone(s.Snapshot, max(block.Until.Sub(s.Now), time.Second)), true
	case block != nil:
		p.Decision = s.decideBlocked(block)
	}
	return p
}

// reserve has an attempt counted, where anything is. old reports whether the DaftyJob is older than the API server has it, as where a cache
// was filled from a server that is behind: an attempt that was sent and settled long ago would be counted again, and nobody could tell.
func (r *Reconciler) reserve(ctx context.Context, s *scope, submission *v1alpha1.Submission) (old bool, block *lifecycle.Block) {
	if !r.Budgets.Counts(s.Job.Spec.AccountRef.Name, s.Job.UID) {
		r.withdraw(s.Job)
		return false, nil
	}
	if !s.finalized { // else it was written this moment
		fresh, err := r.live(ctx, s.Job)
		if err != nil {
			return false, s.waitForBudget(nil, err)
		}
		if fresh == nil || fresh.ResourceVersion != s.Job.ResourceVersion {
			return true, nil
		}
	}
	return false, s.waitForBudget(r.Budgets.Reserve(ctx, s.Job.Spec.AccountRef.Name, s.submission(submission)))
}

// decideBlocked decides once more, with a block of submissions in the snapshot.
func (s *scope) decideBlocked(block *lifecycle.Block) lifecycle.Decision {
	s.Known.Block = block
	return lifecycle.Next(s.Snapshot)
}

// reserveAgain is how soon a reservation that failed is tried again.
const reserveAgain = 15 * time.Second

// counted reports whether a submission is to be counted in the budgets of a DaftyAccount. A repeat, and what follows a refused
// request at once, is of an attempt that is.
func counted(job *v1alpha1.DaftyJob, submission *v1alpha1.Submission, submit lifecycle.Submit) bool {
	return job.Spec.AccountRef != nil && !submit.AtOnce && submission.StartedAt.Equal(submission.SentAt)
}

// submission returns an attempt as the budgets know it.
func (s *scope) submission(of *v1alpha1.Submission) budget.Submission {
	return budget.NewSubmission(s.Job, of.Attempt, s.tracker.Wake)
}

// waitForBudget returns what a submission waits for by the answer of the budgets, nil where it may go.
func (s *scope) waitForBudget(exhausted *budget.Exhausted, err error) *lifecycle.Block {
	name := s.Job.Spec.AccountRef.Name
	switch {
	case err != nil:
		return &lifecycle.Block{Until: s.Now.Add(reserveAgain), Unreserved: fmt.Sprintf(
			"the submission can't be counted in the budgets of DaftyAccount %q, and isn't sent until it is: %s; it is tried again, and if it lasts, "+
				"whoever runs the account must act", name, apierror.Describe(err))}
	case exhausted != nil:
		return &lifecycle.Block{Until: exhausted.Until, Budget: fmt.Sprintf(
			"DaftyAccount %q: %s; the job goes on by itself when there is room", name, exhausted)}
	}
	return nil
}

// withdraw tells the budgets that a DaftyJob isn't to be submitted now.
func (r *Reconciler) withdraw(job *v1alpha1.DaftyJob) {
	if ref := job.Spec.AccountRef; ref != nil && r.Budgets != nil {
		r.Budgets.Withdraw(ref.Name, job.UID)
	}
}

// settleBudget has the budgets see what is on record of a DaftyJob.
func (r *Reconciler) settleBudget(job *v1alpha1.DaftyJob) {
	if ref := job.Spec.AccountRef; ref != nil && r.Budgets != nil {
		r.Budgets.Observe(ref.Name, job)
	}
}
