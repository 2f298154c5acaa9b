package lifecycle

import "dafty.ai/dafty-operator/api/v1alpha1"

// Step is the one thing to do after status is written. What it needs stands in that status, or is a field of its own.
type Step interface {
	// String returns the step's name, as logs, traces and docs/lifecycle.md have it.
	String() string
	isStep()
}

type (
	// Rest does nothing.
	Rest struct{ step }
	// AddFinalizer to the object, so that nothing is submitted that a deletion couldn't cancel.
	AddFinalizer struct{ step }
	// UploadFiles to Dafty.
	UploadFiles struct {
		step
		Files []*File
	}
	// SearchStyle has the queries made at Dafty.
	SearchStyle struct {
		step
		Queries []StyleQuery
	}
	// Submit the request under status.submission.idempotencyKey.
	Submit struct {
		step
		// AtOnce reports whether the request follows one that was refused, whatever holds others back since. That refusal is
		// written with it, and not before.
		AtOnce bool
	}
	// Annotate the object with the job's id, which survives a lost status.
	Annotate struct{ step }
	// Follow the job at Dafty until it has ended.
	Follow struct{ step }
	// Cancel the job at Dafty, and follow it.
	Cancel struct{ step }
	// StoreResult makes spec.resultConfigMap hold the result. It is taken before the end is written to status: whoever waits
	// for the end finds the result there. The next decision has what came of it in Known.Stored.
	StoreResult struct {
		step
		JobID  string
		Result *v1alpha1.JobResult
	}
	// LookForThumbnail of a video that has completed without one.
	LookForThumbnail struct{ step }
	// Release takes the finalizer off an object that has ended and stays: its deletion has nothing to cancel, and needs no operator.
	Release struct{ step }
	// Delete the object, which has been kept for as long as was asked.
	Delete struct{ step }
	// RemoveFinalizer and let the object go.
	RemoveFinalizer struct {
		step
		// Abandoned reports whether its job may still run and cost.
		Abandoned bool
	}
)

// step makes a struct a Step.
type step struct{}

func (step) isStep() {}

// String implements Step.
func (Rest) String() string { return "Rest" }

// String implements Step.
func (AddFinalizer) String() string { return "AddFinalizer" }

// String implements Step.
func (UploadFiles) String() string { return "UploadFiles" }

// String implements Step.
func (SearchStyle) String() string { return "SearchStyle" }

// String implements Step.
func (Submit) String() string { return "Submit" }

// String implements Step.
func (Annotate) String() string { return "Annotate" }

// String implements Step.
func (Follow) String() string { return "Follow" }

// String implements Step.
func (Cancel) String() string { return "Cancel" }

// String implements Step.
func (StoreResult) String() string { return "StoreResult" }

// String implements Step.
func (LookForThumbnail) String() string { return "LookForThumbnail" }

// String implements Step.
func (Release) String() string { return "Release" }

// String implements Step.
func (Delete) String() string { return "Delete" }

// String implements Step.
func (RemoveFinalizer) String() string { return "RemoveFinalizer" }

// Steps are one of each.
var Steps = []Step{
	Rest{}, AddFinalizer{}, SearchStyle{}, UploadFiles{}, Submit{}, Annotate{}, Follow{}, Cancel{}, StoreResult{}, LookForThumbnail{}, Release{}, Delete{},
	RemoveFinalizer{},
}

// Is reports whether a step is an S, whatever its arguments.
func Is[S Step](step Step) bool {
	_, is := step.(S)
	return is
}
