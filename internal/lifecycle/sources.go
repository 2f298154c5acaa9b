package lifecycle

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// source is a field of a spec that refers to another object of the namespace.
type source struct {
	field string
	// One of the two is set. A style has no index.
	job   *v1alpha1.JobReference
	file  *v1alpha1.ConfigMapKeyReference
	style bool
	// target reports whether the field names an image that is to be worked on, not one to go by.
	target bool
	// set puts what the reference stands for into the field, in the reference's place.
	set func(in *v1alpha1.Input)
}

func (s source) String() string {
	switch {
	case s.file != nil:
		return fmt.Sprintf("ConfigMap %s, key %s", s.file.Name, s.file.Key)
	case s.style:
		return "DaftyJob " + s.job.Name
	default:
		return fmt.Sprintf("DaftyJob %s, image %d", s.job.Name, s.job.Index)
	}
}

// sources returns the fields of a spec that refer to other objects, in order.
func sources(spec *v1alpha1.DaftyJobSpec) []source {
	var all []source
	target := func(field string, to *v1alpha1.ImageTarget) {
		if to.JobRef != nil {
			all = append(all, source{field: field, job: to.JobRef, target: true, set: func(in *v1alpha1.Input) { *to = v1alpha1.ImageTarget{ID: sent(in)} }})
		}
	}
	reference := func(field string, to *v1alpha1.ImageReference) {
		if to.JobRef != nil || to.ConfigMapKeyRef != nil {
			all = append(all, source{field: field, job: to.JobRef, file: to.ConfigMapKeyRef,
				set: func(in *v1alpha1.Input) { *to = v1alpha1.ImageReference{ID: sent(in)} }})
		}
	}
	references := func(field string, to []v1alpha1.ImageReference) {
		for i := range to {
			reference(fmt.Sprintf("%s[%d]", field, i), &to[i])
		}
	}
	if r := spec.ImageGenerate; r != nil {
		if style := r.Style; style != nil && style.JobRef != nil {
			all = append(all, source{field: "imageGenerate.style", job: &v1alpha1.JobReference{Name: style.JobRef.Name}, style: true,
				set: func(in *v1alpha1.Input) { *style = v1alpha1.StyleSource{ID: sent(in)} }})
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

// Needs returns what is still to be read before a job can be submitted: DaftyJobs by name, and files.
func Needs(job *v1alpha1.DaftyJob) (jobs []string, files []v1alpha1.ConfigMapKeyReference) {
	if job.Status.JobID != "" || job.Status.Phase.Final() {
		return nil, nil
	}
	for _, s := range sources(&job.Spec) {
		switch {
		case sent(findInput(job.Status.Inputs, s)) != "" && (s.file == nil || job.Status.InDoubt()):
		case s.file != nil && !slices.Contains(files, *s.file):
			files = append(files, *s.file)
		case s.job != nil && !slices.Contains(jobs, s.job.Name):
			jobs = append(jobs, s.job.Name)
		}
	}
	return jobs, files
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

func findInput(inputs []v1alpha1.Input, s source) *v1alpha1.Input {
	for i := range inputs {
		if inputs[i].Field == s.field {
			return &inputs[i]
		}
	}
	return nil
}

// withReferences returns the spec with what its references stand for. It fails where that isn't known yet.
func withReferences(spec *v1alpha1.DaftyJobSpec, inputs []v1alpha1.Input) (*v1alpha1.DaftyJobSpec, error) {
	if len(sources(spec)) == 0 {
		return spec, nil
	}
	spec = spec.DeepCopy()
	for _, s := range sources(spec) {
		in := findInput(inputs, s)
		if sent(in) == "" {
			return nil, fmt.Errorf("what %s stands for (%s) isn't known yet", s.field, s)
		}
		s.set(in)
	}
	return spec, nil
}

// Cycle returns the way from a job through what it waits for back to itself, by names, and nothing where there is no such way.
// read returns a DaftyJob of the namespace, nil where it isn't there.
func Cycle(job *v1alpha1.DaftyJob, read func(name string) *v1alpha1.DaftyJob) []string {
	seen := map[string]bool{}
	var walk func(from *v1alpha1.DaftyJob, way []string) []string
	walk = func(from *v1alpha1.DaftyJob, way []string) []string {
		names, _ := Needs(from)
		for _, name := range names {
			if name == job.Name {
				return append(slices.Clone(way), name)
			}
			if seen[name] {
				continue
			}
			seen[name] = true
			if next := read(name); next != nil {
				if found := walk(next, append(slices.Clone(way), name)); found != nil {
					return found
				}
			}
		}
		return nil
	}
	return walk(job, []string{job.Name})
}
