package daftysim

import (
	"slices"
	"strings"
	"testing"
)

// search returns what a search finds, and the names of that.
func (h *harness) search(style, query string, limit int) (found []foundAsset, names string) {
	h.t.Helper()
	body := fields{"query": query}
	if limit > 0 {
		body["limit"] = limit
	}
	r := h.do("POST", "/styles/"+style+"/search", body)
	h.wantStatus(r, 200)
	found = decode[[]foundAsset](h.t, r)
	var all []string
	for _, a := range found {
		all = append(all, a.Name)
	}
	return found, strings.Join(all, "; ")
}

// A search finds what is named alike, the most similar first: a test can tell a right order from a wrong one.
func TestSearchOrder(t *testing.T) {
	h := newHarness(t, nil)
	style := h.AddStyle("acme", Style{Assets: []StyleAsset{{Name: "Team portrait"}, {Name: "Logo on white"}, {Name: "Dark logo"}, {Name: "Logo"}}})
	for _, tt := range []struct {
		query, names, similarities string
		limit                      int
	}{
		{"logo", "Logo; Logo on white; Dark logo; Team portrait", "1 0.5976 0.5657 0", 0},
		{"  LOGO   on white ", "Logo on white; Logo", "1 0.5976", 2},
		{"dark logo", "Dark logo", "1", 1},
		{"portrait of the team", "Team portrait", "0.6999", 1},
		{"xyz", "Team portrait; Logo on white; Dark logo; Logo", "0 0 0 0", 50}, // as they were added
	} {
		found, names := h.search(style, tt.query, tt.limit)
		var similarities []string
		for _, a := range found {
			similarities = append(similarities, string(a.Similarity))
		}
		equal(t, tt.query, names, tt.names)
		equal(t, tt.query, strings.Join(similarities, " "), tt.similarities)
	}
	h.AddStyleAssets("acme", style, StyleAsset{ID: foreignID, Name: "xyz", URL: "https://example.com/xyz.png"})
	found, _ := h.search(style, "xyz", 1)
	equal(t, "added", found[0].ID+" "+found[0].URL, foreignID+" https://example.com/xyz.png")
	equal(t, "assets", len(h.AssetsOf("acme", style)), 5)
}

// A style that was extracted has assets that are named for its page, the same each time.
func TestExtractedStylesHaveAssets(t *testing.T) {
	h := newHarness(t, nil)
	var first []string
	for range 2 {
		id := h.create("/styles/extract", fields{"url": "https://shop.example.com/brand"}).job(t).ID
		h.clock.Step(time30)
		style := h.get(id).Result.Style.ID
		found, names := h.search(style, "shop.example.com logo", 2)
		equal(t, "names", names, "shop.example.com logo; shop.example.com logo, dark")
		for _, a := range found {
			equal(t, "a UUID", uuidPattern.MatchString(a.ID), true)
			if slices.Contains(first, a.ID) {
				t.Errorf("two styles have the asset %s", a.ID)
			}
			first = append(first, a.ID)
			// It stands as a reference, and nothing else on its host does.
			h.wantStatus(h.create("/images/generate", fields{"prompt": "A cat", "references": []string{a.URL}}), 202)
			h.wantStatus(h.create("/images/generate", fields{"prompt": "A cat", "references": []string{a.URL + "?"}}), 404)
		}
	}
}

func TestSearchReadings(t *testing.T) {
	for _, tt := range []struct {
		change      func(*Variants)
		is, similar string
	}{
		{func(*Variants) {}, "house style logo; house style logo, dark", "1"},
		{func(v *Variants) { v.Similarity = SimilarityPercent }, "house style logo; house style logo, dark", "100"},
		{func(v *Variants) { v.Similarity = SimilarityAbsent }, "house style logo; house style logo, dark", ""},
		{func(v *Variants) { v.Similarity = SimilarityNull }, "house style logo; house style logo, dark", "null"},
		{func(v *Variants) { v.AssetName = AssetNameAbsent }, "; ", "1"},
		{func(v *Variants) { v.SearchFinds = SearchFindsFewer }, "house style logo", "1"},
		{func(v *Variants) { v.SearchFinds = SearchFindsNothing }, "", ""},
	} {
		h := newHarness(t, func(o *Options) { tt.change(&o.Variants) })
		found, names := h.search(fixedStyle, "house style logo", 2)
		equal(t, "names", names, tt.is)
		if len(found) > 0 {
			equal(t, "similarity", string(found[0].Similarity), tt.similar)
		}
	}
}

func TestAccountReadings(t *testing.T) {
	for reading, want := range map[AccountObject]string{
		AccountObjectFlat: `"plan":"simulated"`, AccountObjectNested: `"renewsAt":null`, AccountObjectEmpty: `{"data":{}}`,
	} {
		h := newHarness(t, func(o *Options) { o.Variants.AccountObject = reading })
		r := h.do("GET", "/account", nil)
		h.wantStatus(r, 200)
		equal(t, string(reading), strings.Contains(string(r.raw), want), true)
	}
}
