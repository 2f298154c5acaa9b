package dafty

import (
	"bytes"
	"context"
	"encoding/json"
)

// Account returns what Dafty says of the account that the API key belongs to, as JSON. No field of it is documented.
func (c *Client) Account(ctx context.Context) (json.RawMessage, error) {
	req, err := newGetAccountRequest(ctx, c.server)
	if err != nil {
		return nil, unsentError(KindUnavailable, "the request can't be encoded", err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	body, status, err := c.do(ctx, req)
	if err != nil {
		return nil, err
	}
	var envelope struct {
		Data json.RawMessage `json:"data"`
	}
	if json.Unmarshal(body, &envelope) != nil || !bytes.HasPrefix(envelope.Data, []byte("{")) {
		return nil, &CallError{Kind: KindUnavailable, Status: status, Message: "Dafty's answer about the account can't be read"}
	}
	return envelope.Data, nil
}
