package lifecycle

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// source is a field of a spec whose value is known only when the job is to be submitted.
type source struct {
	field string
	// One of the four is set: another object of the namespace, or a search. A style has no index.
	job    *v1alpha1.JobReference
	asset  *v1alpha1.AssetReference
	file   *v1alpha1.ConfigMapKeyReference
	search *v1alpha1.StyleSearch
	style  bool
	// within is the field of the search that is made in a style, empty where the style is for the request itself.
	within string
	// target reports whether the field names an image that is to be worked on, not one to go by.
	target bool
	// set puts what the reference stands for into the field, in the reference's place.
	set func(in *v1alpha1.Input)
}

func (s source) String() string {
	switch {
	case s.file != nil:
		return fmt.Sprintf("ConfigMap %s, key %s", s.file.Name, s.file.Key)
	case s.search != nil:
		return fmt.Sprintf("%s, asset %d of a search for %q", describeStyle(&s.search.Style), s.search.Index, s.search.Query)
	}
	maker := JobNode
	if s.asset != nil {
		maker = AssetNode
	}
	name, index := s.made()
	if s.style {
		return maker(name).String()
	}
	return fmt.Sprintf("%s, image %d", maker(name), index)
}

// made returns the name of the DaftyJob or DaftyAsset that s refers to, empty where it is none, and the index of the image.
func (s source) made() (name string, index int32) {
	switch {
	case s.job != nil:
		return s.job.Name, s.job.Index
	case s.asset != nil:
		return s.asset.Name, s.asset.Index
	}
	return "", 0
}

// sources returns the fields of a spec that refer to other objects, in order.
func sources(spec *v1alpha1.DaftyJobSpec) []source {
	var all []source
	target := func(field string, to *v1alpha1.ImageTarget) {
		if to.JobRef != nil || to.AssetRef != nil {
			all = append(all, source{field: field, job: to.JobRef, asset: to.AssetRef, target: true,
				set: func(in *v1alpha1.Input) { *to = v1alpha1.ImageTarget{ID: sent(in)} }})
		}
	}
	style := func(field, within string, of *v1alpha1.StyleSource) {
		s := source{field: field, within: within, style: true, set: func(in *v1alpha1.Input) { *of = v1alpha1.StyleSource{ID: sent(in)} }}
		switch {
		case of.JobRef != nil:
			s.job = &v1alpha1.JobReference{Name: of.JobRef.Name}
		case of.AssetRef != nil:
			s.asset = &v1alpha1.AssetReference{Name: of.AssetRef.Name}
		default:
			return
		}
		all = append(all, s)
	}
	reference := func(field string, to *v1alpha1.ImageReference) {
		if search := to.StyleSearch; search != nil {
			style(styleField(field), field, &search.Style)
			all = append(all, source{field: field, search: search, set: func(in *v1alpha1.Input) { *to = v1alpha1.ImageReference{URL: sent(in)} }})
		}
		if to.JobRef != nil || to.AssetRef != nil || to.ConfigMapKeyRef != nil {
			all = append(all, source{field: field, job: to.JobRef, asset: to.AssetRef, file: to.ConfigMapKeyRef,
				set: func(in *v1alpha1.Input) { *to = v1alpha1.ImageReference{ID: sent(in)} }})
		}
	}
	references := func(field string, to []v1alpha1.ImageReference) {
		for i := range to {
			reference(fmt.Sprintf("%s[%d]", field, i), &to[i])
		}
	}
	if r := spec.ImageGenerate; r != nil {
		if r.Style != nil {
			style("imageGenerate.style", "", r.Style)
		}
		references("imageGenerate.references", r.References)
	}
	if r := spec.ImageEdit; r != nil {
		target("imageEdit.image", &r.Image)
		references("imageEdit.references", r.References)
	}
	if r := spec.ImageResize; r != nil {
		target("imageResize.image", &r.Image)
	}
	if r := spec.ImageUpscale; r != nil {
		target("imageUpscale.image", &r.Image)
	}
	if r := spec.ImageToVideo; r != nil {
		reference("imageToVideo.image", &r.Image)
	}
	if r := spec.VideoFrames; r != nil {
		reference("videoFrames.startImage", &r.StartImage)
		reference("videoFrames.endImage", &r.EndImage)
	}
	return all
}

// DependsOn returns the names of the DaftyJobs that a spec refers to, each once.
func DependsOn(spec *v1alpha1.DaftyJobSpec) []string {
	var names []string
	for _, s := range sources(spec) {
		if s.job != nil && !slices.Contains(names, s.job.Name) {
			names = append(names, s.job.Name)
		}
	}
	return names
}

// Needs returns what is still to be read before a job can be submitted: DaftyJobs by name, and files. NeedsAssets is the same for
// DaftyAssets.
func Needs(job *v1alpha1.DaftyJob) (jobs []string, files []v1alpha1.ConfigMapKeyReference) {
	for _, s := range needed(job) {
		switch {
		case s.file != nil && !slices.Contains(files, *s.file):
			files = append(files, *s.file)
		case s.job != nil && !slices.Contains(jobs, s.job.Name):
			jobs = append(jobs, s.job.Name)
		}
	}
	return jobs, files
}

// needed returns what a job refers to and has still to be read before it can be submitted.
func needed(job *v1alpha1.DaftyJob) []source {
	if job.Status.JobID != "" || job.Status.Phase.Final() {
		return nil
	}
	return slices.DeleteFunc(sources(&job.Spec), func(s source) bool {
		return resolved(job.Status.Inputs, s) && (s.file == nil || job.Status.InDoubt())
	})
}

// SeenUID returns the uid of a DaftyJob that a job refers to, as it was first seen; empty where it wasn't yet.
func SeenUID(job *v1alpha1.DaftyJob, name string) types.UID {
	if RestoredFrom(job) != "" {
		return ""
	}
	for _, s := range sources(&job.Spec) {
		if s.job == nil || s.job.Name != name {
			continue
		}
		if in := findInput(job.Status.Inputs, s); in != nil && in.UID != "" {
			return in.UID
		}
	}
	return ""
}

func findInput(inputs []v1alpha1.Input, s source) *v1alpha1.Input { return findField(inputs, s.field) }

func findField(inputs []v1alpha1.Input, field string) *v1alpha1.Input {
	for i := range inputs {
		if inputs[i].Field == field {
			return &inputs[i]
		}
	}
	return nil
}

// resolved reports whether what s stands for is on record, or isn't needed any more, as what was found by it is.
func resolved(inputs []v1alpha1.Input, s source) bool {
	return sent(findInput(inputs, s)) != "" || s.within != "" && sent(findField(inputs, s.within)) != ""
}

// withReferences returns the spec with what its references stand for. It fails where that isn't known yet.
func withReferences(spec *v1alpha1.DaftyJobSpec, inputs []v1alpha1.Input) (*v1alpha1.DaftyJobSpec, error) {
	if len(sources(spec)) == 0 {
		return spec, nil
	}
	spec = spec.DeepCopy()
	for _, s := range sources(spec) {
		if !resolved(inputs, s) {
			return nil, fmt.Errorf("what %s stands for (%s) isn't known yet", s.field, s)
		}
		s.set(findInput(inputs, s))
	}
	return spec, nil
}
