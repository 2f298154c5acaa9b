package lifecycle_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// check fails a decision where what must be isn't.
type check = func(is bool, format string, args ...any)

func readyReason(status *v1alpha1.DaftyJobStatus) string {
	if ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady); ready != nil {
		return ready.Reason
	}
	return ""
}

func backoffLimitOf(job *v1alpha1.DaftyJob) int {
	if limit := job.Spec.BackoffLimit; limit != nil {
		return int(*limit)
	}
	return 0
}

// ownAnnotation returns the id in the annotation, where it is this object's and not of an attempt that failed.
func ownAnnotation(job *v1alpha1.DaftyJob) string {
	id, own := strings.CutPrefix(job.Annotations[v1alpha1.JobAnnotation], namespace+"/"+name+":")
	if !own || slices.ContainsFunc(job.Status.FailedJobIDs, func(failed string) bool { return strings.EqualFold(failed, id) }) {
		return ""
	}
	return id
}

// finality: after the end comes a late thumbnail, the ConfigMap and the object's own end, each at its time, and nothing
// else.
func finality(in lifecycle.Snapshot, got lifecycle.Decision, must check) {
	before, after := &in.Job.Status, &got.Status
	deleting := in.Job.DeletionTimestamp != nil
	video := func(status *v1alpha1.DaftyJobStatus) *v1alpha1.Video {
		if status.Result == nil {
			return nil
		}
		return status.Result.Video
	}
	looksFor := after.Phase == v1alpha1.PhaseCompleted && after.JobID != "" && after.FinishedAt != nil && video(after) != nil && video(after).ThumbnailURL == "" &&
		in.Now.Before(after.FinishedAt.Add(2*time.Minute)) && !deleting
	stores := after.Phase == v1alpha1.PhaseCompleted && after.Result != nil && in.Job.Spec.ResultConfigMap != "" &&
		(after.ResultConfigMap != in.Job.Spec.ResultConfigMap || in.References.ResultChanged) && !deleting
	over := time.Duration(0) // until the object is to go
	kept := after.Phase.Final() && in.Job.Spec.TTLSecondsAfterFinished != nil && after.FinishedAt != nil && !deleting
	if kept {
		over = after.FinishedAt.Add(time.Duration(*in.Job.Spec.TTLSecondsAfterFinished) * time.Second).Sub(in.Now)
	}

	must((lifecycle.Is[lifecycle.Delete](got.Step)) == (before.Phase.Final() && kept && over <= 0), "step %s, %s before the object's end", got.Step, over)
	must(!stores || in.Known.Stored != nil || lifecycle.Is[lifecycle.Delete](got.Step), "the result isn't stored")
	must((lifecycle.Is[lifecycle.LookForThumbnail](got.Step)) == (looksFor && !lifecycle.Is[lifecycle.Delete](got.Step)), "step %s for a thumbnail", got.Step)
	if lifecycle.Is[lifecycle.LookForThumbnail](got.Step) {
		must(got.After > 0 && got.After <= after.FinishedAt.Add(2*time.Minute).Sub(in.Now), "looks for a thumbnail for %s", got.After)
	}
	if before.Phase.Final() && kept && over > 0 {
		must(got.After > 0 && got.After <= over, "decided anew after %s, where it is to go after %s", got.After, over)
	}
	if !before.Phase.Final() {
		return
	}
	same := after.DeepCopy()
	same.ObservedGeneration = before.ObservedGeneration
	if late := video(same); late != nil && video(before) != nil && video(before).ThumbnailURL == "" && late.ThumbnailURL != "" {
		job := in.Known.Job
		must(job != nil && strings.EqualFold(job.Id, before.JobID) && job.Result != nil && job.Result.Video != nil && *job.Result.Video.ThumbnailUrl == late.ThumbnailURL, "a thumbnail that isn't Dafty's")
		must(in.Now.Before(before.FinishedAt.Add(2*time.Minute)), "a thumbnail that came too late")
		must(in.Job.Spec.ResultConfigMap == "" || deleting || in.Known.Stored != nil || lifecycle.Is[lifecycle.Delete](got.Step), "the stored result lacks the thumbnail")
		late.ThumbnailURL = ""
		if in.Job.Spec.ResultConfigMap != "" {
			same.ResultConfigMap = before.ResultConfigMap
		}
	}
	was := before.DeepCopy()
	if in.Known.Stored != nil {
		same.ResultConfigMap, same.ResultConfigMapVersion = before.ResultConfigMap, before.ResultConfigMapVersion
	}
	if in.Job.Spec.ResultConfigMap == "" && !deleting {
		must(after.ResultConfigMap == "" && after.ResultConfigMapVersion == "" && meta.FindStatusCondition(after.Conditions, v1alpha1.ConditionResultStored) == nil, "status tells of a ConfigMap that isn't asked for")
		was.ResultConfigMap, was.ResultConfigMapVersion = "", ""
	}
	same.Conditions = was.Conditions // see desiredStateStands, and what is true of all conditions
	must(equality.Semantic.DeepEqual(*was, *same), "status changed after a final phase")
	must(slices.Contains([]lifecycle.Step{lifecycle.Rest{}, lifecycle.RemoveFinalizer{}, lifecycle.LookForThumbnail{}, lifecycle.Release{}, lifecycle.Delete{}}, got.Step), "step %s after a final phase", got.Step)
	must(got.Event == nil || after.Phase == v1alpha1.PhaseCancelled && readyReason(after) != readyReason(before), "an event after a final phase")
	must(got.After == 0 || kept || looksFor || in.Known.Stored != nil, "something follows a final phase")
}

// storesFirst: a result is stored before anything of its end is on record, and what came of that changes nothing but what is
// told of the ConfigMap.
func storesFirst(in lifecycle.Snapshot, got lifecycle.Decision, step lifecycle.StoreResult) (problems []string) {
	must := func(is bool, format string, args ...any) {
		if !is {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	before, name := &in.Job.Status, in.Job.Spec.ResultConfigMap
	must(in.Known.Stored == nil, "stored twice")
	must(equality.Semantic.DeepEqual(*before, got.Status) && got.Event == nil && got.StoreEvent == nil && got.After == 0, "there is news before the result is stored: %s", asJSON(got))

	after := func(outcome lifecycle.StoreOutcome) lifecycle.Decision {
		decided := in
		decided.Known.Stored = &outcome
		next := lifecycle.Next(decided)
		for _, problem := range wrong(decided, next) {
			must(false, "stored with %+v: %s", outcome, problem)
		}
		return next
	}
	other := func(status v1alpha1.DaftyJobStatus) v1alpha1.DaftyJobStatus {
		status = *status.DeepCopy()
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionResultStored)
		status.ResultConfigMap, status.ResultConfigMapVersion = "", ""
		return status
	}
	plain := after(lifecycle.StoreOutcome{})
	must(name != "" && in.Job.DeletionTimestamp == nil && plain.Status.Phase == v1alpha1.PhaseCompleted, "stored in phase %s for ConfigMap %q", plain.Status.Phase, name)
	must(step.Result != nil && equality.Semantic.DeepEqual(step.Result, plain.Status.Result) && step.JobID == plain.Status.JobID, "stores %s of %q, where status has %s", asJSON(step.Result), step.JobID, asJSON(plain.Status))
	must(before.ResultConfigMap != name || in.References.ResultChanged || !equality.Semantic.DeepEqual(before.Result, step.Result), "stored again for nothing")
	for _, problem := range []string{"", "it can't be written"} {
		stored := after(lifecycle.StoreOutcome{Problem: problem, Version: "7-abc"})
		condition := meta.FindStatusCondition(stored.Status.Conditions, v1alpha1.ConditionResultStored)
		must(condition != nil && condition.Reason != "" && condition.Message != "" && (condition.Status == metav1.ConditionTrue) == (problem == ""), "ResultStored is %s", asJSON(condition))
		must((stored.Status.ResultConfigMap == name) == (problem == ""), "resultConfigMap is %q", stored.Status.ResultConfigMap)
		must((stored.Status.ResultConfigMapVersion == "7-abc") == (problem == ""), "resultConfigMapVersion is %q", stored.Status.ResultConfigMapVersion)
		must(problem == "" || stored.After > 0 && stored.After <= 30*time.Second, "tried again after %s", stored.After)
		must(equality.Semantic.DeepEqual(stored.Event, plain.Event), "what becomes of the ConfigMap changes what is told of the job")
		must(stored.StoreEvent == nil || stored.StoreEvent.Warning && problem != "", "the event of the ConfigMap is %s", asJSON(stored.StoreEvent))
		must(plain.After == 0 || stored.After <= plain.After, "later than it was to be decided again")
		must(stored.Step == plain.Step, "step %s", stored.Step)
		must(equality.Semantic.DeepEqual(other(stored.Status), other(plain.Status)), "more than that changed")
	}
	// An API server that tells nothing of the ConfigMap takes nothing back.
	if asked := after(lifecycle.StoreOutcome{Unknown: true, Problem: "no answer"}); before.ResultConfigMap == name && equality.Semantic.DeepEqual(before.Result, step.Result) {
		was, is := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionResultStored), meta.FindStatusCondition(asked.Status.Conditions, v1alpha1.ConditionResultStored)
		same := (was == nil) == (is == nil) && (was == nil || was.Status == is.Status && was.Reason == is.Reason && was.Message == is.Message && was.LastTransitionTime.Equal(&is.LastTransitionTime))
		must(same && asked.Status.ResultConfigMap == name && asked.Status.ResultConfigMapVersion == before.ResultConfigMapVersion && equality.Semantic.DeepEqual(other(asked.Status), other(plain.Status)) &&
			asked.StoreEvent == nil && asked.After > 0 && asked.After <= 30*time.Second, "what isn't known of the ConfigMap is told: %s", asJSON(asked))
	}
	return problems
}

// reference is a field of a spec that refers to another DaftyJob, to a DaftyAsset, to a file, or to what a search finds.
type reference struct {
	field, job, asset, file string
	search                  *v1alpha1.StyleSearch
	index                   int
	style, target           bool
}

// made reports whether it refers to what was made at Dafty.
func (r reference) made() bool { return r.file == "" && r.search == nil }

// references returns all of a spec.
func references(job *v1alpha1.DaftyJob) (all []reference) {
	add := func(target bool, field string, job *v1alpha1.JobReference, asset *v1alpha1.AssetReference, file *v1alpha1.ConfigMapKeyReference) {
		switch {
		case job != nil:
			all = append(all, reference{field: field, job: job.Name, index: int(job.Index), target: target})
		case asset != nil:
			all = append(all, reference{field: field, asset: asset.Name, index: int(asset.Index), target: target})
		case file != nil:
			all = append(all, reference{field: field, file: file.Name + "/" + file.Key})
		}
	}
	target := func(field string, ref v1alpha1.ImageTarget) { add(true, field, ref.JobRef, ref.AssetRef, nil) }
	style := func(field string, of v1alpha1.StyleSource) {
		if of.JobRef != nil {
			all = append(all, reference{field: field, job: of.JobRef.Name, style: true})
		}
		if of.AssetRef != nil {
			all = append(all, reference{field: field, asset: of.AssetRef.Name, style: true})
		}
	}
	one := func(field string, ref v1alpha1.ImageReference) {
		if search := ref.StyleSearch; search != nil {
			if sentFor(inputOf(&job.Status, field)) == "" { // else the style isn't needed any more
				style(field+".styleSearch.style", search.Style)
			}
			all = append(all, reference{field: field, search: search})
		}
		add(false, field, ref.JobRef, ref.AssetRef, ref.ConfigMapKeyRef)
	}
	list := func(field string, refs []v1alpha1.ImageReference) {
		for i, ref := range refs {
			one(fmt.Sprintf("%s[%d]", field, i), ref)
		}
	}
	spec := &job.Spec
	if r := spec.ImageGenerate; r != nil {
		if r.Style != nil {
			style("imageGenerate.style", *r.Style)
		}
		list("imageGenerate.references", r.References)
	}
	if r := spec.ImageEdit; r != nil {
		target("imageEdit.image", r.Image)
		list("imageEdit.references", r.References)
	}
	if r := spec.ImageResize; r != nil {
		target("imageResize.image", r.Image)
	}
	if r := spec.ImageUpscale; r != nil {
		target("imageUpscale.image", r.Image)
	}
	if r := spec.ImageToVideo; r != nil {
		one("imageToVideo.image", r.Image)
	}
	if r := spec.VideoFrames; r != nil {
		one("videoFrames.startImage", r.StartImage)
		one("videoFrames.endImage", r.EndImage)
	}
	return all
}

// isOfAsset reports whether a DaftyAsset made the job.
func isOfAsset(job *v1alpha1.DaftyJob) bool {
	return slices.ContainsFunc(job.OwnerReferences, func(owner metav1.OwnerReference) bool {
		return owner.Kind == "DaftyAsset" && owner.Controller != nil && *owner.Controller
	})
}

// recordOf returns what the DaftyAsset that made the job has on record of it.
func recordOf(in lifecycle.Snapshot) (pending v1alpha1.PendingJob, recorded bool) {
	if maker := in.References.Maker; maker != nil && maker.Asset != nil && maker.Asset.Status.Pending != nil {
		pending = *maker.Asset.Status.Pending
	}
	return pending, pending.UID == in.Job.UID && pending.JobName == in.Job.Name
}

// heldForRecord reports whether a job may not be submitted, as its DaftyAsset doesn't have it on record.
func heldForRecord(in lifecycle.Snapshot) bool {
	_, recorded := recordOf(in)
	return isOfAsset(in.Job) && !recorded
}

// standsForAsset returns what is to be sent first for a field that refers to a DaftyAsset, as far as it is known.
func standsForAsset(in lifecycle.Snapshot, ref reference) string {
	if isOfAsset(in.Job) {
		pending, recorded := recordOf(in)
		for _, input := range pending.Inputs {
			if recorded && input.Field == ref.field {
				return sentFor(input)
			}
		}
		return ""
	}
	asset := in.References.Assets[ref.asset]
	if asset == nil || asset.Status.Current == nil || asset.Status.ObservedGeneration != asset.Generation || in.Job.Status.InDoubt() && !forgone(in) {
		return ""
	}
	if ready := meta.FindStatusCondition(asset.Status.Conditions, v1alpha1.ConditionReady); ready == nil || ready.Status != metav1.ConditionTrue {
		return ""
	}
	return sentOf(ref, asset.Status.Current.Result, asset.Status.Current.JobID)
}

// sentOf returns what is to be sent first for a field, by what was made, and by which job; empty where that isn't what the field is
// for. A job's id stands for its first image.
func sentOf(ref reference, result *v1alpha1.JobResult, jobID string) (id string) {
	switch {
	case result == nil:
	case ref.style && result.Style != nil:
		id = result.Style.ID
	case !ref.style && ref.index < len(result.Images):
		id = result.Images[ref.index].ID
		if url := result.Images[ref.index].URL; url != "" && len(url) <= 2048 && !ref.target {
			id = url
		}
		if id == "" && ref.index == 0 {
			id = jobID
		}
	}
	return id
}

func inputOf(status *v1alpha1.DaftyJobStatus, field string) v1alpha1.Input {
	for _, in := range status.Inputs {
		if in.Field == field {
			return in
		}
	}
	return v1alpha1.Input{}
}

// uploadedElsewhere reports whether a file was uploaded with another key, and no request with it is in doubt.
func uploadedElsewhere(in lifecycle.Snapshot, ref reference) bool {
	secret := in.Known.Credentials.Secret
	return ref.file != "" && secret != "" && inputOf(&in.Job.Status, ref.field).CredentialsHash != secret && (!in.Job.Status.InDoubt() || forgone(in) || disproved(in))
}

// standsFor returns what is to be sent first for a field, as far as it is known, or the reason for which it never will be.
func standsFor(in lifecycle.Snapshot, ref reference) (id, lost string) {
	known := inputOf(&in.Job.Status, ref.field)
	if value := sentFor(known); value != "" && !uploadedElsewhere(in, ref) {
		return value, ""
	}
	if ref.search != nil {
		return searchFinds(in, ref), ""
	}
	if ref.file != "" {
		if file := in.References.Files[ref.file].File; file != nil {
			id = in.Known.Uploads[file.Digest].ID
		}
		return id, ""
	}
	if ref.asset != "" {
		return standsForAsset(in, ref), ""
	}
	other := in.References.Jobs[ref.job]
	switch {
	case other == nil && known.UID == "":
		return "", ""
	case other == nil, known.UID != "" && known.UID != other.UID:
		return "", v1alpha1.ReasonDependencyFailed
	case other.Status.Phase == v1alpha1.PhaseFailed, other.Status.Phase == v1alpha1.PhaseCancelled:
		return "", v1alpha1.ReasonDependencyFailed
	case other.Status.Phase != v1alpha1.PhaseCompleted:
		return "", ""
	}
	id = sentOf(ref, other.Status.Result, other.Status.JobID)
	if id == "" {
		return "", v1alpha1.ReasonInvalidReference
	}
	return id, ""
}

// styleOf returns the style that a search is made in, empty while it isn't known.
func styleOf(in lifecycle.Snapshot, ref reference) (id string) {
	id = ref.search.Style.ID
	for _, style := range references(in.Job) {
		if style.field == ref.field+".styleSearch.style" {
			id, _ = standsFor(in, style)
		}
	}
	return id
}

// searchFinds returns the URL of the asset that a search has found, empty where there is none to use.
func searchFinds(in lifecycle.Snapshot, ref reference) string {
	if in.Job.Status.InDoubt() && !forgone(in) && !disproved(in) {
		return "" // what was found then isn't known
	}
	search := in.Known.Searches[lifecycle.StyleQuery{StyleID: styleOf(in, ref), Query: ref.search.Query, Limit: int(ref.search.Index) + 1}]
	if !search.Answered || search.Err != nil || int(ref.search.Index) >= len(search.Assets) {
		return ""
	}
	asset := search.Assets[ref.search.Index]
	if least := ref.search.MinSimilarity; least != nil && (asset.Similarity == nil || *asset.Similarity*100+1e-6 < float64(*least)) {
		return ""
	}
	if len(asset.URL) > 2048 {
		return ""
	}
	return asset.URL
}

// searchesStand: a search is made when all is known that others make, and not while one is on its way or was just made.
func searchesStand(in lifecycle.Snapshot, got lifecycle.Decision, must check) {
	after := &got.Status
	for _, ref := range references(in.Job) {
		if is := inputOf(after, ref.field); ref.search != nil && sentFor(is) != "" {
			must(is.SentAs == v1alpha1.ReferenceURL && is.URL != "", "%s is sent as %s", ref.field, asJSON(is))
		}
	}
	if reason := readyReason(after); reason == v1alpha1.ReasonStyleAssetNotFound && !after.Phase.Final() && reason != readyReason(&in.Job.Status) {
		must(slices.ContainsFunc(references(in.Job), func(ref reference) bool { return ref.search != nil && searchFinds(in, ref) == "" }), "nothing is found, and nothing is searched for")
	}
	step, searches := got.Step.(lifecycle.SearchStyle)
	if !searches {
		return
	}
	must(len(step.Queries) > 0, "searches for nothing")
	must(in.Known.Credentials.Secret != "", "searches without a key")
	must(after.JobID == "" && !after.InDoubt() && after.Phase == v1alpha1.PhasePending, "searches in phase %s with job id %q", after.Phase, after.JobID)
	must(in.Job.DeletionTimestamp == nil && !calledOff(in.Job) && !heldBack(in.Job) && !heldForRecord(in), "searches for what isn't wanted")
	must(got.After > 0, "a search whose end may never be seen")
	for _, query := range step.Queries {
		search := in.Known.Searches[query]
		must(!search.Underway, "searches beside a search")
		must(!search.Answered || search.Err == nil || search.RetryIn <= 0, "searches before it may")
		lasting := search.Err != nil && (search.Err.Kind == dafty.KindNotFound || search.Err.Kind == dafty.KindInvalid || search.Err.Kind == dafty.KindConflict) && search.Failures > 1
		must(!search.Answered || search.Err != nil && !lasting || search.Age >= 5*time.Minute, "searches again after %s", search.Age)
	}
	for _, ref := range references(in.Job) {
		if id, _ := standsFor(in, ref); ref.made() {
			must(id != "", "searches before %s is there", ref.job+ref.asset)
		}
	}
}

// lostReference returns the reason of the first reference that will never stand for anything, empty where there is none.
func lostReference(in lifecycle.Snapshot) string {
	for _, ref := range references(in.Job) {
		if _, lost := standsFor(in, ref); lost != "" {
			return lost
		}
	}
	return ""
}

// inputsStand: nothing is submitted before all is known that the spec refers to, and what is known stays.
func inputsStand(in lifecycle.Snapshot, got lifecycle.Decision, must check) {
	before, after := &in.Job.Status, &got.Status
	if before.InDoubt() && after.InDoubt() && before.Submission.IdempotencyKey == after.Submission.IdempotencyKey {
		// Nothing was forgone, though a person allows it: what was lost was found once more.
		in.Job = in.Job.DeepCopy()
		delete(in.Job.Annotations, v1alpha1.ResubmitAnnotation)
	}
	waits := false
	for _, ref := range references(in.Job) {
		was, is := inputOf(before, ref.field), inputOf(after, ref.field)
		id, _ := standsFor(in, ref)
		call := ownCall(in)
		impossible := call != nil && call.Err != nil && (call.Err.Kind == dafty.KindNotFound || call.Err.Kind == dafty.KindInvalid) && disproved(in)
		sentBefore, sends := sentFor(was), sentFor(is)
		// Dafty may want another form of it; each is among what was found.
		otherwise := ref.made() && !ref.style && sentBefore != "" && impossible && is.ID == was.ID && is.URL == was.URL && is.JobID == was.JobID &&
			(sends != is.URL || !ref.target) && (sends != is.JobID || sends == is.ID || ref.index == 0)
		dropped := ref.file != "" && impossible && was.UploadedAt.Before(&in.Job.CreationTimestamp) && is.ID == "" &&
			is.UploadedAt.Equal(&in.Job.CreationTimestamp) && before.Submission.StartedAt.Equal(before.Submission.SentAt)
		must(sentBefore == "" || sends == sentBefore || uploadedElsewhere(in, ref) || otherwise || dropped, "%s stood for %q, and stands for %q", ref.field, sentBefore, sends)
		must(was.UID == "" || is.UID == was.UID, "%s was of %q, and is of %q", ref.field, was.UID, is.UID)
		must(sends == "" || sends == id || sends == sentBefore && !lifecycle.Is[lifecycle.Submit](got.Step) || otherwise, "%s stands for %q, and not for %q", ref.field, sends, id)
		must(sends == sentBefore || !otherwise || !after.InDoubt(), "%s is sent otherwise in a request in doubt", ref.field)
		waits = waits || id == ""
	}
	if lifecycle.Is[lifecycle.Submit](got.Step) {
		must(!waits, "submitted although it must wait")
		_, err := lifecycle.Request(&in.Job.Spec, after.Inputs)
		must(err == nil, "submitted, where %v", err)
	}
	// What has ended says again why, whatever that was.
	if readyReason(after) == v1alpha1.ReasonWaitingForDependency && readyReason(before) != v1alpha1.ReasonWaitingForDependency && !after.Phase.Final() {
		must(waits || heldForRecord(in) || in.Known.Block != nil && in.Known.Block.SameKey, "waits for what is there")
	}

	step, uploads := got.Step.(lifecycle.UploadFiles)
	if !uploads {
		return
	}
	must(len(step.Files) > 0, "uploads nothing")
	must(in.Known.Credentials.Secret != "", "uploads without a key")
	must(after.JobID == "" && (after.Phase == v1alpha1.PhasePending || after.InDoubt()), "uploads in phase %s with job id %q", after.Phase, after.JobID)
	unwanted := in.Job.DeletionTimestamp != nil || calledOff(in.Job) || heldBack(in.Job)
	must(!unwanted || after.InDoubt(), "uploads what isn't wanted")
	must(!heldForRecord(in) || after.InDoubt(), "uploads for a job that its DaftyAsset doesn't have on record")
	must(got.After > 0, "an upload whose end may never be seen")
	for _, file := range step.Files {
		upload := in.Known.Uploads[file.Digest]
		must(upload.ID == "", "uploads what is uploaded")
		must(file == in.References.Files["brand/a.png"].File, "uploads what isn't there")
	}
	for _, ref := range references(in.Job) {
		if id, _ := standsFor(in, ref); ref.made() {
			must(id != "", "uploads before %s is there", ref.job+ref.asset)
		}
	}
}

// recordHolds: what a DaftyAsset made is submitted only once that has it on record, and is told to wait only after a moment.
func recordHolds(in lifecycle.Snapshot, got lifecycle.Decision, must check) {
	before, after := &in.Job.Status, &got.Status
	if step, submits := got.Step.(lifecycle.Submit); submits && heldForRecord(in) {
		must(before.InDoubt() && (!forgone(in) || before.Submission.IdempotencyKey == after.Submission.IdempotencyKey || step.AtOnce), "submitted, and not on record")
	}
	if !heldForRecord(in) || readyReason(after) != v1alpha1.ReasonWaitingForDependency || readyReason(before) == v1alpha1.ReasonWaitingForDependency {
		return
	}
	young := in.Now.Before(in.Job.CreationTimestamp.Add(10 * time.Second))
	must(!young || readyReason(before) != "", "told to wait within moments of its creation")
}

// attemptsCount: another attempt follows one that Dafty failed, as often as was asked, and under no other circumstances.
func attemptsCount(in lifecycle.Snapshot, got lifecycle.Decision, must check) {
	before, after := &in.Job.Status, &got.Status
	limit := backoffLimitOf(in.Job)
	if lifecycle.Is[lifecycle.Submit](got.Step) && !before.InDoubt() {
		must(len(after.FailedJobIDs) <= limit, "submitted after %d failures", len(after.FailedJobIDs))
	}
	if lifecycle.Is[lifecycle.Submit](got.Step) {
		next := before.NextAttemptAt
		must(after.NextAttemptAt == nil || before.InDoubt(), "submitted, and another attempt is announced")
		must(next == nil || before.InDoubt() || !in.Now.Before(next.Time) || next.Sub(in.Now) > 6*time.Minute, "submitted before its time")
	}
	if !before.Phase.Final() && after.Phase.Final() {
		must(after.NextAttemptAt == nil, "another attempt is announced at the end")
	}
	if slices.Equal(before.FailedJobIDs, after.FailedJobIDs) {
		return
	}
	must(len(after.FailedJobIDs) == len(before.FailedJobIDs)+1 && slices.Equal(before.FailedJobIDs, after.FailedJobIDs[:len(before.FailedJobIDs)]), "failedJobIDs is %v", after.FailedJobIDs)
	failed := after.FailedJobIDs[len(after.FailedJobIDs)-1]
	if before.JobID != "" {
		must(failed == before.JobID || correctable(in) && failed == ownAnnotation(in.Job), "job %s is followed, and %s failed", before.JobID, failed)
	}
	is := func(job *dafty.Job) bool {
		return job != nil && strings.EqualFold(job.Id, failed) && job.Status == dafty.Failed
	}
	must(is(in.Known.Job) || in.Known.Submission != nil && is(in.Known.Submission.Job), "job %s is tried again, which Dafty doesn't call failed", failed)
	must(int(after.Attempts) <= limit, "tried again after %d attempts", after.Attempts)
	unwanted := in.Job.DeletionTimestamp != nil || calledOff(in.Job)
	must(!unwanted && before.Phase != v1alpha1.PhaseCancelling && !pastDeadline(in, after), "tried again, and isn't wanted")
	must(in.Job.Spec.AdoptJobID == "", "an adopted job is tried again")
	must(after.JobID == "" && after.Submission == nil && after.Phase == v1alpha1.PhasePending && lifecycle.Is[lifecycle.Rest](got.Step), "status is %s", asJSON(after))
	must(after.Error != nil && after.SubmittedAt != nil, "why and since when isn't on record")
	next := after.NextAttemptAt
	must(next != nil && next.After(in.Now.Add(9*time.Second)) && next.Sub(in.Now) <= 6*time.Minute, "the next attempt is at %v", next)
	must(got.After > 0 && got.After <= next.Sub(in.Now), "decided anew after %s", got.After)
}

// due returns when the deadline comes, by a status; zero where there is none.
func due(in lifecycle.Snapshot, status *v1alpha1.DaftyJobStatus) time.Time {
	var times []time.Time
	if at := status.SubmittedAt; at != nil {
		times = append(times, at.Time)
	}
	if s := status.Submission; s != nil && s.StartedAt != nil && s.IdempotencyKey != "" && (s.Attempt == 1 || len(times) == 0 && status.JobID == "") {
		times = append(times, s.StartedAt.Time)
	}
	if len(times) == 0 || in.Job.Spec.ActiveDeadlineSeconds == nil {
		return time.Time{}
	}
	slices.SortFunc(times, time.Time.Compare)
	from := times[len(times)-1]
	if from.Sub(in.Now) > 15*time.Second { // the clock was wrong that said so
		from = times[0]
	}
	return from.Add(time.Duration(*in.Job.Spec.ActiveDeadlineSeconds) * time.Second)
}

func pastDeadline(in lifecycle.Snapshot, status *v1alpha1.DaftyJobStatus) bool {
	at := due(in, status)
	return !at.IsZero() && !in.Now.Before(at)
}

// deadlineHolds: a deadline leads to a decision in time, and that decision ends the job, or cancels it.
func deadlineHolds(in lifecycle.Snapshot, got lifecycle.Decision, must check) {
	before, after := &in.Job.Status, &got.Status
	at := due(in, after)
	deleting := in.Job.DeletionTimestamp != nil
	if at.IsZero() || after.Phase.Final() || lifecycle.Is[lifecycle.RemoveFinalizer](got.Step) || deleting && !slices.Contains(in.Job.Finalizers, v1alpha1.CancelFinalizer) {
		return
	}
	if left := at.Sub(in.Now); left > 0 {
		must(got.After > 0 && got.After <= left, "decided anew after %s, where %s are left", got.After, left)
		return
	}
	switch {
	case after.JobID != "":
		keyless := in.Known.Credentials.Secret == "" && in.Known.Credentials.LastUsed == ""
		must(after.Phase == v1alpha1.PhaseCancelling || lifecycle.Is[lifecycle.AddFinalizer](got.Step) || keyless, "runs on past the deadline, in phase %s", after.Phase)
	case !after.InDoubt() && in.Job.Spec.AdoptJobID == "" && before.SubmittedAt != nil && len(after.FailedJobIDs) == len(before.FailedJobIDs):
		onItsWay := in.Known.Submission != nil && !in.Known.Submission.Done
		must(disproved(in) || onItsWay, "waits on past the deadline: %s", readyReason(after))
	}
}
