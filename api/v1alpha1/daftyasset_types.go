package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Names on objects of DaftyAssets.
const (
	// AssetLabel is on each DaftyJob that a DaftyAsset makes, with the name of the
	// asset.
	AssetLabel = "dafty.ai/asset"

	// CurrentAnnotation holds NAMESPACE/NAME:HASH=ID of a DaftyAsset: which request
	// its current result is of, and which job at Dafty has it. It outlives status,
	// which backups and re-creation drop: the asset then adopts that job instead of
	// paying for another.
	CurrentAnnotation = "dafty.ai/current"

	// ApprovedAnnotation is for a person to give to a DaftyAsset whose changePolicy
	// is Manual. It holds the hash of the change that may be paid for,
	// status.pending.hash, so that it speaks of no other.
	ApprovedAnnotation = "dafty.ai/approved"

	// OvertakenAnnotation is on each DaftyJob that its DaftyAsset has called off
	// because of a newer change, with the value true. Should that request be wanted
	// again, it is made again; one that a person has called off is not.
	OvertakenAnnotation = "dafty.ai/overtaken"
	OvertakenValue      = "true"
)

// ChangePolicy says who decides that a change of a DaftyAsset is paid for.
// +kubebuilder:validation:Enum=Automatic;Manual
type ChangePolicy string

const (
	// ChangeAutomatic has each change submitted at once.
	ChangeAutomatic ChangePolicy = "Automatic"
	// ChangeManual has each change wait until somebody approves it.
	ChangeManual ChangePolicy = "Manual"
)

// DaftyAssetSpec is the desired state of a DaftyAsset.
type DaftyAssetSpec struct {
	// template is what to make. It may be changed at any time: another request is
	// made and paid for, and the result so far stays until the new one is there.
	//
	// +required
	Template DaftyJobTemplate `json:"template,omitzero"`

	// revision is any text of at most 253 characters. Another one has the same
	// request made again, and paid for.
	//
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Revision string `json:"revision,omitempty"`

	// changePolicy says who decides that a change is paid for.
	//
	// Automatic (the default): each change is submitted at once.
	//
	// Manual: the DaftyJob of a change, also of the first one, is made suspended.
	// It is submitted, and paid for, once its spec.desiredState is set to
	// Completed, or this object has the annotation dafty.ai/approved with
	// status.pending.hash as its value.
	//
	// +default="Automatic"
	// +optional
	ChangePolicy ChangePolicy `json:"changePolicy,omitempty"`

	// followInputs says whether the request is made again, and paid for, when a
	// DaftyAsset that the template names under assetRef has a new result. The
	// default is false: the results that were taken first stay, and the condition
	// Outdated says that there are newer ones.
	//
	// +default=false
	// +optional
	FollowInputs bool `json:"followInputs,omitempty"`

	// suspend has nothing new made while it is true. What is being made goes on,
	// and its result becomes current.
	//
	// +default=false
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// historyLimit is how many finished DaftyJobs, and how many earlier results,
	// are kept beside the current one: 0 to 20. The default is 3. Going back to
	// one of these results costs nothing.
	//
	// +default=3
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=20
	// +optional
	HistoryLimit *int32 `json:"historyLimit,omitempty"`

	// resultConfigMap is the name of a ConfigMap that the operator keeps the
	// current result in, for Deployments and other tools to use. It is owned by
	// this DaftyAsset and deleted with it. It goes from one result to the next in
	// one write; its keys are those of a DaftyJob's resultConfigMap. If it is
	// deleted or edited, it is written again within seconds. A ConfigMap of that
	// name that doesn't belong to this DaftyAsset is never changed.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="must be a name for a ConfigMap: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
	// +optional
	ResultConfigMap string `json:"resultConfigMap,omitempty"`

	// resultConfigMapMetadata is what the ConfigMap of the result is labelled and
	// annotated with. It has no effect without resultConfigMap. It can be changed
	// at any time; what is removed here is removed from the ConfigMap too.
	//
	// +optional
	ResultConfigMapMetadata *ResultConfigMapMetadata `json:"resultConfigMapMetadata,omitempty"`
}

// DaftyJobTemplate is what the DaftyJobs of a DaftyAsset are made from.
type DaftyJobTemplate struct {
	// metadata is what the DaftyJobs are labelled and annotated with. A change of
	// it makes no new DaftyJob; the one that is being made gets it too.
	//
	// +optional
	Metadata *JobTemplateMetadata `json:"metadata,omitempty"`

	// spec is the spec of the DaftyJobs. A change of the operation or of
	// idempotencyKey is another request, and paid for. A change of
	// credentialsSecretRef, deletionPolicy, backoffLimit, activeDeadlineSeconds
	// or startingDeadlineSeconds isn't: it applies to the DaftyJob that is being
	// made too. A change of accountRef isn't either, and applies to those that
	// are made from then on. desiredState, adoptJobID, ttlSecondsAfterFinished,
	// resultConfigMap and resultConfigMapMetadata can't be given.
	//
	// With idempotencyKey, of at most 160 characters, the key of each DaftyJob is
	// that and the hash of its request: a DaftyAsset that is deleted and created
	// again within about 24 hours finds its jobs again instead of paying for
	// others.
	//
	// +kubebuilder:validation:XValidation:rule="!has(self.desiredState)",message="leave out desiredState: a DaftyAsset suspends and cancels its DaftyJobs itself; to hold changes back, set suspend or changePolicy of the DaftyAsset",fieldPath=".desiredState"
	// +kubebuilder:validation:XValidation:rule="!has(self.adoptJobID)",message="leave out adoptJobID: a template is for more than one job; to follow a job that exists at Dafty, create a DaftyJob",fieldPath=".adoptJobID"
	// +kubebuilder:validation:XValidation:rule="!has(self.ttlSecondsAfterFinished)",message="leave out ttlSecondsAfterFinished: set historyLimit of the DaftyAsset, which says how many finished DaftyJobs are kept",fieldPath=".ttlSecondsAfterFinished"
	// +kubebuilder:validation:XValidation:rule="!has(self.resultConfigMap)",message="leave out resultConfigMap: give it as spec.resultConfigMap of the DaftyAsset, which keeps the current result there",fieldPath=".resultConfigMap"
	// +kubebuilder:validation:XValidation:rule="!has(self.resultConfigMapMetadata)",message="leave out resultConfigMapMetadata: give it as spec.resultConfigMapMetadata of the DaftyAsset",fieldPath=".resultConfigMapMetadata"
	// +kubebuilder:validation:XValidation:rule="!has(self.idempotencyKey) || self.idempotencyKey.size() <= 160",message="must be of at most 160 characters in a template: the hash of the request is appended",fieldPath=".idempotencyKey"
	// +required
	Spec DaftyJobSpec `json:"spec,omitzero"`
}

// JobTemplateMetadata is metadata for the DaftyJobs of a DaftyAsset.
type JobTemplateMetadata struct {
	// labels of the DaftyJobs, 32 at most. Those that begin with dafty.ai/ are
	// the operator's own.
	//
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(key, key.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$') && key.indexOf('/') <= 253)",message="each key must be a name for a label: letters, digits, '-', '_' and '.', 63 at most, with a domain and '/' before it or not, such as example.com/team"
	// +kubebuilder:validation:XValidation:rule="self.all(key, self[key].matches('^(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?$'))",message="each value must be empty, or of letters, digits, '-', '_' and '.', 63 at most, beginning and ending with a letter or digit"
	// +kubebuilder:validation:XValidation:rule="self.all(key, !key.startsWith('dafty.ai/'))",message="keys that begin with dafty.ai/ are the operator's own"
	// +optional
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// annotations of the DaftyJobs, 32 at most, with at most 4096 characters in
	// each value. Those that begin with dafty.ai/ are the operator's own.
	//
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(key, key.lowerAscii().matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$') && key.indexOf('/') <= 253)",message="each key must be a name for an annotation: letters, digits, '-', '_' and '.', 63 at most, with a domain and '/' before it or not, such as example.com/team"
	// +kubebuilder:validation:XValidation:rule="self.all(key, !key.lowerAscii().startsWith('dafty.ai/'))",message="keys that begin with dafty.ai/ are the operator's own"
	// +optional
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`
}

// DaftyAssetStatus is the observed state of a DaftyAsset.
type DaftyAssetStatus struct {
	// observedGeneration is the metadata.generation that this status reflects;
	// -1 until the operator has seen the object.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are the latest observations of the asset's state.
	//
	// Available is True while there is a result, of whichever spec. Ready is True
	// when that is the result of the newest spec, Unknown while it is being made,
	// and False when somebody must act; its reason and message say who.
	// Outdated is True when a DaftyAsset that the template names under assetRef
	// has a newer result than the one that was taken. ResultStored says whether
	// the result is in spec.resultConfigMap. Reconciling is True while a result
	// is being made and absent otherwise. Stalled is True when that has failed,
	// or can't go on until somebody acts.
	//
	// +listType=map
	// +listMapKey=type
	// +patchStrategy=merge
	// +patchMergeKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// current is the result to use: the newest one that was completed as the spec
	// asked for it. It stays until the next one is there.
	//
	// +optional
	Current *AssetResult `json:"current,omitempty"`

	// pending is the DaftyJob of a change that isn't current yet: it is being
	// made, waits to be approved, or has failed.
	//
	// +optional
	Pending *PendingJob `json:"pending,omitempty"`

	// history are the results beside the current one, that which was current last
	// first: spec.historyLimit at most. Going back to one of them costs nothing.
	//
	// +listType=atomic
	// +optional
	History []AssetResult `json:"history,omitempty"`

	// resultConfigMap is the ConfigMap that the current result was written to.
	//
	// +optional
	ResultConfigMap string `json:"resultConfigMap,omitempty"`

	// resultConfigMapVersion says what was written to it: the ConfigMap's
	// resourceVersion, and a digest of its content. By it the operator sees
	// whether anybody has changed the ConfigMap since.
	//
	// +optional
	ResultConfigMapVersion string `json:"resultConfigMapVersion,omitempty"`
}

// AssetResult is the result of one DaftyJob of an asset.
type AssetResult struct {
	// jobName is the name of the DaftyJob. It may be deleted by now: the result
	// is here.
	//
	// +required
	JobName string `json:"jobName"`

	// hash is of all that makes the request: the template, the revision, and what
	// its assetRefs were resolved to.
	//
	// +required
	Hash string `json:"hash"`

	// jobID is Dafty's id of the job.
	//
	// +required
	JobID string `json:"jobID"`

	// result is what the job generated. It is absent while it is fetched again
	// after a restore.
	//
	// +optional
	Result *JobResult `json:"result,omitempty"`

	// completedAt is when the job was seen to have completed.
	//
	// +optional
	CompletedAt *metav1.Time `json:"completedAt,omitempty"`

	// inputs are what the template's assetRefs were resolved to.
	//
	// +listType=map
	// +listMapKey=field
	// +optional
	Inputs []Input `json:"inputs,omitempty"`
}

// PendingJob is the DaftyJob of a change that isn't current yet.
type PendingJob struct {
	// jobName is the name of the DaftyJob.
	//
	// +required
	JobName string `json:"jobName"`

	// hash is of all that makes the request: the template, the revision, and what
	// its assetRefs were resolved to.
	//
	// +required
	Hash string `json:"hash"`

	// uid is the metadata.uid of the DaftyJob. Only the DaftyJob that is on
	// record here is ever submitted. It is empty while the DaftyJob is to be
	// created again.
	//
	// +optional
	UID types.UID `json:"uid,omitempty"`

	// assetUID is the metadata.uid of the DaftyAsset, while its DaftyJob is to be
	// created again. In one that was restored from a backup it is that of before:
	// the DaftyJob may have been created since, and isn't created again by itself.
	//
	// +optional
	AssetUID types.UID `json:"assetUID,omitempty"`

	// created is when the DaftyJob was created.
	//
	// +optional
	Created *metav1.Time `json:"created,omitempty"`

	// finishedAt is when the DaftyJob was seen to have failed or been cancelled.
	// The Ready condition says why. It is absent while it is being made.
	//
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`

	// changePolicy is Manual where the DaftyJob was created suspended.
	//
	// +optional
	ChangePolicy ChangePolicy `json:"changePolicy,omitempty"`

	// idempotencyKey is that of the DaftyJob, where it is to be another than the
	// template's with the hash: the job that has that one was called off.
	//
	// +optional
	IdempotencyKey string `json:"idempotencyKey,omitempty"`

	// inputs are what the template's assetRefs were resolved to. The DaftyJob
	// takes these.
	//
	// +listType=map
	// +listMapKey=field
	// +optional
	Inputs []Input `json:"inputs,omitempty"`
}

// As with DaftyJobs, the category "all" is left out on purpose: kubectl delete all --all would delete what is paid for.

// DaftyAsset is a picture, clip or brand style as desired state: it has
// DaftyJobs made from its template whenever that changes, and keeps the last
// good result.
//
// Creating one, or changing its template, has a DaftyJob submitted, which is
// paid for. Going back to a result that is in status.history costs nothing.
// Deleting it deletes its DaftyJobs, and so cancels what runs.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=daftyassets,shortName=da,categories=dafty
// +kubebuilder:metadata:annotations="kustomize.toolkit.fluxcd.io/prune=disabled"
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="the name of a DaftyAsset must be of at most 63 characters, as it is a label of its DaftyJobs",fieldPath=".metadata"
// +kubebuilder:validation:XValidation:rule="(!self.spec.template.spec.?imageGenerate.?style.?assetRef.hasValue() || self.spec.template.spec.imageGenerate.style.assetRef.name != self.metadata.name) && (!self.spec.template.spec.?imageGenerate.?references.hasValue() || self.spec.template.spec.imageGenerate.references.all(r, (!has(r.assetRef) || r.assetRef.name != self.metadata.name) && r.?styleSearch.?style.?assetRef.?name.orValue('-') != self.metadata.name))",message="a DaftyAsset can't refer to itself: under assetRef, name the DaftyAsset that keeps the style or the image",fieldPath=".spec.template.spec.imageGenerate"
// +kubebuilder:validation:XValidation:rule="(!self.spec.template.spec.?imageEdit.?image.?assetRef.hasValue() || self.spec.template.spec.imageEdit.image.assetRef.name != self.metadata.name) && (!self.spec.template.spec.?imageEdit.?references.hasValue() || self.spec.template.spec.imageEdit.references.all(r, (!has(r.assetRef) || r.assetRef.name != self.metadata.name) && r.?styleSearch.?style.?assetRef.?name.orValue('-') != self.metadata.name))",message="a DaftyAsset can't refer to itself: under assetRef, name the DaftyAsset that keeps the style or the image",fieldPath=".spec.template.spec.imageEdit"
// +kubebuilder:validation:XValidation:rule="!self.spec.template.spec.?imageResize.?image.?assetRef.hasValue() || self.spec.template.spec.imageResize.image.assetRef.name != self.metadata.name",message="a DaftyAsset can't refer to itself: under assetRef, name the DaftyAsset that keeps the image",fieldPath=".spec.template.spec.imageResize"
// +kubebuilder:validation:XValidation:rule="!self.spec.template.spec.?imageUpscale.?image.?assetRef.hasValue() || self.spec.template.spec.imageUpscale.image.assetRef.name != self.metadata.name",message="a DaftyAsset can't refer to itself: under assetRef, name the DaftyAsset that keeps the image",fieldPath=".spec.template.spec.imageUpscale"
// +kubebuilder:validation:XValidation:rule="(!self.spec.template.spec.?imageToVideo.?image.?assetRef.hasValue() || self.spec.template.spec.imageToVideo.image.assetRef.name != self.metadata.name) && self.spec.template.spec.?imageToVideo.?image.?styleSearch.?style.?assetRef.?name.orValue('-') != self.metadata.name",message="a DaftyAsset can't refer to itself: under assetRef, name the DaftyAsset that keeps the style or the image",fieldPath=".spec.template.spec.imageToVideo"
// +kubebuilder:validation:XValidation:rule="(!self.spec.template.spec.?videoFrames.?startImage.?assetRef.hasValue() || self.spec.template.spec.videoFrames.startImage.assetRef.name != self.metadata.name) && (!self.spec.template.spec.?videoFrames.?endImage.?assetRef.hasValue() || self.spec.template.spec.videoFrames.endImage.assetRef.name != self.metadata.name) && self.spec.template.spec.?videoFrames.?startImage.?styleSearch.?style.?assetRef.?name.orValue('-') != self.metadata.name && self.spec.template.spec.?videoFrames.?endImage.?styleSearch.?style.?assetRef.?name.orValue('-') != self.metadata.name",message="a DaftyAsset can't refer to itself: under assetRef, name the DaftyAsset that keeps the style or the image",fieldPath=".spec.template.spec.videoFrames"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether the current result is the one of the newest spec"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Reason of the Ready condition"
// +kubebuilder:printcolumn:name="Current",type=string,JSONPath=`.status.current.jobName`,description="The DaftyJob whose result is current"
// +kubebuilder:printcolumn:name="Pending",type=string,JSONPath=`.status.pending.jobName`,description="The DaftyJob of the change that isn't current yet"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Result",type=string,priority=1,JSONPath=`.status.current.result.primary`,description="The current result: the first image's or the video's url, or the style's id"
// +kubebuilder:printcolumn:name="Updated",type=date,priority=1,JSONPath=`.status.current.completedAt`,description="Time since the current result was completed"
type DaftyAsset struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the desired state of the asset.
	//
	// +required
	Spec DaftyAssetSpec `json:"spec,omitzero"`

	// status is the observed state of the asset.
	//
	// +default={"observedGeneration":-1}
	// +optional
	Status DaftyAssetStatus `json:"status,omitzero"`
}

// DaftyAssetList is a list of DaftyAssets.
//
// +kubebuilder:object:root=true
type DaftyAssetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// items of the list.
	Items []DaftyAsset `json:"items"`
}
