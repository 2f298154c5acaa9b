package asset_test

import (
	"testing"

	"sigs.k8s.io/yaml"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/asset"
)

// A request has the hash that it always had: with another one, a new version of the operator would make, and pay for, all that there
// is once more. A field that is new in the API must be left out of the JSON where it isn't given.
func TestHashesStay(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]string{
		`template: {spec: {imageGenerate: {prompt: a mountain}}}`: "96ab1a64db",
		`template: {spec: {imageGenerate: {prompt: a mountain, aspectRatio: "16:9", quality: high, resolution: 4K, variations: 2,
		  style: {id: 5f0c4c3e-8b1d-4e43-9d9c-0d7a3a1c2b4f}, references: [{url: "https://example.com/a.png"}, {configMapKeyRef: {name: brand, key: logo.png}}]}}}`: "aca96ed187",
		`{revision: "2", template: {spec: {imageGenerate: {prompt: a mountain}, idempotencyKey: spring}}}`:                                                                   "1c4038eabc",
		`template: {spec: {imageGenerate: {prompt: a mountain, style: {assetRef: {name: brand}}}}}`:                                                                          "965155e0f6",
		`template: {spec: {imageToVideo: {image: {jobRef: {name: hero, index: 1}}, prompt: zoom, audio: false, negativePrompt: ""}}}`:                                        "7b8fd87a7f",
		`template: {spec: {videoFrames: {startImage: {id: up_1}, endImage: {id: up_2}, prompt: night, duration: 4}}}`:                                                        "dcc28b20f3",
		`template: {spec: {styleExtract: {url: "https://example.com/brand"}}}`:                                                                                               "189b8b372e",
		`template: {spec: {imageGenerate: {prompt: a mountain, references: [{styleSearch: {style: {assetRef: {name: brand}}, query: logo, minSimilarity: 60, index: 1}}]}}}`: "bc3413613e",
		`template: {spec: {imageGenerate: {prompt: a mountain, references: [{styleSearch: {style: {id: 5f0c4c3e-8b1d-4e43-9d9c-0d7a3a1c2b4f}, query: logo}}]}}}`:             "2f33c1ebcc",
	} {
		e := newEnv(t)
		e.asset.Spec = v1alpha1.DaftyAssetSpec{}
		if err := yaml.UnmarshalStrict([]byte(spec), &e.asset.Spec); err != nil {
			t.Fatal(err)
		}
		e.upstream["brand"] = upstreamOf("brand", "job-1")
		create, ok := asset.Next(asset.Snapshot{Asset: e.asset, Upstream: e.upstream, Now: e.now}).First.(asset.CreateJob)
		if !ok || create.Job.Name != "hero-"+want {
			t.Errorf("%s\nmakes %s, want hero-%s", spec, create.Job.Name, want)
		}
	}
}
