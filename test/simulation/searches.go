package simulation

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// searchedStyle is a style of acme that people add to. What a search for searchedFor finds there changes with each of searchedNames,
// as each is more similar than those before it.
const (
	searchedStyle = "57a1e57a-1e57-457a-857a-1e57a1e57a1e"
	searchedFor   = "the logo in red"
	// assetsAt is where the assets of all styles are.
	assetsAt = "https://assets.dafty.example/"
)

var searchedNames = []string{"a picture", "a logo", "our logo in blue", "the logo", "the logo in blue", "the logo in red and blue", searchedFor}

// newStyle is the style as it is in the beginning.
func newStyle() daftysim.Style {
	return daftysim.Style{ID: searchedStyle, Name: "acme", Assets: []daftysim.StyleAsset{{Name: searchedNames[0]}}}
}

// addToStyle has a person add the next asset.
func (e *env) addToStyle() {
	if n := len(e.sim.AssetsOf(acme, searchedStyle)); n < len(searchedNames) {
		e.trace.add("user", "adds %q to the style", searchedNames[n])
		e.sim.AddStyleAssets(acme, searchedStyle, daftysim.StyleAsset{Name: searchedNames[n]})
	}
}

// drawSearches draws whether a history has searches, and how Dafty answers them, apart from all else: what the seeds of the other
// histories mean stays.
func (h *history) drawSearches(seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0x5ea4c4)) //nolint:gosec // Chance, not secrecy.
	if h.options.searches = r.IntN(6) == 0; !h.options.searches {
		return
	}
	for _, field := range []string{"similarity", "asset-name", "search-finds"} {
		all := slices.DeleteFunc(daftysim.VariantFields(), func(f daftysim.VariantField) bool { return f.Name != field })
		if readings := all[0].Readings; r.IntN(4) == 0 {
			if err := h.options.variants.Set(field, readings[r.IntN(len(readings))]); err != nil {
				panic(err) // the field has just told them
			}
		}
	}
}

// drawSearch has a job that makes an image go by one that is found in a style, in some of the histories with searches.
func drawSearch(e *env, p picker, job *v1alpha1.DaftyJob) string {
	image := job.Spec.ImageGenerate
	if !e.searches || image == nil || job.Spec.AdoptJobID != "" || len(image.References) > 3 || p.n(2) == 0 {
		return ""
	}
	search := &v1alpha1.StyleSearch{Style: v1alpha1.StyleSource{ID: searchedStyle}, Query: searchedFor, Index: pick(&p, int32(0), 0, 1)}
	if p.n(4) == 0 {
		search.Style = v1alpha1.StyleSource{JobRef: &v1alpha1.StyleJobReference{Name: p.job()}}
	}
	if p.n(3) == 0 {
		search.MinSimilarity = new(int32(0))
	}
	image.References = append(image.References, v1alpha1.ImageReference{StyleSearch: search})
	return " and what is found in a style"
}

// searching returns a job by what is found in the style.
func searching() *v1alpha1.DaftyJob {
	job := image()
	job.Spec.ImageGenerate.References = []v1alpha1.ImageReference{{StyleSearch: &v1alpha1.StyleSearch{
		Style: v1alpha1.StyleSource{ID: searchedStyle}, Query: searchedFor,
	}}}
	return job
}

// searchScenarios are the scenarios of searches in a style.
func searchScenarios() []scenario {
	second := func() *v1alpha1.DaftyJob {
		job := searching()
		job.Spec.ImageGenerate.References[0].StyleSearch.Index = 1
		return job
	}
	return []scenario{
		{"an image is found in a style", false, func(e *env) { e.create(searching); e.advance(time.Minute) }},
		{"an image is found in the style of another", false, func(e *env) {
			e.create(style)
			e.do(func() {
				job := searching()
				job.Name = "two"
				job.Spec.ImageGenerate.References[0].StyleSearch.Style = v1alpha1.StyleSource{JobRef: &v1alpha1.StyleJobReference{Name: "one"}}
				e.api.create(job)
			})
			e.advance(2 * time.Minute)
		}},
		{"an image is found, and the style changes in doubt", false, searchedInDoubt},
		{"an image is found, and the style changes before the next attempt", false, searchedBeforeRetry},
		{"an image is added to the style later", false, func(e *env) {
			e.create(second)
			e.advance(20 * time.Second)
			e.do(e.addToStyle)
			e.advance(10 * time.Minute)
		}},
		{"cancelled while nothing is found", false, func(e *env) { e.create(second); e.advance(20 * time.Second); e.do(e.cancelOne) }},
		{"deleted while nothing is found", false, func(e *env) { e.create(second); e.advance(20 * time.Second); e.do(e.deleteOne) }},
		{"deleted while it is searched", false, func(e *env) { e.create(searching); e.advance(100 * time.Millisecond); e.do(e.deleteOne) }},
		{"a search meets a 5xx", false, func(e *env) { e.injectFault(broken); e.create(searching); e.advance(2 * time.Minute) }},
		{"a search meets a revoked key", false, func(e *env) {
			e.do(func() { e.sim.RevokeKey(keyOne) })
			e.create(searching)
			e.advance(20 * time.Second)
			e.do(func() { e.sim.AddKey(acme, keyOne) })
			e.advance(2 * time.Minute)
		}},
	}
}

// searchedInDoubt loses the answer to a request, and something more similar is added to the style before its repeat.
func searchedInDoubt(e *env) {
	e.create(searching)
	e.advance(300 * time.Millisecond)
	e.injectFault(hangAfter)
	e.advance(5 * time.Second)
	e.do(e.addToStyle)
	e.advance(3 * time.Minute)
}

// searchedBeforeRetry fails a job, and something more similar is added to the style before its next attempt.
func searchedBeforeRetry(e *env) {
	e.create(func() *v1alpha1.DaftyJob {
		job := searching()
		job.Spec.ImageGenerate.Prompt = daftysim.DefaultFailWord
		job.Spec.BackoffLimit = new(int32(1))
		return job
	})
	e.advance(11 * time.Second)
	e.do(e.addToStyle)
	e.advance(3 * time.Minute)
}

// checkSearched checks each create that leaves: all attempts of an object go by the same asset of a style.
func (inv *invariants) checkSearched(key string, body []byte) {
	_, found, is := strings.Cut(string(body), assetsAt)
	if !is || strings.HasPrefix(key, sharedKeys) {
		return
	}
	found, _, _ = strings.Cut(found, `"`)
	of, _, _ := strings.Cut(strings.TrimPrefix(key, ownKeys), "-")
	inv.mu.Lock()
	was, again := inv.searched[of]
	inv.searched[of] = found
	inv.mu.Unlock()
	if again && was != found {
		inv.violated("contract: %s goes by asset %s, and went by %s before", key, found, was)
	}
}

// lacksAsset reports whether an object says that no asset is found for it, and rightly so.
func (inv *invariants) lacksAsset(job *v1alpha1.DaftyJob) bool {
	if readyOf(job).Reason != v1alpha1.ReasonStyleAssetNotFound || job.Spec.ImageGenerate == nil {
		return false
	}
	v := inv.env.variants
	return slices.ContainsFunc(job.Spec.ImageGenerate.References, func(ref v1alpha1.ImageReference) bool {
		search := ref.StyleSearch
		if search == nil {
			return false
		}
		id := search.Style.ID
		for _, in := range job.Status.Inputs {
			if id == "" && strings.HasSuffix(in.Field, ".styleSearch.style") {
				id = in.ID
			}
		}
		return int(search.Index) >= len(inv.env.sim.AssetsOf(acme, id)) || v.SearchFinds != "" && v.SearchFinds != daftysim.SearchFindsAll ||
			search.MinSimilarity != nil && (v.Similarity == daftysim.SimilarityAbsent || v.Similarity == daftysim.SimilarityNull)
	})
}
