package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// Where the samples are, from the top of the repository: each by itself, and a campaign of which each is made of the one
// before.
const (
	samplesPath  = "config/samples"
	secretPath   = samplesPath + "/secret.yaml"
	campaignPath = samplesPath + "/campaign"
)

// Samples that the demo does something to.
const (
	sampleReleased  = "summer-hero"
	sampleCancelled = "autumn-clip"
	sampleDeleted   = "winter-draft"
	sampleAwaited   = "spring-hero"
	sampleHandedOn  = "launch-clip"
)

// samples are the manifests that kubectl will apply, read to know what Dafty must have before them.
type samples struct {
	apiKey string
	jobs   map[string]*v1alpha1.DaftyJob
	assets []string // names of DaftyAssets, in order
}

func readSamples(root string) (*samples, error) {
	var secret corev1.Secret
	if err := readYAML(filepath.Join(root, secretPath), &secret); err != nil {
		return nil, err
	}
	all := &samples{apiKey: secret.StringData[v1alpha1.DefaultSecretKey], jobs: map[string]*v1alpha1.DaftyJob{}}
	for _, dir := range []string{samplesPath, campaignPath, assetsPath} {
		if err := all.read(filepath.Join(root, dir)); err != nil {
			return nil, err
		}
	}
	for name := range expectations {
		if all.jobs[name] == nil {
			return nil, fmt.Errorf("%s has no DaftyJob %s, which hack/demo knows an ending for", samplesPath, name)
		}
	}
	for name := range all.jobs {
		if _, known := expectations[name]; !known {
			return nil, fmt.Errorf("%s has a DaftyJob %s; say in hack/demo's endings how it should end", samplesPath, name)
		}
	}
	return all, nil
}

// read reads the files that the kustomization of a folder lists.
func (s *samples) read(dir string) error {
	files, err := resources(dir)
	if err != nil {
		return err
	}
	for _, file := range files {
		var kind metav1.TypeMeta
		if err := readYAML(file, &kind); err != nil {
			return err
		}
		switch kind.Kind {
		case "DaftyJob":
			job := &v1alpha1.DaftyJob{}
			if err := readYAML(file, job); err != nil {
				return err
			}
			if s.jobs[job.Name] != nil {
				return fmt.Errorf("%s: there is another DaftyJob %s", file, job.Name)
			}
			s.jobs[job.Name] = job
		case "DaftyAsset":
			asset := &v1alpha1.DaftyAsset{}
			if err := readYAML(file, asset); err != nil {
				return err
			}
			s.assets = append(s.assets, asset.Name)
		default:
			return fmt.Errorf("%s: a %q is nothing that the demo knows", file, kind.Kind)
		}
	}
	return nil
}

// resources returns the files that the kustomization of a folder lists.
func resources(dir string) (files []string, err error) {
	var kustomization struct {
		Resources []string `json:"resources"`
	}
	if err := readYAML(filepath.Join(dir, "kustomization.yaml"), &kustomization); err != nil {
		return nil, err
	}
	for _, name := range kustomization.Resources {
		files = append(files, filepath.Join(dir, name))
	}
	return files, nil
}

func readYAML(file string, into any) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(content, into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

func (s *samples) names() []string { return slices.Sorted(maps.Keys(s.jobs)) }

// account returns the account at Dafty that the samples need: with their key, and with the images and styles that they
// refer to.
func (s *samples) account() daftysim.Account {
	account := daftysim.Account{Name: "demo", APIKeys: []string{s.apiKey}}
	image := func(target v1alpha1.ImageTarget) {
		if target.ID == "" { // another sample makes it
			return
		}
		// Wide as a hero image is, so that what becomes of it looks right.
		account.Images = append(account.Images, daftysim.Image{
			ID: target.ID, Width: 1536, Height: 864, Prompt: "A runner on a ridge above a sea of morning fog",
		})
	}
	for _, job := range s.jobs {
		spec := job.Spec
		switch {
		case spec.ImageEdit != nil:
			image(spec.ImageEdit.Image)
		case spec.ImageResize != nil:
			image(spec.ImageResize.Image)
		case spec.ImageUpscale != nil:
			image(spec.ImageUpscale.Image)
		case spec.ImageGenerate != nil && spec.ImageGenerate.Style != nil && spec.ImageGenerate.Style.ID != "":
			account.Styles = append(account.Styles, daftysim.Style{ID: spec.ImageGenerate.Style.ID, Name: "https://example.com/brand"})
		}
	}
	return account
}

// prompt returns the prompt of a job, by which it is found in Dafty's ledger.
func prompt(spec v1alpha1.DaftyJobSpec) string {
	switch {
	case spec.ImageGenerate != nil:
		return string(spec.ImageGenerate.Prompt)
	case spec.ImageEdit != nil:
		return string(spec.ImageEdit.Prompt)
	case spec.ImageToVideo != nil:
		return string(spec.ImageToVideo.Prompt)
	case spec.VideoFrames != nil:
		return string(spec.VideoFrames.Prompt)
	default:
		return ""
	}
}
