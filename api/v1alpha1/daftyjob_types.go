package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Names on objects. The finalizer and the first annotations are a DaftyJob's, the ones of results those of the
// ConfigMaps that it writes, the others those of its Secret.
const (
	// CancelFinalizer keeps a deleted DaftyJob until its job at Dafty is
	// cancelled.
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
	// It holds NAMESPACE/NAME:ID as JobAnnotation does: of which DaftyJob, and of
	// which job at Dafty, it is the result. It outlives an owner that a backup
	// drops.
	ResultOfAnnotation = "dafty.ai/result-of"

	// ResultMetadataAnnotation is on a ConfigMap that has labels or annotations
	// from spec.resultConfigMapMetadata, and holds their keys, so that what is
	// removed from the spec is removed from the ConfigMap, and nothing else.
	ResultMetadataAnnotation = "dafty.ai/result-metadata"

	// DefaultSecretName is the Secret that holds the API key where the spec
	// names none.
	DefaultSecretName = "dafty-credentials" //nolint:gosec // the name of a Secret is none

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
// and it is immutable.
//
// +kubebuilder:validation:XValidation:rule="[has(self.imageGenerate), has(self.imageEdit), has(self.imageResize), has(self.imageUpscale), has(self.imageToVideo), has(self.videoFrames), has(self.styleExtract)].filter(given, given).size() == 1",message="give exactly one operation: imageGenerate, imageEdit, imageResize, imageUpscale, imageToVideo, videoFrames or styleExtract (for several operations, create one DaftyJob for each)"
// +kubebuilder:validation:XValidation:rule="has(self.imageGenerate) == has(oldSelf.imageGenerate) && has(self.imageEdit) == has(oldSelf.imageEdit) && has(self.imageResize) == has(oldSelf.imageResize) && has(self.imageUpscale) == has(oldSelf.imageUpscale) && has(self.imageToVideo) == has(oldSelf.imageToVideo) && has(self.videoFrames) == has(oldSelf.videoFrames) && has(self.styleExtract) == has(oldSelf.styleExtract)",message="the operation can't be changed, as it may already be paid for: create another DaftyJob under a new name",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="has(self.adoptJobID) == has(oldSelf.adoptJobID)",message="adoptJobID can't be added or taken away, as a job may already be followed: create another DaftyJob under a new name",reason=FieldValueForbidden
// +kubebuilder:validation:XValidation:rule="has(self.idempotencyKey) == has(oldSelf.idempotencyKey)",message="idempotencyKey can't be added or taken away, as a request may already be sent: create another DaftyJob under a new name",reason=FieldValueForbidden
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

	// imageGenerate makes images from a prompt. Immutable.
	//
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the request can't be changed, as it may already be paid for: create another DaftyJob under a new name",reason=FieldValueForbidden
	// +optional
	ImageGenerate *ImageGenerate `json:"imageGenerate,omitempty"`

	// imageEdit edits an existing image according to a prompt. Immutable.
	//
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the request can't be changed, as it may already be paid for: create another DaftyJob under a new name",reason=FieldValueForbidden
	// +optional
	ImageEdit *ImageEdit `json:"imageEdit,omitempty"`

	// imageResize reframes an existing image to another aspect ratio. Immutable.
	//
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the request can't be changed, as it may already be paid for: create another DaftyJob under a new name",reason=FieldValueForbidden
	// +optional
	ImageResize *ImageResize `json:"imageResize,omitempty"`

	// imageUpscale raises the resolution of an existing image. Immutable.
	//
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the request can't be changed, as it may already be paid for: create another DaftyJob under a new name",reason=FieldValueForbidden
	// +optional
	ImageUpscale *ImageUpscale `json:"imageUpscale,omitempty"`

	// imageToVideo animates one image into one clip. Immutable.
	//
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the request can't be changed, as it may already be paid for: create another DaftyJob under a new name",reason=FieldValueForbidden
	// +optional
	ImageToVideo *ImageToVideo `json:"imageToVideo,omitempty"`

	// videoFrames makes one clip that moves from a start frame to an end frame.
	// It costs more than imageToVideo. Immutable.
	//
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the request can't be changed, as it may already be paid for: create another DaftyJob under a new name",reason=FieldValueForbidden
	// +optional
	VideoFrames *VideoFrames `json:"videoFrames,omitempty"`

	// styleExtract extracts a brand style from a web page. Immutable.
	//
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="the request can't be changed, as it may already be paid for: create another DaftyJob under a new name",reason=FieldValueForbidden
	// +optional
	StyleExtract *StyleExtract `json:"styleExtract,omitempty"`

	// credentialsSecretRef names the Secret that holds the Dafty API key. It is
	// read from the DaftyJob's own namespace, never from another. The default is
	// the key apiKey of the Secret dafty-credentials.
	//
	// +default={}
	// +optional
	CredentialsSecretRef SecretKeyReference `json:"credentialsSecretRef,omitzero"`

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
	// and the reason is SubmissionUnknown: Dafty doesn't say which. Immutable.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:XValidation:rule="self.matches('^[!-~]+$')",message="must be of printable ASCII characters without blanks, such as spring-campaign-hero"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="idempotencyKey can't be changed, as a request may already be sent with it: create another DaftyJob under a new name",reason=FieldValueForbidden
	// +optional
	IdempotencyKey string `json:"idempotencyKey,omitempty"`

	// adoptJobID is the id, a UUID, of a job that already exists at Dafty. It is
	// followed, cancelled and reported as if this DaftyJob had submitted it;
	// nothing is submitted. The spec's operation says what kind of job it is.
	// Only one DaftyJob of a namespace can adopt a job. Immutable.
	//
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$')",message="must be the id of a job at Dafty, a UUID such as 5f0c4c3e-8b1d-4e43-9d9c-0d7a3a1c2b4f: see status.jobID of the DaftyJob that submitted it, or the job at Dafty"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="adoptJobID can't be changed, as that job is followed: create another DaftyJob under a new name",reason=FieldValueForbidden
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
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="must be a name for a ConfigMap: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
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

// ResultConfigMapMetadata is metadata for the ConfigMap of a result.
type ResultConfigMapMetadata struct {
	// labels of the ConfigMap, 32 at most. Those that begin with dafty.ai/ are
	// the operator's own.
	//
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(key, !format.qualifiedName().validate(key).hasValue())",message="each key must be a name for a label: letters, digits, '-', '_' and '.', 63 at most, with a domain and '/' before it or not, such as example.com/team"
	// +kubebuilder:validation:XValidation:rule="self.all(key, !format.labelValue().validate(self[key]).hasValue())",message="each value must be empty, or of letters, digits, '-', '_' and '.', 63 at most, beginning and ending with a letter or digit"
	// +kubebuilder:validation:XValidation:rule="self.all(key, !key.startsWith('dafty.ai/'))",message="keys that begin with dafty.ai/ are the operator's own"
	// +optional
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// annotations of the ConfigMap, 32 at most, with at most 4096 characters in
	// each value. Those that begin with dafty.ai/ are the operator's own.
	//
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(key, !format.qualifiedName().validate(key.lowerAscii()).hasValue())",message="each key must be a name for an annotation: letters, digits, '-', '_' and '.', 63 at most, with a domain and '/' before it or not, such as example.com/team"
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

// SecretKeyReference names one key of a Secret in the DaftyJob's namespace.
type SecretKeyReference struct {
	// name of the Secret. The default is dafty-credentials.
	//
	// +default="dafty-credentials"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="must be the name of a Secret: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
	// +optional
	Name string `json:"name,omitempty"`

	// key within the Secret whose value is the API key. The default is apiKey.
	//
	// +default="apiKey"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$')",message="must be a key of a Secret: letters, digits, '-', '_' and '.'"
	// +optional
	Key string `json:"key,omitempty"`
}

// Prompt describes what to generate.
//
// A prompt of blanks alone would be paid for, and is surely a mistake.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=2000
// +kubebuilder:validation:XValidation:rule="self.trim().size() > 0",message="must say in words what to make, in 1 to 2000 characters"
type Prompt string

// NegativePrompt describes what to avoid.
//
// +kubebuilder:validation:MaxLength=1000
type NegativePrompt string

// Quality is the quality of an image.
//
// +kubebuilder:validation:Enum=low;medium;high
type Quality string

// ImageResolution is the size of an image.
//
// +kubebuilder:validation:Enum="1K";"2K";"4K"
type ImageResolution string

// VideoResolution is the size of a clip.
//
// +kubebuilder:validation:Enum="480p";"720p"
type VideoResolution string

// GenerateAspectRatio is width to height of a generated image.
//
// +kubebuilder:validation:Enum="1:1";"3:2";"2:3";"4:3";"3:4";"4:5";"5:4";"16:9";"9:16"
type GenerateAspectRatio string

// ResizeAspectRatio is width to height of a resized image.
//
// +kubebuilder:validation:Enum="1:1";"1:4";"1:8";"2:3";"3:2";"3:4";"4:1";"4:3";"4:5";"5:4";"8:1";"9:16";"16:9";"21:9"
type ResizeAspectRatio string

// FramesAspectRatio is width to height of a clip made from two frames.
//
// +kubebuilder:validation:Enum="16:9";"9:16";"4:3";"3:4";"1:1";"21:9";auto
type FramesAspectRatio string

// ImageGenerate is a request to make images from a prompt.
type ImageGenerate struct {
	// prompt describes the image: 1 to 2000 characters.
	//
	// +required
	Prompt Prompt `json:"prompt,omitempty"`

	// aspectRatio is width to height. Dafty's default is 1:1.
	//
	// +optional
	AspectRatio GenerateAspectRatio `json:"aspectRatio,omitempty"`

	// quality is the quality of the image. Dafty's default is medium. A higher
	// quality costs more.
	//
	// +optional
	Quality Quality `json:"quality,omitempty"`

	// resolution is the size of the image. Dafty's default is 1K. A higher
	// resolution costs more.
	//
	// +optional
	Resolution ImageResolution `json:"resolution,omitempty"`

	// style is the brand style to follow: any saved style of the account, such as
	// the result of a styleExtract job.
	//
	// +optional
	Style *StyleSource `json:"style,omitempty"`

	// references are reference images: at most 4.
	//
	// +kubebuilder:validation:MaxItems=4
	// +listType=atomic
	// +optional
	References []ImageReference `json:"references,omitzero"`

	// variations is how many images to generate from the prompt: at least 1. The
	// maximum is up to Dafty.
	//
	// +kubebuilder:validation:Minimum=1
	// +optional
	Variations *int32 `json:"variations,omitempty"`
}

// ImageEdit is a request to edit an image according to a prompt.
type ImageEdit struct {
	// image to edit. If it is the result of an edit itself, Dafty repeats the
	// edits that led to it, and then makes the new one.
	//
	// +required
	Image ImageTarget `json:"image,omitzero"`

	// prompt says what to change: 1 to 2000 characters.
	//
	// +required
	Prompt Prompt `json:"prompt,omitempty"`

	// references are reference images: at most 4.
	//
	// +kubebuilder:validation:MaxItems=4
	// +listType=atomic
	// +optional
	References []ImageReference `json:"references,omitzero"`
}

// ImageResize is a request to reframe an image.
type ImageResize struct {
	// image to reframe.
	//
	// +required
	Image ImageTarget `json:"image,omitzero"`

	// aspectRatio is width to height of the new image.
	//
	// +required
	AspectRatio ResizeAspectRatio `json:"aspectRatio,omitempty"`

	// resolution is the size of the new image. Without it, Dafty chooses. A
	// higher resolution costs more.
	//
	// +optional
	Resolution ImageResolution `json:"resolution,omitempty"`
}

// ImageUpscale is a request to raise an image's resolution.
type ImageUpscale struct {
	// image to upscale.
	//
	// +required
	Image ImageTarget `json:"image,omitzero"`

	// resolution is the size of the new image. Without it, Dafty chooses. A
	// higher resolution costs more.
	//
	// +optional
	Resolution ImageResolution `json:"resolution,omitempty"`
}

// ImageToVideo is a request to animate an image.
type ImageToVideo struct {
	// image to animate. The clip keeps its aspect ratio.
	//
	// +required
	Image ImageReference `json:"image,omitzero"`

	// prompt says what happens in the clip: 1 to 2000 characters.
	//
	// +required
	Prompt Prompt `json:"prompt,omitempty"`

	// duration of the clip in seconds: 1 to 15. Dafty's default is 6.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=15
	// +optional
	Duration *int32 `json:"duration,omitempty"`

	// resolution is the size of the clip. Dafty's default is 720p, which costs
	// more than 480p.
	//
	// +optional
	Resolution VideoResolution `json:"resolution,omitempty"`

	// audio says whether the clip has sound. Dafty's default is true.
	//
	// +optional
	Audio *bool `json:"audio,omitempty"`

	// negativePrompt says what the clip must not show: at most 1000 characters.
	//
	// +optional
	NegativePrompt *NegativePrompt `json:"negativePrompt,omitempty"`
}

// VideoFrames is a request to make a clip from a start frame and an end frame.
type VideoFrames struct {
	// startImage is the first frame.
	//
	// +required
	StartImage ImageReference `json:"startImage,omitzero"`

	// endImage is the last frame.
	//
	// +required
	EndImage ImageReference `json:"endImage,omitzero"`

	// prompt says what happens in the clip: 1 to 2000 characters.
	//
	// +required
	Prompt Prompt `json:"prompt,omitempty"`

	// duration of the clip in seconds: 4 to 15. Dafty's default is 6.
	//
	// +kubebuilder:validation:Minimum=4
	// +kubebuilder:validation:Maximum=15
	// +optional
	Duration *int32 `json:"duration,omitempty"`

	// resolution is the size of the clip. Dafty's default is 720p, which costs
	// more than 480p.
	//
	// +optional
	Resolution VideoResolution `json:"resolution,omitempty"`

	// aspectRatio is width to height. Dafty's default is auto, which uses that of
	// the start frame.
	//
	// +optional
	AspectRatio FramesAspectRatio `json:"aspectRatio,omitempty"`

	// audio says whether the clip has sound. Dafty's default is true.
	//
	// +optional
	Audio *bool `json:"audio,omitempty"`

	// negativePrompt says what the clip must not show: at most 1000 characters.
	//
	// +optional
	NegativePrompt *NegativePrompt `json:"negativePrompt,omitempty"`
}

// StyleExtract is a request to extract a brand style from a web page.
type StyleExtract struct {
	// url of the web page, http or https: at most 2048 characters.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHostname() != '' && !self.contains(' ')",message="must be the full http or https address of a web page, such as https://example.com/brand, with any blank written as %20"
	// +required
	URL string `json:"url,omitempty"`
}

// JobReference names an image that another DaftyJob of the namespace generates.
type JobReference struct {
	// name of the DaftyJob, in the same namespace. The job waits until that one
	// completes, and fails if it fails, is cancelled, or is deleted before.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="must be the name of a DaftyJob: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
	// +required
	Name string `json:"name,omitempty"`

	// index of the variation, from 0. The default is 0.
	//
	// +default=0
	// +kubebuilder:validation:Minimum=0
	// +optional
	Index int32 `json:"index,omitempty"`
}

// StyleJobReference names a brand style that another DaftyJob of the namespace extracts.
type StyleJobReference struct {
	// name of the DaftyJob, in the same namespace. The job waits until that one
	// completes, and fails if it fails, is cancelled, or is deleted before.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="must be the name of a DaftyJob: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
	// +required
	Name string `json:"name,omitempty"`
}

// ConfigMapKeyReference names one key of a ConfigMap in the DaftyJob's namespace, whose value
// is an image.
type ConfigMapKeyReference struct {
	// name of the ConfigMap.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="must be the name of a ConfigMap: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
	// +required
	Name string `json:"name,omitempty"`

	// key within the ConfigMap, of binaryData or data.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$')",message="must be a key of a ConfigMap: letters, digits, '-', '_' and '.'"
	// +required
	Key string `json:"key,omitempty"`
}

// The MaxLength of an id is wide so that a URL in its place gets the rule's message and not one about bytes.

// ImageTarget names the image that an operation works on: exactly one field is given.
//
// +kubebuilder:validation:XValidation:rule="[has(self.id), has(self.jobRef)].filter(given, given).size() == 1",message="give exactly one of id (see status.result.images[].id of the job that made the image) or jobRef (the DaftyJob that makes it)"
type ImageTarget struct {
	// id of the image, a UUID: one variation's id, as status.result.images[].id
	// of the DaftyJob that made it shows it, or that job's id, status.jobID,
	// which stands for its first image. Dafty's documentation calls it either;
	// with jobRef, the operator tries both.
	//
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^(?:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}|0{8}-0{4}-0{4}-0{4}-0{12}|[fF]{8}-[fF]{4}-[fF]{4}-[fF]{4}-[fF]{12})$')",message="must be a UUID of version 1 to 8, such as 5f0c4c3e-8b1d-4e43-9d9c-0d7a3a1c2b4f: see status.result.images[].id of the job that made the image, or its status.jobID"
	// +optional
	ID string `json:"id,omitempty"`

	// jobRef is another DaftyJob of the namespace that makes the image. The
	// variation's id is sent. If Dafty refuses that, and the index is 0, the
	// job's id is sent.
	//
	// +optional
	JobRef *JobReference `json:"jobRef,omitempty"`
}

// ImageReference names a reference image. Exactly one field is given.
//
// +kubebuilder:validation:XValidation:rule="[has(self.url), has(self.id), has(self.jobRef), has(self.configMapKeyRef)].filter(given, given).size() == 1",message="give exactly one of url (an https URL), id (of an upload or of the job that made an image), jobRef (the DaftyJob that makes the image) or configMapKeyRef (a picture in a ConfigMap)"
type ImageReference struct {
	// url of the image, https: at most 2048 characters. Dafty fetches it, and
	// only from a public address: one within a cluster or a private network never
	// works; use configMapKeyRef for such an image.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() == 'https' && url(self).getHostname() != '' && !self.contains(' ')",message="must be an https URL, such as https://example.com/logo.png, with any blank written as %20"
	// +optional
	URL string `json:"url,omitempty"`

	// id of an upload (up_…) or of the job that made an image, which stands for
	// its first image: at most 2048 characters. Whether Dafty takes one
	// variation's id here isn't documented; url and jobRef name a variation.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches(r'^[^/\\s]+$')",message="must be the id of an upload or of a job, without '/' or blanks; a URL goes under url"
	// +optional
	ID string `json:"id,omitempty"`

	// jobRef is another DaftyJob of the namespace that makes the image. The url
	// of that image in the result is sent. If Dafty refuses that, the variation's
	// id is sent; and if Dafty refuses that too, and the index is 0, the job's
	// id. status.inputs shows which.
	//
	// +optional
	JobRef *JobReference `json:"jobRef,omitempty"`

	// configMapKeyRef is an image in a ConfigMap of the namespace: PNG, JPEG,
	// GIF or WebP. It is uploaded to Dafty before the job is submitted.
	//
	// +optional
	ConfigMapKeyRef *ConfigMapKeyReference `json:"configMapKeyRef,omitempty"`
}

// StyleSource names a brand style: exactly one field is given.
//
// +kubebuilder:validation:XValidation:rule="[has(self.id), has(self.jobRef)].filter(given, given).size() == 1",message="give exactly one of id (see status.result.style.id of the job that extracted the style) or jobRef (the DaftyJob that extracts it)"
type StyleSource struct {
	// id of the style, a UUID: of any saved style of the account. That of an
	// extracted one is status.result.style.id of its DaftyJob.
	//
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^(?:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}|0{8}-0{4}-0{4}-0{4}-0{12}|[fF]{8}-[fF]{4}-[fF]{4}-[fF]{4}-[fF]{12})$')",message="must be a UUID of version 1 to 8, such as 5f0c4c3e-8b1d-4e43-9d9c-0d7a3a1c2b4f: see status.result.style.id of the job that extracted the style"
	// +optional
	ID string `json:"id,omitempty"`

	// jobRef is another DaftyJob of the namespace that extracts the style.
	//
	// +optional
	JobRef *StyleJobReference `json:"jobRef,omitempty"`
}

// Phase summarizes where a job is in its lifecycle.
// +kubebuilder:validation:Enum=Pending;Submitting;Queued;Processing;Cancelling;Completed;Failed;Cancelled
type Phase string

const (
	// PhasePending : nothing is submitted yet; the Ready condition says what it
	// waits for.
	PhasePending Phase = "Pending"
	// PhaseSubmitting : the request is on its way to Dafty, or may have reached
	// it.
	PhaseSubmitting Phase = "Submitting"
	// PhaseQueued : Dafty has accepted the job and hasn't started it.
	PhaseQueued Phase = "Queued"
	// PhaseProcessing : Dafty is processing the job.
	PhaseProcessing Phase = "Processing"
	// PhaseCancelling : the job is being cancelled; Dafty hasn't confirmed it
	// yet.
	PhaseCancelling Phase = "Cancelling"
	// PhaseCompleted : the result is in status.result. Final.
	PhaseCompleted Phase = "Completed"
	// PhaseFailed : there will be no result; status.error says why. Final.
	PhaseFailed Phase = "Failed"
	// PhaseCancelled : the job was cancelled, as requested. Final.
	PhaseCancelled Phase = "Cancelled"
)

// Final says whether nothing changes any more after this phase.
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

	// inputs are what the spec's jobRefs and configMapKeyRefs were resolved to.
	// Every attempt is sent with these.
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

// Input is what one reference in the spec was resolved to.
type Input struct {
	// field of the spec, such as imageUpscale.image or
	// imageGenerate.references[0].
	//
	// +required
	Field string `json:"field"`

	// source is what the field refers to, such as "DaftyJob spring-hero, image 0"
	// or "ConfigMap brand, key logo.png".
	//
	// +optional
	Source string `json:"source,omitempty"`

	// uid of the DaftyJob that the field refers to. One that is created later
	// under the same name is another.
	//
	// +optional
	UID types.UID `json:"uid,omitempty"`

	// id at Dafty of the image, upload or style, once it is known: of an image it
	// names this variation.
	//
	// +optional
	ID string `json:"id,omitempty"`

	// url of the image in the result of the job that made it.
	//
	// +optional
	URL string `json:"url,omitempty"`

	// jobID is the id of the job at Dafty that made the image or style.
	//
	// +optional
	JobID string `json:"jobID,omitempty"`

	// sentAs says which of url, id and jobID the request holds: URL, ID or JobID.
	// Empty: the id. An image that another DaftyJob made is referred to by its
	// url, and an image to edit, resize or upscale is named by its id. Where
	// Dafty refuses that, the next form is sent, each once, under an idempotency
	// key of its own; jobID only for the image with the index 0.
	//
	// +optional
	SentAs ReferenceForm `json:"sentAs,omitempty"`

	// credentialsHash identifies the API key that an image was uploaded with, as
	// submission.credentialsHash does: with another key it is uploaded again.
	//
	// +optional
	CredentialsHash string `json:"credentialsHash,omitempty"`

	// uploadedAt is when the image was uploaded, which may have been for another
	// DaftyJob. If Dafty refuses a request with an upload that is older than this
	// DaftyJob, the image is uploaded again, once.
	//
	// +optional
	UploadedAt *metav1.Time `json:"uploadedAt,omitempty"`
}

// ReferenceForm is what a request names an image by.
// +kubebuilder:validation:Enum=URL;ID;JobID
type ReferenceForm string

const (
	// ReferenceURL is the url of the image in its job's result.
	ReferenceURL ReferenceForm = "URL"
	// ReferenceID is the id of the variation.
	ReferenceID ReferenceForm = "ID"
	// ReferenceJobID is the id of the job that made the image, which stands for
	// its first one.
	ReferenceJobID ReferenceForm = "JobID"
)

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

// InDoubt says whether a request may have reached Dafty whose answer isn't known.
func (s *DaftyJobStatus) InDoubt() bool {
	return s.JobID == "" && s.Submission != nil && s.Submission.IdempotencyKey != ""
}

// JobResult is what a job generated.
type JobResult struct {
	// primary is the url of the first image or of the video, or the id of the
	// style.
	//
	// +optional
	Primary string `json:"primary,omitempty"`

	// images that the job generated, one for each variation.
	//
	// +listType=atomic
	// +optional
	Images []Image `json:"images,omitempty"`

	// video that the job generated.
	//
	// +optional
	Video *Video `json:"video,omitempty"`

	// style that the job extracted.
	//
	// +optional
	Style *Style `json:"style,omitempty"`
}

// Image is one variation.
type Image struct {
	// id of the image, which other jobs can use.
	//
	// +required
	ID string `json:"id"`

	// url that the image is fetched from.
	//
	// +required
	URL string `json:"url"`

	// width in pixels, if Dafty reports it.
	//
	// +optional
	Width *int32 `json:"width,omitempty"`

	// height in pixels, if Dafty reports it.
	//
	// +optional
	Height *int32 `json:"height,omitempty"`
}

// Video is a clip.
type Video struct {
	// id of the video, which is the id of the job at Dafty.
	//
	// +required
	ID string `json:"id"`

	// url that the clip is fetched from.
	//
	// +required
	URL string `json:"url"`

	// durationSeconds is the clip's length, if Dafty reports it.
	//
	// +optional
	DurationSeconds *int32 `json:"durationSeconds,omitempty"`

	// thumbnailUrl that a still of the clip is fetched from. It may appear only a
	// short while after the job has completed.
	//
	// +optional
	ThumbnailURL string `json:"thumbnailUrl,omitempty"`

	// width in pixels, if Dafty reports it.
	//
	// +optional
	Width *int32 `json:"width,omitempty"`

	// height in pixels, if Dafty reports it.
	//
	// +optional
	Height *int32 `json:"height,omitempty"`
}

// Style is an extracted brand style.
type Style struct {
	// id of the style, for imageGenerate's style.id.
	//
	// +required
	ID string `json:"id"`
}

// JobError is why a job failed.
type JobError struct {
	// code is Dafty's, such as GENERATION_FAILED or VALIDATION_ERROR.
	//
	// +optional
	Code string `json:"code,omitempty"`

	// message says what went wrong.
	//
	// +optional
	Message string `json:"message,omitempty"`

	// details are the invalid fields and why, if Dafty names them.
	//
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Details *apiextensionsv1.JSON `json:"details,omitempty"`
}

// That a DaftyJob doesn't refer to itself is asked at its creation alone, as the request can't change later: a rule
// of the whole object would be asked at each write, and could hold up a cancel.
//
// The category "all" is left out on purpose: kubectl delete all --all would cancel jobs that are paid for.

// DaftyJob is one job at Dafty, which generates images, a video or a brand style.
//
// Creating one submits the job, and it is paid for. Setting spec.desiredState to
// Cancelled cancels it; so does deleting the DaftyJob, unless spec.deletionPolicy is Orphan.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=daftyjobs,shortName=dj,categories=dafty
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || (!self.spec.?imageGenerate.?style.?jobRef.hasValue() || self.spec.imageGenerate.style.jobRef.name != self.metadata.name) && (!self.spec.?imageGenerate.?references.hasValue() || self.spec.imageGenerate.references.all(r, !has(r.jobRef) || r.jobRef.name != self.metadata.name))",message="a DaftyJob can't refer to itself: under jobRef, name the DaftyJob that makes the style or the image",fieldPath=".spec.imageGenerate",optionalOldSelf=true
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || (!self.spec.?imageEdit.?image.?jobRef.hasValue() || self.spec.imageEdit.image.jobRef.name != self.metadata.name) && (!self.spec.?imageEdit.?references.hasValue() || self.spec.imageEdit.references.all(r, !has(r.jobRef) || r.jobRef.name != self.metadata.name))",message="a DaftyJob can't refer to itself: under jobRef, name the DaftyJob that makes the image",fieldPath=".spec.imageEdit",optionalOldSelf=true
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || !self.spec.?imageResize.?image.?jobRef.hasValue() || self.spec.imageResize.image.jobRef.name != self.metadata.name",message="a DaftyJob can't refer to itself: under jobRef, name the DaftyJob that makes the image",fieldPath=".spec.imageResize",optionalOldSelf=true
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || !self.spec.?imageUpscale.?image.?jobRef.hasValue() || self.spec.imageUpscale.image.jobRef.name != self.metadata.name",message="a DaftyJob can't refer to itself: under jobRef, name the DaftyJob that makes the image",fieldPath=".spec.imageUpscale",optionalOldSelf=true
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || !self.spec.?imageToVideo.?image.?jobRef.hasValue() || self.spec.imageToVideo.image.jobRef.name != self.metadata.name",message="a DaftyJob can't refer to itself: under jobRef, name the DaftyJob that makes the image",fieldPath=".spec.imageToVideo",optionalOldSelf=true
// +kubebuilder:validation:XValidation:rule="oldSelf.hasValue() || (!self.spec.?videoFrames.?startImage.?jobRef.hasValue() || self.spec.videoFrames.startImage.jobRef.name != self.metadata.name) && (!self.spec.?videoFrames.?endImage.?jobRef.hasValue() || self.spec.videoFrames.endImage.jobRef.name != self.metadata.name)",message="a DaftyJob can't refer to itself: under jobRef, name the DaftyJob that makes the image",fieldPath=".spec.videoFrames",optionalOldSelf=true
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
	// videoFrames or styleExtract.
	//
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
