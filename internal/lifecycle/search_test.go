package lifecycle_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	. "dafty.ai/dafty-operator/api/v1alpha1" //nolint:revive // The tables are made of its words.
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// searchedField is the field of searching, and styleField that of its style.
const (
	searchedField = "imageGenerate.references[0]"
	styleField    = searchedField + ".styleSearch.style"
)

// searched has an answer to the search in a style, so long ago.
func searched(age time.Duration, limit int, assets ...dafty.StyleAsset) func(*lifecycle.Known) {
	return searchIs(searchID, limit, lifecycle.Search{Answered: true, Age: age, Assets: assets})
}

// searchFailed has it fail so often, to be made again in a while.
func searchFailed(err *dafty.CallError, failures int, age, again time.Duration) func(*lifecycle.Known) {
	return searchIs(searchID, 1, lifecycle.Search{Answered: true, Err: err, Failures: failures, Age: age, RetryIn: again})
}

func searchIs(style string, limit int, is lifecycle.Search) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) {
		known.Searches = map[lifecycle.StyleQuery]lifecycle.Search{{StyleID: style, Query: "logo on white", Limit: limit}: is}
	}
}

// logo is an asset of this similarity, of none where that is below 0.
func logo(similarity float64) dafty.StyleAsset {
	asset := dafty.StyleAsset{ID: otherID, Name: "logo", URL: "https://assets.example.com/logo.png"}
	if similarity >= 0 {
		asset.Similarity = &similarity
	}
	return asset
}

// unlike is similar by 12.9 %.
var unlike = dafty.StyleAsset{ID: jobID, URL: "https://assets.example.com/icon.png", Similarity: new(0.129)}

// searchStep makes searches of so many assets each.
func searchStep(style string, limits ...int) lifecycle.Step {
	step := lifecycle.SearchStyle{}
	for _, limit := range limits {
		step.Queries = append(step.Queries, lifecycle.StyleQuery{StyleID: style, Query: "logo on white", Limit: limit})
	}
	return step
}

// seeks returns a job that has a search made.
func seeks(step lifecycle.Step, says string) then {
	return then{phase: PhasePending, way: inProgress, reason: ReasonSearching, says: says, step: step, after: time.Minute, event: "Normal Searching"}
}

// lacks returns a job whose search has found nothing to use.
func lacks(after time.Duration, says string) then {
	return then{phase: PhasePending, way: stalled, reason: ReasonStyleAssetNotFound, says: says, step: lifecycle.Rest{}, after: after, event: "Warning StyleAssetNotFound"}
}

// silent has no event.
func silent(is then) then {
	is.event = ""
	return is
}

// foundAs checks what is on record of the search.
func foundAs(source, id, name string, similarity int32) func(*testing.T, lifecycle.Decision) {
	return func(t *testing.T, got lifecycle.Decision) {
		t.Helper()
		i := slices.IndexFunc(got.Status.Inputs, func(in Input) bool { return in.Field == searchedField })
		is := got.Status.Inputs[i]
		if is.Source != source || is.ID != id || is.Name != name || is.Similarity == nil || *is.Similarity != similarity || is.SentAs != ReferenceURL {
			t.Errorf("on record is %s", asJSON(is))
		}
	}
}

// isSearched has an asset on record for the search.
func isSearched(job *DaftyJob) {
	job.Status.Inputs = append(job.Status.Inputs, Input{Field: searchedField, Source: "so it was", ID: otherID, Name: "logo", URL: imageURL(0), Similarity: new(int32(97)), SentAs: ReferenceURL})
}

// twoSearches are for the first and the second asset of a style.
func twoSearches(job *DaftyJob) {
	searching(0, nil)(job)
	first := job.Spec.ImageGenerate.References[0]
	second := first.DeepCopy()
	second.StyleSearch.Index = 1
	job.Spec.ImageGenerate.References = []ImageReference{first, *second}
}

// withPicture adds a picture in a ConfigMap to the references.
func withPicture(job *DaftyJob) {
	job.Spec.ImageGenerate.References = append(job.Spec.ImageGenerate.References, ImageReference{ConfigMapKeyRef: &ConfigMapKeyReference{Name: "brand", Key: "a.png"}})
}

var ofStyle = made(JobResult{Style: &Style{ID: styleID}})

// The spec asks for what a search in a style finds.
var searches = []row{
	{
		name: "a search is made", given: newJob(searching(0, nil)), known: with(keyA),
		then: also(seeks(searchStep(searchID, 1), `searching for imageGenerate.references[0], style `+searchID+`, asset 0 of a search for "logo on white"`), inputs(searchedField+"=/")),
	},
	{name: "as many are asked for as the index needs", given: newJob(searching(2, nil)), known: with(keyA), then: seeks(searchStep(searchID, 3), "asset 2 of")},
	{
		name: "it is on its way", given: newJob(searching(0, nil), says(PhasePending, ReasonSearching)), known: with(keyA, searchIs(searchID, 1, lifecycle.Search{Underway: true})),
		then: silent(seeks(lifecycle.Rest{}, "searching")),
	},
	{name: "without a key there is none", given: newJob(searching(0, nil)), known: with(""), then: then{phase: PhasePending, way: inProgress, reason: ReasonWaitingForCredentials, step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning WaitingForCredentials"}},
	{
		name: "it has found", given: newJob(searching(0, nil)), known: with(keyA, searched(0, 1, logo(0.9799))),
		then: also(submits(searchedField+"=/https://assets.example.com/logo.png"), foundAs(`style `+searchID+`, asset 0 of a search for "logo on white"`, otherID, "logo", 97)),
	},
	{name: "another is the most similar", given: newJob(searching(1, nil)), known: with(keyA, searched(0, 2, logo(0.9), unlike)), then: submits(searchedField + "=/https://assets.example.com/icon.png")},
	{name: "as similar as it must be", given: newJob(searching(0, new(int32(29)))), known: with(keyA, searched(0, 1, logo(0.29))), then: submits(searchedField + "=/https://assets.example.com/logo.png")},
	{name: "of any similarity, which isn't told", given: newJob(searching(0, nil)), known: with(keyA, searched(0, 1, logo(-1))), then: submits(searchedField + "=/https://assets.example.com/logo.png")},
	{name: "it found before, and isn't made again", given: newJob(searching(0, nil), isSearched), known: with(keyA, searched(0, 1, unlike)), then: submits(searchedField + "=/" + imageURL(0))},
	{
		name: "another attempt is of the same", given: newJob(searching(0, nil), backoffLimit(1), isSearched, failedBefore(1, 0)), known: with(keyA), when: time.Hour,
		then: submits(searchedField + "=/" + imageURL(0)),
	},

	{name: "nothing is found", given: newJob(searching(0, nil)), known: with(keyA, searched(0, 1)), then: lacks(5*time.Second, "the style has no assets that the search finds; nothing was submitted")},
	{name: "too few are found", given: newJob(searching(2, nil)), known: with(keyA, searched(0, 3, logo(0.9), unlike)), then: lacks(5*time.Second, `the search finds 2 assets, and counting begins at 0; the most similar is "logo", similar by 90 %`)},
	{name: "it isn't similar enough", given: newJob(searching(1, new(int32(13)))), known: with(keyA, searched(0, 2, logo(0.9), unlike)), then: lacks(5*time.Second, `the search finds 2 assets, of which that with the index 1 is `+jobID+`, similar by 12 %, and minSimilarity asks for 13 %; the most similar is "logo", similar by 90 %`)},
	{name: "its similarity isn't told, and must be", given: newJob(searching(0, new(int32(0)))), known: with(keyA, searched(0, 1, logo(-1))), then: lacks(5*time.Second, `"logo", of which Dafty doesn't say how similar it is, and minSimilarity asks for 0 %, so it isn't taken`)},
	{name: "it has no URL", given: newJob(searching(0, nil)), known: with(keyA, searched(0, 1, dafty.StyleAsset{ID: otherID})), then: lacks(5*time.Second, "Dafty gives it no URL of at most 2048 characters")},
	{name: "the style isn't there", given: newJob(searching(0, nil)), known: with(keyA, searchFailed(refusal(dafty.KindNotFound), 2, 0, time.Second)), then: lacks(5*time.Second, "Dafty has no such style in the account of the API key (Dafty said so (NOT_FOUND, HTTP 404)); nothing was submitted")},
	{name: "Dafty refuses the search", given: newJob(searching(0, nil)), known: with(keyA, searchFailed(refusal(dafty.KindInvalid), 2, 0, time.Second)), then: lacks(5*time.Second, "Dafty refuses the search: Dafty said so")},
	{name: "Dafty refuses the search, and says for how long", given: newJob(searching(0, nil)), known: with(keyA, searchFailed(refusal(dafty.KindInvalid), 2, 10*time.Minute, time.Minute)), then: lacks(5*time.Second, "Dafty refuses the search: Dafty said so")},
	{name: "one refusal is no verdict", given: newJob(searching(0, nil), says(PhasePending, ReasonSearching)), known: with(keyA, searchFailed(refusal(dafty.KindNotFound), 1, 0, time.Second)), then: then{phase: PhasePending, way: inProgress, reason: ReasonAPIUnavailable, step: lifecycle.Rest{}, after: time.Second, event: "Warning APIUnavailable"}},
	{name: "of a job that a DaftyAsset made: what to mend is told", given: newJob(ofAsset, searching(0, nil)), gathered: onRecord(), known: with(keyA, searched(0, 1)), then: lacks(5*time.Second, `or give another query in the template of DaftyAsset "campaign"`)},

	{name: "it found nothing a while ago", given: newJob(searching(0, nil), says(PhasePending, ReasonStyleAssetNotFound)), known: with(keyA, searched(time.Minute, 1)), then: silent(lacks(5*time.Second, "no assets"))},
	{name: "it found nothing 5 minutes ago: once more", given: newJob(searching(0, nil), says(PhasePending, ReasonStyleAssetNotFound)), known: with(keyA, searched(5*time.Minute, 1)), when: 4 * time.Minute, then: then{phase: PhasePending, way: stalled, reason: ReasonStyleAssetNotFound, says: "no assets", step: searchStep(searchID, 1), after: time.Minute}},
	{name: "after 20 minutes the Secret is looked at each minute", given: newJob(searching(0, nil), says(PhasePending, ReasonStyleAssetNotFound)), known: with(keyA, searched(0, 1)), when: 19 * time.Minute, then: silent(lacks(time.Minute, ""))},
	{name: "and after a day", given: newJob(searching(0, nil), says(PhasePending, ReasonStyleAssetNotFound)), known: with(keyA, searched(0, 1)), when: 24 * time.Hour, then: silent(lacks(time.Minute, ""))},
	{name: "while it is made again, what it found before is told", given: newJob(searching(0, nil), says(PhasePending, ReasonStyleAssetNotFound)), known: with(keyA, searchIs(searchID, 1, lifecycle.Search{Answered: true, Underway: true, Age: time.Hour})), then: then{phase: PhasePending, way: stalled, reason: ReasonStyleAssetNotFound, says: "no assets", step: lifecycle.Rest{}, after: time.Minute}},
	{name: "a new process tells it until it knows better", given: newJob(searching(0, nil), says(PhasePending, ReasonStyleAssetNotFound)), known: with(keyA), then: then{phase: PhasePending, way: stalled, reason: ReasonStyleAssetNotFound, says: "so it was", step: searchStep(searchID, 1), after: time.Minute}},

	{name: "the key is refused", given: newJob(searching(0, nil)), known: with(keyA, searchFailed(refusal(dafty.KindUnauthorized), 2, 0, 2*time.Second)), then: then{phase: PhasePending, way: stalled, reason: ReasonCredentialsRejected, says: "put a valid one into", step: lifecycle.Rest{}, after: 2 * time.Second, event: "Warning CredentialsRejected"}},
	{name: "the key is refused once", given: newJob(searching(0, nil)), known: with(keyA, searchFailed(refusal(dafty.KindUnauthorized), 1, 0, time.Second)), then: then{phase: PhasePending, way: inProgress, reason: ReasonSearching, says: "once more", step: lifecycle.Rest{}, after: time.Second, event: "Normal Searching"}},
	{name: "the minute is used up", given: newJob(searching(0, nil)), known: with(keyA, searchFailed(refusal(dafty.KindRateLimit), 1, 0, 30*time.Second)), then: then{phase: PhasePending, way: inProgress, reason: ReasonWaitingForRateLimit, step: lifecycle.Rest{}, after: 30 * time.Second, event: "Normal WaitingForRateLimit"}},
	{name: "Dafty is away", given: newJob(searching(0, nil)), known: with(keyA, searchFailed(internalError, 3, time.Minute, 0)), then: then{phase: PhasePending, way: inProgress, reason: ReasonAPIUnavailable, says: "the search for imageGenerate.references[0]", step: searchStep(searchID, 1), after: time.Minute, event: "Warning APIUnavailable"}},

	{name: "the style is still made", given: newJob(searchingOf("base")), known: with(keyA), gathered: there(base(PhaseProcessing, ReasonProcessing)), then: also(waits(ReasonWaitingForDependency, styleField+` waits for DaftyJob "base", which is Processing`), inputs(styleField+"=ba5e/", searchedField+"=/"))},
	{name: "the style is made", given: newJob(searchingOf("base")), known: with(keyA), gathered: there(ofStyle), then: also(seeks(searchStep(styleID, 1), "the style of DaftyJob base, asset 0"), inputs(styleField+"=ba5e/"+styleID, searchedField+"=/"))},
	{name: "an image is made, and no style", given: newJob(searchingOf("base")), known: with(keyA), gathered: there(madeImages(1)), then: failsFor(ReasonInvalidReference, styleField+" refers to DaftyJob base, but that one made 1 image, and no style")},
	{name: "the style's DaftyJob waits for this one", given: newJob(searchingOf("base")), known: with(keyA), gathered: lifecycle.References{Jobs: there(base(PhasePending, ReasonWaitingForDependency)).Jobs, Cycle: wayOf("hero", "base", "hero")}, then: needs(ReasonDependencyCycle, "base")},
	{name: "found in the style of a DaftyJob", given: newJob(searchingOf("base")), known: with(keyA, searchIs(styleID, 1, lifecycle.Search{Answered: true, Assets: []dafty.StyleAsset{logo(1)}})), gathered: there(ofStyle), then: also(submits(styleField+"=ba5e/"+styleID, searchedField+"=/https://assets.example.com/logo.png"), foundAs(`the style of DaftyJob base, asset 0 of a search for "logo on white"`, otherID, "logo", 100))},
	{name: "found before: the style isn't needed any more", given: newJob(searchingOf("base"), isSearched), known: with(keyA), then: submits(searchedField + "=/" + imageURL(0))},
	{name: "the style of a DaftyAsset", given: newJob(searchingOf("@logo")), known: with(keyA), gathered: keptIn(readyAsset(ofStyle, "logo")), then: seeks(searchStep(styleID, 1), "the style of DaftyAsset logo")},
	{name: "of a job that a DaftyAsset made: the style on its record", given: newJob(ofAsset, searchingOf("@logo")), known: with(keyA), gathered: onRecord(Input{Field: styleField, ID: styleID, JobID: otherID}), then: also(seeks(searchStep(styleID, 1), "DaftyAsset logo"), inputs(styleField+"=/"+styleID, searchedField+"=/"))},
	{name: "of a job that a DaftyAsset made: no style on its record", given: newJob(ofAsset, searchingOf("@logo")), known: with(keyA), gathered: onRecord(), then: needs(ReasonInvalidReference, styleField)},

	{name: "two searches are made at once", given: newJob(twoSearches), known: with(keyA), then: seeks(searchStep(searchID, 1, 2), "asset 0")},
	{name: "one found, one didn't", given: newJob(twoSearches), known: with(keyA, both(searched(0, 1, logo(1)), searched(0, 2, logo(1)))), then: also(lacks(5*time.Second, "imageGenerate.references[1]"), inputs(searchedField+"=/https://assets.example.com/logo.png", "imageGenerate.references[1]=/"))},
	{name: "one is told, the other is made", given: newJob(twoSearches), known: with(keyA, searched(0, 1)), then: then{phase: PhasePending, way: stalled, reason: ReasonStyleAssetNotFound, says: "references[0]", step: searchStep(searchID, 2), after: 5 * time.Second, event: "Warning StyleAssetNotFound"}},
	{name: "a picture waits for the search", given: newJob(searching(0, nil), withPicture), known: with(keyA), gathered: reading(picture), then: seeks(searchStep(searchID, 1), "references[0]")},
	{name: "and is uploaded after it", given: newJob(searching(0, nil), withPicture), known: with(keyA, searched(0, 1, logo(1))), gathered: reading(picture), then: then{phase: PhasePending, way: inProgress, reason: ReasonUploading, step: uploads, after: time.Minute, event: "Normal Uploading"}},
	{name: "the search waits for the ConfigMap", given: newJob(searching(0, nil), withPicture), known: with(keyA), gathered: reading(missing), then: waits(ReasonWaitingForDependency, `ConfigMap "brand"`)},

	{name: "a repeat is of what was found", given: newJob(searching(0, nil), isSearched, sent), known: with(keyA, searched(0, 1, unlike)), when: time.Minute, then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: inputs(searchedField + "=/" + imageURL(0))}},
	{name: "what was found is lost, and the request in doubt", given: newJob(searching(0, nil), sent), known: with(keyA, searched(0, 1, logo(1))), when: time.Minute, then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonSubmissionUnknown, says: "which asset that was isn't known", step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning SubmissionUnknown"}},
	{name: "suspended: nothing is searched", given: newJob(searching(0, nil), desired(DesiredSuspended)), known: with(keyA), then: then{phase: PhasePending, way: suspended, reason: ReasonSuspended, step: lifecycle.Rest{}, event: "Normal Suspended"}},
	{name: "called off while it is searched", given: newJob(searching(0, nil), desired(DesiredCancelled), says(PhasePending, ReasonSearching)), known: with(keyA, searchIs(searchID, 1, lifecycle.Search{Underway: true})), then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelledBeforeSubmission, step: lifecycle.Rest{}, event: "Normal CancelledBeforeSubmission"}},
	{name: "deleted while it is searched", given: newJob(searching(0, nil), deleted(0), says(PhasePending, ReasonSearching)), known: with(keyA, searchIs(searchID, 1, lifecycle.Search{Underway: true})), then: then{phase: PhasePending, way: inProgress, reason: ReasonSearching, step: lifecycle.RemoveFinalizer{}}},
}

// both tells two things of searches.
func both(news ...func(*lifecycle.Known)) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) {
		all := map[lifecycle.StyleQuery]lifecycle.Search{}
		for _, tell := range news {
			tell(known)
			for query, search := range known.Searches {
				all[query] = search
			}
		}
		known.Searches = all
	}
}

// The times between searches that find nothing double, from 5 minutes to an hour: an operator asks 26 times in a day, and not each minute.
func TestSearchesGetSeldom(t *testing.T) {
	job := newJob(searching(0, nil))
	in := lifecycle.Snapshot{Job: job, Known: with(keyA, searched(0, 1)), Now: t0, DeletionTimeout: deletionTimeout}
	searchedAt := t0
	var between []string
	for end := t0.Add(6 * time.Hour); in.Now.Before(end); {
		in.Known.Searches[logoQuery] = lifecycle.Search{Answered: true, Age: in.Now.Sub(searchedAt)}
		got := decide(t, in)
		in.Job.Status = got.Status
		if lifecycle.Is[lifecycle.SearchStyle](got.Step) {
			between = append(between, in.Now.Sub(searchedAt).String())
			searchedAt = in.Now
			continue
		}
		in.Now = in.Now.Add(got.After)
	}
	if got := strings.Join(between, " "); got != "5m0s 5m0s 10m0s 20m0s 40m0s 1h0m0s 1h0m0s 1h0m0s 1h0m0s" {
		t.Errorf("searched after %s", got)
	}
}

// What is asked of Dafty has the asset's URL, in each field that takes one, and needs nothing else of the search.
func TestRequestsOfWhatWasFound(t *testing.T) {
	found := ImageReference{StyleSearch: &StyleSearch{Style: StyleSource{JobRef: &StyleJobReference{Name: "base"}}, Query: "logo"}}
	url := imageURL(0)
	for field, spec := range map[string]DaftyJobSpec{
		"imageGenerate.references[0]": {ImageGenerate: &ImageGenerate{Prompt: "a", References: []ImageReference{found}}},
		"imageEdit.references[0]":     {ImageEdit: &ImageEdit{Image: ImageTarget{ID: imageID}, Prompt: "a", References: []ImageReference{found}}},
		"imageToVideo.image":          {ImageToVideo: &ImageToVideo{Image: found, Prompt: "a"}},
		"videoFrames.startImage":      {VideoFrames: &VideoFrames{StartImage: found, EndImage: ImageReference{URL: url}, Prompt: "a"}},
		"videoFrames.endImage":        {VideoFrames: &VideoFrames{EndImage: found, StartImage: ImageReference{URL: url}, Prompt: "a"}},
	} {
		if got := lifecycle.DependsOn(&spec); !slices.Equal(got, []string{"base"}) {
			t.Errorf("%s depends on %v", field, got)
		}
		if _, err := lifecycle.Request(&spec, nil); err == nil || !strings.Contains(err.Error(), "isn't known yet") {
			t.Errorf("%s: %v", field, err)
		}
		request, err := lifecycle.Request(&spec, []Input{{Field: field, ID: otherID, URL: url, SentAs: ReferenceURL}})
		if err != nil || !strings.Contains(asJSON(request), url) || strings.Contains(asJSON(request), otherID) {
			t.Errorf("%s: %s, %v", field, asJSON(request), err)
		}
		if before := asJSON(spec); !strings.Contains(before, "styleSearch") {
			t.Errorf("%s: the spec was changed to %s", field, before)
		}
	}
}
