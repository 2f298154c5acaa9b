package tracing

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
)

// Client makes a span of each request to Dafty and to the storage for uploads.
//
// otelhttp would show the whole URL of a request, and the URL of an upload is a secret. Requests have no trace header, as they
// go to another company, whose contract has none.
type Client struct {
	next *http.Client
	base *url.URL
}

// NewClient returns a client that sends requests by next. Spans of requests below baseURL have the path.
func NewClient(next *http.Client, baseURL string) *Client {
	base, err := url.Parse(strings.TrimRight(baseURL, "/"))
	if err != nil {
		base = &url.URL{} // CheckURL of package dafty has refused it
	}
	return &Client{next: next, base: base}
}

// Do implements dafty.Doer.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	var route, id string
	if req.Method != http.MethodPut { // the bytes of an upload, wherever they go
		route, id = c.route(req.URL)
	}
	name := req.Method
	if route != "" {
		name += " " + route
	}
	ctx, span := tracer().Start(req.Context(), name, trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	if !span.IsRecording() {
		return c.next.Do(req)
	}
	span.SetAttributes(semconv.HTTPRequestMethodKey.String(req.Method), semconv.ServerAddress(req.URL.Hostname()))
	if port, err := strconv.Atoi(req.URL.Port()); err == nil {
		span.SetAttributes(semconv.ServerPort(port))
	}
	if route != "" {
		span.SetAttributes(semconv.URLTemplate(route))
	}
	if id != "" {
		span.SetAttributes(jobIDKey.String(id))
	}
	resp, err := c.next.Do(req.WithContext(ctx))
	switch {
	case err != nil:
		why := failure(err)
		span.SetAttributes(semconv.ErrorTypeKey.String(why))
		if why != "canceled" {
			span.SetStatus(codes.Error, "")
		}
	default:
		span.SetAttributes(semconv.HTTPResponseStatusCode(resp.StatusCode))
		if resp.StatusCode >= http.StatusBadRequest {
			span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(resp.StatusCode)))
			span.SetStatus(codes.Error, "")
		}
	}
	return resp, err
}

// route returns the path below the base without its id, and the id if it is a job's. It returns "" for other URLs, as the path
// of an upload's URL is a secret too.
func (c *Client) route(u *url.URL) (route, jobID string) {
	if u.Scheme != c.base.Scheme || u.Host != c.base.Host {
		return "", ""
	}
	path, below := strings.CutPrefix(u.EscapedPath(), c.base.EscapedPath()+"/")
	if !below {
		return "", ""
	}
	parts := strings.Split(path, "/")
	if len(parts) > 1 {
		switch parts[0] {
		case "jobs":
			if id, err := url.PathUnescape(parts[1]); err == nil {
				jobID = id
			}
			parts[1] = "{id}"
		case "uploads":
			parts[1] = "{id}"
		case "styles":
			if len(parts) > 2 { // and not /styles/extract
				parts[1] = "{id}"
			}
		}
	}
	return "/" + strings.Join(parts, "/"), jobID
}
