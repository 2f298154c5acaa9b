package v1alpha1_test

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

const (
	imageID      = "0d5c6b1e-3f2a-4b7c-9a10-1c2d3e4f5a6b"
	otherImageID = "6C1FAB34-90DE-4A77-B1D2-55E0F3A9C8D7"
	styleID      = "7a9e2c40-5b1d-4f3e-8c6a-2b4d6f8091a3"
	uploadID     = "up_4f1c9a"
	jobID        = "5f0c4c3e-8b1d-4e43-9d9c-0d7a3a1c2b4f"
	imageURL     = "https://example.com/logo.png"
)

// fields are those of a JSON object.
type fields = map[string]any

// operations are those of the spec, in its order.
var operations = []string{"imageGenerate", "imageEdit", "imageResize", "imageUpscale", "imageToVideo", "videoFrames", "styleExtract"}

// least is the shortest valid request of an operation.
func least(operation string) fields {
	return map[string]fields{
		"imageGenerate": {"prompt": "a mountain at sunrise"},
		"imageEdit":     {"image": fields{"id": imageID}, "prompt": "more snow"},
		"imageResize":   {"image": fields{"id": imageID}, "aspectRatio": "21:9"},
		"imageUpscale":  {"image": fields{"id": imageID}},
		"imageToVideo":  {"image": fields{"url": imageURL}, "prompt": "clouds drift"},
		"videoFrames":   {"startImage": fields{"url": imageURL}, "endImage": fields{"id": imageID}, "prompt": "the sun rises"},
		"styleExtract":  {"url": "https://example.com"},
	}[operation]
}

// most is a valid request of an operation with every field given, and each with another value than in least.
func most(operation string) fields {
	references := []any{fields{"url": imageURL}, fields{"id": uploadID}}
	return map[string]fields{
		"imageGenerate": {
			"prompt": "a lake at noon", "aspectRatio": "16:9", "quality": "high", "resolution": "2K",
			"style": fields{"id": styleID}, "references": references, "variations": int64(2),
		},
		"imageEdit":    {"image": fields{"id": otherImageID}, "prompt": "no snow", "references": references},
		"imageResize":  {"image": fields{"id": otherImageID}, "aspectRatio": "8:1", "resolution": "4K"},
		"imageUpscale": {"image": fields{"id": otherImageID}, "resolution": "4K"},
		"imageToVideo": {
			"image": fields{"id": uploadID}, "prompt": "rain sets in", "duration": int64(15), "resolution": "480p",
			"audio": false, "negativePrompt": "people",
		},
		"videoFrames": {
			"startImage": fields{"id": uploadID}, "endImage": fields{"url": imageURL}, "prompt": "the sun sets",
			"duration": int64(4), "resolution": "720p", "aspectRatio": "auto", "audio": true, "negativePrompt": "people",
		},
		"styleExtract": {"url": "http://example.com/brand?lang=en"},
	}[operation]
}

// chained are the valid requests of an operation that name other objects of the namespace, in each way once.
func chained(operation string) []fields {
	hero := fields{"jobRef": fields{"name": "spring-hero", "index": int64(1)}}
	kept := fields{"assetRef": fields{"name": "hero.2026", "index": int64(1)}}
	logo := fields{"configMapKeyRef": fields{"name": "brand.2026", "key": "Logo_dark-2.png"}}
	found := fields{"styleSearch": fields{"style": fields{"id": styleID}, "query": strings.Repeat("é", 500), "minSimilarity": int64(100), "index": int64(49)}}
	made := fields{"styleSearch": fields{"style": fields{"jobRef": fields{"name": "brand-style"}}, "query": "logo on white", "minSimilarity": int64(0), "index": int64(0)}}
	brands := fields{"styleSearch": fields{"style": fields{"assetRef": fields{"name": "brand"}}, "query": "x", "index": int64(1)}}
	return map[string][]fields{
		"imageGenerate": {
			{"prompt": "a lake", "style": fields{"jobRef": fields{"name": "brand-style"}}, "references": list(hero, logo)},
			{"prompt": "a lake", "style": fields{"assetRef": fields{"name": "brand"}}, "references": list(logo, kept)},
			{"prompt": "a lake", "references": list(found, made, brands, logo)},
		},
		"imageEdit":    {{"prompt": "more snow", "image": hero, "references": list(hero, logo)}, {"prompt": "more snow", "image": kept, "references": list(kept, hero)}, {"prompt": "more snow", "image": hero, "references": list(found, made, brands)}},
		"imageResize":  {{"aspectRatio": "21:9", "image": hero}, {"aspectRatio": "21:9", "image": kept}},
		"imageUpscale": {{"image": hero}, {"image": kept}},
		"imageToVideo": {{"prompt": "clouds drift", "image": hero}, {"prompt": "clouds drift", "image": logo}, {"prompt": "clouds drift", "image": kept}, {"prompt": "clouds drift", "image": found}, {"prompt": "clouds drift", "image": made}, {"prompt": "clouds drift", "image": brands}},
		"videoFrames": {
			{"prompt": "the sun rises", "startImage": hero, "endImage": logo}, {"prompt": "the sun sets", "startImage": logo, "endImage": hero},
			{"prompt": "the sun stays", "startImage": kept, "endImage": kept},
			{"prompt": "the sun moves", "startImage": made, "endImage": brands}, {"prompt": "the sun turns", "startImage": brands, "endImage": found},
			{"prompt": "the sun is gone", "startImage": found, "endImage": made},
		},
	}[operation]
}

// manifest is a DaftyJob or a DaftyAsset as a user gives it.
type manifest struct{ *unstructured.Unstructured }

// daftyJob is the shortest valid DaftyJob of an operation.
func daftyJob(operation string) manifest {
	return daftyJobOf(fields{operation: least(operation)})
}

func daftyJobOf(spec fields) manifest {
	return manifest{&unstructured.Unstructured{Object: fields{
		"apiVersion": v1alpha1.GroupVersion.String(),
		"kind":       "DaftyJob",
		"metadata":   fields{"generateName": "job-"},
		"spec":       spec,
	}}}
}

// with returns a copy in which the field at a dotted path is set.
func (m manifest) with(path string, value any) manifest {
	changed := m.DeepCopy()
	if err := unstructured.SetNestedField(changed.Object, runtime.DeepCopyJSONValue(value), strings.Split(path, ".")...); err != nil {
		panic(err)
	}
	return manifest{changed}
}

// without returns a copy that lacks the field at a dotted path.
func (m manifest) without(path string) manifest {
	changed := m.DeepCopy()
	unstructured.RemoveNestedField(changed.Object, strings.Split(path, ".")...)
	return manifest{changed}
}

// list is never nil, which JSON would call null.
func list(items ...any) []any { return append([]any{}, items...) }

// longURL is a valid https URL of so many characters.
func longURL(length int) string { return imageURL + "?" + strings.Repeat("x", length-len(imageURL)-1) }
