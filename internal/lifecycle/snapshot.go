package lifecycle

import (
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

// Snapshot is all that a decision rests on.
type Snapshot struct {
	// Job is the object as it was read.
	Job *v1alpha1.DaftyJob
	// Known is what this process has heard about it.
	Known Known
	// References is what Needs asked for.
	References References
	// Now is the time of the decision.
	Now time.Time
	// DeletionTimeout is how long a deletion waits for a confirmed cancel before the object
	// is let go.
	DeletionTimeout time.Duration
}

// References is what was read of the objects that the spec refers to.
type References struct {
	// Jobs are the DaftyJobs that are there, by name.
	Jobs map[string]*v1alpha1.DaftyJob
	// Assets are the DaftyAssets that are there, by name.
	Assets map[string]*v1alpha1.DaftyAsset
	// Maker is the DaftyAsset that made the job, nil where none did (see MadeBy).
	Maker *Maker
	// Account is the DaftyAccount that the spec names, nil where it names none.
	Account *Account
	// Cycle is the way from the job through what it waits for back to itself, nil where there is none (see FindCycle).
	Cycle []Node
	// Files are the files, by FileName.
	Files map[string]FileRead
	// Adopter is the name of another DaftyJob that is to follow the job of spec.adoptJobID instead, empty where there is
	// none.
	Adopter string
	// ResultChanged reports whether the ConfigMap of the result may differ from what status says was written.
	ResultChanged bool
}

// Maker is the DaftyAsset that made a DaftyJob.
type Maker struct {
	Name string
	// Asset is nil where there is none of that name, or it is another than the one that made the DaftyJob.
	Asset *v1alpha1.DaftyAsset
}

// Account is the DaftyAccount that a spec names, as it was read.
type Account struct {
	Name string
	// Denied says why the DaftyJob may not use it, for the user; empty where it may. One that isn't there and one that isn't for
	// the namespace are the same.
	Denied string
	// Suspended reports whether nothing new is to be submitted with it.
	Suspended bool
}

// FileName returns the name of a file within its namespace.
func FileName(ref v1alpha1.ConfigMapKeyReference) string { return ref.Name + "/" + ref.Key }

// FileRead is a key of a ConfigMap, or why it can't be used, for the user.
type FileRead struct {
	File              *File
	Missing, Unusable string
}

// Known is what this process has heard about one DaftyJob. It lives in memory: after a
// restart it is empty but for the credentials, which are read again each time, and every
// decision must be right with an empty one.
type Known struct {
	// Sender names this process among all that ever ran (see v1alpha1.Submission.Sender).
	Sender string
	// Since is when this process began to look after the job. A deletion's timeout counts from
	// there at the earliest.
	Since time.Time
	// StatusWrittenAt is when this process last wrote the status, zero where it hasn't yet.
	StatusWrittenAt time.Time
	// Annotated is the id that this process last wrote into v1alpha1.JobAnnotation, empty where it hasn't yet.
	Annotated string
	// Credentials are the API keys at hand.
	Credentials Credentials
	// Rehash has, for a restored record (see RestoredFrom), the hashes of the API keys at hand over the object's own uid, by their
	// hashes over the uid of the record.
	Rehash map[string]string
	// Submission is the newest POST of this process, nil where there was none.
	Submission *SubmissionCall
	// Job is the newest answer about the job, nil where there was none. An answer that it has
	// ended is never followed by one that it hasn't.
	Job *dafty.Job
	// Trouble is why the newest look at the job failed, nil where it succeeded.
	Trouble *Trouble
	// Cancel is the newest cancel call of this process, nil where there was none.
	Cancel *CancelCall
	// Cancelled is why this process has had the job cancelled for this DaftyJob, empty where it hasn't. It outlives the
	// status, should that be set back.
	Cancelled CancelCause
	// CancelledElsewhere reports whether another DaftyJob that shares the job has had it cancelled.
	CancelledElsewhere bool
	// Block is why no submission of this API key can be sent now, nil where one can.
	Block *Block
	// Uploads are the uploads with this API key that the job asked for, by the file's digest.
	Uploads map[string]Upload
	// Searches are the searches in styles with this API key that the job asked for.
	Searches map[StyleQuery]Search
	// CancelSent reports whether this process has sent a cancel of the job, whatever came of it.
	CancelSent bool
	// Refusals are the writes that the API server refuses at present.
	Refusals []Refusal
	// Stored is what came of StoreResult within the same reconcile, nil where it wasn't taken.
	Stored *StoreOutcome
}

// Credentials are the API keys at hand, as hashes (see v1alpha1.Submission.CredentialsHash).
type Credentials struct {
	// Secret is the hash of the key in the Secret that the spec names, empty where it has no key.
	Secret string
	// Problem says why Secret is empty, for the user.
	Problem string
	// LastUsed is the hash of the key that this process last used for the job. Where it has used none, it is that of the key which
	// the Secret had before the present one, empty if there was none.
	LastUsed string
	// LastUsedUnverified reports whether LastUsed wasn't used yet, so that it may be of another account than the job.
	LastUsedUnverified bool
}

// SubmissionCall is one POST that creates a job.
type SubmissionCall struct {
	// Record is status.submission as it was written before the call left.
	Record v1alpha1.Submission
	// Done is false while the call is on its way.
	Done bool
	// Job is Dafty's answer, nil where the call failed.
	Job *dafty.Job
	// Err is the failure.
	Err *dafty.CallError
	// Failures counts the submissions of this job that failed in a row, this one included.
	Failures int
	// KeyRefusals counts those of them that met a refusal of the API key, this one included. It is more than one where the
	// key is known to be refused.
	KeyRefusals int
}

// CancelCause is why a job is cancelled.
type CancelCause string

const (
	// CancelForUser is for a cancel that the user asked for, also by a deletion.
	CancelForUser CancelCause = "User"
	// CancelForDeadline is for a cancel of a job that is past its deadline.
	CancelForDeadline CancelCause = "Deadline"
)

// CancelCall is one POST that cancels the job.
type CancelCall struct {
	// Sent is false while the call waits for its share of the rate limit, Done while it has no answer.
	Sent, Done bool
	// Tries counts the cancels under this API key that were answered or failed, this one included once it is Done.
	Tries int
	// At is when it ended.
	At time.Time
	// Err is nil where Dafty accepted the cancel.
	Err *dafty.CallError
	// Failures counts the cancels that failed in a row, this one included.
	Failures int
}

// Trouble is a look at the job that failed.
type Trouble struct {
	// Err is the failure.
	Err *dafty.CallError
	// Credentials is the hash of the key that was used.
	Credentials string
	// Failures counts the looks that failed so in a row; of those that met a refusal of the API key, all since the last
	// that succeeded.
	Failures int
}

// Block keeps the submissions of one API key back.
type Block struct {
	// Kind and Message are of the refusal that caused it.
	Kind    dafty.Kind
	Message string
	// SameKey reports that nothing was refused: another DaftyJob's request with the same idempotency key is on its way.
	SameKey bool
	// Budget says which budget of the DaftyAccount is used up, for the user; empty where none is.
	Budget string
	// Unreserved says why the submission can't be counted in the DaftyAccount's budgets, for the user; empty where it can.
	Unreserved string
	// Once reports that the API key was refused once, and only to this job: a second try is to show whether it is.
	Once bool
	// Until is when to try again.
	Until time.Time
}

// File is the content of a ConfigMap's key, to be uploaded.
type File struct {
	Name      string
	MediaType string
	Content   []byte
	// Digest is the content's SHA-256, in hexadecimal digits.
	Digest string
}

// Upload is what came of the upload of one content.
type Upload struct {
	// Done is false while it is under way.
	Done bool
	// ID is Dafty's, empty where the upload failed, and At when it ended.
	ID string
	At time.Time
	// Err is the failure, Failures how many there were in a row, Refusals how many of the last of them refused it, and
	// RetryAt when it may be tried again.
	Err      *dafty.CallError
	Failures int
	Refusals int
	RetryAt  time.Time
}

// StyleQuery is a search for the assets of a style that are most similar to a text.
type StyleQuery struct {
	StyleID, Query string
	// Limit is how many assets are asked for.
	Limit int
}

// Search is what came of a search in a style, the last time that it was answered.
type Search struct {
	// Underway reports whether it is being made, for the first time or again.
	Underway bool
	// Assets are what it has found, the most similar first.
	Assets []dafty.StyleAsset
	// Err is the failure, nil where it was answered, and Failures how many there were in a row.
	Err      *dafty.CallError
	Failures int
	// Age is how long ago it ended, and RetryIn how soon it may be made again after a failure. Answered reports whether it has
	// ended at all.
	Answered     bool
	Age, RetryIn time.Duration
}
