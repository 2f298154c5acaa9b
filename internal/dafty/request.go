package dafty

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// newRequest returns a request for a path of the API below the URL server, which ends in a slash. The body, unless nil, is
// sent as JSON. The generated requests are made with it.
func newRequest(ctx context.Context, method, server, path string, query url.Values, body any) (*http.Request, error) {
	base, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	target, err := base.Parse("." + path)
	if err != nil {
		return nil, err
	}
	// A space as %20 is understood by every server, and as + by most.
	target.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	var content io.Reader = http.NoBody
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}
