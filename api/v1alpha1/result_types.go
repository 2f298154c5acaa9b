package v1alpha1

import apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

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
