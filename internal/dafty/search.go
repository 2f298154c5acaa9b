package dafty

import (
	"context"
	"encoding/json"
)

// MaxSearchLimit is how many assets a search can ask for at most.
const MaxSearchLimit = 50

// StyleAsset is an asset that a search in a style has found.
type StyleAsset struct {
	// ID is Dafty's id of the asset.
	ID string
	// Name is what its owner calls it, empty where Dafty doesn't say.
	Name string
	// URL is where the image is, empty where Dafty doesn't say.
	URL string
	// Similarity is how similar the asset is to the query: 1 is the most. Nil where Dafty doesn't say.
	Similarity *float64
}

// Search returns the assets of a style that are most similar to a query, the most similar first, limit of them at most (1 to
// MaxSearchLimit). KindNotFound means that there is no such style.
func (c *Client) Search(ctx context.Context, styleID, query string, limit int) ([]StyleAsset, error) {
	req, err := newSearchStyleAssetsRequest(ctx, c.server, styleID, SearchStyleAssetsJSONRequestBody{Query: query, Limit: &limit})
	if err = sendable(styleID, err); err != nil {
		return nil, unsentError(KindUnavailable, "the style's id can't be sent", err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	body, status, err := c.do(ctx, req)
	if err != nil {
		return nil, err
	}
	assets, readable := readAssets(body)
	if !readable {
		return nil, &CallError{Kind: KindUnavailable, Status: status, Message: "Dafty's answer to the search can't be read"}
	}
	return assets, nil
}

// readAssets reads assets leniently: a field of an unexpected form counts as absent. Each keeps its place, whatever it lacks, as
// the places are what the user counts.
func readAssets(body []byte) (assets []StyleAsset, readable bool) {
	var envelope struct {
		Data *[]struct {
			ID         any `json:"id"`
			Name       any `json:"name"`
			URL        any `json:"url"`
			Similarity any `json:"similarity"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &envelope) != nil || envelope.Data == nil {
		return nil, false
	}
	for _, from := range *envelope.Data {
		asset := StyleAsset{ID: textOf(from.ID, maxName), Name: textOf(from.Name, maxText), URL: textOf(from.URL, maxUploadURL)}
		if similarity, ok := from.Similarity.(float64); ok {
			asset.Similarity = &similarity
		}
		assets = append(assets, asset)
	}
	scaleSimilarities(assets)
	return assets, true
}

// textOf returns a value that is a text of at most so many bytes, else nothing.
func textOf(value any, most int) string {
	if text, ok := value.(string); ok && len(text) <= most {
		return text
	}
	return ""
}

// scaleSimilarities has similarities reach from 0 to 1. Dafty doesn't document their scale: an answer in which one is clearly
// above 1 is in percent.
func scaleSimilarities(assets []StyleAsset) {
	const rounding = 0.01
	percent := false
	for _, asset := range assets {
		percent = percent || asset.Similarity != nil && *asset.Similarity > 1+rounding
	}
	for _, asset := range assets {
		if percent && asset.Similarity != nil {
			*asset.Similarity /= 100
		}
	}
}
