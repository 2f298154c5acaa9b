package daftysim

import (
	"fmt"
	"hash/fnv"
	"math"
	"slices"
)

// asset is a result of a style search.
type asset struct {
	ID         string  `json:"id"`
	Name       string  `json:"name"`
	URL        string  `json:"url"`
	Similarity float64 `json:"similarity"`
}

// assetNames are the names of the assets of every style.
var assetNames = []string{
	"logo", "logo, dark", "icon", "hero banner", "product shot", "team portrait", "pattern", "typeface sheet", "colour card", "packaging",
	"storefront", "social post",
}

// searchStyleAssets answers made-up assets, always the same for the same style
// and query.
func (s *Simulator) searchStyleAssets(c *call) answer {
	var req struct {
		Query string `json:"query"`
		Limit int    `json:"limit"`
	}
	if err := unmarshal(c.body, &req); err != nil {
		return s.refuse(invalid(fieldErrors{"body": err.Error()}))
	}
	style := canonical(c.params["id"])
	s.mu.Lock()
	_, known := c.key.account.styles[style]
	s.mu.Unlock()
	if !known {
		return s.refuse(notFound("Style %s was not found", c.params["id"]))
	}
	assets := make([]asset, 0, len(assetNames))
	for i, name := range assetNames {
		h := fnv.New32a()
		_, _ = h.Write([]byte(style + req.Query + name))
		assets = append(assets, asset{
			ID:         fmt.Sprintf("%s-%04x-4000-8000-%012x", style[:8], i+1, h.Sum32()),
			Name:       name,
			URL:        c.base + filesPath + style + ".json",
			Similarity: math.Round(float64(h.Sum32())/math.MaxUint32*1000) / 1000,
		})
	}
	slices.SortStableFunc(assets, func(a, b asset) int {
		switch {
		case a.Similarity > b.Similarity:
			return -1
		case a.Similarity < b.Similarity:
			return 1
		}
		return 0
	})
	if req.Limit > 0 {
		assets = assets[:min(req.Limit, len(assets))]
	}
	return s.data(200, assets)
}

// getAccount answers the state of an account. Its fields are not documented.
func (s *Simulator) getAccount(c *call) answer {
	s.mu.Lock()
	a := c.key.account
	payload := map[string]any{"name": a.name, "credits": a.credits, "plan": "simulated", "subscribed": !a.unsubscribed}
	if a.allowance >= 0 {
		payload["jobsLeft"] = a.allowance
	}
	s.mu.Unlock()
	return s.data(200, payload)
}
