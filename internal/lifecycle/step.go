package lifecycle

import (
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// Step is the one thing to do after status is written. All that a step needs stands in that
// status.
type Step string

const (
	// Rest : nothing.
	Rest Step = "Rest"
	// AddFinalizer to the object, so that nothing is submitted that a deletion couldn't cancel.
	AddFinalizer Step = "AddFinalizer"
	// UploadFiles of the decision to Dafty.
	UploadFiles Step = "UploadFiles"
	// Submit the request under status.submission.idempotencyKey.
	Submit Step = "Submit"
	// Annotate the object with the job's id, which survives a lost status.
	Annotate Step = "Annotate"
	// Follow the job at Dafty until it has ended.
	Follow Step = "Follow"
	// Cancel the job at Dafty, and follow it.
	Cancel Step = "Cancel"
	// LookForThumbnail of a video that has completed without one.
	LookForThumbnail Step = "LookForThumbnail"
	// Delete the object, which has been kept for as long as was asked.
	Delete Step = "Delete"
	// RemoveFinalizer and let the object go.
	RemoveFinalizer Step = "RemoveFinalizer"
)

// Steps are all of them.
var Steps = []Step{Rest, AddFinalizer, UploadFiles, Submit, Annotate, Follow, Cancel, LookForThumbnail, Delete, RemoveFinalizer}

// Decision is what Next decides.
type Decision struct {
	// Status is what status must read before Step is taken.
	Status v1alpha1.DaftyJobStatus
	// Step is taken once Status is written.
	Step Step
	// After is when to decide anew at the latest, 0 where only news can change anything.
	After time.Duration
	// Files are to be uploaded.
	Files []*File
	// Store says that spec.resultConfigMap is to be made to hold the result before Status is written, and what came of it
	// put into Status (see Stored).
	Store bool
	// AtOnce says that the submission follows one that was refused, whatever holds others back since. That refusal is on
	// record with it, and not before.
	AtOnce bool
	// Event is to be told to the user, nil where there is nothing new.
	Event *Event
	// StoreEvent is news of the ConfigMap of the result, nil where there is none.
	StoreEvent *Event
	// Abandoned is true where the object is let go although its job may still run and cost.
	Abandoned bool
}

// Event is a Kubernetes event about the DaftyJob.
type Event struct {
	// Warning says whether it is one, or just news.
	Warning bool
	// Reason is a constant of v1alpha1.
	Reason string
	// Message says what happened and what to do.
	Message string
}

const (
	// SubmitTimeout is how long after its write-ahead a POST is given up.
	SubmitTimeout = 30 * time.Second
	// clockSkew is how far the clocks of two machines may be apart.
	clockSkew = 15 * time.Second
	// RepeatAfter is how long after its write-ahead a POST has surely passed, if it was another
	// machine's.
	RepeatAfter = SubmitTimeout + clockSkew
	// answeredRepeatAfter is how long to wait after Dafty's own word that it failed (a 5xx in
	// its error form): that request has passed.
	answeredRepeatAfter = 5 * time.Second
	// keyMemory is how long Dafty surely remembers an idempotency key: about 24 h by its
	// documentation, less a margin.
	keyMemory = 23 * time.Hour
	// recancelAfter is how long an accepted cancel may take to show before it is sent again.
	recancelAfter = 30 * time.Second
	// notFoundLooks is how often Dafty must say in a row that it doesn't know a job.
	notFoundLooks = 2
	// unheardOf is how long after a job was made Dafty's word that it doesn't know it isn't trusted. The contract says
	// nothing of such a lag; to give up a job that runs would be worse than to ask some times more.
	unheardOf = 30 * time.Second
	// credentialsPoll is how often a missing or rejected key is looked for at first, and
	// maxCredentialsPoll after it was missing for long: Secrets can't be watched without the right
	// to read all of them.
	credentialsPoll    = 5 * time.Second
	maxCredentialsPoll = time.Minute
	// lastingRefusals is after how many refusals in a row an upload is a person's to mend: half a minute, which a
	// server that is being replaced may take.
	lastingRefusals = 6
	// uploadAsk is after which time it is asked again what became of an upload, should its end not be heard of.
	uploadAsk = time.Minute
	// retryAfter is how long after its first failure a job is tried again, and maxRetryAfter after many: as a batch/v1 Job.
	retryAfter    = 10 * time.Second
	maxRetryAfter = 6 * time.Minute
	// ThumbnailFor is for how long after its end a video's thumbnail is looked for.
	ThumbnailFor = 2 * time.Minute
	// deleteAgain is how soon an object is to go after all whose deletion had to wait for another that refers to it.
	deleteAgain = 10 * time.Second
	// storePoll is how soon a result that can't be written to its ConfigMap is tried again at first, and maxStorePoll after
	// it couldn't be for long.
	storePoll    = 10 * time.Second
	maxStorePoll = 30 * time.Second
	// maxBackoff is the longest time between two tries of anything.
	maxBackoff = 5 * time.Minute
)
