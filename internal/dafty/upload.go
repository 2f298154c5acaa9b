package dafty

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"
)

const (
	// putTimeout bounds the PUT of an image: some MB, which take about a minute at 1 Mbit/s.
	putTimeout = 2 * time.Minute
	// maxUploadURL bounds the URL of a reservation, in bytes. A signed URL can have some thousand.
	maxUploadURL = 8 << 10
	// storage is how messages name the server that takes the bytes, which isn't Dafty's.
	storage = "the storage for uploads"

	namesNoUpload = "Dafty's answer names no upload"
)

// Reservation is a place for the bytes of an upload.
type Reservation struct {
	// ID is the id of the upload.
	ID string
	// URL takes the bytes. Whoever knows it may write there.
	URL string
}

// ImageType returns the media type of an image, by its bytes, and whether Dafty takes images of that type.
func ImageType(content []byte) (string, bool) {
	found := http.DetectContentType(content)
	return found, CreateUploadJSONBodyContentType(found).Valid()
}

// Reserve reserves a place for an upload, the first of its three steps. Put and Complete follow.
func (c *Client) Reserve(ctx context.Context, filename, contentType string) (*Reservation, error) {
	req, err := newCreateUploadRequest(ctx, c.server, CreateUploadJSONRequestBody{
		Filename: filename, ContentType: CreateUploadJSONBodyContentType(contentType),
	})
	if err != nil {
		return nil, unsentError(KindUnavailable, "the request can't be encoded", err)
	}
	var data struct {
		ID  string `json:"uploadId"`
		URL string `json:"uploadUrl"`
	}
	status, err := c.upload(ctx, req, &data)
	switch {
	case err != nil:
		return nil, err
	case data.ID == "" || len(data.ID) > maxName || data.URL == "" || len(data.URL) > maxUploadURL:
		return nil, &CallError{Kind: KindUnavailable, Status: status, Message: namesNoUpload}
	}
	return &Reservation{ID: data.ID, URL: data.URL}, nil
}

// Put sends the bytes of an upload to the URL of its reservation, with the media type that was reserved. The URL is of another
// server, which never gets the API key. KindInvalid means that the server refuses the size or the type of the bytes; after any
// other refusal, the upload has to begin again with Reserve.
func (c *Client) Put(ctx context.Context, to, contentType string, content []byte) error {
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	req, err := c.newPutRequest(ctx, to, content)
	if err != nil {
		return &CallError{Kind: KindUnavailable, Message: "Dafty names a URL for the upload that can't be used: " + shortened(c.redact(err.Error())), Unsent: true}
	}
	req.Header.Set("Content-Type", contentType)
	resp, unsent, err := c.send(ctx, req)
	if err != nil {
		e := c.noAnswer(storage, err, unsent)
		if !unsent && e.cause == nil {
			// The error isn't quoted, as it may repeat the URL's signature.
			e.Message = storage + " gave no answer that can be read"
		}
		return e
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody)) // so that the connection can be used again
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return nil
	}
	e := &CallError{Kind: KindUnavailable, Status: resp.StatusCode, Message: storage + " didn't take the bytes", RetryAfter: retryAfter(resp.Header)}
	switch status := resp.StatusCode; {
	case status >= 300 && status < 400:
		e.Message = storage + " answered with a redirect, which is not followed"
	case status == http.StatusRequestEntityTooLarge:
		e.Kind, e.Message = KindInvalid, fmt.Sprintf("%s doesn't take a file of %d bytes", storage, len(content))
	case status == http.StatusUnsupportedMediaType:
		e.Kind, e.Message = KindInvalid, storage+" doesn't take a file of type "+contentType
	}
	return e
}

// RefusesUpload reports whether the error of an upload is a lasting refusal.
func (e *CallError) RefusesUpload() bool {
	switch e.Kind {
	case KindNotFound, KindConflict:
		return true
	case KindUnavailable:
		forNow := []int{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests}
		return e.Status >= 400 && e.Status < 500 && !slices.Contains(forNow, e.Status)
	default:
		return false
	}
}

// newPutRequest refuses a URL that is invalid or would show the bytes to the network. Its errors only quote the host of the URL,
// as the query holds a signature.
func (c *Client) newPutRequest(ctx context.Context, to string, content []byte) (*http.Request, error) {
	u, err := url.Parse(to)
	switch {
	case err != nil:
		return nil, errors.New("it can't be parsed")
	case u.Hostname() == "":
		return nil, errors.New("it names no host")
	case u.User != nil:
		return nil, errors.New("it holds a user name or password")
	case u.Scheme != "https" && (u.Scheme != "http" || !c.allowsPlain(u.Hostname())):
		return nil, errors.New("it isn't https: " + u.Scheme + "://" + u.Host)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, to, bytes.NewReader(content))
	if err != nil {
		return nil, errors.New("it can't be parsed")
	}
	return req, nil
}

// allowsPlain reports whether bytes may go to a host by plain http: only if Dafty's own URL is plain http, which the user has
// allowed (see CheckURL), and to this machine only if Dafty is on it.
func (c *Client) allowsPlain(host string) bool {
	base, err := url.Parse(c.server)
	return err == nil && base.Scheme == "http" && (loopback(host) || !loopback(base.Hostname()))
}

// Complete has Dafty check the bytes that were sent, and returns the upload's id, which can be used as a reference. Dafty refuses
// what isn't an image as KindInvalid.
func (c *Client) Complete(ctx context.Context, id string) (uploadID string, err error) {
	req, err := newCompleteUploadRequest(ctx, c.server, id)
	if err = sendable(id, err); err != nil {
		return "", unsentError(KindUnavailable, "the upload's id can't be sent", err)
	}
	var data struct {
		ID string `json:"id"`
	}
	status, err := c.upload(ctx, req, &data)
	switch {
	case err != nil:
		return "", err
	case data.ID == "" || len(data.ID) > maxName:
		return "", &CallError{Kind: KindUnavailable, Status: status, Message: namesNoUpload}
	}
	return data.ID, nil
}

// upload sends a request about an upload, and decodes the data of the answer.
func (c *Client) upload(ctx context.Context, req *http.Request, data any) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	body, status, err := c.do(ctx, req)
	if err != nil {
		return status, err
	}
	envelope := struct {
		Data any `json:"data"`
	}{data}
	if json.Unmarshal(body, &envelope) != nil {
		return status, &CallError{Kind: KindUnavailable, Status: status, Message: "Dafty's answer can't be read"}
	}
	return status, nil
}
