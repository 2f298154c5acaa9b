package lifecycle

import (
	"fmt"
	"math"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

// A search in a style is made before the first submission, and what it finds is put on record with the other inputs. It isn't made
// again for a repeat or another attempt: the style may have other assets by then, and one idempotency key is for one request.
// Nothing that a search comes to is an end, as a person may add to the style at any time.

// styleField returns the field of the style that a search is made in, as in v1alpha1.Input.
func styleField(search string) string { return search + ".styleSearch.style" }

// describeStyle names the style that a search is made in.
func describeStyle(style *v1alpha1.StyleSource) string {
	switch {
	case style.JobRef != nil:
		return "the style of " + JobNode(style.JobRef.Name).String()
	case style.AssetRef != nil:
		return "the style of " + AssetNode(style.AssetRef.Name).String()
	}
	return "style " + style.ID
}

// searchReasons are the reasons of a job whose search has found nothing to use.
var searchReasons = []string{v1alpha1.ReasonStyleAssetNotFound}

// resolveSearch finds an asset of a style.
func (d *decider) resolveSearch(s source, in *v1alpha1.Input) *obstacle {
	styleID := s.search.Style.ID
	if styleID == "" {
		styleID = sent(findField(d.status.Inputs, styleField(s.field)))
	}
	switch {
	case d.status.InDoubt():
		// Another search may find another asset, and a repeat is of the same request.
		return d.waitFor(v1alpha1.ReasonWaitingForDependency, fmt.Sprintf("%s refers to %s, and which asset that was isn't known", s.field, s), true)
	case styleID == "", d.Known.Credentials.Secret == "":
		return nil // which is told in its place
	}
	query := StyleQuery{StyleID: styleID, Query: s.search.Query, Limit: int(s.search.Index) + 1}
	search := d.Known.Searches[query]
	met, due := d.searchOutcome(s, search, in)
	if met == nil {
		return nil
	}
	met.search = true
	if due {
		met.after = searchAsk
		if !search.Underway {
			met.query = &query
		}
	}
	return met
}

// searchOutcome records what a search has found, or returns why it has found nothing to use so far, and whether it is to be made now.
func (d *decider) searchOutcome(s source, search Search, in *v1alpha1.Input) (met *obstacle, due bool) {
	what := fmt.Sprintf("%s, %s", s.field, s)
	switch {
	case !search.Answered:
		v := inProgress(v1alpha1.PhasePending, v1alpha1.ReasonSearching, "searching for "+what)
		if ready := d.ready(); ready != nil && ready.Reason == v1alpha1.ReasonStyleAssetNotFound {
			v = stalled(v1alpha1.PhasePending, ready.Reason, ready.Message) // until there is another answer
		}
		return &obstacle{verdict: v, after: searchAsk}, true
	case search.Err != nil && !refusesSearch(search):
		v := inProgress(v1alpha1.PhasePending, v1alpha1.ReasonSearching, "searching once more for "+what)
		if !odd(search.Err.Kind, search.Failures) {
			v = callFailed(v1alpha1.PhasePending, search.Err.Kind, fmt.Sprintf("the search for %s failed: %s", what, search.Err.Error()), d.describeSecret())
		}
		return &obstacle{verdict: v, after: max(search.RetryIn, time.Second)}, search.RetryIn <= 0
	}
	problem := describeRefusal(search)
	if problem == "" {
		problem = pickAsset(s.search, search.Assets, in)
	}
	if problem == "" {
		return nil, false
	}
	left := d.searchAgainIn(search)
	mend := "create a DaftyJob with another query under a new name"
	if name, _, made := MadeBy(d.Job); made {
		mend = fmt.Sprintf("give another query in the template of DaftyAsset %q", name)
	}
	message := fmt.Sprintf("%s: %s; nothing was submitted. Mend that at Dafty, and it goes on by itself, as it is searched again, at least every hour; or %s",
		what, problem, mend)
	return &obstacle{verdict: stalled(v1alpha1.PhasePending, v1alpha1.ReasonStyleAssetNotFound, message),
		after: min(left, d.poll(searchReasons))}, left <= 0 // the Secret may change, of which no watch tells
}

// searchAgainIn returns when a search is made again that has found nothing to use: each time after as long as it had done so before,
// within bounds. What a person changes of the DaftyJob or of its Secret has it made at once (see package account).
func (d *decider) searchAgainIn(search Search) time.Duration {
	var waited time.Duration
	if ready := d.ready(); ready != nil && ready.Reason == v1alpha1.ReasonStyleAssetNotFound {
		waited = d.Now.Sub(ready.LastTransitionTime.Time) - search.Age
	}
	left := min(max(waited, searchAgain), maxSearchAgain) - search.Age
	if search.Err != nil {
		left = max(left, search.RetryIn) // Dafty may have said for how long
	}
	return left
}

// refusesSearch reports whether Dafty's answer is a lasting refusal of the search: one alone is no verdict (see once.go).
func refusesSearch(search Search) bool {
	switch search.Err.Kind {
	case dafty.KindNotFound, dafty.KindInvalid, dafty.KindConflict:
		return repeated(search.Failures)
	}
	return false
}

func describeRefusal(search Search) string {
	switch {
	case search.Err == nil:
		return ""
	case search.Err.Kind == dafty.KindNotFound:
		return "Dafty has no such style in the account of the API key (" + search.Err.Error() + ")"
	}
	return "Dafty refuses the search: " + search.Err.Error()
}

// pickAsset records the asset that a search is for, or returns why there is none.
func pickAsset(search *v1alpha1.StyleSearch, found []dafty.StyleAsset, in *v1alpha1.Input) (problem string) {
	switch index := int(search.Index); {
	case len(found) == 0:
		return "the style has no assets that the search finds"
	case index >= len(found):
		return fmt.Sprintf("the search finds %s, and counting begins at 0; the most similar is %s", countAssets(len(found)), describeAssetFound(found[0]))
	}
	asset := found[search.Index]
	similarity := percent(asset.Similarity)
	which := fmt.Sprintf("the search finds %s, of which that with the index %d is %s", countAssets(len(found)), search.Index, describeAssetFound(asset))
	switch least := search.MinSimilarity; {
	case least != nil && similarity == nil:
		return fmt.Sprintf("%s, and minSimilarity asks for %d %%, so it isn't taken", which, *least)
	case least != nil && *similarity < *least:
		return fmt.Sprintf("%s, and minSimilarity asks for %d %%; the most similar is %s", which, *least, describeAssetFound(found[0]))
	case !fitsReference(asset.URL):
		return fmt.Sprintf("%s, and Dafty gives it no URL of at most %d characters", which, maxReference)
	}
	in.ID, in.Name, in.URL, in.Similarity, in.SentAs = asset.ID, asset.Name, asset.URL, similarity, v1alpha1.ReferenceURL
	return ""
}

func countAssets(n int) string {
	if n == 1 {
		return "1 asset"
	}
	return fmt.Sprintf("%d assets", n)
}

// describeAssetFound names an asset, with its similarity.
func describeAssetFound(asset dafty.StyleAsset) string {
	name := asset.ID
	if asset.Name != "" {
		name = fmt.Sprintf("%q", asset.Name)
	}
	if similarity := percent(asset.Similarity); similarity != nil {
		return fmt.Sprintf("%s, similar by %d %%", name, *similarity)
	}
	return name + ", of which Dafty doesn't say how similar it is"
}

// percent returns a similarity in whole percent, rounded down so that 100 is for the same alone.
func percent(similarity *float64) *int32 {
	if similarity == nil {
		return nil
	}
	const noise = 1e-9 // of numbers such as 0.29 in binary
	whole := int32(math.Floor(min(max(*similarity, 0), 1)*100 + noise))
	return &whole
}
