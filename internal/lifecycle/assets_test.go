package lifecycle_test

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	. "dafty.ai/dafty-operator/api/v1alpha1" //nolint:revive // The tables are made of its words.
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

var fromAsset = newJob(upscalingAsset(0))

// unmade returns a DaftyAsset that is Ready, and has its result fetched again.
func unmade() *DaftyAsset {
	asset := readyAsset(madeImages(1), "logo")
	asset.Status.Current.Result = nil
	return asset
}

// The spec refers to DaftyAssets, and no DaftyAsset made the DaftyJob.
var assetReferences = []row{
	{
		name: "the DaftyAsset isn't there", given: fromAsset, known: with(keyA),
		then: also(waits(ReasonWaitingForDependency, `imageUpscale.image refers to DaftyAsset "logo", which isn't there yet; it goes on once that one is created and Ready`), inputs(target+"=/")),
	},
	{
		name: "it isn't looked at yet", given: fromAsset, known: with(keyA), gathered: keptIn(newAsset("logo")),
		then: waits(ReasonWaitingForDependency, `imageUpscale.image waits for DaftyAsset "logo", which isn't Ready: its newest spec hasn't been looked at yet; it goes on by itself`),
	},
	{
		name: "it is Ready, and its newest spec isn't looked at yet", given: fromAsset, known: with(keyA), gathered: func() lifecycle.References {
			asset := readyAsset(madeImages(1), "logo")
			asset.Generation++
			return keptIn(asset)
		}(),
		then: waits(ReasonWaitingForDependency, "its newest spec hasn't been looked at yet"),
	},
	{
		name: "it is being made", given: fromAsset, known: with(keyA), gathered: keptIn(assetIs(newAsset("logo"), metav1.ConditionUnknown, ReasonProgressing)),
		then: waits(ReasonWaitingForDependency, `waits for DaftyAsset "logo", which isn't Ready: Progressing; it goes on by itself once its result is there`),
	},
	{
		name: "it is being made anew: the result so far isn't taken", given: fromAsset, known: with(keyA), gathered: keptIn(assetIs(readyAsset(madeImages(1), "logo"), metav1.ConditionUnknown, ReasonProgressing)),
		then: waits(ReasonWaitingForDependency, "which isn't Ready: Progressing"),
	},
	{
		name: "it has failed, and may be mended", given: fromAsset, known: with(keyA), gathered: keptIn(assetIs(readyAsset(madeImages(1), "logo"), metav1.ConditionFalse, ReasonGenerationFailed)),
		then: waits(ReasonWaitingForDependency, `which isn't Ready: GenerationFailed; it goes on by itself once that is mended: kubectl describe -n shop daftyasset logo`),
	},
	{
		name: "its result is fetched again", given: fromAsset, known: with(keyA), gathered: keptIn(unmade()),
		then: waits(ReasonWaitingForDependency, "which isn't Ready: its result is being fetched again; it goes on by itself"),
	},
	{
		name: "it is Ready without a result", given: fromAsset, known: with(keyA), gathered: keptIn(assetIs(newAsset("logo"), metav1.ConditionTrue, ReasonAvailable)),
		then: waits(ReasonWaitingForDependency, "its result is being fetched again"),
	},
	{
		name: "waited for long: looked at less often", given: newJob(upscalingAsset(0), input(target, "", ""), says(PhasePending, ReasonWaitingForDependency)), known: with(keyA),
		gathered: keptIn(newAsset("logo")), when: 24 * time.Hour,
		then: then{phase: PhasePending, way: inProgress, reason: ReasonWaitingForDependency, step: lifecycle.Rest{}, after: time.Minute},
	},
	{
		name: "it is Ready", given: fromAsset, known: with(keyA), gathered: keptIn(readyAsset(madeImages(1), "logo")),
		then: also(submits(target+"=/"+imageID), func(t *testing.T, got lifecycle.Decision) {
			want := Input{Field: target, Source: "DaftyAsset logo, image 0", ID: imageID, URL: imageURL(0), JobID: otherID, SentAs: ReferenceID}
			if got.Status.Inputs[0] != want {
				t.Errorf("input is %s", asJSON(got.Status.Inputs[0]))
			}
		}),
	},
	{
		name: "its second image", given: newJob(upscalingAsset(1)), known: with(keyA), gathered: keptIn(readyAsset(madeImages(2), "logo")),
		then: submits(target + "=/2" + imageID[1:]),
	},
	{
		name: "a reference is sent by url", given: newJob(bothKinds), known: with(keyA),
		gathered: lifecycle.References{Assets: keptIn(readyAsset(madeImages(1), "logo")).Assets, Jobs: there(madeImages(2)).Jobs},
		then:     submits("imageGenerate.references[0]=/"+imageURL(0), "imageGenerate.references[1]=ba5e/"+imageURL(0)),
	},
	{
		name: "a style", given: newJob(styledByAsset), known: with(keyA), gathered: keptIn(readyAsset(made(JobResult{Style: &Style{ID: styleID}}), "logo")),
		then: also(submits("imageGenerate.style=/"+styleID), func(t *testing.T, got lifecycle.Decision) {
			if source := got.Status.Inputs[0].Source; source != "DaftyAsset logo" {
				t.Errorf("source is %q", source)
			}
		}),
	},
	{
		name: "what it keeps once it was taken doesn't matter", given: newJob(upscalingAsset(0), input(target, "", "taken before"), says(PhasePending, ReasonWaitingForCredentials)), known: with(keyA),
		gathered: keptIn(readyAsset(madeImages(1), "logo")),
		then:     submits(target + "=/taken before"),
	},
	{
		name: "an index out of range: it goes on by itself", given: newJob(upscalingAsset(1)), known: with(keyA), gathered: keptIn(readyAsset(madeImages(1), "logo")),
		then: also(needs(ReasonInvalidReference, `imageUpscale.image refers to DaftyAsset logo, image 1, but that one made 1 image, and counting begins at 0; nothing was submitted. `+
			`It goes on by itself once DaftyAsset "logo" has such a result`), inputs(target+"=/")),
	},
	{
		name: "a style where an image is wanted", given: fromAsset, known: with(keyA), gathered: keptIn(readyAsset(made(JobResult{Style: &Style{ID: "s"}}), "logo")),
		then: needs(ReasonInvalidReference, "that one made a style, and no image"),
	},
	{
		name: "a video where a style is wanted", given: newJob(styledByAsset), known: with(keyA), gathered: keptIn(readyAsset(made(JobResult{Video: &Video{ID: "v"}}), "logo")),
		then: needs(ReasonInvalidReference, "imageGenerate.style refers to DaftyAsset logo, but that one made a video, and no style"),
	},
	{
		name: "the wrong kind was mended", given: newJob(upscalingAsset(0), input(target, "", ""), says(PhasePending, ReasonInvalidReference)), known: with(keyA), gathered: keptIn(readyAsset(madeImages(1), "logo")),
		then: submits(target + "=/" + imageID),
	},
	{
		name: "the wrong kind is told before what only takes time", given: newJob(bothKinds), known: with(keyA),
		gathered: lifecycle.References{Assets: keptIn(readyAsset(made(JobResult{Style: &Style{ID: "s"}}), "logo")).Assets},
		then:     needs(ReasonInvalidReference, "imageGenerate.references[0] refers to DaftyAsset logo, image 0"),
	},
	{
		name: "the DaftyJob beside it has failed", given: newJob(bothKinds), known: with(keyA), gathered: there(base(PhaseFailed, ReasonGenerationFailed)),
		then: failsFor(ReasonDependencyFailed, `imageGenerate.references[1] refers to DaftyJob "base", which is Failed`),
	},
	{
		name: "a DaftyJob and a DaftyAsset that wait for each other", given: fromAsset, known: with(keyA),
		gathered: lifecycle.References{Assets: keptIn(newAsset("logo", "hero")).Assets, Cycle: []lifecycle.Node{lifecycle.JobNode("hero"), lifecycle.AssetNode("logo"), lifecycle.JobNode("hero")}},
		then:     needs(ReasonDependencyCycle, "these wait for each other: DaftyJob hero → DaftyAsset logo → DaftyJob hero; delete one of them"),
	},
	{
		name: "a cycle by way of a DaftyJob of the DaftyAsset's name isn't this reference's", given: fromAsset, known: with(keyA),
		gathered: lifecycle.References{Assets: keptIn(newAsset("logo")).Assets, Cycle: wayOf("hero", "logo", "hero")},
		then:     waits(ReasonWaitingForDependency, `waits for DaftyAsset "logo"`),
	},
	{
		name: "a DaftyAsset that is Ready is waited for no longer, whatever it refers to", given: fromAsset, known: with(keyA),
		gathered: lifecycle.References{Assets: keptIn(readyAsset(madeImages(1), "logo", "hero")).Assets, Cycle: []lifecycle.Node{lifecycle.JobNode("hero"), lifecycle.AssetNode("logo"), lifecycle.JobNode("hero")}},
		then:     submits(target + "=/" + imageID),
	},
	{
		name: "suspended: nothing is taken", given: newJob(upscalingAsset(0), desired(DesiredSuspended)), known: with(keyA), gathered: keptIn(readyAsset(madeImages(1), "logo")),
		then: also(then{phase: PhasePending, way: suspended, reason: ReasonSuspended, step: lifecycle.Rest{}, event: "Normal Suspended"}, inputs()),
	},
	{
		name: "inputs lost in doubt: the DaftyAsset may keep another result by now", given: newJob(upscalingAsset(0), sent), known: with(keyA), gathered: keptIn(readyAsset(madeImages(1), "logo")), when: time.Minute,
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonSubmissionUnknown, says: `what it refers to is no longer on record: imageUpscale.image refers to DaftyAsset "logo", whose result of then isn't known`,
			step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning SubmissionUnknown", also: records(firstKey, 1, 0, 0, 0, keyA)},
	},
	{
		name: "in doubt: repeated as it was", given: newJob(upscalingAsset(0), sent, input(target, "", imageID)), known: with(keyA), when: time.Minute,
		then: submits(target + "=/" + imageID),
	},
	{
		name: "refused for how it names the image: sent otherwise", given: newJob(upscalingAsset(0), sent, func(job *DaftyJob) { job.Status.Inputs = []Input{recorded(target)} }),
		known: with(keyA, failing(refusal(dafty.KindNotFound), 1, 0)), when: time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: "it is sent again with imageUpscale.image by the id of the job that made it", step: lifecycle.Rest{}, after: time.Second,
			also: inputs(target + "=/" + otherID)},
	},
}

// justMade has the DaftyJob made by a DaftyAsset at t0, and nothing said of it.
func justMade(job *DaftyJob) {
	ofAsset(job)
	noFinalizer(job)
	job.CreationTimestamp = *at(0)
}

// heldFor returns a job of which nothing is said until it comes on record.
func heldFor(after time.Duration) then {
	return then{way: unseen, step: lifecycle.Rest{}, after: after, also: func(t *testing.T, got lifecycle.Decision) {
		if is, was := asJSON(got.Status), asJSON(newJob().Status); is != was {
			t.Errorf("status is written: %s", is)
		}
	}}
}

// another has the DaftyAsset on record with another DaftyJob.
func another(change func(*PendingJob)) lifecycle.References {
	gathered := onRecord()
	change(gathered.Maker.Asset.Status.Pending)
	return gathered
}

var (
	unrecorded = lifecycle.References{Maker: &lifecycle.Maker{Name: "campaign", Asset: newAsset("campaign")}}
	orphaned   = lifecycle.References{Maker: &lifecycle.Maker{Name: "campaign"}}
)

// A DaftyAsset made the DaftyJob.
var ofAssets = []row{
	{
		name: "just made, and not on record yet: nothing is written", given: newJob(justMade), known: with(keyA), gathered: unrecorded, when: 3 * time.Second,
		then: heldFor(7 * time.Second),
	},
	{
		name: "just made, and the DaftyAsset isn't seen yet", given: newJob(justMade), known: with(keyA), gathered: orphaned, when: 3 * time.Second,
		then: heldFor(7 * time.Second),
	},
	{
		name: "just made, by a clock that is ahead", given: newJob(justMade), known: with(keyA), gathered: unrecorded, when: -time.Hour,
		then: heldFor(10 * time.Second),
	},
	{
		name: "just made, and another is on record", given: newJob(justMade), known: with(keyA), gathered: another(func(p *PendingJob) { p.JobName, p.UID = "hero-2", "2" }), when: time.Second,
		then: heldFor(9 * time.Second),
	},
	{
		name: "just made, and Maker wasn't read", given: newJob(justMade), known: with(keyA), when: time.Second,
		then: heldFor(9 * time.Second),
	},
	{
		name: "just made, and due to start before long", given: newJob(justMade, spec(func(s *DaftyJobSpec) { s.StartingDeadlineSeconds = new(int64(5)) })), known: with(keyA), gathered: unrecorded, when: time.Second,
		then: heldFor(4 * time.Second),
	},
	{
		name: "not on record for long: why is told", given: newJob(justMade), known: with(keyA), gathered: unrecorded, when: 10 * time.Second,
		then: waits(ReasonWaitingForDependency, `DaftyAsset "campaign", to which this DaftyJob belongs, doesn't have it on record in status.pending, and only a DaftyJob that is there is submitted`),
	},
	{
		name: "not on record, and told so before", given: newJob(ofAsset, says(PhasePending, ReasonWaitingForDependency)), known: with(keyA), gathered: unrecorded, when: 24 * time.Hour,
		then: then{phase: PhasePending, way: inProgress, reason: ReasonWaitingForDependency, step: lifecycle.Rest{}, after: time.Minute},
	},
	{
		name: "its DaftyAsset is gone", given: newJob(justMade), known: with(keyA), gathered: orphaned, when: time.Minute,
		then: waits(ReasonWaitingForDependency, `DaftyAsset "campaign", to which this DaftyJob belongs, isn't there any more, so nothing is submitted; delete this DaftyJob`),
	},
	{
		name: "Maker wasn't read", given: newJob(justMade), known: with(keyA), when: time.Minute,
		then: waits(ReasonWaitingForDependency, `DaftyAsset "campaign"`),
	},
	{
		name: "another of its name was on record", given: newJob(justMade), known: with(keyA), gathered: another(func(p *PendingJob) { p.UID = "another" }), when: time.Minute,
		then: waits(ReasonWaitingForDependency, "doesn't have it on record"),
	},
	{
		name: "it is to be created again", given: newJob(justMade), known: with(keyA), gathered: another(func(p *PendingJob) { p.UID = "" }), when: time.Minute,
		then: waits(ReasonWaitingForDependency, "doesn't have it on record"),
	},
	{
		name: "another name is on record", given: newJob(justMade), known: with(keyA), gathered: another(func(p *PendingJob) { p.JobName = "hero-2" }), when: time.Minute,
		then: waits(ReasonWaitingForDependency, "doesn't have it on record"),
	},
	{
		name: "on record: submitted", given: newJob(ofAsset), known: with(keyA), gathered: onRecord(),
		then: submits(),
	},
	{
		name: "on record, just made: the finalizer comes first", given: newJob(justMade), known: with(keyA), gathered: onRecord(),
		then: then{way: unseen, step: lifecycle.AddFinalizer{}},
	},
	{
		name: "its assetRef stands for what is on record, whatever the DaftyAsset keeps", given: newJob(ofAsset, upscalingAsset(0)), known: with(keyA),
		gathered: func() lifecycle.References {
			gathered := onRecord(recorded("imageUpscale.other"), recorded(target))
			gathered.Assets = keptIn(readyAsset(madeImages(2), "logo")).Assets
			gathered.Assets["logo"].Status.Current.Result.Images[0].ID = "newer"
			return gathered
		}(),
		then: also(submits(target+"=/"+imageID), func(t *testing.T, got lifecycle.Decision) {
			if got.Status.Inputs[0] != recorded(target) {
				t.Errorf("input is %s", asJSON(got.Status.Inputs[0]))
			}
		}),
	},
	{
		name: "what its assetRef stands for isn't on record", given: newJob(ofAsset, upscalingAsset(0)), known: with(keyA), gathered: onRecord(recorded("imageUpscale.other")),
		then: needs(ReasonInvalidReference, `imageUpscale.image refers to DaftyAsset logo, image 0, but DaftyAsset "campaign", which made this DaftyJob, doesn't have on record in status.pending.inputs what that stands for`),
	},
	{
		name: "what its assetRef stands for is empty on record", given: newJob(ofAsset, upscalingAsset(0)), known: with(keyA), gathered: onRecord(Input{Field: target}),
		then: needs(ReasonInvalidReference, "doesn't have on record"),
	},
	{
		name: "its jobRef is resolved as any", given: newJob(ofAsset, upscaling(0)), known: with(keyA), gathered: func() lifecycle.References {
			gathered := onRecord()
			gathered.Jobs = there(madeImages(1)).Jobs
			return gathered
		}(),
		then: submits(target + "=ba5e/" + imageID),
	},
	{
		name: "suspended, and not on record", given: newJob(justMade, desired(DesiredSuspended)), known: with(keyA), gathered: unrecorded,
		then: then{phase: PhasePending, way: suspended, reason: ReasonSuspended, step: lifecycle.Rest{}, event: "Normal Suspended"},
	},
	{
		name: "approved, and not on record", given: newJob(justMade, says(PhasePending, ReasonSuspended), suspensionSeen), known: with(keyA), gathered: unrecorded,
		then: waits(ReasonWaitingForDependency, "doesn't have it on record"),
	},
	{
		name: "cancelled, and not on record", given: newJob(justMade, desired(DesiredCancelled)), known: with(keyA), gathered: unrecorded,
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelledBeforeSubmission, step: lifecycle.Rest{}, event: "Normal CancelledBeforeSubmission"},
	},
	{
		name: "deleted, and not on record", given: newJob(ofAsset, deleted(0)), known: with(keyA), gathered: unrecorded,
		then: then{way: unseen, step: lifecycle.RemoveFinalizer{}},
	},
	{
		name: "it was to start by now, and isn't on record", given: newJob(ofAsset, startingDeadline(60)), known: with(keyA), gathered: unrecorded,
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonDeadlineExceeded, step: lifecycle.Rest{}, event: "Warning DeadlineExceeded"},
	},
	{
		name: "it adopts a job, and needs no record", given: newJob(ofAsset, adopting), known: with(keyA), gathered: unrecorded,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: "adopted job " + jobID, step: lifecycle.Annotate{}, event: "Normal Submitting", also: hasID},
	},
	{
		name: "the annotation names its job, and it needs no record", given: newJob(ofAsset, note(ownNote)), known: with(keyA), gathered: unrecorded,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: "found job " + jobID, step: lifecycle.Follow{}, event: "Normal Submitting", also: hasID},
	},
	{
		name: "in doubt, and no longer on record: confirmed all the same", given: newJob(ofAsset, sent), known: with(keyA), gathered: unrecorded, when: time.Minute,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: records(firstKey, 1, 0, 0, time.Minute, keyA)},
	},
	{
		name: "in doubt, and its inputs are lost: those on record are of the same request", given: newJob(ofAsset, upscalingAsset(0), sent), known: with(keyA), gathered: onRecord(recorded(target)), when: time.Minute,
		then: submits(target + "=/" + imageID),
	},
	{
		name: "in doubt, and its inputs are lost on both sides", given: newJob(ofAsset, upscalingAsset(0), sent), known: with(keyA), gathered: unrecorded, when: time.Minute,
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonSubmissionUnknown, says: "what it refers to is no longer on record",
			step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning SubmissionUnknown", also: records(firstKey, 1, 0, 0, 0, keyA)},
	},
	{
		name: "it runs, and is no longer on record", given: newJob(ofAsset, taken(PhaseProcessing)), known: with(keyA, looked(daftys(dafty.Processing))), gathered: unrecorded,
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, step: lifecycle.Follow{}},
	},
	{
		name: "another attempt, and no longer on record: not paid for", given: newJob(ofAsset, backoffLimit(3), failedBefore(1, time.Minute)), known: with(keyA), gathered: unrecorded, when: time.Minute,
		then: waits(ReasonWaitingForDependency, "doesn't have it on record"),
	},
	{
		name: "another attempt, on record", given: newJob(ofAsset, backoffLimit(3), failedBefore(1, time.Minute)), known: with(keyA), gathered: onRecord(), when: time.Minute,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: records(secondKey, 2, 0, time.Minute, time.Minute, keyA)},
	},
}

func TestMadeBy(t *testing.T) {
	owner := func(change func(*metav1.OwnerReference)) *DaftyJob {
		job := newJob(ofAsset)
		change(&job.OwnerReferences[0])
		return job
	}
	for name, tt := range map[string]struct {
		job  *DaftyJob
		made bool
	}{
		"nobody":                {newJob(), false},
		"a DaftyAsset":          {newJob(ofAsset), true},
		"of another version":    {owner(func(o *metav1.OwnerReference) { o.APIVersion = "dafty.ai/v1" }), true},
		"not the controller":    {owner(func(o *metav1.OwnerReference) { o.Controller = nil }), false},
		"of another group":      {owner(func(o *metav1.OwnerReference) { o.APIVersion = "example.com/v1alpha1" }), false},
		"of no group":           {owner(func(o *metav1.OwnerReference) { o.APIVersion = "a/b/c" }), false},
		"another kind":          {owner(func(o *metav1.OwnerReference) { o.Kind = "DaftyJob" }), false},
		"the second owner does": {owner(func(o *metav1.OwnerReference) { o.Kind = "Application"; o.Controller = nil }), false},
	} {
		asset, uid, made := lifecycle.MadeBy(tt.job)
		if made != tt.made || made && (asset != "campaign" || uid != assetUID) {
			t.Errorf("%s: made is %t, by %q %q", name, made, asset, uid)
		}
	}
	job := newJob()
	job.OwnerReferences = append([]metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "x"}}, newJob(ofAsset).OwnerReferences...)
	if asset, _, made := lifecycle.MadeBy(job); !made || asset != "campaign" {
		t.Errorf("beside another owner: made is %t, by %q", made, asset)
	}
}

func TestAssetSources(t *testing.T) {
	job := newJob(bothKinds, styledByAsset)
	sources := lifecycle.AssetSources(&job.Spec)
	var fields []string
	for _, source := range sources {
		fields = append(fields, source.Field+"="+source.Name)
	}
	if want := []string{"imageGenerate.style=logo", "imageGenerate.references[0]=logo"}; !slices.Equal(fields, want) {
		t.Fatalf("fields are %v, want %v", fields, want)
	}
	for name, tt := range map[string]struct {
		asset *DaftyAsset
		want  [2]string // for the style, and for the image: what is sent, or the problem
	}{
		"images":    {readyAsset(madeImages(2), "logo"), [2]string{"that one made 2 images, and no style", imageURL(0)}},
		"a style":   {readyAsset(made(JobResult{Style: &Style{ID: styleID}}), "logo"), [2]string{styleID, "that one made a style, and no image"}},
		"nothing":   {newAsset("logo"), [2]string{"that one made nothing that is on record, and no style", "that one made nothing that is on record, and no image"}},
		"no result": {unmade(), [2]string{"that one made nothing that is on record, and no style", "that one made nothing that is on record, and no image"}},
	} {
		for i, source := range sources {
			in, problem := source.Pick(tt.asset)
			if is := sentFor(in) + problem; is != tt.want[i] {
				t.Errorf("%s, %s: %q, want %q", name, source.Field, is, tt.want[i])
			}
			if in.Field != source.Field || in.Source != [2]string{"DaftyAsset logo", "DaftyAsset logo, image 0"}[i] || in.UID != "" || problem == "" && in.JobID != otherID {
				t.Errorf("%s: input is %s", name, asJSON(in))
			}
		}
	}
}

func TestNeedsAssets(t *testing.T) {
	job := newJob(bothKinds, styledByAsset)
	if got := lifecycle.DependsOnAssets(&job.Spec); !slices.Equal(got, []string{"logo"}) {
		t.Errorf("it depends on %v", got)
	}
	if got := lifecycle.DependsOn(&job.Spec); !slices.Equal(got, []string{"base"}) {
		t.Errorf("it depends on the DaftyJobs %v", got)
	}
	style, image := input("imageGenerate.style", "", styleID), input("imageGenerate.references[0]", "", imageID)
	for _, row := range []struct {
		name string
		job  *DaftyJob
		want []string
	}{
		{"nothing", newJob(), nil},
		{"each once", job, []string{"logo"}},
		{"one of two is known", changed(job, style), []string{"logo"}},
		{"both are", changed(job, style, image), nil},
		{"of a DaftyAsset", changed(job, ofAsset), nil},
		{"once Dafty has the job", changed(job, taken(PhaseQueued)), nil},
	} {
		if got := lifecycle.NeedsAssets(row.job); !slices.Equal(got, row.want) {
			t.Errorf("%s: needs %v, want %v", row.name, got, row.want)
		}
		jobs, _ := lifecycle.Needs(row.job)
		if made, _, ok := lifecycle.MadeBy(row.job); ok && !slices.Equal(jobs, []string{"base"}) {
			t.Errorf("%s needs %v, made by %s", row.name, jobs, made)
		}
	}
	if uid := lifecycle.SeenUID(changed(job, input("imageGenerate.references[0]", types.UID("x"), "")), "logo"); uid != "" {
		t.Errorf("a DaftyJob of the DaftyAsset's name was seen as %q", uid)
	}
}
