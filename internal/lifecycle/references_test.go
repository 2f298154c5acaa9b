package lifecycle_test

import (
	"slices"
	"testing"
	"time"

	. "dafty.ai/dafty-operator/api/v1alpha1" //nolint:revive // The tables are made of its words.
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// inputs checks what is sent for the fields, as FIELD=UID/WHAT.
func inputs(want ...string) func(*testing.T, lifecycle.Decision) {
	return func(t *testing.T, got lifecycle.Decision) {
		t.Helper()
		var is []string
		for _, in := range got.Status.Inputs {
			is = append(is, in.Field+"="+string(in.UID)+"/"+sentFor(in))
		}
		if !slices.Equal(is, want) {
			t.Errorf("inputs are %v, want %v", is, want)
		}
	}
}

// uploads has the picture uploaded.
var uploads = lifecycle.UploadFiles{Files: []*lifecycle.File{picture.File}}

const target = "imageUpscale.image"

var upscaled = newJob(upscaling(0))

// waits returns a job that waits for what it refers to.
func waits(reason, says string) then {
	return then{phase: PhasePending, way: inProgress, reason: reason, says: says, step: lifecycle.Rest{}, after: 5 * time.Second, event: "Normal " + reason}
}

// needs returns a job that waits for a person.
func needs(reason, says string) then {
	return then{phase: PhasePending, way: stalled, reason: reason, says: says, step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning " + reason}
}

// failsFor returns a job that failed before anything was submitted.
func failsFor(reason, says string) then {
	return then{phase: PhaseFailed, way: stalled, reason: reason, says: says, step: lifecycle.Rest{}, event: "Warning " + reason}
}

// submits returns a job that is submitted, with its inputs.
func submits(want ...string) then {
	return then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: inputs(want...)}
}

// atOnce has the submission go ahead of all that wait.
func atOnce(then then) then {
	then.step = lifecycle.Submit{AtOnce: true}
	return then
}

func also(t then, check func(*testing.T, lifecycle.Decision)) then {
	t.also = check
	return t
}

// The spec refers to other DaftyJobs.
var dependencies = []row{
	{
		name: "the dependency isn't there", given: upscaled, known: with(keyA),
		then: also(waits(ReasonWaitingForDependency, `refers to DaftyJob "base", which isn't there yet`), inputs(target+"=/")),
	},
	{
		name: "it isn't looked at by the operator yet", given: upscaled, known: with(keyA), gathered: there(base("", "", func(job *DaftyJob) { job.Status = DaftyJobStatus{} })),
		then: also(waits(ReasonWaitingForDependency, `waits for DaftyJob "base", which is Pending`), inputs(target+"=ba5e/")),
	},
	{
		name: "it waits itself: why is told", given: upscaled, known: with(keyA), gathered: there(base(PhasePending, ReasonInsufficientCredits)),
		then: waits(ReasonWaitingForDependency, `"base", which is Pending (InsufficientCredits)`),
	},
	{
		name: "it runs", given: upscaled, known: with(keyA), gathered: there(base(PhaseProcessing, ReasonProcessing)),
		then: waits(ReasonWaitingForDependency, `"base", which is Processing`),
	},
	{
		name: "it has run for long: looked at less often", given: newJob(upscaling(0), input(target, baseUID, ""), says(PhasePending, ReasonWaitingForDependency)), known: with(keyA),
		gathered: there(base(PhaseProcessing, ReasonProcessing)), when: 24 * time.Hour,
		then: then{phase: PhasePending, way: inProgress, reason: ReasonWaitingForDependency, step: lifecycle.Rest{}, after: time.Minute},
	},
	{
		name: "it has completed", given: upscaled, known: with(keyA), gathered: there(madeImages(1)),
		then: submits(target + "=ba5e/" + imageID),
	},
	{
		name: "it has completed, and the finalizer comes first", given: newJob(upscaling(0), noFinalizer), known: with(keyA), gathered: there(madeImages(1)),
		then: then{way: unseen, step: lifecycle.AddFinalizer{}, also: inputs(target + "=ba5e/" + imageID)},
	},
	{
		name: "it has completed, and there is no Secret", given: upscaled, known: with(""), gathered: there(madeImages(1)),
		then: then{phase: PhasePending, way: inProgress, reason: ReasonWaitingForCredentials, step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning WaitingForCredentials"},
	},
	{
		name: "its second image", given: newJob(upscaling(1)), known: with(keyA), gathered: there(madeImages(2)),
		then: submits(target + "=ba5e/2" + imageID[1:]),
	},
	{
		name: "an index out of range", given: newJob(upscaling(1)), known: with(keyA), gathered: there(madeImages(1)),
		then: failsFor(ReasonInvalidReference, "DaftyJob base, image 1, but that one made 1 image, and counting begins at 0; nothing was submitted"),
	},
	{
		name: "a video where an image is wanted", given: upscaled, known: with(keyA), gathered: there(made(JobResult{Video: &Video{ID: "v"}})),
		then: failsFor(ReasonInvalidReference, "that one made a video, and no image"),
	},
	{
		name: "a style where an image is wanted", given: upscaled, known: with(keyA), gathered: there(made(JobResult{Style: &Style{ID: "s"}})),
		then: failsFor(ReasonInvalidReference, "that one made a style, and no image"),
	},
	{
		name: "an image without an id", given: upscaled, known: with(keyA), gathered: there(made(JobResult{Images: []Image{{URL: "u"}}})),
		then: failsFor(ReasonInvalidReference, "Dafty gave it no id"),
	},
	{
		name: "a result that isn't on record", given: upscaled, known: with(keyA), gathered: there(base(PhaseCompleted, ReasonCompleted)),
		then: failsFor(ReasonInvalidReference, "made nothing that is on record"),
	},
	{
		name: "a result of a newer version", given: upscaled, known: with(keyA), gathered: there(made(JobResult{})),
		then: failsFor(ReasonInvalidReference, "nothing that this version of the operator knows"),
	},
	{
		name: "a style", given: newJob(styled), known: with(keyA), gathered: there(made(JobResult{Style: &Style{ID: styleID}})),
		then: submits("imageGenerate.style=ba5e/" + styleID),
	},
	{
		name: "images where a style is wanted", given: newJob(styled), known: with(keyA), gathered: there(madeImages(2)),
		then: failsFor(ReasonInvalidReference, "imageGenerate.style refers to DaftyJob base, but that one made 2 images, and no style"),
	},
	{
		name: "it failed", given: upscaled, known: with(keyA), gathered: there(base(PhaseFailed, ReasonGenerationFailed)),
		then: failsFor(ReasonDependencyFailed, `DaftyJob "base", which is Failed (GenerationFailed); nothing was submitted`),
	},
	{
		name: "it was cancelled", given: upscaled, known: with(keyA), gathered: there(base(PhaseCancelled, ReasonCancelled)),
		then: failsFor(ReasonDependencyFailed, `DaftyJob "base", which is Cancelled;`),
	},
	{
		name: "it was deleted before it was used", given: newJob(upscaling(0), input(target, baseUID, ""), says(PhasePending, ReasonWaitingForDependency)), known: with(keyA),
		then: failsFor(ReasonDependencyFailed, `DaftyJob "base", which was deleted before it completed`),
	},
	{
		name: "it was deleted and another created under its name", given: newJob(upscaling(0), input(target, "other", ""), says(PhasePending, ReasonWaitingForDependency)), known: with(keyA),
		gathered: there(madeImages(1)),
		then:     failsFor(ReasonDependencyFailed, `DaftyJob "base", which was deleted before it completed`),
	},
	{
		name: "it was deleted after it was used", given: newJob(upscaling(0), input(target, baseUID, imageID), says(PhasePending, ReasonWaitingForCredentials)), known: with(keyA),
		then: submits(target + "=ba5e/" + imageID),
	},
	{
		name: "it failed, which a suspended job isn't told", given: newJob(upscaling(0), desired(DesiredSuspended)), known: with(keyA), gathered: there(base(PhaseFailed, ReasonGenerationFailed)),
		then: then{phase: PhasePending, way: suspended, reason: ReasonSuspended, step: lifecycle.Rest{}, event: "Normal Suspended"},
	},
	{
		name: "cancelled while it waited for another", given: newJob(upscaling(0), input(target, baseUID, ""), says(PhasePending, ReasonWaitingForDependency), desired(DesiredCancelled)), known: with(keyA),
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelledBeforeSubmission, step: lifecycle.Rest{}, event: "Normal CancelledBeforeSubmission"},
	},
	{
		name: "deleted while it waited for another", given: newJob(upscaling(0), input(target, baseUID, ""), says(PhasePending, ReasonWaitingForDependency), deleted(0)), known: with(keyA),
		then: then{phase: PhasePending, way: inProgress, reason: ReasonWaitingForDependency, step: lifecycle.RemoveFinalizer{}},
	},
	{
		name: "a deadline doesn't count before the first submission", given: newJob(upscaling(0), input(target, baseUID, ""), deadline(1), says(PhasePending, ReasonWaitingForDependency)), known: with(keyA),
		gathered: there(base(PhaseProcessing, ReasonProcessing)), when: time.Second,
		then: then{phase: PhasePending, way: inProgress, reason: ReasonWaitingForDependency, step: lifecycle.Rest{}, after: 5 * time.Second},
	},
	{
		name: "two references to one that isn't there: the first is told", given: newJob(edited), known: with(keyA), gathered: there(base(PhaseProcessing, ReasonProcessing)),
		then: also(waits(ReasonWaitingForDependency, `imageEdit.image waits for DaftyJob "base"`), inputs("imageEdit.image=ba5e/", "imageEdit.references[0]=/", "imageEdit.references[1]=ba5e/")),
	},
	{
		name: "two references, and one has failed: the other isn't waited for", given: newJob(edited), known: with(keyA),
		gathered: there(base(PhaseProcessing, ReasonProcessing), base(PhaseFailed, ReasonGenerationFailed, func(job *DaftyJob) { job.Name, job.UID = "second", "5ec0" })),
		then:     failsFor(ReasonDependencyFailed, `imageEdit.references[0] refers to DaftyJob "second", which is Failed`),
	},
	{
		name: "DaftyJobs that wait for each other", given: upscaled, known: with(keyA),
		gathered: lifecycle.References{Jobs: there(base(PhasePending, ReasonWaitingForDependency)).Jobs, Cycle: wayOf("hero", "base", "hero")},
		then:     needs(ReasonDependencyCycle, "wait for each other: hero → base → hero; delete one of them"),
	},
	{
		name: "a circle through another reference is told before what only takes time", given: newJob(edited), known: with(keyA),
		gathered: lifecycle.References{Jobs: there(base(PhasePending, ReasonWaitingForDependency), base(PhasePending, ReasonWaitingForDependency, func(job *DaftyJob) { job.Name, job.UID = "second", "5ec0" })).Jobs, Cycle: wayOf("hero", "second", "hero")},
		then:     needs(ReasonDependencyCycle, "wait for each other: hero → second → hero; delete one of them"),
	},
}

// edited refers to base twice, and to second.
func edited(job *DaftyJob) {
	job.Spec.ImageGenerate, job.Spec.ImageEdit = nil, &ImageEdit{Image: ImageTarget{JobRef: &JobReference{Name: "base"}}, Prompt: "a",
		References: []ImageReference{{JobRef: &JobReference{Name: "second"}}, {JobRef: &JobReference{Name: "base", Index: 1}}}}
}

const frame = "imageToVideo.image"

var video = newJob(animated)

// uploading returns a job whose picture is being uploaded, or is to be.
func uploading(way, reason, says string, after time.Duration) then {
	event := "Normal " + reason
	if way == stalled || reason == ReasonAPIUnavailable || reason == ReasonUsageLimitExceeded {
		event = "Warning " + reason
	}
	return then{phase: PhasePending, way: way, reason: reason, says: says, step: uploads, after: after, event: event}
}

// The spec refers to pictures in ConfigMaps.
var files = slices.Concat([]row{
	{
		name: "the ConfigMap isn't there", given: video, known: with(keyA), gathered: reading(missing),
		then: waits(ReasonWaitingForDependency, `imageToVideo.image refers to ConfigMap "brand", which isn't there`),
	},
	{
		name: "it holds no picture", given: video, known: with(keyA), gathered: reading(unusable),
		then: needs(ReasonUnusableFile, "which holds no picture"),
	},
	{
		name: "it holds one: uploaded", given: video, known: with(keyA), gathered: reading(picture),
		then: uploading(inProgress, ReasonUploading, "uploading ConfigMap brand, key a.png for imageToVideo.image", time.Minute),
	},
	{
		name: "the upload is under way", given: newJob(animated, input(frame, "", ""), says(PhasePending, ReasonUploading)), known: with(keyA, upload(lifecycle.Upload{})), gathered: reading(picture),
		then: then{phase: PhasePending, way: inProgress, reason: ReasonUploading, step: uploads, after: time.Minute},
	},
	{
		name: "the picture was uploaded", given: newJob(animated, input(frame, "", ""), says(PhasePending, ReasonUploading)), known: with(keyA, upload(lifecycle.Upload{Done: true, ID: uploadID})), gathered: reading(picture),
		then: submits(frame + "=/up_1"),
	},
	{
		name: "uploaded, and the ConfigMap went since", given: newJob(animated, uploadedWith(frame, keyA), says(PhasePending, ReasonInsufficientCredits)), known: with(keyA),
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonInsufficientCredits, step: lifecycle.Submit{}, after: 45 * time.Second, also: inputs(frame + "=/up_1")},
	},
	{
		name: "uploaded with a key that is no longer in the Secret: uploaded again", given: newJob(animated, uploadedWith(frame, keyB)), known: with(keyA), gathered: reading(picture),
		then: uploading(inProgress, ReasonUploading, "", time.Minute),
	},
	{
		name: "uploaded with a key that is no longer in the Secret, and in doubt: repeated as it was", given: newJob(animated, sent, uploadedWith(frame, keyA)), known: with(keyB, held(keyA)), gathered: reading(picture), when: time.Minute,
		then: submits(frame + "=/up_1"),
	},
	{
		name: "Dafty gave the upload no id", given: video, known: with(keyA, upload(lifecycle.Upload{Done: true})), gathered: reading(picture),
		then: uploading(inProgress, ReasonUploading, "", time.Minute),
	},
	{
		name: "no Secret: nothing is uploaded", given: video, known: with(""), gathered: reading(picture),
		then: then{phase: PhasePending, way: inProgress, reason: ReasonWaitingForCredentials, step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning WaitingForCredentials"},
	},
	{
		name: "no Secret, and no ConfigMap either", given: video, known: with(""), gathered: reading(missing),
		then: waits(ReasonWaitingForDependency, "isn't there"),
	},
	{
		name: "suspended: nothing is uploaded", given: newJob(animated, desired(DesiredSuspended)), known: with(keyA), gathered: reading(picture),
		then: then{phase: PhasePending, way: suspended, reason: ReasonSuspended, step: lifecycle.Rest{}, event: "Normal Suspended"},
	},
	{
		name: "a picture is uploaded once the DaftyJob is there", given: newJob(framed), known: with(keyA), gathered: reading(picture, base(PhaseProcessing, ReasonProcessing)),
		then: waits(ReasonWaitingForDependency, `videoFrames.endImage waits for DaftyJob "base"`),
	},
	{
		name: "the DaftyJob is there: uploaded", given: newJob(framed), known: with(keyA), gathered: reading(picture, madeImages(1)),
		then: uploading(inProgress, ReasonUploading, "videoFrames.startImage", time.Minute),
	},
	{
		name: "both are there", given: newJob(framed), known: with(keyA, upload(lifecycle.Upload{Done: true, ID: uploadID})), gathered: reading(picture, madeImages(1)),
		then: submits("videoFrames.startImage=/up_1", "videoFrames.endImage=ba5e/"+imageURL(0)),
	},
	{
		name: "Dafty judges a refused picture anew after a while", given: newJob(animated, says(PhasePending, ReasonUnusableFile)), known: with(keyA, uploadFailed(refusal(dafty.KindInvalid), time.Minute)), gathered: reading(picture), when: time.Minute,
		then: then{phase: PhasePending, way: stalled, reason: ReasonUnusableFile, says: "which Dafty doesn't take", step: uploads, after: 7500 * time.Millisecond},
	},
	{
		name: "the failed upload's Retry-After is heeded", given: video, known: with(keyA, uploadFailed(noAnswer, 5*time.Minute)), gathered: reading(picture), when: time.Minute,
		then: uploading(inProgress, ReasonAPIUnavailable, "the upload of ConfigMap brand, key a.png failed", 4*time.Minute),
	},
}, uploadKindRows())

// uploadKindRows returns what each kind of Dafty's errors does to an upload.
func uploadKindRows() (rows []row) {
	for kind, then := range map[dafty.Kind]then{
		dafty.KindInvalid:              needs(ReasonUnusableFile, "imageToVideo.image refers to ConfigMap brand, key a.png, which Dafty doesn't take"),
		dafty.KindUnauthorized:         uploading(stalled, ReasonCredentialsRejected, "put a valid one", 5*time.Second),
		dafty.KindInsufficientCredits:  uploading(stalled, ReasonInsufficientCredits, "", 5*time.Second),
		dafty.KindSubscriptionRequired: uploading(stalled, ReasonSubscriptionRequired, "", 5*time.Second),
		dafty.KindUsageLimit:           uploading(inProgress, ReasonUsageLimitExceeded, "", 5*time.Second),
		dafty.KindConcurrency:          uploading(inProgress, ReasonWaitingForConcurrency, "", 5*time.Second),
		dafty.KindRateLimit:            uploading(inProgress, ReasonWaitingForRateLimit, "", 5*time.Second),
		dafty.KindNotFound:             uploading(inProgress, ReasonAPIUnavailable, "the upload of", 5*time.Second),
		dafty.KindConflict:             uploading(inProgress, ReasonAPIUnavailable, "the upload of", 5*time.Second),
		dafty.KindUnavailable:          uploading(inProgress, ReasonAPIUnavailable, "the upload of", 5*time.Second),
	} {
		rows = append(rows, row{name: string(kind) + " for an upload", given: video, known: with(keyA, uploadFailed(refusal(kind), time.Second)), gathered: reading(picture), then: then})
	}
	lasting := func(refusals int, err *dafty.CallError) func(*lifecycle.Known) {
		if !err.RefusesUpload() {
			refusals = 0
		}
		return upload(lifecycle.Upload{Done: true, Err: err, Failures: 6, Refusals: refusals, RetryAt: t0.Add(time.Minute)})
	}
	storage := func(status int) *dafty.CallError {
		return &dafty.CallError{Kind: dafty.KindUnavailable, Status: status, Message: "the storage for uploads didn't take the bytes"}
	}
	goesOn := uploading(inProgress, ReasonAPIUnavailable, "the upload of", time.Minute)
	refused := uploading(stalled, ReasonUnusableFile, "imageToVideo.image refers to ConfigMap brand, key a.png, whose upload was refused 6 times, the last time with: ", time.Minute)
	for _, tt := range []struct {
		name     string
		refusals int
		err      *dafty.CallError
		then     then
	}{
		{"five outages and a refusal", 1, refusal(dafty.KindNotFound), goesOn},
		{"an outage and five times not found", 5, refusal(dafty.KindNotFound), goesOn},
		{"six times not found", 6, refusal(dafty.KindNotFound), refused},
		{"six conflicts", 6, refusal(dafty.KindConflict), refused},
		{"six refusals of the storage", 6, storage(403), refused},
		{"six redirects of the storage", 6, storage(307), goesOn},
		{"six failures of the storage", 6, storage(500), goesOn},
		{"six timeouts that the storage tells", 6, storage(408), goesOn},
		{"six times too early", 6, storage(425), goesOn},
		{"six times too many", 6, storage(429), goesOn},
		{"six times no answer", 6, noAnswer, goesOn},
	} {
		rows = append(rows, row{name: tt.name + " for an upload", given: video, known: with(keyA, lasting(tt.refusals, tt.err)), gathered: reading(picture), then: tt.then})
	}
	return rows
}

// Somebody took the inputs out of status while a request is in doubt.
var lostInputs = []row{
	{
		name: "one input is lost, and a picture was uploaded with another key: the repeat is of the same request",
		given: newJob(sent, func(job *DaftyJob) {
			job.Spec.ImageGenerate = nil
			job.Spec.VideoFrames = &VideoFrames{
				StartImage: ImageReference{ConfigMapKeyRef: &ConfigMapKeyReference{Name: "brand", Key: "logo.png"}},
				EndImage:   ImageReference{JobRef: &JobReference{Name: "base"}}, Prompt: "it moves",
			}
			job.Status.Inputs = []Input{{Field: "videoFrames.startImage", ID: "up_old", CredentialsHash: keyA}}
		}),
		known: with(keyB, held(keyA)), when: 45 * time.Second, gathered: there(madeImages(1)),
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: func(t *testing.T, got lifecycle.Decision) {
			if id := got.Status.Inputs[0].ID; id != "up_old" {
				t.Errorf("sent with %q", id)
			}
		}},
	},
	{
		name: "in doubt, and the operator was rolled back to a version that doesn't know the operation", given: newJob(noOperation, sent), known: with(keyA), when: time.Minute,
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonSubmissionUnknown, says: "upgrade the operator", step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning SubmissionUnknown"},
	},
	{
		name: "refused, with a picture that was uploaded for an earlier DaftyJob: uploaded again", given: newJob(animated, sent, uploadedAt(frame, -2*time.Hour)), known: with(keyA, failing(refusal(dafty.KindNotFound), 1, 0)), when: time.Second,
		then: then{phase: PhasePending, way: inProgress, reason: ReasonUploading, says: "it is uploaded again", step: lifecycle.Rest{}, after: time.Second, event: "Normal Uploading", also: inputs(frame + "=/")},
	},
	{
		name: "so it is where Dafty finds the request invalid", given: newJob(animated, sent, uploadedAt(frame, -2*time.Hour)), known: with(keyA, failing(refusal(dafty.KindInvalid), 1, 0)), when: time.Second,
		then: then{phase: PhasePending, way: inProgress, reason: ReasonUploading, says: "it is uploaded again", step: lifecycle.Rest{}, after: time.Second, event: "Normal Uploading", also: inputs(frame + "=/")},
	},
	{
		name: "and sent under a fresh key", given: newJob(animated, refusedBefore(1), input(frame, "", ""), says(PhasePending, ReasonUploading)), gathered: reading(picture),
		known: with(keyA, upload(lifecycle.Upload{Done: true, ID: uploadID, At: t0})), when: time.Second,
		then: also(submits(frame+"=/up_1"), records(firstKey+".1", 1, 1, time.Second, time.Second, keyA)),
	},
	{
		name: "what was uploaded again counts as younger, though this clock is behind the API server's", gathered: reading(picture),
		given: newJob(animated, uploadedAt(frame, -time.Hour), func(job *DaftyJob) { job.Status.Inputs[0].ID, job.Status.Inputs[0].CredentialsHash = "", "" }, says(PhasePending, ReasonUploading)),
		known: with(keyA, upload(lifecycle.Upload{Done: true, ID: uploadID, At: t0.Add(-2 * time.Hour)})), when: -2 * time.Hour,
		then: also(submits(frame+"=/up_1"), func(t *testing.T, got lifecycle.Decision) {
			if uploaded := got.Status.Inputs[0].UploadedAt; !uploaded.Equal(at(-time.Hour)) {
				t.Errorf("uploaded at %s", uploaded)
			}
		}),
	},
	{
		name: "refused with that one too: the end", given: newJob(animated, sent, uploadedAt(frame, 0)), known: with(keyA, failing(refusal(dafty.KindNotFound), 1, 0)), when: time.Second,
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonInvalidRequest, step: lifecycle.Rest{}, event: "Warning InvalidRequest"},
	},
	{
		name: "a repeat that is refused doesn't prove that the picture wasn't there for the first request", given: newJob(animated, repeated(time.Minute), uploadedAt(frame, -2*time.Hour)), known: with(keyA, failing(refusal(dafty.KindNotFound), 1, time.Minute)), when: 62 * time.Second,
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonInvalidRequest, step: lifecycle.Rest{}, event: "Warning InvalidRequest"},
	},
	{
		name: "the user's key is refused again, and a person has found the job", given: newJob(animated, ownKey, sentAs("spring-1", 1), uploadedAt(frame, 0), note(ownNote)),
		known: with(keyA, refusing("spring-1", dafty.KindNotFound)), when: time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: "asking Dafty how job " + jobID, step: lifecycle.Follow{}, also: hasID},
	},
	{
		name: "no picture is at fault where credits are missing", given: newJob(animated, sent, uploadedAt(frame, -2*time.Hour)), known: with(keyA, failing(refusal(dafty.KindInsufficientCredits), 1, 0)), when: time.Second,
		then: then{phase: PhasePending, way: stalled, reason: ReasonInsufficientCredits, step: lifecycle.Rest{}, after: time.Second, event: "Warning InsufficientCredits", also: inputs(frame + "=/up_1")},
	},
	{
		name: "the user's key was refused for the old picture, and is again: a fresh key at once", given: newJob(animated, ownKey, sentAs("spring-1", 1), uploadedAt(frame, 0)),
		known: with(keyA, refusing("spring-1", dafty.KindNotFound)), when: time.Second,
		then: atOnce(also(submits(frame+"=/up_1"), records("spring-1.1", 1, 1, time.Second, time.Second, keyA))),
	},
	{
		name: "inputs on record: repeated, whatever became of the dependency", given: newJob(upscaling(0), sent, input(target, baseUID, imageID)), known: with(keyA), when: time.Minute,
		then: submits(target + "=ba5e/" + imageID),
	},
	{
		name: "inputs lost: found again", given: newJob(upscaling(0), sent), known: with(keyA), gathered: there(madeImages(1)), when: time.Minute,
		then: submits(target + "=ba5e/" + imageID),
	},
	{
		name: "inputs lost, and the dependency is gone", given: newJob(upscaling(0), sent), known: with(keyA), when: time.Minute,
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonSubmissionUnknown, says: `what it refers to is no longer on record: imageUpscale.image refers to DaftyJob "base"`,
			step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning SubmissionUnknown", also: records(firstKey, 1, 0, 0, 0, keyA)},
	},
	{
		name: "inputs lost, and the dependency failed since: still in doubt", given: newJob(upscaling(0), sent), known: with(keyA), gathered: there(base(PhaseFailed, ReasonGenerationFailed)), when: time.Minute,
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonSubmissionUnknown, step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning SubmissionUnknown", also: records(firstKey, 1, 0, 0, 0, keyA)},
	},
	{
		name: "inputs lost, and a person knows of the job", given: newJob(upscaling(0), sent, note(ownNote)), known: with(keyA), when: time.Minute,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: "asking Dafty", step: lifecycle.Follow{}, also: hasID},
	},
	{
		name: "inputs lost: the picture is uploaded again", given: newJob(animated, sent), known: with(keyA), gathered: reading(picture), when: time.Minute,
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonSubmissionUnknown, step: uploads, after: 5 * time.Second, event: "Warning SubmissionUnknown"},
	},
	{
		name: "inputs lost, and the picture was uploaded again", given: newJob(animated, sent), known: with(keyA, upload(lifecycle.Upload{Done: true, ID: uploadID})), gathered: reading(picture), when: time.Minute,
		then: submits(frame + "=/up_1"),
	},
	{
		name: "inputs lost, with the key in memory alone: nothing is sent without them", given: newJob(animated, sent), known: with("", held(keyA)), gathered: reading(picture), when: time.Minute,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonWaitingForCredentials, says: "its pictures must be uploaded again", step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning WaitingForCredentials"},
	},
	{
		name: "inputs lost, a person knows of the job, and it has ended: nothing is uploaded", given: newJob(animated, sent, note(ownNote)), known: with(keyA, looked(daftys(dafty.Completed))), gathered: reading(picture), when: time.Minute,
		then: then{phase: PhaseCompleted, way: current, reason: ReasonCompleted, step: lifecycle.Rest{}, event: "Normal Completed"},
	},
	{
		name: "inputs lost, a person knows of the job, and its result is kept: it is stored first", given: newJob(animated, sent, note(ownNote), resultIn("hero-result")), known: with(keyA, looked(daftys(dafty.Completed))),
		gathered: reading(picture), when: time.Minute,
		then: then{phase: PhaseCompleted, way: current, reason: ReasonCompleted, step: lifecycle.Rest{}, event: "Normal Completed", stores: true},
	},
	{
		name: "inputs lost once Dafty has the job: they aren't needed", given: newJob(upscaling(0), taken(PhaseQueued)), known: with(keyA),
		then: then{phase: PhaseQueued, way: inProgress, reason: ReasonQueued, step: lifecycle.Follow{}},
	},
}

func TestNeeds(t *testing.T) {
	logo := ConfigMapKeyReference{Name: "brand", Key: "a.png"}
	all := newJob(edited, func(job *DaftyJob) {
		job.Spec.ImageEdit.References = append(job.Spec.ImageEdit.References, ImageReference{ConfigMapKeyRef: &logo}, ImageReference{ConfigMapKeyRef: &logo}, ImageReference{ID: "up_9"})
	})
	if got := lifecycle.DependsOn(&all.Spec); !slices.Equal(got, []string{"base", "second"}) {
		t.Errorf("it depends on %v", got)
	}
	if got := lifecycle.DependsOn(&newJob(styled).Spec); !slices.Equal(got, []string{"base"}) {
		t.Errorf("for its style it depends on %v", got)
	}
	for _, row := range []struct {
		name  string
		job   *DaftyJob
		jobs  []string
		files int
	}{
		{"nothing", newJob(), nil, 0},
		{"each once", all, []string{"base", "second"}, 1},
		{"what isn't known yet", changed(all, input("imageEdit.image", baseUID, imageID), input("imageEdit.references[0]", "5ec0", otherID)), []string{"base"}, 1},
		{"what is in another field of the same picture", changed(all, input("imageEdit.references[2]", "", uploadID)), []string{"base", "second"}, 1},
		{"in doubt", changed(all, sent), []string{"base", "second"}, 1},
		{"once Dafty has the job", changed(all, taken(PhaseQueued)), nil, 0},
		{"at the end", changed(all, says(PhaseFailed, ReasonDependencyFailed)), nil, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			jobs, files := lifecycle.Needs(row.job)
			if !slices.Equal(jobs, row.jobs) || len(files) != row.files {
				t.Errorf("needs %v and %v", jobs, files)
			}
		})
	}
}

func changed(job *DaftyJob, changes ...change) *DaftyJob {
	job = job.DeepCopy()
	for _, change := range changes {
		change(job)
	}
	return job
}

func TestSeenUID(t *testing.T) {
	job := newJob(edited, input("imageEdit.references[1]", baseUID, ""), input("imageEdit.references[0]", "", ""))
	for name, want := range map[string]string{"base": string(baseUID), "second": "", "third": ""} {
		if got := lifecycle.SeenUID(job, name); string(got) != want {
			t.Errorf("%s was seen as %q, want %q", name, got, want)
		}
	}
}
