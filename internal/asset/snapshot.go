package asset

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// Snapshot is all that a decision rests on.
type Snapshot struct {
	// Asset is the object as it was read.
	Asset *v1alpha1.DaftyAsset
	// Jobs are the DaftyJobs that it controls. The one that is pending is among them unless it is gone.
	Jobs []*v1alpha1.DaftyJob
	// Upstream are the DaftyAssets that the template names and that are there, by name.
	Upstream map[string]*v1alpha1.DaftyAsset
	// Cycle is the way from the asset by what it refers to back to itself, in words, empty where there is none.
	Cycle string
	// ResultChanged reports whether the ConfigMap of the result may differ from what status says was written.
	ResultChanged bool
	// Known is what this process knows beside that.
	Known Known
	// Now is the time of the decision.
	Now time.Time
}

// Known is what this process knows of an asset. Every decision must be right with an empty one.
type Known struct {
	// SpecSince is when this process first saw the spec as it is, zero where it doesn't know.
	SpecSince time.Time
	// Annotated is the value that this process last wrote into v1alpha1.CurrentAnnotation.
	Annotated string
	// Stored is what came of StoreResult within the same reconcile, nil where it wasn't taken.
	Stored *lifecycle.StoreOutcome
	// Uncreated is why a job could not be created within the same reconcile, nil where none failed.
	Uncreated *Uncreated
	// Undeleted are jobs that could not be deleted within the same reconcile.
	Undeleted map[types.UID]bool
	// Refused is the API server's lasting refusal of another write, for the user, empty where there is none.
	Refused string
}

// Uncreated is why a job could not be created.
type Uncreated struct {
	// Taken reports that there is another DaftyJob of its name, which isn't the asset's; Leaving that it belongs to an asset of the
	// same name that is gone, so that the garbage collector deletes it.
	Taken, Leaving bool
	// Lasting reports that the API server refuses it, and will as long as nobody acts.
	Lasting bool
	// Message says more, for the user.
	Message string
}

// Decision is what Next decides.
type Decision struct {
	// First is to be taken, and to be decided again with what came of it, before anything else. It is nil where nothing is.
	First Step
	// Status is what status must read before Steps are taken.
	Status v1alpha1.DaftyAssetStatus
	// Steps are taken in order, once Status is written.
	Steps []Step
	// After is when to decide again at the latest, 0 where only news can change anything.
	After time.Duration
	// Events are to be told to the user.
	Events []lifecycle.Event
	// Changed reports whether a new result has become current.
	Changed bool
}

// Step is something to do. The types below are all there are.
type Step interface{ step() }

// CreateJob creates a DaftyJob.
type CreateJob struct{ Job *v1alpha1.DaftyJob }

// StoreResult writes a result to the ConfigMap of the spec.
type StoreResult struct {
	JobID  string
	Result *v1alpha1.JobResult
}

// DeleteJob deletes a DaftyJob that has finished, as it was read.
type DeleteJob struct{ Job *v1alpha1.DaftyJob }

// CallOff has a DaftyJob cancelled, as it is overtaken.
type CallOff struct{ Job *v1alpha1.DaftyJob }

// ReleaseJob has a suspended DaftyJob submitted.
type ReleaseJob struct{ Job *v1alpha1.DaftyJob }

// UpdateJob has the DaftyJob that is pending follow the template, in what makes no other request.
type UpdateJob struct {
	Job      *v1alpha1.DaftyJob
	Template *v1alpha1.DaftyJobTemplate
}

// Annotate writes v1alpha1.CurrentAnnotation. An empty value takes it away.
type Annotate struct{ Value string }

func (CreateJob) step()   {}
func (StoreResult) step() {}
func (DeleteJob) step()   {}
func (CallOff) step()     {}
func (ReleaseJob) step()  {}
func (UpdateJob) step()   {}
func (Annotate) step()    {}
