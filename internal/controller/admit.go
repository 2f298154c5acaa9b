package controller

import (
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
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

// admit has a submission pass the queue and the rate limit of its API key. Where it must wait, lifecycle decides once more, and
// knows why.
func (r *Reconciler) admit(s *scope, decision lifecycle.Decision) plan {
	p := plan{Decision: decision, before: s.Job.Status.Phase}
	submit, submits := decision.Step.(lifecycle.Submit)
	if !submits {
		if s.Job.Status.JobID == "" {
			s.tracker.Withdraw()
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
	block := s.tracker.Claim(p.create, decision.Status.Submission, submit.AtOnce)
	switch {
	case block != nil && submit.AtOnce:
		// It keeps its place: that the request before was refused isn't put on record until then.
		p.Decision, p.owes = lifecycle.Postpone(s.Snapshot, max(block.Until.Sub(s.Now), time.Second)), true
	case block != nil:
		p.Decision = s.decideBlocked(block)
	}
	return p
}

// decideBlocked decides once more, with a block of submissions in the snapshot.
func (s *scope) decideBlocked(block *lifecycle.Block) lifecycle.Decision {
	s.Known.Block = block
	return lifecycle.Next(s.Snapshot)
}
