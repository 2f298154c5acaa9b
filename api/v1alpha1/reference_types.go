package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// SecretKeyReference names one key of a Secret in the DaftyJob's namespace.
type SecretKeyReference struct {
	// name of the Secret. The default is dafty-credentials.
	//
	// +default="dafty-credentials"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="must be the name of a Secret: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
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

// AccountReference names a DaftyAccount.
type AccountReference struct {
	// name of the DaftyAccount. One that isn't there and one that doesn't select
	// the namespace are told of in the same words.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="must be the name of a DaftyAccount: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
	// +required
	Name string `json:"name,omitempty"`
}

// JobReference names an image that another DaftyJob of the namespace generates.
type JobReference struct {
	// name of the DaftyJob, in the same namespace. The job waits until that one
	// completes, and fails if it fails, is cancelled, or is deleted before.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="must be the name of a DaftyJob: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
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
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="must be the name of a DaftyJob: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
	// +required
	Name string `json:"name,omitempty"`
}

// AssetReference names an image that a DaftyAsset of the namespace keeps.
type AssetReference struct {
	// name of the DaftyAsset, in the same namespace. Nothing is submitted until
	// it is Ready; then its result of that moment is taken. Newer ones are taken
	// by a DaftyAsset with followInputs, and never by a DaftyJob.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="must be the name of a DaftyAsset: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
	// +required
	Name string `json:"name,omitempty"`

	// index of the variation, from 0. The default is 0.
	//
	// +default=0
	// +kubebuilder:validation:Minimum=0
	// +optional
	Index int32 `json:"index,omitempty"`
}

// StyleAssetReference names a brand style that a DaftyAsset of the namespace keeps.
type StyleAssetReference struct {
	// name of the DaftyAsset, in the same namespace. Nothing is submitted until
	// it is Ready; then its result of that moment is taken. Newer ones are taken
	// by a DaftyAsset with followInputs, and never by a DaftyJob.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="must be the name of a DaftyAsset: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
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
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="must be the name of a ConfigMap: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
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
// +kubebuilder:validation:XValidation:rule="[has(self.id), has(self.jobRef), has(self.assetRef)].filter(given, given).size() == 1",message="give exactly one of id (see status.result.images[].id of the job that made the image), jobRef (the DaftyJob that makes it) or assetRef (the DaftyAsset that keeps it)"
type ImageTarget struct {
	// id of the image, a UUID: one variation's id, as status.result.images[].id
	// of the DaftyJob that made it shows it, or that job's id, status.jobID,
	// which stands for its first image. Dafty's documentation calls it either;
	// with jobRef and assetRef, the operator tries both.
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

	// assetRef is a DaftyAsset of the namespace that keeps the image. It is named
	// to Dafty as with jobRef.
	//
	// +optional
	AssetRef *AssetReference `json:"assetRef,omitempty"`
}

// ImageReference names a reference image. Exactly one field is given.
//
// +kubebuilder:validation:XValidation:rule="[has(self.url), has(self.id), has(self.jobRef), has(self.assetRef), has(self.configMapKeyRef), has(self.styleSearch)].filter(given, given).size() == 1",message="give exactly one of url (an https URL), id (of an upload or of the job that made an image), jobRef (the DaftyJob that makes the image), assetRef (the DaftyAsset that keeps it), configMapKeyRef (a picture in a ConfigMap) or styleSearch (a search for it in a brand style)"
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

	// assetRef is a DaftyAsset of the namespace that keeps the image. It is named
	// to Dafty as with jobRef.
	//
	// +optional
	AssetRef *AssetReference `json:"assetRef,omitempty"`

	// configMapKeyRef is an image in a ConfigMap of the namespace: PNG, JPEG,
	// GIF or WebP. It is uploaded to Dafty before the job is submitted.
	//
	// +optional
	ConfigMapKeyRef *ConfigMapKeyReference `json:"configMapKeyRef,omitempty"`

	// styleSearch is an image among the assets of a brand style at Dafty, found
	// by a search before the job is first submitted. status.inputs shows which;
	// each attempt is sent with that one.
	//
	// +optional
	StyleSearch *StyleSearch `json:"styleSearch,omitempty"`
}

// StyleSearch finds an image among the assets of a brand style.
type StyleSearch struct {
	// style is the brand style to search in.
	//
	// +required
	Style StyleSource `json:"style,omitzero"`

	// query says in words what to look for: 1 to 500 characters. Dafty compares
	// by meaning, so that one asset is always the most similar, however little
	// that is; minSimilarity bounds it.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=500
	// +kubebuilder:validation:XValidation:rule="self.trim().size() > 0",message="must say in words what to look for, in 1 to 500 characters"
	// +required
	Query string `json:"query,omitempty"`

	// minSimilarity is how similar to the query the asset must be at least, in
	// percent: 0 to 100. Where it is less similar, or Dafty doesn't say how
	// similar it is, nothing is submitted; the reason is StyleAssetNotFound, and
	// the search is repeated after 5 minutes, and less often later, up to an
	// hour. Unset: any asset is taken.
	//
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +optional
	MinSimilarity *int32 `json:"minSimilarity,omitempty"`

	// index says which of the assets that are found to take, from 0, the most
	// similar: 0 to 49. The default is 0. Where fewer are found, nothing is
	// submitted, as with minSimilarity.
	//
	// +default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=49
	// +optional
	Index int32 `json:"index,omitempty"`
}

// StyleSource names a brand style: exactly one field is given.
//
// +kubebuilder:validation:XValidation:rule="[has(self.id), has(self.jobRef), has(self.assetRef)].filter(given, given).size() == 1",message="give exactly one of id (see status.result.style.id of the job that extracted the style), jobRef (the DaftyJob that extracts it) or assetRef (the DaftyAsset that keeps it)"
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

	// assetRef is a DaftyAsset of the namespace that keeps the style.
	//
	// +optional
	AssetRef *StyleAssetReference `json:"assetRef,omitempty"`
}

// Input is what one reference in the spec was resolved to.
type Input struct {
	// field of the spec, such as imageUpscale.image,
	// imageGenerate.references[0], or, for the style that is searched,
	// imageGenerate.references[0].styleSearch.style.
	//
	// +required
	Field string `json:"field"`

	// source is what the field refers to, such as "DaftyJob spring-hero, image
	// 0", "DaftyAsset brand", "ConfigMap brand, key logo.png" or "the style of
	// DaftyJob brand, asset 0 of a search for "logo on white"".
	//
	// +optional
	Source string `json:"source,omitempty"`

	// uid of the DaftyJob that the field refers to. One that is created later
	// under the same name is another. Empty for a DaftyAsset.
	//
	// +optional
	UID types.UID `json:"uid,omitempty"`

	// id at Dafty of the image, upload, style or asset of a style, once it is
	// known: of an image it names this variation.
	//
	// +optional
	ID string `json:"id,omitempty"`

	// url of the image in the result of the job that made it, or of the asset.
	//
	// +optional
	URL string `json:"url,omitempty"`

	// jobID is the id of the job at Dafty that made the image or style.
	//
	// +optional
	JobID string `json:"jobID,omitempty"`

	// name of the asset that the search in a style has found; empty where Dafty
	// gives it none.
	//
	// +optional
	Name string `json:"name,omitempty"`

	// similarity of that asset to the query, in whole percent: 0 to 100, rounded
	// down. Unset where Dafty doesn't say it.
	//
	// +optional
	Similarity *int32 `json:"similarity,omitempty"`

	// sentAs says which of url, id and jobID the request holds: URL, ID or JobID.
	// Empty: the id. An asset of a style is referred to by its url alone. An
	// image that another DaftyJob made is referred to by its url, and an image to
	// edit, resize or upscale is named by its id. Where Dafty refuses that, the
	// next form is sent, each once, under an idempotency key of its own; jobID
	// only for the image with the index 0.
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
