package lifecycle

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

// obstacle is why a job can't be submitted yet, or ever.
type obstacle struct {
	verdict verdict
	final   bool
	after   time.Duration
	// file is to be uploaded.
	file *File
	// search is set where a search in a style has yet to find something, and query where it is to be made now.
	search bool
	query  *StyleQuery
}

// goesBefore reports whether an obstacle is told rather than another. Pictures are uploaded once all else is there; what a person
// must mend is told before what only takes time, and what others make before what Dafty has already.
func (o *obstacle) goesBefore(other *obstacle) bool {
	switch {
	case other == nil:
		return true
	case o.file != nil || other.file != nil:
		return o.file == nil
	case o.verdict.stalled != other.verdict.stalled:
		return o.verdict.stalled
	}
	return other.search && !o.search
}

// resolveReferences records what the spec's references stand for, as far as that is known, and returns the decision that comes
// instead of a submission while they don't all.
func (d *decider) resolveReferences() *Decision {
	var first *obstacle
	var all []*obstacle
	for _, s := range sources(&d.Job.Spec) {
		if resolved(d.status.Inputs, s) && !d.uploadedElsewhere(s, findInput(d.status.Inputs, s)) {
			continue
		}
		in := findInput(d.status.Inputs, s)
		if in == nil {
			d.status.Inputs = append(d.status.Inputs, v1alpha1.Input{Field: s.field, Source: s.String()})
			in = &d.status.Inputs[len(d.status.Inputs)-1]
		}
		var met *obstacle
		switch {
		case s.search != nil:
			met = d.resolveSearch(s, in)
		case s.file != nil:
			met = d.resolveFile(s, in)
		case s.asset != nil:
			met = d.resolveAsset(s, in)
		default:
			met = d.resolveJob(s, in)
		}
		switch {
		case met == nil:
			continue
		case met.final:
			decision := d.finish(met.verdict) // nothing can come of it
			return &decision
		}
		all = append(all, met)
		if met.goesBefore(first) {
			first = met
		}
	}
	if first == nil {
		return nil
	}
	step, after := meet(all, first)
	decision := d.setStatus(first.verdict, step, after)
	return &decision
}

// meet returns the step against obstacles of which one is told, and when to decide again. Searches are made once all is there that
// others make, and pictures are uploaded after that.
func meet(all []*obstacle, told *obstacle) (step Step, after time.Duration) {
	var search SearchStyle
	var upload UploadFiles
	made := true
	after = told.after
	for _, met := range all {
		switch {
		case met.search:
			after = min(after, met.after)
			if met.query != nil {
				search.Queries = append(search.Queries, *met.query)
			}
		case met.file != nil:
			upload.Files = append(upload.Files, met.file)
		default:
			made = false
		}
	}
	switch {
	case made && len(search.Queries) > 0:
		return search, after
	case told.file != nil:
		return upload, after
	}
	return Rest{}, after
}

// resolveJob finds what another DaftyJob made.
func (d *decider) resolveJob(s source, in *v1alpha1.Input) *obstacle {
	name, other := s.job.Name, d.References.Jobs[s.job.Name]
	switch {
	case other == nil && in.UID == "":
		return d.waitFor(v1alpha1.ReasonWaitingForDependency,
			fmt.Sprintf("%s refers to DaftyJob %q, which isn't there yet; it goes on once that one is created and completes", s.field, name), false)
	case other == nil, in.UID != "" && in.UID != other.UID:
		return d.loseTo(v1alpha1.ReasonDependencyFailed, fmt.Sprintf("%s refers to DaftyJob %q, which was deleted before it completed", s.field, name))
	}
	in.UID = other.UID
	switch other.Status.Phase {
	case v1alpha1.PhaseCompleted:
		if problem := pick(s, other.Status.Result, other.Status.JobID, in); problem != "" {
			return d.loseTo(v1alpha1.ReasonInvalidReference, fmt.Sprintf("%s refers to %s, but %s", s.field, s, problem))
		}
		return nil
	case v1alpha1.PhaseFailed, v1alpha1.PhaseCancelled:
		return d.loseTo(v1alpha1.ReasonDependencyFailed, fmt.Sprintf("%s refers to DaftyJob %q, which is %s%s", s.field, name, other.Status.Phase,
			describeReady(other)))
	}
	if met := d.inCycle(JobNode(name)); met != nil {
		return met
	}
	phase := string(other.Status.Phase)
	if phase == "" {
		phase = string(v1alpha1.PhasePending)
	}
	return d.waitFor(v1alpha1.ReasonWaitingForDependency, fmt.Sprintf("%s waits for DaftyJob %q, which is %s%s", s.field, name, phase, describeReady(other)),
		false)
}

// describeReady says why a DaftyJob stands where it does, where the phase doesn't say it.
func describeReady(job *v1alpha1.DaftyJob) string {
	if ready := findReady(job); ready != nil && ready.Reason != string(job.Status.Phase) {
		return " (" + ready.Reason + ")"
	}
	return ""
}

// uploadedElsewhere reports whether a picture was uploaded with another API key, perhaps of another account.
func (d *decider) uploadedElsewhere(s source, in *v1alpha1.Input) bool {
	secret := d.Known.Credentials.Secret
	if s.file == nil || secret == "" || in.CredentialsHash == secret || d.status.InDoubt() {
		return false // each repeat is of the same request
	}
	in.ID, in.CredentialsHash, in.UploadedAt = "", "", nil
	return true
}

// uploadAgain drops the pictures that were uploaded before the DaftyJob was created, and reports whether there are any: no page
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

// namesFiles reports whether the request names pictures that were uploaded.
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

// sourceReasons are the reasons of a job that waits for what it refers to.
var sourceReasons = []string{
	v1alpha1.ReasonDependencyCycle,
	v1alpha1.ReasonInvalidReference,
	v1alpha1.ReasonUnusableFile,
	v1alpha1.ReasonWaitingForDependency,
}

func (d *decider) loseTo(reason, message string) *obstacle {
	return &obstacle{verdict: failed(reason, message+"; nothing was submitted"), final: true}
}
