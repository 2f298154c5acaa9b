package lifecycle_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// What the tests' objects are made of.
const (
	namespace = "shop"
	name      = "hero"
	uid       = "4f1c"
	jobID     = "5f0c4c3e-8b1d-4e43-9d9c-0d7a3a1c2b4f"
	otherID   = "aaaaaaaa-8b1d-4e43-9d9c-0d7a3a1c2b4f"
	firstKey  = uid + "-1"
	secondKey = uid + "-2"
	ownNote   = namespace + "/" + name + ":" + jobID

	// API keys, as hashes.
	keyA = "aaaa0000"
	keyB = "bbbb0000"

	deletionTimeout = 5 * time.Minute
)

// t0 is when every story begins. Times in tables count from here.
var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(after time.Duration) *metav1.Time {
	to := metav1.NewTime(t0.Add(after))
	return &to
}

// change makes a DaftyJob differ from a fresh one that has its finalizer. One that has ended, and isn't deleted, has none.
type change func(*v1alpha1.DaftyJob)

func newJob(changes ...change) *v1alpha1.DaftyJob {
	job := &v1alpha1.DaftyJob{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "DaftyJob"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, UID: uid, Generation: 3,
			CreationTimestamp: metav1.NewTime(t0.Add(-time.Hour)),
			Finalizers:        []string{v1alpha1.CancelFinalizer},
		},
		Spec: v1alpha1.DaftyJobSpec{
			DesiredState:         v1alpha1.DesiredCompleted,
			DeletionPolicy:       v1alpha1.DeletionCancel,
			ImageGenerate:        &v1alpha1.ImageGenerate{Prompt: "a mountain"},
			CredentialsSecretRef: v1alpha1.SecretKeyReference{Name: v1alpha1.DefaultSecretName, Key: v1alpha1.DefaultSecretKey},
		},
		Status: v1alpha1.DaftyJobStatus{ObservedGeneration: -1},
	}
	for _, change := range changes {
		change(job)
	}
	if job.Status.Phase.Final() && job.DeletionTimestamp == nil {
		job.Finalizers = nil
	}
	return job
}

// finalized has the finalizer although it has ended.
func finalized(job *v1alpha1.DaftyJob) *v1alpha1.DaftyJob {
	job.Finalizers = []string{v1alpha1.CancelFinalizer}
	return job
}

// Changes of metadata and spec.

func noFinalizer(job *v1alpha1.DaftyJob) { job.Finalizers = nil }

func note(value string) change {
	return func(job *v1alpha1.DaftyJob) { job.Annotations = map[string]string{v1alpha1.JobAnnotation: value} }
}

func resubmit(key string) change {
	return func(job *v1alpha1.DaftyJob) {
		job.Annotations = map[string]string{v1alpha1.ResubmitAnnotation: key}
	}
}

func desired(state v1alpha1.DesiredState) change {
	return func(job *v1alpha1.DaftyJob) { job.Spec.DesiredState = state }
}

// cancelSeen and suspensionSeen have on record what the spec asked for once.
func cancelSeen(job *v1alpha1.DaftyJob) { job.Status.CancelRequestedAt = at(-time.Minute) }

func suspensionSeen(job *v1alpha1.DaftyJob) { job.Status.SuspendedAt = at(-time.Minute) }

// startingDeadline is in seconds, from an hour before t0.
func startingDeadline(seconds int64) change {
	return spec(func(s *v1alpha1.DaftyJobSpec) { s.StartingDeadlineSeconds = &seconds })
}

func deleted(after time.Duration) change {
	return func(job *v1alpha1.DaftyJob) { job.DeletionTimestamp = at(after) }
}

func orphan(job *v1alpha1.DaftyJob) { job.Spec.DeletionPolicy = v1alpha1.DeletionOrphan }

func noOperation(job *v1alpha1.DaftyJob) { job.Spec.ImageGenerate = nil }

func style(job *v1alpha1.DaftyJob) {
	job.Spec.ImageGenerate, job.Spec.StyleExtract = nil, &v1alpha1.StyleExtract{URL: "https://example.com"}
}

// spec has any of its fields set.
func spec(set func(*v1alpha1.DaftyJobSpec)) change {
	return func(job *v1alpha1.DaftyJob) { set(&job.Spec) }
}

func backoffLimit(n int32) change {
	return spec(func(s *v1alpha1.DaftyJobSpec) { s.BackoffLimit = &n })
}

// deadline is in seconds, from the first submission.
func deadline(seconds int64) change {
	return spec(func(s *v1alpha1.DaftyJobSpec) { s.ActiveDeadlineSeconds = &seconds })
}

func ttl(seconds int32) change {
	return spec(func(s *v1alpha1.DaftyJobSpec) { s.TTLSecondsAfterFinished = &seconds })
}

func adopting(job *v1alpha1.DaftyJob) { job.Spec.AdoptJobID = jobID }

// unsubmitted has no request of its own on record.
func unsubmitted(job *v1alpha1.DaftyJob) { job.Status.Submission, job.Status.Attempts = nil, 0 }

func resultIn(configMap string) change {
	return spec(func(s *v1alpha1.DaftyJobSpec) { s.ResultConfigMap = configMap })
}

// upscaling is of an image of the DaftyJob base.
func upscaling(index int32) change {
	return spec(func(s *v1alpha1.DaftyJobSpec) {
		s.ImageGenerate, s.ImageUpscale = nil, &v1alpha1.ImageUpscale{Image: v1alpha1.ImageTarget{JobRef: &v1alpha1.JobReference{Name: "base", Index: index}}}
	})
}

// upscalingAsset is of an image that the DaftyAsset logo keeps.
func upscalingAsset(index int32) change {
	return spec(func(s *v1alpha1.DaftyJobSpec) {
		s.ImageGenerate, s.ImageUpscale = nil, &v1alpha1.ImageUpscale{Image: v1alpha1.ImageTarget{AssetRef: &v1alpha1.AssetReference{Name: "logo", Index: index}}}
	})
}

// styledByAsset is by a style that the DaftyAsset logo keeps.
func styledByAsset(job *v1alpha1.DaftyJob) {
	job.Spec.ImageGenerate.Style = &v1alpha1.StyleSource{AssetRef: &v1alpha1.StyleAssetReference{Name: "logo"}}
}

// bothKinds is an image that goes by one of the DaftyAsset logo and one of the DaftyJob base.
func bothKinds(job *v1alpha1.DaftyJob) {
	job.Spec.ImageGenerate.References = referring([]string{"@logo", "base"})
}

// styled is by a style that the DaftyJob base extracts.
func styled(job *v1alpha1.DaftyJob) {
	job.Spec.ImageGenerate.Style = &v1alpha1.StyleSource{JobRef: &v1alpha1.StyleJobReference{Name: "base"}}
}

// framed is a clip from a picture in a ConfigMap to an image of the DaftyJob base.
func framed(job *v1alpha1.DaftyJob) {
	job.Spec.ImageGenerate, job.Spec.VideoFrames = nil, &v1alpha1.VideoFrames{
		StartImage: v1alpha1.ImageReference{ConfigMapKeyRef: &v1alpha1.ConfigMapKeyReference{Name: "brand", Key: "a.png"}},
		EndImage:   v1alpha1.ImageReference{JobRef: &v1alpha1.JobReference{Name: "base"}},
		Prompt:     "a",
	}
}

// animated is a clip of a picture in a ConfigMap.
func animated(job *v1alpha1.DaftyJob) {
	job.Spec.ImageGenerate, job.Spec.ImageToVideo = nil, &v1alpha1.ImageToVideo{
		Image: v1alpha1.ImageReference{ConfigMapKeyRef: &v1alpha1.ConfigMapKeyReference{Name: "brand", Key: "a.png"}}, Prompt: "a",
	}
}

// logoQuery is the search of searching(0, …).
var logoQuery = lifecycle.StyleQuery{StyleID: searchID, Query: "logo on white", Limit: 1}

const searchID = "7a9e2c40-5b1d-4f3e-8c6a-2b4d6f8091a3"

// searching is an image that goes by one that is found in a style of the account.
func searching(index int32, least *int32) change {
	return func(job *v1alpha1.DaftyJob) {
		job.Spec.ImageGenerate.References = []v1alpha1.ImageReference{{StyleSearch: &v1alpha1.StyleSearch{
			Style: v1alpha1.StyleSource{ID: searchID}, Query: "logo on white", Index: index, MinSimilarity: least,
		}}}
	}
}

// searchingOf is one that is found in the style of a DaftyJob, or of a DaftyAsset where its name begins with @.
func searchingOf(maker string) change {
	return func(job *v1alpha1.DaftyJob) {
		searching(0, nil)(job)
		of := &job.Spec.ImageGenerate.References[0].StyleSearch.Style
		*of = v1alpha1.StyleSource{JobRef: &v1alpha1.StyleJobReference{Name: maker}}
		if name, ok := strings.CutPrefix(maker, "@"); ok {
			*of = v1alpha1.StyleSource{AssetRef: &v1alpha1.StyleAssetReference{Name: name}}
		}
	}
}

// Changes of status: where a job stands.

// says has status tell a phase and a reason, as a decision would have written it.
func says(phase v1alpha1.Phase, reason string) change {
	return func(job *v1alpha1.DaftyJob) {
		status := &job.Status
		status.ObservedGeneration, status.Phase, status.JobType = job.Generation-1, phase, "image.generate"
		status.Conditions, status.FinishedAt = nil, nil
		set := func(condition string, is metav1.ConditionStatus) {
			meta.SetStatusCondition(&status.Conditions, metav1.Condition{
				Type: condition, Status: is, Reason: reason, Message: "so it was", LastTransitionTime: *at(-time.Minute), ObservedGeneration: job.Generation - 1,
			})
		}
		switch {
		case phase == v1alpha1.PhaseFailed:
			set(v1alpha1.ConditionFailed, metav1.ConditionTrue)
			set(v1alpha1.ConditionReady, metav1.ConditionFalse)
			set(v1alpha1.ConditionStalled, metav1.ConditionTrue)
		case phase == v1alpha1.PhaseCompleted:
			set(v1alpha1.ConditionComplete, metav1.ConditionTrue)
			set(v1alpha1.ConditionReady, metav1.ConditionTrue)
		case phase == v1alpha1.PhaseCancelled:
			set(v1alpha1.ConditionCancelled, metav1.ConditionTrue)
			set(v1alpha1.ConditionReady, metav1.ConditionTrue)
		case reason == v1alpha1.ReasonSuspended:
			set(v1alpha1.ConditionReady, metav1.ConditionFalse)
		case slices.Contains(stalling, reason):
			set(v1alpha1.ConditionReady, metav1.ConditionFalse)
			set(v1alpha1.ConditionStalled, metav1.ConditionTrue)
		default:
			set(v1alpha1.ConditionReady, metav1.ConditionUnknown)
			set(v1alpha1.ConditionReconciling, metav1.ConditionTrue)
		}
		if status.JobID != "" {
			set(v1alpha1.ConditionSubmitted, metav1.ConditionTrue)
		}
		if phase.Final() {
			status.FinishedAt = at(-time.Minute)
		}
	}
}

// stalling are the reasons that wait for a person.
var stalling = []string{
	v1alpha1.ReasonCredentialsRejected, v1alpha1.ReasonInsufficientCredits, v1alpha1.ReasonSubscriptionRequired, v1alpha1.ReasonSubmissionUnknown,
	v1alpha1.ReasonInvalidRequest, v1alpha1.ReasonDependencyCycle, v1alpha1.ReasonInvalidReference, v1alpha1.ReasonUnusableFile, v1alpha1.ReasonStyleAssetNotFound, v1alpha1.ReasonAlreadyAdopted, v1alpha1.ReasonWriteRefused,
}

// withoutTimes has the times of its submission taken out.
func withoutTimes(job *v1alpha1.DaftyJob) {
	job.Status.Submission.StartedAt, job.Status.Submission.SentAt = nil, nil
}

// sent has a request on record at t0, under keyA.
func sent(job *v1alpha1.DaftyJob) {
	job.Status.Attempts = 1
	job.Status.Submission = &v1alpha1.Submission{
		Attempt: 1, IdempotencyKey: firstKey, StartedAt: at(0), SentAt: at(0), CredentialsHash: keyA,
	}
	says(v1alpha1.PhaseSubmitting, v1alpha1.ReasonSubmitting)(job)
}

// repeated has the request of sent repeated so long after it.
func repeated(after time.Duration) change {
	return func(job *v1alpha1.DaftyJob) {
		sent(job)
		job.Status.Submission.SentAt = at(after)
	}
}

// refusedBefore has requests refused, and none on its way.
func refusedBefore(times int32) change {
	return func(job *v1alpha1.DaftyJob) {
		job.Status.Submission = &v1alpha1.Submission{Attempt: 1, Refusals: times}
		says(v1alpha1.PhasePending, v1alpha1.ReasonInsufficientCredits)(job)
	}
}

// taken has Dafty know the job, and all that goes with it on record.
func taken(phase v1alpha1.Phase) change {
	return func(job *v1alpha1.DaftyJob) {
		sent(job)
		job.Status.JobID, job.Status.SubmittedAt = jobID, at(time.Second)
		note(ownNote)(job)
		says(phase, string(phase))(job)
	}
}

// failedBefore has attempts failed at Dafty, the last at t0, and another to follow so long after it.
func failedBefore(attempts int32, next time.Duration) change {
	return func(job *v1alpha1.DaftyJob) {
		job.Status.Attempts, job.Status.NextAttemptAt, job.Status.SubmittedAt = attempts, at(next), at(-time.Minute)
		job.Status.Error = &v1alpha1.JobError{Code: "GENERATION_FAILED", Message: "too odd"}
		for i := range attempts {
			job.Status.FailedJobIDs = append(job.Status.FailedJobIDs, fmt.Sprintf("%08d%s", i+1, jobID[8:]))
		}
		says(v1alpha1.PhasePending, v1alpha1.ReasonBackingOff)(job)
	}
}

// input is on record: what a field stands for, as far as that is known.
func input(field string, uid types.UID, id string) change {
	return func(job *v1alpha1.DaftyJob) {
		job.Status.Inputs = append(job.Status.Inputs, v1alpha1.Input{Field: field, Source: "so it was", UID: uid, ID: id})
	}
}

// madeBy has an input on record with the job that made it.
func madeBy(field, id, by string) change {
	return func(job *v1alpha1.DaftyJob) {
		job.Status.Inputs = append(job.Status.Inputs, v1alpha1.Input{Field: field, Source: "so it was", UID: baseUID, ID: id, JobID: by})
	}
}

// imageFound returns what the DaftyJob base made, on record, and in which form it is sent.
func imageFound(field string, index int, as v1alpha1.ReferenceForm) change {
	return func(job *v1alpha1.DaftyJob) {
		job.Status.Inputs = append(job.Status.Inputs, v1alpha1.Input{Field: field, Source: "so it was", UID: baseUID,
			ID: fmt.Sprintf("%d%s", index+1, imageID[1:]), URL: imageURL(index), JobID: otherID, SentAs: as})
	}
}

func imageURL(index int) string { return fmt.Sprintf("https://results.example.com/%d.png", index) }

// sentFor returns what a request holds for an input.
func sentFor(in v1alpha1.Input) string {
	switch in.SentAs {
	case v1alpha1.ReferenceURL:
		return in.URL
	case v1alpha1.ReferenceJobID:
		return in.JobID
	case v1alpha1.ReferenceID:
	}
	return in.ID
}

// uploadedWith has the picture uploaded with an API key.
func uploadedWith(field, secret string) change {
	return func(job *v1alpha1.DaftyJob) {
		job.Status.Inputs = append(job.Status.Inputs, v1alpha1.Input{Field: field, Source: "so it was", ID: uploadID, CredentialsHash: secret})
	}
}

// uploadedAt has a picture uploaded so long after t0.
func uploadedAt(field string, after time.Duration) change {
	return func(job *v1alpha1.DaftyJob) {
		uploadedWith(field, keyA)(job)
		job.Status.Inputs[len(job.Status.Inputs)-1].UploadedAt = at(after)
	}
}

// filmed has a video made so long after t0, that has a thumbnail or none.
func filmed(after time.Duration, thumbnail string) change {
	return func(job *v1alpha1.DaftyJob) {
		taken(v1alpha1.PhaseCompleted)(job)
		job.Status.FinishedAt = at(after)
		job.Status.Result = &v1alpha1.JobResult{Primary: "u", Video: &v1alpha1.Video{ID: jobID, URL: "u", ThumbnailURL: thumbnail}}
	}
}

// stored has the result in a ConfigMap.
func stored(name string) change {
	return func(job *v1alpha1.DaftyJob) {
		job.Status.ResultConfigMap = name
		meta.SetStatusCondition(&job.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionResultStored, Status: metav1.ConditionTrue,
			Reason: v1alpha1.ReasonStored, Message: "so it was", LastTransitionTime: *at(-time.Minute)})
	}
}

// notStored has a problem with that, since so long after t0.
func notStored(since time.Duration, problem string) change {
	return func(job *v1alpha1.DaftyJob) {
		meta.SetStatusCondition(&job.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionResultStored, Status: metav1.ConditionFalse,
			Reason: v1alpha1.ReasonNotStored, Message: problem, LastTransitionTime: *at(since)})
	}
}

// What the spec refers to.

const (
	baseUID  = types.UID("ba5e")
	imageID  = "11111111-8b1d-4e43-9d9c-0d7a3a1c2b4f"
	styleID  = "22222222-8b1d-4e43-9d9c-0d7a3a1c2b4f"
	uploadID = "up_1"
	digest   = "d1"
)

// base returns the DaftyJob that others refer to.
func base(phase v1alpha1.Phase, reason string, changes ...change) *v1alpha1.DaftyJob {
	job := newJob(says(phase, reason), func(job *v1alpha1.DaftyJob) { job.Name, job.UID = "base", baseUID })
	for _, change := range changes {
		change(job)
	}
	return job
}

// made returns a base that has completed.
func made(result v1alpha1.JobResult) *v1alpha1.DaftyJob {
	return base(v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted, func(job *v1alpha1.DaftyJob) { job.Status.Result = &result })
}

func madeImages(n int) *v1alpha1.DaftyJob {
	images := make([]v1alpha1.Image, n)
	for i := range images {
		images[i] = v1alpha1.Image{ID: fmt.Sprintf("%d%s", i+1, imageID[1:]), URL: imageURL(i)}
	}
	return made(v1alpha1.JobResult{Images: images})
}

// wayOf returns the way through DaftyJobs.
func wayOf(names ...string) (way []lifecycle.Node) {
	for _, name := range names {
		way = append(way, lifecycle.JobNode(name))
	}
	return way
}

// there returns references to these DaftyJobs.
func there(jobs ...*v1alpha1.DaftyJob) lifecycle.References {
	gathered := lifecycle.References{Jobs: map[string]*v1alpha1.DaftyJob{}}
	for _, job := range jobs {
		gathered.Jobs[job.Name] = job
	}
	return gathered
}

const assetUID = types.UID("a55e")

// ofAsset has the job made by the DaftyAsset "campaign".
func ofAsset(job *v1alpha1.DaftyJob) {
	job.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "DaftyAsset", Name: "campaign", UID: assetUID, Controller: new(true)}}
}

// newAsset returns a DaftyAsset whose template refers to others (see referring), and whose newest spec isn't looked at yet.
func newAsset(name string, on ...string) *v1alpha1.DaftyAsset {
	asset := &v1alpha1.DaftyAsset{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: assetUID, Generation: 2}}
	asset.Spec.Template.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: "a", References: referring(on)}
	asset.Status.ObservedGeneration = 1
	return asset
}

// assetIs has a DaftyAsset say what its Ready condition is.
func assetIs(asset *v1alpha1.DaftyAsset, ready metav1.ConditionStatus, reason string) *v1alpha1.DaftyAsset {
	asset.Status.ObservedGeneration = asset.Generation
	meta.SetStatusCondition(&asset.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: ready, Reason: reason, Message: "so it was"})
	return asset
}

// readyAsset returns a DaftyAsset whose newest result is what a DaftyJob made.
func readyAsset(made *v1alpha1.DaftyJob, name string, on ...string) *v1alpha1.DaftyAsset {
	asset := assetIs(newAsset(name, on...), metav1.ConditionTrue, v1alpha1.ReasonAvailable)
	asset.Status.Current = &v1alpha1.AssetResult{JobName: name + "-1a2b", Hash: "1a2b", JobID: otherID, Result: made.Status.Result}
	return asset
}

// keptIn returns references to these DaftyAssets.
func keptIn(assets ...*v1alpha1.DaftyAsset) lifecycle.References {
	gathered := lifecycle.References{Assets: map[string]*v1alpha1.DaftyAsset{}}
	for _, asset := range assets {
		gathered.Assets[asset.Name] = asset
	}
	return gathered
}

// onRecord returns the references of a DaftyJob that its DaftyAsset has on record, with what its fields stand for.
func onRecord(inputs ...v1alpha1.Input) lifecycle.References {
	asset := newAsset("campaign")
	asset.Status.Pending = &v1alpha1.PendingJob{JobName: name, UID: uid, Hash: "1a2b", Inputs: inputs}
	return lifecycle.References{Maker: &lifecycle.Maker{Name: "campaign", Asset: asset}}
}

// recorded is what a field stood for when the change was decided.
func recorded(field string) v1alpha1.Input {
	return v1alpha1.Input{Field: field, Source: "DaftyAsset logo, image 0", ID: imageID, URL: imageURL(0), JobID: otherID, SentAs: v1alpha1.ReferenceID}
}

var (
	picture  = lifecycle.FileRead{File: &lifecycle.File{Name: "a.png", MediaType: "image/png", Content: []byte("a"), Digest: digest}}
	missing  = lifecycle.FileRead{Missing: `ConfigMap "brand", which isn't there`}
	unusable = lifecycle.FileRead{Unusable: `key "a.png" of ConfigMap "brand", which holds no picture`}
)

// reading adds what the ConfigMap holds.
func reading(file lifecycle.FileRead, jobs ...*v1alpha1.DaftyJob) lifecycle.References {
	gathered := there(jobs...)
	gathered.Files = map[string]lifecycle.FileRead{"brand/a.png": file}
	return gathered
}

// What this process knows.

// upload returns what came of the picture's.
func upload(is lifecycle.Upload) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) { known.Uploads = map[string]lifecycle.Upload{digest: is} }
}

// uploadFailed may be tried again so long after t0.
func uploadFailed(err *dafty.CallError, again time.Duration) func(*lifecycle.Known) {
	return upload(lifecycle.Upload{Done: true, Err: err, Failures: 2, RetryAt: t0.Add(again)})
}

// film returns a job of Dafty's that made a video.
func film(thumbnail string) *dafty.Job {
	job := daftys(dafty.Completed)
	raw := fmt.Sprintf(`{"video":{"id":%q,"url":"u","thumbnailUrl":%q}}`, jobID, thumbnail)
	if thumbnail == "" {
		raw = fmt.Sprintf(`{"video":{"id":%q,"url":"u","thumbnailUrl":null}}`, jobID)
	}
	job.Result = &dafty.JobResult{}
	if err := json.Unmarshal([]byte(raw), job.Result); err != nil {
		panic(err)
	}
	return job
}

// with returns what is known with an API key in the Secret.
func with(secret string, news ...func(*lifecycle.Known)) lifecycle.Known {
	known := lifecycle.Known{Credentials: lifecycle.Credentials{Secret: secret}}
	if secret == "" {
		known.Credentials.Problem = "Secret \"dafty-credentials\" isn't there"
	}
	for _, tell := range news {
		tell(&known)
	}
	return known
}

func held(secret string) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) { known.Credentials.LastUsed = secret }
}

func untried(known *lifecycle.Known) { known.Credentials.LastUsedUnverified = true }

func since(after time.Duration) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) { known.Since = t0.Add(after) }
}

// cancelledFor has this process have the job cancelled.
func cancelledFor(cause lifecycle.CancelCause) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) { known.Cancelled = cause }
}

func cancelledElsewhere(known *lifecycle.Known) { known.CancelledElsewhere = true }

// posting has the request of sent, on its way.
func posting(known *lifecycle.Known) {
	known.Submission = &lifecycle.SubmissionCall{Record: v1alpha1.Submission{Attempt: 1, IdempotencyKey: firstKey, StartedAt: at(0), SentAt: at(0), CredentialsHash: keyA}}
}

// elsewhere has another process have sent the request.
func elsewhere(job *v1alpha1.DaftyJob) { job.Status.Submission.Sender = "another" }

// answered is Dafty's answer to the request of sent.
func answered(job *dafty.Job) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) {
		posting(known)
		known.Submission.Done, known.Submission.Job = true, job
	}
}

// failing has a failure of the request of sent, or of its repeat so long after it.
func failing(err *dafty.CallError, failures int, sentAt time.Duration) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) {
		posting(known)
		known.Submission.Record.SentAt = at(sentAt)
		known.Submission.Done, known.Submission.Err, known.Submission.Failures = true, err, failures
		if err.Kind == dafty.KindUnauthorized {
			known.Submission.KeyRefusals = 2
		}
	}
}

// once has a submission whose API key was refused, and was accepted before.
func once(err *dafty.CallError, sentAt time.Duration) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) {
		failing(err, 1, sentAt)(known)
		known.Submission.KeyRefusals = 1
	}
}

func looked(job *dafty.Job) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) { known.Job = job }
}

func trouble(err *dafty.CallError, failures int, secret string) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) {
		known.Trouble = &lifecycle.Trouble{Err: err, Failures: failures, Credentials: secret}
	}
}

func cancelling(known *lifecycle.Known) { known.Cancel = &lifecycle.CancelCall{} }

// cancelDone has a cancel that ended so long after t0.
func cancelDone(after time.Duration, err *dafty.CallError, failures int) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) {
		known.Cancel = &lifecycle.CancelCall{Done: true, At: t0.Add(after), Err: err, Failures: failures}
	}
}

func hold(kind dafty.Kind, until time.Duration) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) {
		known.Block = &lifecycle.Block{Kind: kind, Message: "Dafty said so", Until: t0.Add(until)}
	}
}

// What Dafty answers.

func daftys(status dafty.JobStatus) *dafty.Job {
	job := &dafty.Job{Id: jobID, Type: dafty.ImageGenerate, Status: status, CreatedAt: t0.Add(time.Second)}
	if status == dafty.Completed {
		job.Result = &dafty.JobResult{Style: &struct {
			Id string `json:"id"`
		}{Id: "a-style"}}
	}
	return job
}

// hugeResult is within what the client reads, and beyond what etcd takes.
var hugeResult = func() *dafty.Job {
	job := daftys(dafty.Completed)
	job.Result.Style.Id = strings.Repeat("<", 300<<10)
	return job
}()

func failedAs(code dafty.JobErrorCode, message string) *dafty.Job {
	job := daftys(dafty.Failed)
	job.Error = &struct {
		Code    dafty.JobErrorCode `json:"code"`
		Message string             `json:"message"`
	}{Code: code, Message: message}
	return job
}

// refusal returns an error of a kind as Dafty documents it.
func refusal(kind dafty.Kind) *dafty.CallError {
	err := &dafty.CallError{Kind: kind, Message: "Dafty said so"}
	switch kind {
	case dafty.KindInvalid:
		err.Status, err.Code, err.Details = 400, "VALIDATION_ERROR", map[string]any{"prompt": "too odd"}
	case dafty.KindUnauthorized:
		err.Status, err.Code = 401, "UNAUTHORIZED"
	case dafty.KindInsufficientCredits:
		err.Status, err.Code = 402, "INSUFFICIENT_CREDITS"
	case dafty.KindSubscriptionRequired:
		err.Status, err.Code = 402, "SUBSCRIPTION_REQUIRED"
	case dafty.KindNotFound:
		err.Status, err.Code = 404, "NOT_FOUND"
	case dafty.KindConflict:
		err.Status = 409
	case dafty.KindRateLimit:
		err.Status, err.Code = 429, "RATE_LIMIT_ERROR"
	case dafty.KindConcurrency:
		err.Status, err.Code = 429, "CONCURRENT_LIMIT_REACHED"
	case dafty.KindUsageLimit:
		err.Status, err.Code = 429, "USAGE_LIMIT_EXCEEDED"
	case dafty.KindUnavailable:
	}
	return err
}

// Failures that leave open what became of a request, and one that doesn't.
var (
	noAnswer      = &dafty.CallError{Kind: dafty.KindUnavailable, Message: "Dafty didn't answer in time"}
	internalError = &dafty.CallError{Kind: dafty.KindUnavailable, Status: 500, Code: "INTERNAL_ERROR", Message: "Something went wrong"}
	proxyError    = &dafty.CallError{Kind: dafty.KindUnavailable, Status: 502, Message: "Dafty answered 502 Bad Gateway without saying why"}
	unsent        = &dafty.CallError{Kind: dafty.KindUnavailable, Message: "Dafty can't be reached", Unsent: true}
)

func retryAfter(err *dafty.CallError, wait time.Duration) *dafty.CallError {
	later := *err
	later.RetryAfter = wait
	return &later
}

var kinds = []dafty.Kind{
	dafty.KindInvalid, dafty.KindUnauthorized, dafty.KindInsufficientCredits, dafty.KindSubscriptionRequired, dafty.KindNotFound,
	dafty.KindConflict, dafty.KindRateLimit, dafty.KindConcurrency, dafty.KindUsageLimit, dafty.KindUnavailable,
}

// decide asks Next and holds its answer against what is true of every decision.
func decide(t testing.TB, in lifecycle.Snapshot) lifecycle.Decision {
	t.Helper()
	decision := lifecycle.Next(in)
	for _, problem := range wrong(in, decision) {
		t.Errorf("%s\njob: %s\nknown: %s\ndecision: %s", problem, asJSON(in.Job), asJSON(in.Known), asJSON(decision))
	}
	return decision
}

// settled decides as a reconcile does: where the result is to be stored, once more, with what came of that.
func settled(in lifecycle.Snapshot, outcome lifecycle.StoreOutcome) (got lifecycle.Decision, stored bool) {
	got = lifecycle.Next(in)
	if stored = lifecycle.Is[lifecycle.StoreResult](got.Step); stored {
		in.Known.Stored = &outcome
		got = lifecycle.Next(in)
	}
	return got, stored
}
