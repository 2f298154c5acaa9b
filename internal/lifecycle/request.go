package lifecycle

import (
	"errors"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

// Request returns what a spec asks of Dafty, where its references stand for these inputs. It fails where the spec has no
// operation that this version of the operator knows, and where an input is missing.
func Request(spec *v1alpha1.DaftyJobSpec, inputs []v1alpha1.Input) (dafty.Create, error) {
	spec, err := withReferences(spec, inputs)
	if err != nil {
		return nil, err
	}
	return request(spec)
}

// Class returns the class of the create that makes the job of a spec, dafty.ClassOther where it isn't known.
func Class(spec *v1alpha1.DaftyJobSpec) dafty.Class { return JobType(spec).CreateClass() }

var errNoOperation = errors.New("spec holds no operation that this version of the operator knows; upgrade the operator")

// request returns the request of a spec without references.
func request(spec *v1alpha1.DaftyJobSpec) (dafty.Create, error) {
	switch {
	case spec.ImageGenerate != nil:
		r := spec.ImageGenerate
		request := dafty.GenerateImageRequest{
			Prompt:      string(r.Prompt),
			AspectRatio: optional[dafty.GenerateImageRequestAspectRatio](r.AspectRatio),
			Quality:     optional[dafty.GenerateImageRequestQuality](r.Quality),
			Resolution:  optional[dafty.GenerateImageRequestResolution](r.Resolution),
			References:  references(r.References),
			Variations:  number(r.Variations),
		}
		if r.Style != nil {
			request.StyleId = &r.Style.ID
		}
		return request, nil
	case spec.ImageEdit != nil:
		r := spec.ImageEdit
		return dafty.EditImageRequest{
			ImageId:    r.Image.ID,
			Prompt:     string(r.Prompt),
			References: references(r.References),
		}, nil
	case spec.ImageResize != nil:
		r := spec.ImageResize
		return dafty.ResizeImageRequest{
			ImageId:     r.Image.ID,
			AspectRatio: dafty.ResizeImageRequestAspectRatio(r.AspectRatio),
			Resolution:  optional[dafty.Resolution](r.Resolution),
		}, nil
	case spec.ImageUpscale != nil:
		r := spec.ImageUpscale
		return dafty.UpscaleImageRequest{
			ImageId:    r.Image.ID,
			Resolution: optional[dafty.Resolution](r.Resolution),
		}, nil
	case spec.ImageToVideo != nil:
		r := spec.ImageToVideo
		return dafty.ImageToVideoRequest{
			Image:          reference(r.Image),
			Prompt:         string(r.Prompt),
			Duration:       number(r.Duration),
			Resolution:     optional[dafty.ImageToVideoRequestResolution](r.Resolution),
			Audio:          r.Audio,
			NegativePrompt: text(r.NegativePrompt),
		}, nil
	case spec.VideoFrames != nil:
		r := spec.VideoFrames
		return dafty.VideoFramesRequest{
			StartImage:     reference(r.StartImage),
			EndImage:       reference(r.EndImage),
			Prompt:         string(r.Prompt),
			Duration:       number(r.Duration),
			Resolution:     optional[dafty.VideoFramesRequestResolution](r.Resolution),
			AspectRatio:    optional[dafty.VideoFramesRequestAspectRatio](r.AspectRatio),
			Audio:          r.Audio,
			NegativePrompt: text(r.NegativePrompt),
		}, nil
	case spec.StyleExtract != nil:
		return dafty.ExtractStyleRequest{Url: spec.StyleExtract.URL}, nil
	default:
		return nil, errNoOperation
	}
}

// JobType returns Dafty's word for the operation of a spec, empty where this version of the operator knows none.
func JobType(spec *v1alpha1.DaftyJobSpec) dafty.JobType {
	switch {
	case spec.ImageGenerate != nil:
		return dafty.ImageGenerate
	case spec.ImageEdit != nil:
		return dafty.ImageEdit
	case spec.ImageResize != nil:
		return dafty.ImageResize
	case spec.ImageUpscale != nil:
		return dafty.ImageUpscale
	case spec.ImageToVideo != nil, spec.VideoFrames != nil:
		return dafty.VideoGenerate
	case spec.StyleExtract != nil:
		return dafty.StyleExtract
	default:
		return ""
	}
}

// optional leaves a field out of the request where the user gave none: its default is
// Dafty's own.
func optional[To, From ~string](value From) *To {
	if value == "" {
		return nil
	}
	to := To(value)
	return &to
}

func text(value *v1alpha1.NegativePrompt) *string {
	if value == nil {
		return nil
	}
	return (*string)(value)
}

func number(value *int32) *int {
	if value == nil {
		return nil
	}
	n := int(*value)
	return &n
}

func reference(ref v1alpha1.ImageReference) dafty.ImageReference {
	if ref.URL != "" {
		return ref.URL
	}
	return ref.ID
}

func references(refs []v1alpha1.ImageReference) *dafty.References {
	if len(refs) == 0 {
		return nil
	}
	list := make(dafty.References, len(refs))
	for i, ref := range refs {
		list[i] = reference(ref)
	}
	return &list
}
