package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

// source is a field of a spec that refers to another object of the namespace.
type source struct {
	field string
	// One of the two is set. A style has no index.
	job   *v1alpha1.JobReference
	file  *v1alpha1.ConfigMapKeyReference
	style bool
	// target says that the field names an image that is to be worked on, not one to go by.
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

// sources are the fields of a spec that refer to other objects, in order.
func sources(spec *v1alpha1.DaftyJobSpec) []source {
	var all []source
	target := func(field string, to *v1alpha1.ImageTarget) {
		if to.JobRef != nil {
			all = append(all, source{field: field, job: to.JobRef, target: true, set: func(in *v1alpha1.Input) { *to = v1alpha1.ImageTarget{ID: sent(in)} }})
		}
	}
	reference := func(field string, to *v1alpha1.ImageReference) {
		if to.JobRef != nil || to.ConfigMapKeyRef != nil {
			all = append(all, source{field: field, job: to.JobRef, file: to.ConfigMapKeyRef, set: func(in *v1alpha1.Input) { *to = v1alpha1.ImageReference{ID: sent(in)} }})
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

// DependsOn are the names of the DaftyJobs that a spec refers to, each once.
func DependsOn(spec *v1alpha1.DaftyJobSpec) []string {
	var names []string
	for _, s := range sources(spec) {
		if s.job != nil && !slices.Contains(names, s.job.Name) {
			names = append(names, s.job.Name)
		}
	}
	return names
}

// Needs are what is still to be read before a job can be submitted: DaftyJobs by name, and files.
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

// SeenUID is that of a DaftyJob that a job refers to, as it was first seen; empty where it wasn't yet.
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

// withReferences is the spec with what its references stand for. It fails where that isn't known yet.
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

// Cycle is the way from a job through what it waits for back to itself, by names, and empty where there is none. read
// gives a DaftyJob of the namespace, nil where there is none.
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

// obstacle is why a job can't be submitted yet, or ever.
type obstacle struct {
	verdict verdict
	final   bool
	after   time.Duration
	// file is to be uploaded.
	file *File
}

// resolveReferences records what the spec's references stand for, as far as that is known, and gives the decision that comes
// instead of a submission while they don't all.
func (d *decider) resolveReferences() *Decision {
	var first *obstacle
	var files []*File
	for _, s := range sources(&d.Job.Spec) {
		in := findInput(d.status.Inputs, s)
		if in == nil {
			d.status.Inputs = append(d.status.Inputs, v1alpha1.Input{Field: s.field, Source: s.String()})
			in = &d.status.Inputs[len(d.status.Inputs)-1]
		}
		if sent(in) != "" && !d.uploadedElsewhere(s, in) {
			continue
		}
		var met *obstacle
		if s.file != nil {
			met = d.resolveFile(s, in)
		} else {
			met = d.resolveJob(s, in)
		}
		switch {
		case met == nil:
			continue
		case met.final:
			decision := d.finish(met.verdict) // nothing can come of it
			return &decision
		case met.file != nil:
			files = append(files, met.file)
		}
		// Pictures are uploaded once all else is there, and what a person must mend is told before what only takes time.
		if first == nil || met.file == nil && (first.file != nil || met.verdict.stalled && !first.verdict.stalled) {
			first = met
		}
	}
	if first == nil {
		return nil
	}
	step := Rest
	if first.file != nil {
		step = UploadFiles
	} else {
		files = nil
	}
	decision := d.setStatus(first.verdict, step, first.after)
	decision.Files = files
	return &decision
}

// resolveJob finds what another DaftyJob made.
func (d *decider) resolveJob(s source, in *v1alpha1.Input) *obstacle {
	name, other := s.job.Name, d.References.Jobs[s.job.Name]
	switch {
	case other == nil && in.UID == "":
		return d.waitFor(v1alpha1.ReasonWaitingForDependency, fmt.Sprintf("%s refers to DaftyJob %q, which isn't there yet; it goes on once that one is created and completes", s.field, name), false)
	case other == nil, in.UID != "" && in.UID != other.UID:
		return d.loseTo(v1alpha1.ReasonDependencyFailed, fmt.Sprintf("%s refers to DaftyJob %q, which was deleted before it completed", s.field, name))
	}
	in.UID = other.UID
	switch other.Status.Phase {
	case v1alpha1.PhaseCompleted:
		if problem := pick(s, other, in); problem != "" {
			return d.loseTo(v1alpha1.ReasonInvalidReference, fmt.Sprintf("%s refers to %s, but %s", s.field, s, problem))
		}
		return nil
	case v1alpha1.PhaseFailed, v1alpha1.PhaseCancelled:
		return d.loseTo(v1alpha1.ReasonDependencyFailed, fmt.Sprintf("%s refers to DaftyJob %q, which is %s%s", s.field, name, other.Status.Phase, describeReady(other)))
	}
	if way := d.References.Cycle; len(way) > 1 && way[1] == name {
		return d.waitFor(v1alpha1.ReasonDependencyCycle, "these DaftyJobs wait for each other: "+strings.Join(way, " → ")+"; delete one of them", true)
	}
	phase := string(other.Status.Phase)
	if phase == "" {
		phase = string(v1alpha1.PhasePending)
	}
	return d.waitFor(v1alpha1.ReasonWaitingForDependency, fmt.Sprintf("%s waits for DaftyJob %q, which is %s%s", s.field, name, phase, describeReady(other)), false)
}

// describeReady say why a DaftyJob stands where it does, where the phase alone doesn't.
func describeReady(job *v1alpha1.DaftyJob) string {
	if ready := findReady(job); ready != nil && ready.Reason != string(job.Status.Phase) {
		return " (" + ready.Reason + ")"
	}
	return ""
}

// pick records what s refers to in a job that has completed, and returns what is wrong with that, if anything.
func pick(s source, other *v1alpha1.DaftyJob, in *v1alpha1.Input) (problem string) {
	result := other.Status.Result
	found := v1alpha1.Input{JobID: other.Status.JobID}
	switch made := describeMade(result); {
	case s.style && (result == nil || result.Style == nil):
		return "that one made " + made + ", and no style"
	case s.style:
		found.ID = result.Style.ID
	case result == nil || len(result.Images) == 0:
		return "that one made " + made + ", and no image"
	case int(s.job.Index) >= len(result.Images):
		return fmt.Sprintf("that one made %s, and counting begins at 0", made)
	default:
		image := result.Images[s.job.Index]
		found.ID = image.ID
		if fitsReference(image.URL) {
			found.URL = image.URL
		}
		if forms := formsOf(s, &found); len(forms) > 0 {
			found.SentAs = forms[0]
		}
	}
	if sent(&found) == "" {
		return "Dafty gave it no id"
	}
	in.ID, in.URL, in.JobID, in.SentAs = found.ID, found.URL, found.JobID, found.SentAs
	return ""
}

func describeMade(result *v1alpha1.JobResult) string {
	switch {
	case result == nil:
		return "nothing that is on record"
	case len(result.Images) == 1:
		return "1 image"
	case len(result.Images) > 1:
		return fmt.Sprintf("%d images", len(result.Images))
	case result.Video != nil:
		return "a video"
	case result.Style != nil:
		return "a style"
	default:
		return "nothing that this version of the operator knows"
	}
}

// uploadedElsewhere says whether a picture was uploaded with another API key, perhaps of another account.
func (d *decider) uploadedElsewhere(s source, in *v1alpha1.Input) bool {
	secret := d.Known.Credentials.Secret
	if s.file == nil || secret == "" || in.CredentialsHash == secret || d.status.InDoubt() {
		return false // each repeat is of the same request
	}
	in.ID, in.CredentialsHash, in.UploadedAt = "", "", nil
	return true
}

// uploadAgain drops the pictures that were uploaded before the DaftyJob was created, and says whether there are any: nothing
// says for how long Dafty keeps them. Those that take their place count as younger, so that it is done once.
func (d *decider) uploadAgain() (dropped bool) {
	for _, s := range sources(&d.Job.Spec) {
		if in := findInput(d.status.Inputs, s); s.file != nil && in != nil && in.UploadedAt.Before(&d.Job.CreationTimestamp) {
			in.ID, in.CredentialsHash, in.UploadedAt = "", "", d.Job.CreationTimestamp.DeepCopy()
			dropped = true
		}
	}
	return dropped
}

// namesFiles says whether the request names pictures that were uploaded.
func (d *decider) namesFiles() bool {
	return slices.ContainsFunc(sources(&d.Job.Spec), func(s source) bool { return s.file != nil })
}

// resolveFile has a picture uploaded, and finds its id.
func (d *decider) resolveFile(s source, in *v1alpha1.Input) *obstacle {
	read := d.References.Files[FileName(*s.file)]
	switch {
	case read.Missing != "":
		return d.waitFor(v1alpha1.ReasonWaitingForDependency, s.field+" refers to "+read.Missing, false)
	case read.File == nil:
		return d.waitFor(v1alpha1.ReasonUnusableFile, s.field+" refers to "+read.Unusable, true)
	}
	upload := d.Known.Uploads[read.File.Digest]
	switch {
	case upload.ID != "":
		at := metav1.NewTime(upload.At).Rfc3339Copy()
		if again := in.UploadedAt; again != nil && at.Before(again) {
			at = *again // this clock is behind the API server's
		}
		in.ID, in.CredentialsHash, in.UploadedAt = upload.ID, d.Known.Credentials.Secret, &at
		return nil
	case upload.Err != nil && upload.Err.Kind == dafty.KindInvalid:
		met := d.waitFor(v1alpha1.ReasonUnusableFile, fmt.Sprintf("%s refers to %s, which Dafty doesn't take: %s", s.field, s, upload.Err.Error()), true)
		if !d.Now.Before(upload.RetryAt) {
			met.file = read.File // it may judge another day
		}
		return met
	case d.Known.Credentials.Secret == "":
		return nil // which is told in its place
	}
	v := inProgress(v1alpha1.PhasePending, v1alpha1.ReasonUploading, fmt.Sprintf("uploading %s for %s", s, s.field))
	after := uploadAsk
	if err := upload.Err; err != nil {
		if !odd(err.Kind, upload.Failures) {
			v = callFailed(v1alpha1.PhasePending, err.Kind, fmt.Sprintf("the upload of %s failed: %s", s, err.Error()), d.describeSecret())
		}
		if upload.Refusals >= lastingRefusals {
			// It isn't away: it answers, and goes on refusing.
			v = stalled(v1alpha1.PhasePending, v1alpha1.ReasonUnusableFile, fmt.Sprintf(
				"%s refers to %s, whose upload was refused %d times, the last time with: %s; it is tried on", s.field, s, upload.Refusals, err.Error()))
		}
		after = max(upload.RetryAt.Sub(d.Now), credentialsPoll)
	}
	return &obstacle{verdict: v, after: after, file: read.File}
}

// waitFor keeps the job where it is. What no watch tells of is looked for now and then.
func (d *decider) waitFor(reason, message string, forPerson bool) *obstacle {
	v := inProgress(v1alpha1.PhasePending, reason, message)
	if forPerson {
		v = stalled(v1alpha1.PhasePending, reason, message)
	}
	return &obstacle{verdict: v, after: d.poll(sourceReasons)}
}

// sourceReasons are those of a job that waits for what it refers to.
var sourceReasons = []string{
	v1alpha1.ReasonDependencyCycle,
	v1alpha1.ReasonUnusableFile,
	v1alpha1.ReasonWaitingForDependency,
}

func (d *decider) loseTo(reason, message string) *obstacle {
	return &obstacle{verdict: failed(reason, message+"; nothing was submitted"), final: true}
}
