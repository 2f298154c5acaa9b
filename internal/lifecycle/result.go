package lifecycle

import (
	"encoding/json"
	"fmt"
	"math"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

func knownType(t dafty.JobType) bool {
	switch t {
	case dafty.ImageGenerate, dafty.ImageEdit, dafty.ImageResize, dafty.ImageUpscale, dafty.VideoGenerate, dafty.StyleExtract:
		return true
	}
	return false
}

// jobResult returns Dafty's result in status' form, nil where there is none.
func jobResult(from *dafty.JobResult) *v1alpha1.JobResult {
	if from == nil {
		return nil
	}
	result := &v1alpha1.JobResult{}
	if from.Images != nil {
		for _, image := range *from.Images {
			result.Images = append(result.Images, v1alpha1.Image{ID: image.Id, URL: image.Url, Width: pixels(image.Width), Height: pixels(image.Height)})
		}
	}
	if video := from.Video; video != nil {
		result.Video = &v1alpha1.Video{ID: video.Id, URL: video.Url, DurationSeconds: pixels(video.DurationSeconds), Width: pixels(video.Width),
			Height: pixels(video.Height)}
		if video.ThumbnailUrl != nil {
			result.Video.ThumbnailURL = *video.ThumbnailUrl
		}
	}
	if from.Style != nil {
		result.Style = &v1alpha1.Style{ID: from.Style.Id}
	}
	switch {
	case len(result.Images) > 0:
		result.Primary = result.Images[0].URL
	case result.Video != nil:
		result.Primary = result.Video.URL
	case result.Style != nil:
		result.Primary = result.Style.ID
	}
	return result
}

// pixels leaves out what no picture's side and no clip's seconds can be.
func pixels(n *int) *int32 {
	if n == nil || *n < 0 || *n > math.MaxInt32 {
		return nil
	}
	to := int32(*n)
	return &to
}

// describeResult sums a result up for a message.
func describeResult(result *v1alpha1.JobResult) string {
	switch {
	case result == nil:
		return "Dafty completed the job and names no result"
	case len(result.Images) == 1:
		return "Dafty made an image"
	case len(result.Images) > 1:
		return fmt.Sprintf("Dafty made %d images", len(result.Images))
	case result.Video != nil:
		return "Dafty made a video"
	case result.Style != nil:
		return "Dafty extracted the style " + result.Style.ID
	default:
		return "Dafty completed the job"
	}
}

// maxResult bounds what a result may take of an object, in bytes: etcd takes 1.5 MB in all, and
// a status that it refuses could never be written.
const maxResult = 512 << 10

// maxDetails bounds what Dafty's details may take of an object, in bytes.
const maxDetails = 16 << 10

// jobError returns Dafty's error in status' form.
func jobError(err *dafty.CallError) *v1alpha1.JobError {
	to := &v1alpha1.JobError{Code: err.Code, Message: err.Message}
	if len(err.Details) == 0 {
		return to
	}
	if raw, jsonErr := json.Marshal(err.Details); jsonErr == nil && len(raw) <= maxDetails {
		to.Details = &apiextensionsv1.JSON{Raw: raw}
	}
	return to
}
