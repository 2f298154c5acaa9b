package controller

import (
	"context"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// decided is a decision with all that carrying it out takes.
type decided struct {
	lifecycle.Decision
	// input is what it rests on.
	input   lifecycle.Snapshot
	tracker *account.Tracker
	create  dafty.Create
	// before is the phase that was on record.
	before v1alpha1.Phase
}

// decide asks lifecycle, once more where a submission must wait for its turn, and has a result stored: whoever waits for
// the job's end finds it there.
func (r *Reconciler) decide(ctx context.Context, job *v1alpha1.DaftyJob, tracker *account.Tracker, gathered lifecycle.References, problem string) decided {
	var create dafty.Create
	in := r.input(job, tracker, gathered, problem)
	decision := lifecycle.Next(in)
	switch {
	case decision.Step != lifecycle.Submit && job.Status.JobID == "":
		tracker.Withdraw()
	case decision.Step == lifecycle.Submit && !tracker.TryBegin():
		// The process ends. What it would put on record is for the next one to send.
		if !decision.AtOnce {
			decision = lifecycle.Decision{Status: lifecycle.Observed(in), Step: lifecycle.Rest}
			break
		}
		// That the request before was refused is known to this process alone.
		in.Known.Block = &lifecycle.Block{Kind: dafty.KindUnavailable, Until: in.Now}
		decision = lifecycle.Next(in)
	case decision.Step == lifecycle.Submit:
		// A spec without a request is for lifecycle to report: it never asks to submit one.
		create, _ = lifecycle.Request(&job.Spec, decision.Status.Inputs)
		switch hold := tracker.Claim(create, decision.Status.Submission, decision.AtOnce); {
		case hold != nil && decision.AtOnce:
			// It keeps its place: that the request before was refused isn't put on record until then.
			decision = lifecycle.Decision{Status: lifecycle.Observed(in), Step: lifecycle.Rest, AtOnce: true, After: max(hold.Until.Sub(in.Now), time.Second)}
		case hold != nil:
			in.Known.Block = hold
			decision = lifecycle.Next(in)
		}
	}
	decision = lifecycle.WithRefusals(in, decision)
	if decision.Store {
		decision = lifecycle.WithStored(in, decision, r.storeResult(ctx, job, &decision.Status))
	}
	return decided{Decision: decision, input: in, tracker: tracker, create: create, before: job.Status.Phase}
}

// input is what a decision rests on.
func (r *Reconciler) input(job *v1alpha1.DaftyJob, tracker *account.Tracker, gathered lifecycle.References, problem string) lifecycle.Snapshot {
	in := lifecycle.Snapshot{Job: job, Known: tracker.Known(), References: gathered, Now: r.Clock.Now(), DeletionTimeout: r.DeletionTimeout}
	in.Known.Credentials.Problem = problem
	in.Known.Refusals = r.refusals.known(job, in.Now)
	if before := lifecycle.RestoredFrom(job); before != "" {
		in.Known.Rehash = tracker.Rehash(before)
	}
	return in
}
