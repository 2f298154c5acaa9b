package daftysim

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strings"
)

// assetsHost is where the assets of styles are, all of them.
const assetsHost = "assets.dafty.example"

// defaultSearchLimit is how many assets a search finds that doesn't say. Dafty doesn't document it.
const defaultSearchLimit = 10

// style is a brand style of an account.
type style struct {
	source string // its name, or the page it is of
	assets []StyleAsset
}

// StyleAsset is an image that is linked to a style, and found by a search in it.
type StyleAsset struct {
	ID   string // a UUID; "": made from the style's id and the name
	Name string
	URL  string // https; "": made from the id
}

// defaultAssets are the names of the assets that a style has by itself, each after the site it is of.
var defaultAssets = []string{
	"logo", "logo, dark", "icon", "hero banner", "product shot", "team portrait", "pattern", "typeface sheet", "colour card", "packaging",
	"storefront", "social post",
}

// newStyle returns a style with its own assets, or with some that are named for where it is from.
func newStyle(id, source string, assets []StyleAsset) *style {
	made := &style{source: source}
	if assets == nil {
		site := source
		if u, err := url.Parse(source); err == nil && u.Hostname() != "" {
			site = u.Hostname()
		}
		for _, name := range defaultAssets {
			assets = append(assets, StyleAsset{Name: strings.TrimSpace(site + " " + name)})
		}
	}
	made.add(id, assets)
	return made
}

// add adds assets, with the ids and URLs that they lack.
func (st *style) add(id string, assets []StyleAsset) {
	for _, a := range assets {
		if a.ID == "" {
			sum := sha256.Sum256([]byte(id + "\n" + a.Name))
			a.ID = fmt.Sprintf("%x-%x-4%03x-8%03x-%x", sum[:4], sum[4:6], uint16(sum[6])<<4|uint16(sum[7])>>4, uint16(sum[8])<<4|uint16(sum[9])>>4, sum[10:16])
		}
		if a.URL == "" {
			a.URL = "https://" + assetsHost + "/" + a.ID + ".png"
		}
		st.assets = append(st.assets, a)
	}
}

// AddStyleAssets adds assets to a style of an account. It panics where there is no such style.
func (s *Simulator) AddStyleAssets(accountName, styleID string, assets ...StyleAsset) {
	s.change(accountName, func(a *account) { a.styles[canonical(styleID)].add(canonical(styleID), assets) })
}

// AssetsOf returns the assets of a style of an account, in the order in which they were added.
func (s *Simulator) AssetsOf(accountName, styleID string) []StyleAsset {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.accounts[accountName]; a != nil && a.styles[canonical(styleID)] != nil {
		return slices.Clone(a.styles[canonical(styleID)].assets)
	}
	return nil
}

// hasAsset reports whether a URL is that of an asset of the account.
func (a *account) hasAsset(at string) bool {
	for _, st := range a.styles {
		if slices.ContainsFunc(st.assets, func(has StyleAsset) bool { return has.URL == at }) {
			return true
		}
	}
	return false
}

// foundAsset is an asset as a search shows it.
type foundAsset struct {
	ID         string          `json:"id"`
	Name       string          `json:"name,omitempty"`
	URL        string          `json:"url"`
	Similarity json.RawMessage `json:"similarity,omitempty"`
	Extra      *extra          `json:"origin,omitempty"`
}

// searchStyleAssets answers the assets of a style, the most similar to the query first.
func (s *Simulator) searchStyleAssets(c *call) answer {
	var req struct {
		Query string `json:"query"`
		Limit int    `json:"limit"`
	}
	if err := unmarshal(c.body, &req); err != nil {
		return s.refuse(invalid(fieldErrors{"body": err.Error()}))
	}
	s.mu.Lock()
	st, v := c.key.account.styles[canonical(c.params["id"])], s.opts.Variants
	var assets []StyleAsset
	if st != nil {
		assets = slices.Clone(st.assets)
	}
	s.mu.Unlock()
	if st == nil {
		return s.refuse(notFound("Style %s was not found", c.params["id"]))
	}
	asked := trigrams(req.Query)
	slices.SortStableFunc(assets, func(a, b StyleAsset) int {
		return cmp.Compare(similarity(asked, trigrams(b.Name)), similarity(asked, trigrams(a.Name)))
	})
	assets = assets[:min(cmp.Or(req.Limit, defaultSearchLimit), len(assets))]
	switch v.SearchFinds {
	case SearchFindsFewer:
		assets = assets[:max(len(assets)-1, 0)]
	case SearchFindsNothing:
		assets = nil
	}
	found := make([]foundAsset, 0, len(assets))
	for _, a := range assets {
		shown := foundAsset{ID: a.ID, Name: a.Name, URL: a.URL, Similarity: v.Similarity.write(similarity(asked, trigrams(a.Name)))}
		if v.AssetName == AssetNameAbsent {
			shown.Name = ""
		}
		if v.ExtraFields == ExtraFieldsPresent {
			shown.Extra = &extra{Region: "eu-1"}
		}
		found = append(found, shown)
	}
	return s.data(200, found)
}

// write returns a similarity, from 0 to 1, as a search shows it.
func (is Similarity) write(value float64) json.RawMessage {
	switch is {
	case SimilarityAbsent:
		return nil
	case SimilarityNull:
		return json.RawMessage("null")
	case SimilarityPercent:
		return marshal(math.Round(value*1e4) / 1e2)
	default:
		return marshal(math.Round(value*1e4) / 1e4)
	}
}

// trigrams counts the runs of three letters of a text, its ends included.
func trigrams(text string) map[string]int {
	letters := []rune("  " + strings.Join(strings.Fields(strings.ToLower(text)), " ") + " ")
	counts := map[string]int{}
	for i := range len(letters) - 2 {
		counts[string(letters[i:i+3])]++
	}
	return counts
}

// similarity returns the cosine of two counts, from 0 to 1.
func similarity(a, b map[string]int) float64 {
	var product, squaresA, squaresB int
	for run, n := range a {
		product += n * b[run]
		squaresA += n * n
	}
	for n := range maps.Values(b) {
		squaresB += n * n
	}
	if product == 0 {
		return 0
	}
	return min(float64(product)/math.Sqrt(float64(squaresA)*float64(squaresB)), 1)
}
