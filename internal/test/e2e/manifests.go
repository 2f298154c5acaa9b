package e2e

import (
	"fmt"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// Short returns the manifest of a DaftyJob that takes two seconds, with further lines of its spec.
func Short(name, prompt string, spec ...string) string {
	return daftyJob(name, append(spec, "imageGenerate: {prompt: "+fmt.Sprintf("%q", prompt)+"}"))
}

// frames is a request that runs until it is cancelled.
const frames = `videoFrames: {prompt: The sun comes up, startImage: {url: "https://example.com/1.png"}, endImage: {url: "https://example.com/2.png"}}`

// Endless returns the manifest of a DaftyJob that runs until it is cancelled.
func Endless(name string, spec ...string) string { return daftyJob(name, append(spec, frames)) }

// Waiting returns the manifest of a DaftyJob that is never submitted: it refers to one that doesn't exist.
func Waiting(name string, spec ...string) string {
	return daftyJob(name, append(spec, `imageUpscale: {image: {jobRef: {name: nobody}}, resolution: 4K}`))
}

func daftyJob(name string, spec []string) string {
	return "apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata:\n  name: " + name + "\nspec:\n  " + strings.Join(spec, "\n  ") + "\n"
}

// Asset returns the manifest of a DaftyAsset, with the lines of its template's spec and of its own spec.
func Asset(name, template string, spec ...string) string {
	return "apiVersion: dafty.ai/v1alpha1\nkind: DaftyAsset\nmetadata:\n  name: " + name + "\nspec:\n  template:\n    spec:\n      " +
		strings.ReplaceAll(template, "\n", "\n      ") + "\n" + strings.Join(append(spec, ""), "\n")
}

// Clip returns the manifest of an asset that is made until that is cancelled.
func Clip() string { return Asset("clip", frames) }

// Hero returns the manifest of an asset whose result is in a ConfigMap of its name.
func Hero(prompt string, spec ...string) string {
	return Asset("hero", fmt.Sprintf("imageGenerate: {prompt: %q}", prompt), append(spec, "  resultConfigMap: hero")...)
}

// Folder writes manifests into a folder of the repository, one file for an object.
func (w *World) Folder(folder string, manifests ...string) {
	w.Helper()
	for _, manifest := range manifests {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(manifest), object); err != nil {
			w.Fatalf("%v\n%s", err, manifest)
		}
		w.Repo.Write(path.Join(folder, object.GetName()+".yaml"), manifest)
	}
}
