package dafty

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// DefaultURL is where Dafty's API answers.
	DefaultURL = "https://app.dafty.ai/api/v1"

	// callTimeout bounds each call that Dafty answers at once.
	callTimeout = 20 * time.Second
	// waitTimeout bounds a GET with wait=true. Dafty holds it for up to about 55 s, and a slow network may add to that.
	waitTimeout = 75 * time.Second
	// maxBody bounds an answer. A job with four images has some 2 KB.
	maxBody = 1 << 20
	// maxHeader bounds the headers of an answer, and the first line of a server that doesn't speak HTTP.
	maxHeader = 64 << 10
	// maxText bounds each text of an answer that is shown to the user, in bytes.
	maxText = 4 << 10
)

// Doer sends requests. *http.Client is one.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// NewHTTPClient returns the HTTP client for Dafty, one for the whole process and all API keys. It follows no redirect, so that
// a key only goes to the configured URL.
func NewHTTPClient() *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           dialer.DialContext,
			ForceAttemptHTTP2:     true,
			MaxIdleConns:          1024,
			MaxIdleConnsPerHost:   256,
			IdleConnTimeout:       90 * time.Second,
			TLSHandshakeTimeout:   10 * time.Second,
			ExpectContinueTimeout: time.Second,

			MaxResponseHeaderBytes: maxHeader,
			// All calls may share one connection. If the network drops it silently, all of them would time out until the kernel
			// gives it up, after a quarter of an hour.
			HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Client calls Dafty with one API key. It is safe for concurrent use.
type Client struct {
	server    string
	userAgent string
	http      Doer
	// key and redact are functions so that no way of printing a Client shows the API key.
	key    func() string
	redact func(text string) string
}

// New returns a client for the API at baseURL (see CheckURL), which sends apiKey and userAgent with each request.
func New(baseURL, apiKey, userAgent string, httpClient Doer) *Client {
	// The generated paths are relative to a base that ends in a slash.
	return &Client{
		server:    strings.TrimRight(baseURL, "/") + "/",
		userAgent: userAgent,
		http:      httpClient,
		key:       func() string { return apiKey },
		redact:    redactor(apiKey).Replace,
	}
}

// CheckURL returns why a base URL can't be used, or nil. Plain http would show the API key to the network, so it is refused
// unless the address is a loopback one or allowInsecure is set.
func CheckURL(raw string, allowInsecure bool) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		// The parse error quotes the URL, which may hold a password.
		return errors.New("the Dafty URL can't be parsed: give a URL such as " + DefaultURL)
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("the Dafty URL must begin with https://, such as %s", DefaultURL)
	case u.Hostname() == "":
		return fmt.Errorf("the Dafty URL names no host: give a URL such as %s", DefaultURL)
	case u.User != nil:
		return errors.New("the Dafty URL must hold no user name or password: the API key comes from the Secret of each DaftyJob")
	case u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("the Dafty URL must have no query and no fragment: give a URL such as %s", DefaultURL)
	case u.Scheme == "http" && !allowInsecure && !loopback(u.Hostname()):
		return fmt.Errorf("the Dafty URL %s is plain http, which would show every API key to the network: "+
			"use https, or --allow-insecure-dafty-url if you mean it", u.Redacted())
	}
	return nil
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Create submits a job. A repeat with the same idempotency key returns the first job. The call ends with ctx, whose deadline
// the caller counts from its own record of the attempt. Every error is a *CallError; unless it is Refused, the job may have
// been made.
func (c *Client) Create(ctx context.Context, create Create, idempotencyKey string) (*Job, error) {
	req, err := create.newRequest(ctx, c.server, &idempotencyKey)
	if err != nil {
		return nil, unsentError(KindInvalid, "the request can't be encoded", err)
	}
	// http.Transport repeats a request that has an Idempotency-Key by itself when a reused
	// connection breaks, while the server may still work on the first: two requests in
	// parallel can make two jobs. Without GetBody it can't repeat one.
	req.GetBody = nil
	return c.job(ctx, req, "")
}

// Job returns the state of a job. With wait, Dafty holds the request until the job has ended, for up to about 55 s.
func (c *Client) Job(ctx context.Context, id string, wait bool) (*Job, error) {
	params, timeout := GetJobParams{}, callTimeout
	if wait {
		params.Wait, timeout = new(True), waitTimeout
	}
	req, err := newGetJobRequest(ctx, c.server, id, params)
	if err = sendable(id, err); err != nil {
		return nil, unsentError(KindUnavailable, "the job's id can't be sent", err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return c.job(ctx, req, id)
}

// sendable refuses an id that would make the path of another resource, as a person may have written it into an annotation.
// Every other id is escaped.
func sendable(id string, err error) error {
	if id == "" || id == "." || id == ".." {
		return fmt.Errorf("%q is none", id)
	}
	return err
}

// Cancel cancels a job and returns its state, which need not be final yet.
func (c *Client) Cancel(ctx context.Context, id string) (*Job, error) {
	req, err := newCancelJobRequest(ctx, c.server, id)
	if err = sendable(id, err); err != nil {
		return nil, unsentError(KindUnavailable, "the job's id can't be sent", err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return c.job(ctx, req, id)
}

// job sends a request whose answer is a job, of the id wantID unless that is empty.
func (c *Client) job(ctx context.Context, req *http.Request, wantID string) (*Job, error) {
	body, status, err := c.do(ctx, req)
	if err != nil {
		return nil, err
	}
	job, err := readJob(body)
	var unreadable string
	switch {
	case err != nil:
		unreadable = "Dafty's answer can't be read"
	case job.Id == "" || job.Status == "" || len(job.Id) > maxName || len(job.Status) > maxName || len(job.Type) > maxName:
		unreadable = "Dafty's answer names no job"
	case wantID != "" && !strings.EqualFold(job.Id, wantID):
		unreadable = "Dafty's answer is about another job"
	default:
		return job, nil
	}
	return nil, &CallError{Kind: KindUnavailable, Status: status, Message: unreadable}
}

// do sends a request and returns the body and status of a 2xx answer. Everything else is a *CallError.
func (c *Client) do(ctx context.Context, req *http.Request) ([]byte, int, error) {
	req.Header.Set("X-Api-Key", c.key())
	req.Header.Set("Accept", "application/json")
	resp, unsent, err := c.send(ctx, req)
	if err != nil {
		return nil, 0, c.noAnswer("Dafty", err, unsent)
	}
	defer func() { _ = resp.Body.Close() }()
	noteRate(ctx, resp.Header)

	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		e := c.noAnswer("Dafty", err, false)
		e.Status = resp.StatusCode
		return nil, resp.StatusCode, e
	}
	if len(body) > maxBody {
		message := fmt.Sprintf("Dafty's answer is longer than %d bytes", maxBody)
		return nil, resp.StatusCode, &CallError{Kind: KindUnavailable, Status: resp.StatusCode, Message: message}
	}
	body = redactJSON(body, c.redact)
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return body, resp.StatusCode, nil
	}
	return nil, resp.StatusCode, answerError(resp, body)
}

// send sends a request. If that fails, unsent reports whether the request certainly never left.
func (c *Client) send(ctx context.Context, req *http.Request) (resp *http.Response, unsent bool, err error) {
	// The hook runs on the transport's goroutine, possibly after Do has given up.
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	req = req.WithContext(ctx)
	req.Header.Set("User-Agent", c.userAgent)
	if err := ctx.Err(); err != nil {
		return nil, true, err
	}
	resp, err = c.http.Do(req)
	return resp, !connected.Load(), err
}

// noAnswer returns the error of a request that a server didn't answer. It only keeps the redacted text of err, as a
// transport's error may quote the API key from what a server sent.
func (c *Client) noAnswer(server string, err error, unsent bool) *CallError {
	e := &CallError{Kind: KindUnavailable, Message: server + " can't be reached", Unsent: unsent}
	var (
		urlErr *url.Error
		netErr net.Error
	)
	switch {
	case errors.Is(err, context.Canceled):
		e.Message, e.cause = "the call was given up", context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		e.Message, e.cause = server+" didn't answer in time", context.DeadlineExceeded
	case errors.As(err, &netErr) && netErr.Timeout():
		e.Message = server + " didn't answer in time"
	case errors.As(err, &urlErr):
		e.Message += ": " + shortened(c.redact(withoutAddresses(urlErr.Err).Error()))
	default:
		e.Message = server + "'s answer broke off"
	}
	return e
}

// withoutAddresses returns the error without the ends of its connection: the local port changes each time, and status would
// be written just for that.
func withoutAddresses(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
