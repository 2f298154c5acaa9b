package lifecycle_test

import (
	"slices"
	"testing"
	"time"

	. "dafty.ai/dafty-operator/api/v1alpha1" //nolint:revive // The tables are made of its words.
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// around is what was read: another DaftyJob, where there is one, and a file.
func around(other *DaftyJob, file lifecycle.FileRead) lifecycle.Gathered {
	gathered := lifecycle.Gathered{Jobs: map[string]*DaftyJob{}, Files: map[string]lifecycle.FileRead{"brand/logo.png": file}}
	if other != nil {
		gathered.Jobs["other"] = other
	}
	return gathered
}

func depends(other *DaftyJob) lifecycle.Gathered { return around(other, lifecycle.FileRead{}) }

var picture = lifecycle.FileRead{File: &lifecycle.File{Name: "logo.png", MediaType: "image/png", Content: []byte("png"), Digest: "digest"}}

func uploaded(upload lifecycle.Upload) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) { known.Uploads = map[string]lifecycle.Upload{"digest": upload} }
}

// seenOther has the object know the other.
func seenOther(id string) change {
	return func(job *DaftyJob) {
		job.Status.Inputs = []Input{{Field: "imageUpscale.image", Source: "DaftyJob other, image 0", UID: "other-1", ID: id}}
	}
}

// stands checks what the first input stands for.
func stands(id string) func(*testing.T, lifecycle.Decision) {
	return func(t *testing.T, got lifecycle.Decision) {
		t.Helper()
		if len(got.Status.Inputs) == 0 || got.Status.Inputs[0].ID != id {
			t.Errorf("inputs are %s, want %q", asJSON(got.Status.Inputs), id)
		}
	}
}

// both refers to a DaftyJob and to a picture.
func both(job *DaftyJob) {
	withLogo(job)
	job.Spec.ImageGenerate.References = append(job.Spec.ImageGenerate.References, ImageReference{JobRef: &JobReference{Name: "other"}})
}

// What a spec refers to.
var references = []row{
	{
		name: "another isn't there yet", given: newJob(upscaleOf("other", 0)), known: with(keyA), gathered: depends(nil),
		then: then{phase: PhasePending, way: onTheWay, reason: ReasonWaitingForDependency, says: `imageUpscale.image refers to DaftyJob "other", which isn't there yet`,
			step: lifecycle.Rest, after: 5 * time.Second, event: "Normal WaitingForDependency"},
	},
	{
		name: "another is on its way", given: newJob(upscaleOf("other", 0)), known: with(keyA), gathered: depends(dependency(PhaseProcessing)),
		then: then{phase: PhasePending, way: onTheWay, reason: ReasonWaitingForDependency, says: `waits for DaftyJob "other", which is Processing`,
			step: lifecycle.Rest, after: 5 * time.Second, event: "Normal WaitingForDependency", also: func(t *testing.T, got lifecycle.Decision) {
				if in := got.Status.Inputs[0]; in.UID != "other-1" || in.ID != "" {
					t.Errorf("got %+v", in)
				}
			}},
	},
	{
		name: "another has completed", given: newJob(upscaleOf("other", 0)), known: with(keyA), gathered: depends(dependency(PhaseCompleted)),
		then: then{phase: PhaseSubmitting, way: onTheWay, reason: ReasonSubmitting, step: lifecycle.Submit, after: 45 * time.Second, also: stands(otherID)},
	},
	{
		name: "what another made stays known while there is no key", given: newJob(upscaleOf("other", 0)), known: with(""), gathered: depends(dependency(PhaseCompleted)),
		then: then{phase: PhasePending, way: onTheWay, reason: ReasonWaitingForCredentials, step: lifecycle.Rest, after: 5 * time.Second, event: "Warning WaitingForCredentials", also: stands(otherID)},
	},
	{
		name: "another that was used is gone", given: newJob(upscaleOf("other", 0), seenOther("used")), known: with(keyA), gathered: depends(nil),
		then: then{phase: PhaseSubmitting, way: onTheWay, reason: ReasonSubmitting, step: lifecycle.Submit, after: 45 * time.Second, also: stands("used")},
	},
	{
		name: "another is gone before it completed", given: newJob(upscaleOf("other", 0), seenOther("")), known: with(keyA), gathered: depends(nil),
		then: then{phase: PhaseFailed, way: stuck, reason: ReasonDependencyFailed, says: `DaftyJob "other", which was deleted before it completed; nothing was submitted`,
			step: lifecycle.Rest, event: "Warning DependencyFailed"},
	},
	{
		name: "another of the same name came after", given: newJob(upscaleOf("other", 0), seenOther("")), known: with(keyA),
		gathered: depends(func() *DaftyJob { job := dependency(PhaseCompleted); job.UID = "other-2"; return job }()),
		then:     then{phase: PhaseFailed, way: stuck, reason: ReasonDependencyFailed, step: lifecycle.Rest, event: "Warning DependencyFailed"},
	},
	{
		name: "another failed", given: newJob(upscaleOf("other", 0)), known: with(keyA), gathered: depends(dependency(PhaseFailed)),
		then: then{phase: PhaseFailed, way: stuck, reason: ReasonDependencyFailed, says: `"other", which is Failed`, step: lifecycle.Rest, event: "Warning DependencyFailed"},
	},
	{
		name: "another was cancelled, whatever the picture", given: newJob(both), known: with(keyA), gathered: around(dependency(PhaseCancelled), lifecycle.FileRead{Missing: "nothing"}),
		then: then{phase: PhaseFailed, way: stuck, reason: ReasonDependencyFailed, says: `imageGenerate.references[1] refers to DaftyJob "other", which is Cancelled`,
			step: lifecycle.Rest, event: "Warning DependencyFailed"},
	},
	{
		name: "an image too many", given: newJob(upscaleOf("other", 1)), known: with(keyA), gathered: depends(dependency(PhaseCompleted)),
		then: then{phase: PhaseFailed, way: stuck, reason: ReasonInvalidReference, says: "that one made 1 image, and counting begins at 0", step: lifecycle.Rest, event: "Warning InvalidReference"},
	},
	{
		name: "a style of an image", known: with(keyA), gathered: depends(dependency(PhaseCompleted)),
		given: newJob(func(job *DaftyJob) {
			job.Spec.ImageGenerate.Style = &StyleSource{JobRef: &StyleJobReference{Name: "other"}}
		}),
		then: then{phase: PhaseFailed, way: stuck, reason: ReasonInvalidReference, says: "that one made 1 image, and no style", step: lifecycle.Rest, event: "Warning InvalidReference"},
	},
	{
		name: "a circle", given: newJob(upscaleOf("other", 0)), known: with(keyA),
		gathered: lifecycle.Gathered{Jobs: map[string]*DaftyJob{"other": dependency(PhasePending)}, Cycle: []string{name, "other", name}},
		then: then{phase: PhasePending, way: stuck, reason: ReasonDependencyCycle, says: "these DaftyJobs wait for each other: hero → other → hero; delete one of them",
			step: lifecycle.Rest, after: 5 * time.Second, event: "Warning DependencyCycle"},
	},
	{
		name: "cancelled while it waits", given: newJob(upscaleOf("other", 0), seenOther(""), says(PhasePending, ReasonWaitingForDependency), desired(DesiredCancelled)), known: with(keyA), gathered: depends(dependency(PhaseProcessing)),
		then: then{phase: PhaseCancelled, way: reached, reason: ReasonCancelledBeforeSubmission, step: lifecycle.Rest, event: "Normal CancelledBeforeSubmission"},
	},
	{
		name: "a picture that is missing", given: newJob(withLogo), known: with(keyA), gathered: around(nil, lifecycle.FileRead{Missing: `ConfigMap "brand", which isn't there`}),
		then: then{phase: PhasePending, way: onTheWay, reason: ReasonWaitingForDependency, says: `imageGenerate.references[0] refers to ConfigMap "brand", which isn't there`,
			step: lifecycle.Rest, after: 5 * time.Second, event: "Normal WaitingForDependency"},
	},
	{
		name: "a picture that is none", given: newJob(withLogo), known: with(keyA), gathered: around(nil, lifecycle.FileRead{Unusable: "what is none"}),
		then: then{phase: PhasePending, way: stuck, reason: ReasonUnusableFile, step: lifecycle.Rest, after: 5 * time.Second, event: "Warning UnusableFile"},
	},
	{
		name: "a picture is uploaded", given: newJob(withLogo), known: with(keyA), gathered: around(nil, picture),
		then: then{phase: PhasePending, way: onTheWay, reason: ReasonUploading, says: "uploading ConfigMap brand, key logo.png", step: lifecycle.UploadFiles, after: time.Minute, event: "Normal Uploading"},
	},
	{
		name: "a picture is uploaded once all else is there", given: newJob(both), known: with(keyA), gathered: around(dependency(PhaseProcessing), picture),
		then: then{phase: PhasePending, way: onTheWay, reason: ReasonWaitingForDependency, step: lifecycle.Rest, after: 5 * time.Second, event: "Normal WaitingForDependency"},
	},
	{
		name: "no picture is uploaded without a key", given: newJob(withLogo), known: with(""), gathered: around(nil, picture),
		then: then{phase: PhasePending, way: onTheWay, reason: ReasonWaitingForCredentials, step: lifecycle.Rest, after: 5 * time.Second, event: "Warning WaitingForCredentials"},
	},
	{
		name: "an uploaded picture", given: newJob(withLogo), known: with(keyA, uploaded(lifecycle.Upload{Done: true, ID: "up_1"})), gathered: around(nil, picture),
		then: then{phase: PhaseSubmitting, way: onTheWay, reason: ReasonSubmitting, step: lifecycle.Submit, after: 45 * time.Second, also: stands("up_1")},
	},
	{
		name: "a picture that was uploaded with another key", given: newJob(withLogo, func(job *DaftyJob) {
			job.Status.Inputs = []Input{{Field: "imageGenerate.references[0]", ID: "up_other", CredentialsHash: keyB}}
		}), known: with(keyA), gathered: around(nil, picture),
		then: then{phase: PhasePending, way: onTheWay, reason: ReasonUploading, step: lifecycle.UploadFiles, after: time.Minute, event: "Normal Uploading", also: stands("")},
	},
	{
		name: "a picture that was uploaded with the key", given: newJob(withLogo, func(job *DaftyJob) {
			job.Status.Inputs = []Input{{Field: "imageGenerate.references[0]", ID: "up_1", CredentialsHash: keyA}}
		}), known: with(keyA), gathered: around(nil, picture),
		then: then{phase: PhaseSubmitting, way: onTheWay, reason: ReasonSubmitting, step: lifecycle.Submit, after: 45 * time.Second, also: stands("up_1")},
	},
	{
		name: "an upload that failed", given: newJob(withLogo), gathered: around(nil, picture),
		known: with(keyA, uploaded(lifecycle.Upload{Done: true, Err: noAnswer, Failures: 3, RetryAt: t0.Add(8 * time.Second)})),
		then: then{phase: PhasePending, way: onTheWay, reason: ReasonAPIUnavailable, says: "the upload of ConfigMap brand, key logo.png failed: Dafty didn't answer in time; trying again",
			step: lifecycle.UploadFiles, after: 8 * time.Second, event: "Warning APIUnavailable"},
	},
	{
		name: "an upload that is tried again keeps telling why", given: newJob(withLogo, says(PhasePending, ReasonCredentialsRejected)), gathered: around(nil, picture),
		known: with(keyA, uploaded(lifecycle.Upload{Err: refusal(dafty.KindUnauthorized), Failures: 1})),
		then:  then{phase: PhasePending, way: stuck, reason: ReasonCredentialsRejected, step: lifecycle.UploadFiles, after: 5 * time.Second},
	},
	{
		name: "a picture that Dafty doesn't take", given: newJob(withLogo), gathered: around(nil, picture),
		known: with(keyA, uploaded(lifecycle.Upload{Done: true, Err: refusal(dafty.KindInvalid), Failures: 1, RetryAt: t0.Add(5 * time.Minute)})),
		then: then{phase: PhasePending, way: stuck, reason: ReasonUnusableFile, says: "ConfigMap brand, key logo.png, which Dafty doesn't take: Dafty said so",
			step: lifecycle.Rest, after: 5 * time.Second, event: "Warning UnusableFile"},
	},
	{
		name: "a picture that Dafty didn't take, five minutes later", given: newJob(withLogo, says(PhasePending, ReasonUnusableFile)), gathered: around(nil, picture), when: 5 * time.Minute,
		known: with(keyA, uploaded(lifecycle.Upload{Done: true, Err: refusal(dafty.KindInvalid), Failures: 1, RetryAt: t0.Add(5 * time.Minute)})),
		then:  then{phase: PhasePending, way: stuck, reason: ReasonUnusableFile, step: lifecycle.UploadFiles, after: 22*time.Second + 500*time.Millisecond},
	},
	{
		name: "a repeat goes by what is on record", given: newJob(upscaleOf("other", 0), sent, seenOther("used")), known: with(keyA), when: time.Minute, gathered: depends(nil),
		then: then{phase: PhaseSubmitting, way: onTheWay, reason: ReasonSubmitting, step: lifecycle.Submit, after: 45 * time.Second, also: stands("used")},
	},
	{
		name: "a repeat whose inputs somebody took out of status", given: newJob(upscaleOf("other", 0), sent), known: with(keyA), when: time.Minute, gathered: depends(dependency(PhaseCompleted)),
		then: then{phase: PhaseSubmitting, way: onTheWay, reason: ReasonSubmitting, step: lifecycle.Submit, after: 45 * time.Second, also: stands(otherID)},
	},
	{
		name: "a repeat whose inputs are gone for good", given: newJob(upscaleOf("other", 0), sent), known: with(keyA), when: time.Minute, gathered: depends(nil),
		then: then{phase: PhaseSubmitting, way: stuck, reason: ReasonSubmissionUnknown, says: "what it refers to is no longer on record", step: lifecycle.Rest, after: 5 * time.Second, event: "Warning SubmissionUnknown"},
	},
}

// tries lets Dafty's failures be tried again so often.
func tries(limit int32) change {
	return func(job *DaftyJob) { job.Spec.BackoffLimit = &limit }
}

func deadline(seconds int64) change {
	return func(job *DaftyJob) { job.Spec.ActiveDeadlineSeconds = &seconds }
}

// backingOff has the first attempt failed, and the next due so long after t0.
func backingOff(next time.Duration) change {
	return func(job *DaftyJob) {
		job.Status.Attempts, job.Status.FailedJobIDs, job.Status.NextAttemptAt = 1, []string{otherID}, at(next)
		job.Status.SubmittedAt = at(0)
		job.Status.Error = &JobError{Code: "GENERATION_FAILED", Message: "no"}
		says(PhasePending, ReasonBackingOff)(job)
	}
}

func adopts(job *DaftyJob) { job.Spec.AdoptJobID = jobID }

var failedJob = failedAs(dafty.GENERATIONFAILED, "no")

// triedAgain checks what is left of the attempt that failed.
func triedAgain(next time.Duration, failed ...string) func(*testing.T, lifecycle.Decision) {
	return func(t *testing.T, got lifecycle.Decision) {
		t.Helper()
		s := got.Status
		if s.JobID != "" || s.Submission != nil || !slices.Equal(s.FailedJobIDs, failed) || !s.NextAttemptAt.Equal(at(next)) || s.Error == nil || s.Error.Message != "no" {
			t.Errorf("got %s", asJSON(s))
		}
	}
}

// Further attempts, deadlines, adoption.
var attempts = []row{
	{
		name: "a job that failed is tried again", given: newJob(tries(1), taken(PhaseProcessing)), known: with(keyA, looked(failedJob)), when: time.Minute,
		then: then{phase: PhasePending, way: onTheWay, reason: ReasonBackingOff, says: "Dafty could not make it: no; it is tried again at 2026-03-01T12:01:10Z, as attempt 2 of 2",
			step: lifecycle.Rest, after: 10 * time.Second, event: "Normal BackingOff", also: triedAgain(70*time.Second, jobID)},
	},
	{
		name: "an answer that it had failed already is tried again", given: newJob(tries(1), sent), known: with(keyA, answered(failedJob)),
		then: then{phase: PhasePending, way: onTheWay, reason: ReasonBackingOff, step: lifecycle.Rest, after: 10 * time.Second, event: "Normal BackingOff", also: triedAgain(10*time.Second, jobID)},
	},
	{
		name: "the second failure is tried again later", given: newJob(tries(2), taken(PhaseProcessing), func(job *DaftyJob) { job.Status.Attempts, job.Status.FailedJobIDs = 2, []string{otherID} }),
		known: with(keyA, looked(failedJob)),
		then:  then{phase: PhasePending, way: onTheWay, reason: ReasonBackingOff, step: lifecycle.Rest, after: 20 * time.Second, event: "Normal BackingOff", also: triedAgain(20*time.Second, otherID, jobID)},
	},
	{
		name: "the last attempt fails", given: newJob(tries(1), taken(PhaseProcessing), func(job *DaftyJob) { job.Status.Attempts = 2 }), known: with(keyA, looked(failedJob)),
		then: then{phase: PhaseFailed, way: stuck, reason: ReasonGenerationFailed, says: "no; that was attempt 2 of 2", step: lifecycle.Rest, event: "Warning GenerationFailed"},
	},
	{
		name: "it isn't time yet", given: newJob(tries(1), backingOff(10*time.Second)), known: with(keyA), when: 4 * time.Second,
		then: then{phase: PhasePending, way: onTheWay, reason: ReasonBackingOff, step: lifecycle.Rest, after: 6 * time.Second},
	},
	{
		name: "the next attempt has a key of its own", given: newJob(tries(1), backingOff(10*time.Second), note(namespace+"/"+name+":"+otherID)), known: with(keyA), when: 10 * time.Second,
		then: then{phase: PhaseSubmitting, way: onTheWay, reason: ReasonSubmitting, step: lifecycle.Submit, after: 45 * time.Second, also: records(secondKey, 2, 0, 10*time.Second, 10*time.Second, keyA)},
	},
	{
		name: "the user's own key", given: newJob(func(job *DaftyJob) { job.Spec.IdempotencyKey = "spring" }), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: onTheWay, reason: ReasonSubmitting, step: lifecycle.Submit, after: 45 * time.Second, also: records("spring-1", 1, 0, 0, 0, keyA)},
	},
	{
		name: "cancelled between two attempts", given: newJob(tries(1), backingOff(10*time.Second), desired(DesiredCancelled)), known: with(keyA),
		then: then{phase: PhaseCancelled, way: reached, reason: ReasonCancelled, says: "called off before it was tried again", step: lifecycle.Rest, event: "Normal Cancelled"},
	},
	{
		name: "suspended between two attempts", given: newJob(tries(1), backingOff(10*time.Second), desired(DesiredSuspended)), known: with(keyA),
		then: then{phase: PhasePending, way: suspended, reason: ReasonSuspended, step: lifecycle.Rest, event: "Normal Suspended"},
	},
	{
		name: "deleted between two attempts", given: newJob(tries(1), backingOff(10*time.Second), deleted(0), note(namespace+"/"+name+":"+otherID)), known: with(keyA),
		then: then{phase: PhasePending, way: onTheWay, reason: ReasonBackingOff, step: lifecycle.RemoveFinalizer},
	},
	{
		name: "a cancelled job isn't tried again", given: newJob(tries(1), taken(PhaseCancelling), desired(DesiredCancelled)), known: with(keyA, looked(failedJob)),
		then: then{phase: PhaseCancelled, way: reached, reason: ReasonCancelled, step: lifecycle.Rest, event: "Normal Cancelled"},
	},
	{
		name: "the deadline is awaited", given: newJob(deadline(60), taken(PhaseProcessing)), known: with(keyA, looked(daftys(dafty.Processing))), when: 21 * time.Second,
		then: then{phase: PhaseProcessing, way: onTheWay, reason: ReasonProcessing, step: lifecycle.Follow, after: 40 * time.Second},
	},
	{
		name: "past its deadline", given: newJob(deadline(60), taken(PhaseProcessing)), known: with(keyA, looked(daftys(dafty.Processing))), when: 61 * time.Second,
		then: then{phase: PhaseCancelling, way: onTheWay, reason: ReasonCancelling, step: lifecycle.Cancel, after: 30 * time.Second, event: "Normal Cancelling"},
	},
	{
		name: "past its deadline, and cancelled", given: newJob(deadline(60), tries(1), taken(PhaseCancelling)), known: with(keyA, looked(failedJob)), when: 70 * time.Second,
		then: then{phase: PhaseFailed, way: stuck, reason: ReasonDeadlineExceeded, says: "longer than the 60 seconds of spec.activeDeadlineSeconds; job " + jobID + " is cancelled at Dafty",
			step: lifecycle.Rest, event: "Warning DeadlineExceeded"},
	},
	{
		name: "past a deadline that was put off since", given: newJob(deadline(6000), taken(PhaseCancelling)), known: with(keyA, looked(daftys(dafty.Processing)), cancelDone(70*time.Second, nil, 0)), when: 71 * time.Second,
		then: then{phase: PhaseCancelling, way: onTheWay, reason: ReasonCancelling, step: lifecycle.Follow, after: 5 * time.Second},
	},
	{
		name: "the deadline's cancel comes too late", given: newJob(deadline(60), taken(PhaseCancelling)), known: with(keyA, looked(daftys(dafty.Completed))), when: 70 * time.Second,
		then: then{phase: PhaseCompleted, way: reached, reason: ReasonCompletedBeforeCancel, step: lifecycle.Rest, event: "Normal CompletedBeforeCancel"},
	},
	{
		name: "in doubt past its deadline: its id is learnt first", given: newJob(deadline(30), sent), known: with(keyA), when: 45 * time.Second,
		then: then{phase: PhaseSubmitting, way: onTheWay, reason: ReasonSubmitting, step: lifecycle.Submit, after: 45 * time.Second},
	},
	{
		name: "the answer comes past its deadline", given: newJob(deadline(30), sent), known: with(keyA, answered(daftys(dafty.Pending))), when: 45 * time.Second,
		then: then{phase: PhaseCancelling, way: onTheWay, reason: ReasonCancelling, step: lifecycle.Cancel, after: 30 * time.Second, event: "Normal Cancelling", also: hasID},
	},
	{
		name: "the deadline comes between two attempts", given: newJob(deadline(30), tries(1), backingOff(40*time.Second)), known: with(keyA), when: 30 * time.Second,
		then: then{phase: PhaseFailed, way: stuck, reason: ReasonDeadlineExceeded, says: "it isn't tried again", step: lifecycle.Rest, event: "Warning DeadlineExceeded"},
	},
	{
		name: "the deadline doesn't count before the first submission", given: newJob(deadline(1)), known: with(""), when: time.Hour,
		then: then{phase: PhasePending, way: onTheWay, reason: ReasonWaitingForCredentials, step: lifecycle.Rest, after: 5 * time.Second, event: "Warning WaitingForCredentials"},
	},
	{
		name: "nothing is adopted before the finalizer stands", given: newJob(adopts, noFinalizer), known: with(keyA),
		then: then{way: unseen, step: lifecycle.AddFinalizer},
	},
	{
		name: "adopted", given: newJob(adopts, note(ownNote)), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: onTheWay, reason: ReasonSubmitting, says: "asking Dafty how job " + jobID + " stands", step: lifecycle.Follow, event: "Normal Submitting", also: hasID},
	},
	{
		name: "adopted, to be cancelled", given: newJob(adopts, desired(DesiredCancelled)), known: with(keyA),
		then: then{phase: PhaseCancelling, way: onTheWay, reason: ReasonCancelling, step: lifecycle.Cancel, after: 30 * time.Second, event: "Normal Cancelling", also: hasID},
	},
	{
		name: "adopted and deleted, and its status is lost", given: newJob(adopts, deleted(0)), known: with(keyA),
		then: then{phase: PhaseCancelling, way: onTheWay, reason: ReasonCancelling, step: lifecycle.Cancel, after: 30 * time.Second, event: "Normal Cancelling", also: hasID},
	},
	{
		name: "another adopted it already", given: newJob(adopts, noFinalizer), known: with(keyA), gathered: lifecycle.Gathered{Adopter: "first"},
		then: then{phase: PhasePending, way: stuck, reason: ReasonAlreadyAdopted, says: `job ` + jobID + ` is followed by DaftyJob "first"`, step: lifecycle.Rest, after: time.Minute, event: "Warning AlreadyAdopted"},
	},
	{
		name: "another adopted it, and this one is cancelled", given: newJob(adopts, desired(DesiredCancelled)), known: with(keyA), gathered: lifecycle.Gathered{Adopter: "first"},
		then: then{phase: PhaseCancelled, way: reached, reason: ReasonCancelledBeforeSubmission, says: "job " + jobID + " is left to DaftyJob \"first\"", step: lifecycle.Rest, event: "Normal CancelledBeforeSubmission"},
	},
	{
		name: "completed in time, and seen late", given: newJob(deadline(60), taken(PhaseProcessing)), known: with(keyA, looked(daftys(dafty.Completed))), when: time.Hour,
		then: then{phase: PhaseCompleted, way: reached, reason: ReasonCompleted, step: lifecycle.Rest, event: "Normal Completed"},
	},
	{
		name: "a list tells of it, and not of when it was made", given: newJob(deadline(60), adopts, taken(PhaseSubmitting), func(job *DaftyJob) { job.Status.SubmittedAt, job.Status.Submission = nil, nil }),
		known: with(keyA, looked(&dafty.Job{Id: jobID, Status: dafty.Processing})), when: time.Hour,
		then: then{phase: PhaseProcessing, way: onTheWay, reason: ReasonProcessing, step: lifecycle.Follow, event: "Normal Processing", also: func(t *testing.T, got lifecycle.Decision) {
			if got.Status.SubmittedAt != nil {
				t.Errorf("submitted at %v", got.Status.SubmittedAt)
			}
		}},
	},
	{
		name: "in doubt, and the operation isn't known any more", given: newJob(sent, noOperation), known: with(keyA), when: time.Minute,
		then: then{phase: PhaseSubmitting, way: stuck, reason: ReasonSubmissionUnknown, says: "this version of the operator doesn't know its operation", step: lifecycle.Rest, after: 5 * time.Second, event: "Warning SubmissionUnknown"},
	},
	{
		name: "an adopted job that failed isn't tried again", given: newJob(adopts, tries(3), taken(PhaseProcessing)), known: with(keyA, looked(failedJob)),
		then: then{phase: PhaseFailed, way: stuck, reason: ReasonGenerationFailed, step: lifecycle.Rest, event: "Warning GenerationFailed"},
	},
}

// clip is Dafty's answer about a video, with this thumbnail.
func clip(thumbnail *string) *dafty.Job {
	job := daftys(dafty.Completed)
	job.Type = dafty.VideoGenerate
	job.Result = &dafty.JobResult{Video: &struct {
		DurationSeconds *int    `json:"durationSeconds"`
		Height          *int    `json:"height"`
		Id              string  `json:"id"`
		ThumbnailUrl    *string `json:"thumbnailUrl"`
		Url             string  `json:"url"`
		Width           *int    `json:"width"`
	}{Id: jobID, Url: "https://example.com/clip.mp4", ThumbnailUrl: thumbnail}}
	return job
}

// ended has a video completed at t0, without a thumbnail.
func ended(job *DaftyJob) {
	taken(PhaseCompleted)(job)
	job.Status.FinishedAt = at(0)
	job.Status.Result = &JobResult{Primary: "https://example.com/clip.mp4", Video: &Video{ID: jobID, URL: "https://example.com/clip.mp4"}}
}

func kept(seconds int32) change {
	return func(job *DaftyJob) { job.Spec.TTLSecondsAfterFinished = &seconds }
}

func stores(job *DaftyJob) { job.Spec.ResultConfigMap = "result" }

func storing(is bool) func(*testing.T, lifecycle.Decision) {
	return func(t *testing.T, got lifecycle.Decision) {
		t.Helper()
		if got.Store != is {
			t.Errorf("stores: %t", got.Store)
		}
	}
}

// What comes after the end.
var afterwards = []row{
	{
		name: "a video without a thumbnail", given: newJob(taken(PhaseProcessing)), known: with(keyA, looked(clip(nil))),
		then: then{phase: PhaseCompleted, way: reached, reason: ReasonCompleted, step: lifecycle.LookForThumbnail, after: 2 * time.Minute, event: "Normal Completed"},
	},
	{
		name: "its thumbnail is looked for", given: newJob(ended), known: with(keyA, looked(clip(nil))), when: 30 * time.Second,
		then: then{phase: PhaseCompleted, way: reached, reason: ReasonCompleted, step: lifecycle.LookForThumbnail, after: 90 * time.Second},
	},
	{
		name: "its thumbnail is there", given: newJob(ended, stores, func(job *DaftyJob) { job.Status.ResultConfigMap = "result" }), known: with(keyA, looked(clip(new("https://example.com/t.png")))), when: 30 * time.Second,
		then: then{phase: PhaseCompleted, way: reached, reason: ReasonCompleted, step: lifecycle.Rest, after: 10 * time.Second, also: func(t *testing.T, got lifecycle.Decision) {
			storing(true)(t, got)
			if url := got.Status.Result.Video.ThumbnailURL; url != "https://example.com/t.png" {
				t.Errorf("thumbnail is %q", url)
			}
		}},
	},
	{
		name: "its thumbnail never came", given: newJob(ended), known: with(keyA), when: 2 * time.Minute,
		then: then{phase: PhaseCompleted, way: reached, reason: ReasonCompleted, step: lifecycle.Rest},
	},
	{
		name: "a result is stored before the end is told", given: newJob(stores, taken(PhaseProcessing)), known: with(keyA, looked(daftys(dafty.Completed))),
		then: then{phase: PhaseCompleted, way: reached, reason: ReasonCompleted, step: lifecycle.Rest, event: "Normal Completed", also: storing(true)},
	},
	{
		name: "a result that is stored", given: newJob(stores, ended, func(job *DaftyJob) { job.Status.ResultConfigMap = "result" }), known: with(""), when: time.Hour,
		then: then{phase: PhaseCompleted, way: reached, reason: ReasonCompleted, step: lifecycle.Rest, also: storing(false)},
	},
	{
		name: "a job without a result has none to store", given: newJob(stores, taken(PhaseCompleted)), known: with(""),
		then: then{phase: PhaseCompleted, way: reached, reason: ReasonCompleted, step: lifecycle.Rest, also: storing(false)},
	},
	{
		name: "kept for a while", given: newJob(kept(300), ended), known: with(""), when: 3 * time.Minute,
		then: then{phase: PhaseCompleted, way: reached, reason: ReasonCompleted, step: lifecycle.Rest, after: 2 * time.Minute},
	},
	{
		name: "kept for long enough", given: newJob(kept(300), ended), known: with(""), when: 5 * time.Minute,
		then: then{phase: PhaseCompleted, way: reached, reason: ReasonCompleted, step: lifecycle.Delete, after: 10 * time.Second},
	},
	{
		name: "not kept at all, once the end is on record", given: newJob(kept(0), taken(PhaseProcessing)), known: with(keyA, looked(daftys(dafty.Completed))),
		then: then{phase: PhaseCompleted, way: reached, reason: ReasonCompleted, step: lifecycle.Rest, after: time.Second, event: "Normal Completed"},
	},
	{
		name: "deleted while it is kept", given: newJob(kept(300), ended, deleted(0)), known: with(""),
		then: then{phase: PhaseCompleted, way: reached, reason: ReasonCompleted, step: lifecycle.RemoveFinalizer},
	},
}

// A result that can't be stored is told once, and tried again.
func TestStored(t *testing.T) {
	in := lifecycle.Input{Job: newJob(stores, ended), Known: with(""), Now: t0.Add(time.Hour)}
	condition := func(decision lifecycle.Decision) string {
		for _, c := range decision.Status.Conditions {
			if c.Type == ConditionResultStored {
				return string(c.Status) + " " + c.Reason + ": " + c.Message
			}
		}
		return ""
	}
	decision := lifecycle.Stored(in, lifecycle.Next(in), "it is another's")
	if got := condition(decision); got != "False NotStored: it is another's" || decision.After != 10*time.Second || decision.Event == nil || !decision.Event.Warning {
		t.Errorf("got %s after %s, %+v", got, decision.After, decision.Event)
	}
	in.Job.Status, in.Now = decision.Status, in.Now.Add(time.Hour)
	decision = lifecycle.Next(in)
	if !decision.Store {
		t.Fatal("it isn't tried again")
	}
	if decision = lifecycle.Stored(in, decision, "it is another's"); decision.Event != nil || decision.After != 5*time.Minute {
		t.Errorf("told again, or too soon: %+v", decision)
	}
	decision = lifecycle.Stored(in, lifecycle.Next(in), "")
	if got := condition(decision); got != "True Stored: the result is in ConfigMap result" || decision.Status.ResultConfigMap != "result" {
		t.Errorf("got %s", got)
	}
	in.Job.Status = decision.Status
	if again := lifecycle.Next(in); again.Store || again.After != 0 {
		t.Errorf("stored again: %+v", again)
	}
}

func TestCycle(t *testing.T) {
	waits := func(name string, on ...string) *DaftyJob {
		job := newJob()
		job.Name = name
		for _, other := range on {
			job.Spec.ImageGenerate.References = append(job.Spec.ImageGenerate.References, ImageReference{JobRef: &JobReference{Name: other}})
		}
		return job
	}
	for _, tt := range []struct {
		name string
		jobs []*DaftyJob
		want []string
	}{
		{"none", []*DaftyJob{waits("a", "b"), waits("b", "c"), waits("c")}, nil},
		{"itself", []*DaftyJob{waits("a", "a")}, []string{"a", "a"}},
		{"two", []*DaftyJob{waits("a", "b"), waits("b", "a")}, []string{"a", "b", "a"}},
		{"the second way", []*DaftyJob{waits("a", "b", "c"), waits("b", "d"), waits("c", "b", "a"), waits("d")}, []string{"a", "c", "a"}},
		{"one that it isn't in", []*DaftyJob{waits("a", "b"), waits("b", "c"), waits("c", "b")}, nil},
		{"one isn't there", []*DaftyJob{waits("a", "b")}, nil},
		{"one was submitted", []*DaftyJob{waits("a", "b"), func() *DaftyJob { job := waits("b", "a"); job.Status.JobID = jobID; return job }()}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := lifecycle.Cycle(tt.jobs[0], func(name string) *DaftyJob {
				for _, job := range tt.jobs {
					if job.Name == name {
						return job
					}
				}
				return nil
			})
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
