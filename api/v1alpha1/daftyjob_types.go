package v1alpha1

import (
	"cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Names on objects. The finalizer and the first annotations are a DaftyJob's, the ones of results those of the
// ConfigMaps that it writes, the others those of its Secret.
const (
	// CancelFinalizer keeps a deleted DaftyJob until its job at Dafty is
	// cancelled. One that has ended doesn't have it.
	CancelFinalizer = "dafty.ai/cancel"

	// JobAnnotation holds NAMESPACE/NAME:ID, the id of the job at Dafty that
	// belongs to the DaftyJob of that name. It outlives status, which backups
	// and re-creation drop.
	JobAnnotation = "dafty.ai/job"

	// ResubmitAnnotation is for a person to give where the message of the Ready
	// condition names it and Dafty has no job of that request. It holds the
	// idempotency key of the request, status.submission.idempotencyKey, so that it
	// speaks of that one request and of no later one. The request is forgotten, and
	// a new one is sent if the job is still wanted.
	ResubmitAnnotation = "dafty.ai/resubmit"

	// ResultLabel is on each ConfigMap that the operator writes a result to, with
	// the value true. The operator watches these ConfigMaps, and no others.
	ResultLabel      = "dafty.ai/result"
	ResultLabelValue = "true"

	// ResultOfAnnotation is on each ConfigMap that the operator writes a result to.
	// It holds NAMESPACE/NAME:ID as JobAnnotation does: of which DaftyJob or
	// DaftyAsset, and of which job at Dafty, it is the result. It outlives an owner
	// that a backup drops.
	ResultOfAnnotation = "dafty.ai/result-of"

	// ResultMetadataAnnotation is on a ConfigMap that has labels or annotations
	// from spec.resultConfigMapMetadata, and holds their keys, so that what is
	// removed from the spec is removed from the ConfigMap, and nothing else.
	ResultMetadataAnnotation = "dafty.ai/result-metadata"

	// DefaultSecretName is the Secret that holds the API key where the spec
	// names none.
	DefaultSecretName = "dafty-credentials" //nolint:gosec // the name of a Secret, not its content

	// DefaultSecretKey is the key within that Secret where the spec names none.
	DefaultSecretKey = "apiKey"
)

// DesiredState is the state that the user wants the job to reach.
// +kubebuilder:validation:Enum=Completed;Suspended;Cancelled
type DesiredState string

const (
	// DesiredCompleted submits the job and follows it to its end. It is also
	// meant where nothing is given, but resumes a suspended job only if it is.
	DesiredCompleted DesiredState = "Completed"
	// DesiredSuspended doesn't submit the job until it is resumed.
	DesiredSuspended DesiredState = "Suspended"
	// DesiredCancelled cancels the job. It can't be undone, whatever follows.
	DesiredCancelled DesiredState = "Cancelled"
)

// DeletionPolicy is what happens to a running job at Dafty when its DaftyJob is deleted.
// +kubebuilder:validation:Enum=Cancel;Orphan
type DeletionPolicy string

const (
	// DeletionCancel cancels the job at Dafty before the DaftyJob is removed.
	DeletionCancel DeletionPolicy = "Cancel"
	// DeletionOrphan leaves the job running at Dafty.
	DeletionOrphan DeletionPolicy = "Orphan"
)

// DaftyJobSpec is the desired state of a DaftyJob. Exactly one operation is given,
// and a DaftyJob's can't be changed.
//
// +kubebuilder:validation:XValidation:rule="[has(self.imageGenerate), has(self.imageEdit), has(self.imageResize), has(self.imageUpscale), has(self.imageToVideo), has(self.videoFrames), has(self.styleExtract)].filter(given, given).size() == 1",message="give exactly one operation: imageGenerate, imageEdit, imageResize, imageUpscale, imageToVideo, videoFrames or styleExtract (for several operations, create one object for each)"
// +kubebuilder:validation:XValidation:rule="!has(self.accountRef) || !has(self.credentialsSecretRef)",message="give at most one of accountRef and credentialsSecretRef: leave out credentialsSecretRef, as the DaftyAccount has the API key"
// +kubebuilder:validation:XValidation:rule="!has(self.adoptJobID) || !has(self.idempotencyKey)",message="give at most one of adoptJobID and idempotencyKey: leave out idempotencyKey, as an adopted job is never submitted"
// +kubebuilder:validation:XValidation:rule="!has(self.adoptJobID) || !has(self.backoffLimit) || self.backoffLimit == 0",message="leave out backoffLimit beside adoptJobID: an adopted job is never submitted, nor tried again"
// +kubebuilder:validation:XValidation:rule="!has(self.adoptJobID) || !has(self.startingDeadlineSeconds)",message="leave out startingDeadlineSeconds beside adoptJobID: an adopted job is never submitted"
type DaftyJobSpec struct {
	// desiredState is the state that the job should reach.
	//
	// Completed (also where this field is absent): submit the job and follow it
	// to its end.
	//
	// Suspended: don't submit the job, or another attempt of it, until
	// desiredState is set to Completed. Removing the field doesn't resume it.
	// This has no effect on a job that is already submitted.
	//
	// Cancelled: cancel the job, or don't submit it if it isn't submitted yet.
	// This can't be undone: another value, given later, is accepted, but changes
	// nothing except what the Ready condition says. Cancelling is free while the
	// job is queued at Dafty. Once Dafty processes it, there is a partial charge
	// of 1 CU, Dafty's credit unit.
	//
	// +optional
	DesiredState DesiredState `json:"desiredState,omitempty"`

	// imageGenerate makes images from a prompt.
	//
	// +optional
	ImageGenerate *ImageGenerate `json:"imageGenerate,omitempty"`

	// imageEdit edits an existing image according to a prompt.
	//
	// +optional
	ImageEdit *ImageEdit `json:"imageEdit,omitempty"`

	// imageResize reframes an existing image to another aspect ratio.
	//
	// +optional
	ImageResize *ImageResize `json:"imageResize,omitempty"`

	// imageUpscale raises the resolution of an existing image.
	//
	// +optional
	ImageUpscale *ImageUpscale `json:"imageUpscale,omitempty"`

	// imageToVideo animates one image into one clip.
	//
	// +optional
	ImageToVideo *ImageToVideo `json:"imageToVideo,omitempty"`

	// videoFrames makes one clip that moves from a start frame to an end frame.
	// It costs more than imageToVideo.
	//
	// +optional
	VideoFrames *VideoFrames `json:"videoFrames,omitempty"`

	// styleExtract extracts a brand style from a web page.
	//
	// +optional
	StyleExtract *StyleExtract `json:"styleExtract,omitempty"`

	// credentialsSecretRef names the Secret that holds the Dafty API key. It is
	// read from the DaftyJob's own namespace, never from another. The default,
	// where accountRef isn't given either, is the key apiKey of the Secret
	// dafty-credentials.
	//
	// +optional
	CredentialsSecretRef SecretKeyReference `json:"credentialsSecretRef,omitzero"`

	// accountRef names the DaftyAccount whose API key is used, in place of a
	// Secret of the namespace. The account must select the namespace; its budgets
	// hold, and nothing is submitted while it is suspended. It can't be added,
	// changed or taken away later.
	//
	// +optional
	AccountRef *AccountReference `json:"accountRef,omitempty"`

	// deletionPolicy is what happens to the job at Dafty when this DaftyJob is
	// deleted while the job runs.
	//
	// Cancel (the default): the job is cancelled first, and the DaftyJob is
	// removed once Dafty has confirmed the cancel.
	//
	// Orphan: the job continues at Dafty and is paid for, but isn't followed.
	//
	// +default="Cancel"
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// backoffLimit is how often a job that failed at Dafty is retried: 0 to 10.
	// The default is 0, as every attempt is paid for. The delay before a retry is
	// 10 seconds, then 20, 40 and so on, up to 6 minutes. A request that Dafty
	// refuses as invalid, a cancelled job and one past its deadline aren't
	// retried.
	//
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	// +optional
	BackoffLimit *int32 `json:"backoffLimit,omitempty"`

	// activeDeadlineSeconds is how many seconds after its first submission the
	// job may take, all attempts included: 1 to 31536000, which is a year. After
	// that it is cancelled, and the DaftyJob fails. The time before the first
	// submission doesn't count; the time that the job is queued at Dafty does,
	// which can be long for a clip. Unset: no limit.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31536000
	// +optional
	ActiveDeadlineSeconds *int64 `json:"activeDeadlineSeconds,omitempty"`

	// startingDeadlineSeconds is how many seconds after the DaftyJob's creation
	// the job may be submitted: 1 to 31536000, which is a year. A job that isn't
	// submitted by then, whatever it waits for and even if it is suspended,
	// fails without being paid for. This has no effect on a job that is already
	// submitted. Unset: no limit.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=31536000
	// +optional
	StartingDeadlineSeconds *int64 `json:"startingDeadlineSeconds,omitempty"`

	// ttlSecondsAfterFinished deletes this DaftyJob this many seconds after it
	// has finished: 0 to 315360000, which is ten years. Unset: it is kept. Don't
	// set it if a GitOps tool restores deleted objects, as Argo CD does with
	// self-healing: the job would be submitted, and paid for, again and again.
	//
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=315360000
	// +optional
	TTLSecondsAfterFinished *int32 `json:"ttlSecondsAfterFinished,omitempty"`

	// idempotencyKey takes the place of the key that is derived from this object,
	// so that an object that is deleted and created again within about 24 hours
	// finds its job again instead of paying for another: 1 to 200 printable
	// characters. The number of the attempt is appended. Two DaftyJobs with the
	// same key and the same API key share one job, if they ask for the same. If
	// they don't, the second gets the first one's job, or Dafty refuses its key
	// and the reason is SubmissionUnknown: Dafty doesn't say which.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:XValidation:rule="self.matches('^[!-~]+$')",message="must be of printable ASCII characters without blanks, such as spring-campaign-hero"
	// +optional
	IdempotencyKey string `json:"idempotencyKey,omitempty"`

	// adoptJobID is the id, a UUID, of a job that already exists at Dafty. It is
	// followed, cancelled and reported as if this DaftyJob had submitted it;
	// nothing is submitted. The spec's operation says what kind of job it is.
	// Only one DaftyJob of a namespace can adopt a job.
	//
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$')",message="must be the id of a job at Dafty, a UUID such as 5f0c4c3e-8b1d-4e43-9d9c-0d7a3a1c2b4f: see status.jobID of the DaftyJob that submitted it, or the job at Dafty"
	// +optional
	AdoptJobID string `json:"adoptJobID,omitempty"`

	// resultConfigMap is the name of a ConfigMap that the operator writes on
	// completion, for Deployments and other tools to use. It is owned by this
	// DaftyJob and deleted with it. Its keys are image_0_url, image_0_id,
	// image_0_width and image_0_height, image_1_url and so on; video_url,
	// video_id, video_width, video_height, video_duration_seconds and
	// video_thumbnail_url; or style_id. The operator keeps it as it is: if it is
	// deleted or edited, it is written again within seconds. A ConfigMap of that
	// name that doesn't belong to this DaftyJob is never changed.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="must be a name for a ConfigMap: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
	// +optional
	ResultConfigMap string `json:"resultConfigMap,omitempty"`

	// resultConfigMapMetadata is what the ConfigMap of the result is labelled and
	// annotated with, for policies and for tools that act on labels. It has no
	// effect without resultConfigMap. It can be changed at any time; what is
	// removed here is removed from the ConfigMap too. The DaftyJob's own labels
	// and annotations are never copied.
	//
	// +optional
	ResultConfigMapMetadata *ResultConfigMapMetadata `json:"resultConfigMapMetadata,omitempty"`
}

// SecretRef returns the key of a Secret that holds the API key, where no accountRef is given.
func (s *DaftyJobSpec) SecretRef() SecretKeyReference {
	return SecretKeyReference{
		Name: cmp.Or(s.CredentialsSecretRef.Name, DefaultSecretName),
		Key:  cmp.Or(s.CredentialsSecretRef.Key, DefaultSecretKey),
	}
}

// ResultConfigMapMetadata is metadata for the ConfigMap of a result.
type ResultConfigMapMetadata struct {
	// labels of the ConfigMap, 32 at most. Those that begin with dafty.ai/ are
	// the operator's own.
	//
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(key, key.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$') && key.indexOf('/') <= 253)",message="each key must be a name for a label: letters, digits, '-', '_' and '.', 63 at most, with a domain and '/' before it or not, such as example.com/team"
	// +kubebuilder:validation:XValidation:rule="self.all(key, self[key].matches('^(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?$'))",message="each value must be empty, or of letters, digits, '-', '_' and '.', 63 at most, beginning and ending with a letter or digit"
	// +kubebuilder:validation:XValidation:rule="self.all(key, !key.startsWith('dafty.ai/'))",message="keys that begin with dafty.ai/ are the operator's own"
	// +optional
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// annotations of the ConfigMap, 32 at most, with at most 4096 characters in
	// each value. Those that begin with dafty.ai/ are the operator's own.
	//
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(key, key.lowerAscii().matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$') && key.indexOf('/') <= 253)",message="each key must be a name for an annotation: letters, digits, '-', '_' and '.', 63 at most, with a domain and '/' before it or not, such as example.com/team"
	// +kubebuilder:validation:XValidation:rule="self.all(key, !key.lowerAscii().startsWith('dafty.ai/'))",message="keys that begin with dafty.ai/ are the operator's own"
	// +optional
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`
}

// LabelValue is the value of a label.
//
// +kubebuilder:validation:MaxLength=63
type LabelValue string

// AnnotationValue is the value of an annotation.
//
// +kubebuilder:validation:MaxLength=4096
type AnnotationValue string

// Phase summarizes where a job is in its lifecycle.
// +kubebuilder:validation:Enum=Pending;Submitting;Queued;Processing;Cancelling;Completed;Failed;Cancelled
type Phase string

const (
	// PhasePending means that nothing is submitted yet; the Ready condition says what it
	// waits for.
	PhasePending Phase = "Pending"
	// PhaseSubmitting means that the request is on its way to Dafty, or may have reached
	// it.
	PhaseSubmitting Phase = "Submitting"
	// PhaseQueued means that Dafty has accepted the job and hasn't started it.
	PhaseQueued Phase = "Queued"
	// PhaseProcessing means that Dafty is processing the job.
	PhaseProcessing Phase = "Processing"
	// PhaseCancelling means that the job is being cancelled; Dafty hasn't confirmed it
	// yet.
	PhaseCancelling Phase = "Cancelling"
	// PhaseCompleted means that the result is in status.result. Final.
	PhaseCompleted Phase = "Completed"
	// PhaseFailed means that there will be no result; status.error says why. Final.
	PhaseFailed Phase = "Failed"
	// PhaseCancelled means that the job was cancelled, as requested. Final.
	PhaseCancelled Phase = "Cancelled"
)

// Final reports whether nothing changes any more after this phase.
func (p Phase) Final() bool {
	return p == PhaseCompleted || p == PhaseFailed || p == PhaseCancelled
}

// DaftyJobStatus is the observed state of the job, from Dafty's own answers.
type DaftyJobStatus struct {
	// observedGeneration is the metadata.generation that this status reflects;
	// -1 until the operator has seen the object.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// uid is the metadata.uid of the object that this status was written for. It
	// differs from the object's own where a backup was restored with its status,
	// until the operator has taken that over.
	//
	// +optional
	UID types.UID `json:"uid,omitempty"`

	// phase summarizes where the job is in its lifecycle: Pending, Submitting,
	// Queued, Processing or Cancelling; finally Completed, Failed or Cancelled.
	// These three never change.
	//
	// +optional
	Phase Phase `json:"phase,omitempty"`

	// conditions are the latest observations of the job's state.
	//
	// Submitted is True once Dafty has accepted the job. Complete, Failed or
	// Cancelled is added when it becomes True, as in a batch/v1 Job. Ready is
	// True when the desired state is reached, Unknown while the job progresses
	// towards it, and False when it isn't reached without somebody's action, or
	// at all; its reason and message say what the job waits for and who must act.
	// ResultStored says whether the result is in spec.resultConfigMap.
	// Reconciling is True while the job progresses and absent otherwise. Stalled
	// is True when the job has failed, or can't progress until somebody acts.
	//
	// +listType=map
	// +listMapKey=type
	// +patchStrategy=merge
	// +patchMergeKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// cancelRequestedAt is when spec.desiredState was first seen to be Cancelled.
	// From then on the job is called off, whatever spec.desiredState says later.
	//
	// +optional
	CancelRequestedAt *metav1.Time `json:"cancelRequestedAt,omitempty"`

	// suspendedAt is when spec.desiredState was first seen to be Suspended. It
	// goes once spec.desiredState is set to Completed; until then nothing is
	// submitted, also where spec.desiredState is absent by now.
	//
	// +optional
	SuspendedAt *metav1.Time `json:"suspendedAt,omitempty"`

	// jobID is Dafty's id of the job.
	//
	// +optional
	JobID string `json:"jobID,omitempty"`

	// jobType is Dafty's word for the kind of job: image.generate, image.edit,
	// image.resize, image.upscale, video.generate or style.extract.
	//
	// +optional
	JobType string `json:"jobType,omitempty"`

	// attempts is how often the job was submitted; each of them is paid for. A
	// request that Dafty refused isn't counted.
	//
	// +optional
	Attempts int32 `json:"attempts,omitempty"`

	// submission is the newest attempt to submit the job. It is written before
	// the request is sent, so that a repeat can't make a second job.
	//
	// +optional
	Submission *Submission `json:"submission,omitempty"`

	// failedJobIDs are Dafty's ids of the attempts that failed and were retried.
	//
	// +listType=atomic
	// +optional
	FailedJobIDs []string `json:"failedJobIDs,omitempty"`

	// nextAttemptAt is when a job that failed at Dafty is retried.
	//
	// +optional
	NextAttemptAt *metav1.Time `json:"nextAttemptAt,omitempty"`

	// inputs are what the spec's jobRefs, assetRefs, configMapKeyRefs and
	// styleSearches were resolved to. Every attempt is sent with these.
	//
	// +listType=map
	// +listMapKey=field
	// +optional
	Inputs []Input `json:"inputs,omitempty"`

	// submittedAt is when Dafty accepted the job, at the first attempt.
	//
	// +optional
	SubmittedAt *metav1.Time `json:"submittedAt,omitempty"`

	// startedAt is when the job was first seen as processing.
	//
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`

	// finishedAt is when the job was seen to have completed, failed or been
	// cancelled.
	//
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`

	// duration is the time from submittedAt to finishedAt, in a readable form.
	//
	// +optional
	Duration string `json:"duration,omitempty"`

	// result is what the job generated.
	//
	// +optional
	Result *JobResult `json:"result,omitempty"`

	// resultConfigMap is the ConfigMap that the result was written to.
	//
	// +optional
	ResultConfigMap string `json:"resultConfigMap,omitempty"`

	// resultConfigMapVersion says what was written to it: the ConfigMap's
	// resourceVersion, and a digest of its content. By it the operator sees
	// whether anybody has changed the ConfigMap since.
	//
	// +optional
	ResultConfigMapVersion string `json:"resultConfigMapVersion,omitempty"`

	// error is why the job, or its last attempt, failed. It has Dafty's own
	// message if there is one.
	//
	// +optional
	Error *JobError `json:"error,omitempty"`
}

// Submission is an attempt to submit the job.
type Submission struct {
	// attempt counts from 1.
	//
	// +optional
	Attempt int32 `json:"attempt,omitempty"`

	// idempotencyKey goes with the request: Dafty answers a repeat with the
	// first job. It is empty while no request is on its way or in doubt.
	//
	// +optional
	IdempotencyKey string `json:"idempotencyKey,omitempty"`

	// startedAt is when the first request with this key was about to be sent.
	// Dafty remembers a key for about 24 hours; past that the request is never
	// repeated.
	//
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`

	// sentAt is when the newest request with this key was about to be sent. That
	// request is given up 30 seconds later, and no other is sent meanwhile.
	//
	// +optional
	SentAt *metav1.Time `json:"sentAt,omitempty"`

	// sender is the operator's process that was about to send it: a random name
	// that each has for as long as it runs. No other has the answer.
	//
	// +optional
	Sender string `json:"sender,omitempty"`

	// credentialsHash distinguishes the API keys that requests were sent with,
	// without revealing them: the first 8 hexadecimal digits of a SHA-256 over
	// the object's uid and the key.
	//
	// +optional
	CredentialsHash string `json:"credentialsHash,omitempty"`

	// refusals is how many requests of this attempt Dafty refused, making no job
	// and charging nothing, since one of status.inputs was last sent in another
	// form. Each is followed by one with a fresh key; with spec.idempotencyKey,
	// by one with the same, and by one with a fresh key where that is refused
	// too.
	//
	// +optional
	Refusals int32 `json:"refusals,omitempty"`
}

// InDoubt reports whether a request may have reached Dafty whose answer isn't known.
func (s *DaftyJobStatus) InDoubt() bool {
	return s.JobID == "" && s.Submission != nil && s.Submission.IdempotencyKey != ""
}

// That a DaftyJob doesn't refer to itself is only asked at its creation, as the request can't change later: a rule
// of the whole object would be asked at each write, and could hold up a cancel.
//
// The category "all" is left out on purpose: kubectl delete all --all would cancel jobs that are paid for.

// DaftyJob is one job at Dafty, which generates images, a video or a brand
// style.
//
// Creating one submits the job, and it is paid for. Setting spec.desiredState
// to Cancelled cancels it; so does deleting the DaftyJob, unless
// spec.deletionPolicy is Orphan.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=daftyjobs,shortName=dj,categories=dafty
// +kubebuilder:metadata:annotations="kustomize.toolkit.fluxcd.io/prune=disabled"
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || (!self.spec.?imageGenerate.?style.?jobRef.hasValue() || self.spec.imageGenerate.style.jobRef.name != self.metadata.name) && (!self.spec.?imageGenerate.?references.hasValue() || self.spec.imageGenerate.references.all(r, (!has(r.jobRef) || r.jobRef.name != self.metadata.name) && r.?styleSearch.?style.?jobRef.?name.orValue('-') != self.metadata.name))",message="a DaftyJob can't refer to itself: under jobRef, name the DaftyJob that makes the style or the image",fieldPath=".spec.imageGenerate",optionalOldSelf=true
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || (!self.spec.?imageEdit.?image.?jobRef.hasValue() || self.spec.imageEdit.image.jobRef.name != self.metadata.name) && (!self.spec.?imageEdit.?references.hasValue() || self.spec.imageEdit.references.all(r, (!has(r.jobRef) || r.jobRef.name != self.metadata.name) && r.?styleSearch.?style.?jobRef.?name.orValue('-') != self.metadata.name))",message="a DaftyJob can't refer to itself: under jobRef, name the DaftyJob that makes the style or the image",fieldPath=".spec.imageEdit",optionalOldSelf=true
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || !self.spec.?imageResize.?image.?jobRef.hasValue() || self.spec.imageResize.image.jobRef.name != self.metadata.name",message="a DaftyJob can't refer to itself: under jobRef, name the DaftyJob that makes the image",fieldPath=".spec.imageResize",optionalOldSelf=true
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || !self.spec.?imageUpscale.?image.?jobRef.hasValue() || self.spec.imageUpscale.image.jobRef.name != self.metadata.name",message="a DaftyJob can't refer to itself: under jobRef, name the DaftyJob that makes the image",fieldPath=".spec.imageUpscale",optionalOldSelf=true
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || (!self.spec.?imageToVideo.?image.?jobRef.hasValue() || self.spec.imageToVideo.image.jobRef.name != self.metadata.name) && self.spec.?imageToVideo.?image.?styleSearch.?style.?jobRef.?name.orValue('-') != self.metadata.name",message="a DaftyJob can't refer to itself: under jobRef, name the DaftyJob that makes the style or the image",fieldPath=".spec.imageToVideo",optionalOldSelf=true
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || (!self.spec.?videoFrames.?startImage.?jobRef.hasValue() || self.spec.videoFrames.startImage.jobRef.name != self.metadata.name) && (!self.spec.?videoFrames.?endImage.?jobRef.hasValue() || self.spec.videoFrames.endImage.jobRef.name != self.metadata.name) && self.spec.?videoFrames.?startImage.?styleSearch.?style.?jobRef.?name.orValue('-') != self.metadata.name && self.spec.?videoFrames.?endImage.?styleSearch.?style.?jobRef.?name.orValue('-') != self.metadata.name",message="a DaftyJob can't refer to itself: under jobRef, name the DaftyJob that makes the style or the image",fieldPath=".spec.videoFrames",optionalOldSelf=true
// +kubebuilder:selectablefield:JSONPath=`.status.jobType`
// +kubebuilder:selectablefield:JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.status.jobType`,description="Kind of job, in Dafty's words"
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`,description="Phase of the job"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Reason of the Ready condition"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Job ID",type=string,priority=1,JSONPath=`.status.jobID`,description="Dafty's id of the job"
// +kubebuilder:printcolumn:name="Duration",type=string,priority=1,JSONPath=`.status.duration`,description="Time from submission to end"
// +kubebuilder:printcolumn:name="Result",type=string,priority=1,JSONPath=`.status.result.primary`,description="The first image's or the video's url, or the style's id"
type DaftyJob struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the desired state of the job. Give exactly one operation:
	// imageGenerate, imageEdit, imageResize, imageUpscale, imageToVideo,
	// videoFrames or styleExtract. It can't be changed later, nor can
	// idempotencyKey and adoptJobID.
	//
	// +kubebuilder:validation:XValidation:rule="has(self.imageGenerate) == has(oldSelf.imageGenerate) && has(self.imageEdit) == has(oldSelf.imageEdit) && has(self.imageResize) == has(oldSelf.imageResize) && has(self.imageUpscale) == has(oldSelf.imageUpscale) && has(self.imageToVideo) == has(oldSelf.imageToVideo) && has(self.videoFrames) == has(oldSelf.videoFrames) && has(self.styleExtract) == has(oldSelf.styleExtract)",message="the operation can't be changed, as it may already be paid for: create another DaftyJob under a new name",reason=FieldValueForbidden
	// +kubebuilder:validation:XValidation:rule="has(self.adoptJobID) == has(oldSelf.adoptJobID)",message="adoptJobID can't be added or taken away, as a job may already be followed: create another DaftyJob under a new name",reason=FieldValueForbidden
	// +kubebuilder:validation:XValidation:rule="has(self.idempotencyKey) == has(oldSelf.idempotencyKey)",message="idempotencyKey can't be added or taken away, as a request may already be sent: create another DaftyJob under a new name",reason=FieldValueForbidden
	// +kubebuilder:validation:XValidation:rule="has(self.accountRef) == has(oldSelf.accountRef)",message="accountRef can't be added or taken away, as a job may already be followed with that API key: create another DaftyJob under a new name",reason=FieldValueForbidden
	// +kubebuilder:validation:XValidation:rule="!has(self.imageGenerate) || !has(oldSelf.imageGenerate) || self.imageGenerate == oldSelf.imageGenerate",message="the request can't be changed, as it may already be paid for: create another DaftyJob under a new name",reason=FieldValueForbidden,fieldPath=".imageGenerate"
	// +kubebuilder:validation:XValidation:rule="!has(self.imageEdit) || !has(oldSelf.imageEdit) || self.imageEdit == oldSelf.imageEdit",message="the request can't be changed, as it may already be paid for: create another DaftyJob under a new name",reason=FieldValueForbidden,fieldPath=".imageEdit"
	// +kubebuilder:validation:XValidation:rule="!has(self.imageResize) || !has(oldSelf.imageResize) || self.imageResize == oldSelf.imageResize",message="the request can't be changed, as it may already be paid for: create another DaftyJob under a new name",reason=FieldValueForbidden,fieldPath=".imageResize"
	// +kubebuilder:validation:XValidation:rule="!has(self.imageUpscale) || !has(oldSelf.imageUpscale) || self.imageUpscale == oldSelf.imageUpscale",message="the request can't be changed, as it may already be paid for: create another DaftyJob under a new name",reason=FieldValueForbidden,fieldPath=".imageUpscale"
	// +kubebuilder:validation:XValidation:rule="!has(self.imageToVideo) || !has(oldSelf.imageToVideo) || self.imageToVideo == oldSelf.imageToVideo",message="the request can't be changed, as it may already be paid for: create another DaftyJob under a new name",reason=FieldValueForbidden,fieldPath=".imageToVideo"
	// +kubebuilder:validation:XValidation:rule="!has(self.videoFrames) || !has(oldSelf.videoFrames) || self.videoFrames == oldSelf.videoFrames",message="the request can't be changed, as it may already be paid for: create another DaftyJob under a new name",reason=FieldValueForbidden,fieldPath=".videoFrames"
	// +kubebuilder:validation:XValidation:rule="!has(self.styleExtract) || !has(oldSelf.styleExtract) || self.styleExtract == oldSelf.styleExtract",message="the request can't be changed, as it may already be paid for: create another DaftyJob under a new name",reason=FieldValueForbidden,fieldPath=".styleExtract"
	// +kubebuilder:validation:XValidation:rule="!has(self.accountRef) || !has(oldSelf.accountRef) || self.accountRef == oldSelf.accountRef",message="accountRef can't be changed, as a job may already be followed with that API key: create another DaftyJob under a new name",reason=FieldValueForbidden,fieldPath=".accountRef"
	// +kubebuilder:validation:XValidation:rule="!has(self.adoptJobID) || !has(oldSelf.adoptJobID) || self.adoptJobID == oldSelf.adoptJobID",message="adoptJobID can't be changed, as that job is followed: create another DaftyJob under a new name",reason=FieldValueForbidden,fieldPath=".adoptJobID"
	// +kubebuilder:validation:XValidation:rule="!has(self.idempotencyKey) || !has(oldSelf.idempotencyKey) || self.idempotencyKey == oldSelf.idempotencyKey",message="idempotencyKey can't be changed, as a request may already be sent with it: create another DaftyJob under a new name",reason=FieldValueForbidden,fieldPath=".idempotencyKey"
	// +required
	Spec DaftyJobSpec `json:"spec,omitzero"`

	// status is the observed state of the job.
	//
	// +default={"observedGeneration":-1}
	// +optional
	Status DaftyJobStatus `json:"status,omitzero"`
}

// DaftyJobList is a list of DaftyJobs.
//
// +kubebuilder:object:root=true
type DaftyJobList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// items of the list.
	Items []DaftyJob `json:"items"`
}
