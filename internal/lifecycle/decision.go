package lifecycle

import (
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// Decision is what Next decides.
type Decision struct {
	// Status is what status must read before Step is taken.
	Status v1alpha1.DaftyJobStatus
	// Step is taken once Status is written.
	Step Step
	// After is when to decide again at the latest, 0 where only news can change anything.
	After time.Duration
	// Event is to be told to the user, nil where there is nothing new.
	Event *Event
	// StoreEvent is news of the ConfigMap of the result, nil where there is none.
	StoreEvent *Event
}

// Event is a Kubernetes event about the DaftyJob.
type Event struct {
	// Warning reports whether its type is Warning rather than Normal.
	Warning bool
	// Reason is a constant of v1alpha1.
	Reason string
	// Message says what happened and what to do.
	Message string
}

// requeueBy has the next decision made after a time at the latest.
func (d *Decision) requeueBy(after time.Duration) {
	if d.After == 0 || d.After > after {
		d.After = after
	}
}
