package daftysim

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Request is one request as it came over the wire. API keys in headers are
// replaced by the name of their account.
type Request struct {
	Seq       int         `json:"seq"` // from 1, in order of arrival
	Time      time.Time   `json:"time"`
	Operation Operation   `json:"operation,omitempty"` // "": no such path
	Account   string      `json:"account,omitempty"`   // "": no valid key
	Method    string      `json:"method"`
	Path      string      `json:"path"`
	Query     string      `json:"query,omitempty"`
	Header    http.Header `json:"header,omitempty"`
	// Body is cut after 64 KiB; Size is what came.
	Body Body `json:"body,omitempty"`
	Size int  `json:"size,omitempty"`
	// Status is what the simulator answered, 0 while it hasn't or where a fault
	// let nothing out.
	Status int `json:"status,omitempty"`
	// Answered is when the request was done with; zero while it is on.
	Answered time.Time `json:"answered,omitzero"`
	// Fault is the kind of fault that befell it, Gone where the client left.
	Fault FaultKind `json:"fault,omitempty"`
	Gone  bool      `json:"gone,omitempty"`
}

// Body is what a client sent. In JSON it is text, as most bodies are.
type Body []byte

// MarshalText returns the body as it is.
func (b Body) MarshalText() ([]byte, error) { return b, nil }

// UnmarshalText takes a body as it is.
func (b *Body) UnmarshalText(text []byte) error {
	*b = append((*b)[:0], text...)
	return nil
}

// Done reports whether the request was answered or given up.
func (r Request) Done() bool { return !r.Answered.IsZero() }

// IdempotencyKey returns the header of that name.
func (r Request) IdempotencyKey() string { return r.Header.Get("Idempotency-Key") }

// requestLog remembers the last requests, up to a bound.
type requestLog struct {
	bound   int // negative: nothing is kept
	seq     int
	entries []*Request
}

func (l *requestLog) add(r *Request) {
	l.seq++
	r.Seq = l.seq
	if l.bound < 0 {
		return
	}
	if len(l.entries) >= 2*l.bound {
		l.entries = append(l.entries[:0], l.entries[len(l.entries)-l.bound+1:]...)
	}
	l.entries = append(l.entries, r)
}

func (l *requestLog) last() []*Request {
	return l.entries[max(0, len(l.entries)-max(l.bound, 0)):]
}

// arrive records a request. The caller holds the lock.
func (s *Simulator) arrive(c *call) {
	c.logged = &Request{Time: s.now(), Method: c.req.Method, Operation: c.operation, Size: len(c.body)}
	if c.key != nil {
		c.logged.Account = c.key.account.name
	}
	c.logged.Path, c.logged.Query = c.redact(c.req.URL.Path), c.redact(c.req.URL.RawQuery)
	if s.log.bound >= 0 {
		c.logged.Header, c.logged.Body = c.content()
	}
	s.log.add(c.logged)
	s.happened()
}

// done records what became of a request, before its answer is sent, so that a
// client with the answer finds it in the log.
func (s *Simulator) done(c *call, status int, kind FaultKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.logged.Done() {
		return
	}
	c.logged.Status, c.logged.Answered, c.logged.Fault = status, s.now(), kind
	c.logged.Gone = c.req.Context().Err() != nil
	s.happened()
}

// maxLoggedBody leaves the bytes of uploads out of the log.
const maxLoggedBody = 64 << 10

// content returns the header and the body without secrets and large bytes.
func (c *call) content() (http.Header, Body) {
	header := make(http.Header, len(c.req.Header))
	for name, values := range c.req.Header {
		for _, v := range values {
			if scheme, rest, ok := strings.Cut(v, " "); ok && name == "Authorization" && rest != c.presented {
				v = scheme + " unknown" // a second key, or no key of ours
			}
			header[name] = append(header[name], c.redact(v))
		}
	}
	body := c.body[:min(len(c.body), maxLoggedBody)]
	if c.presented != "" && bytes.Contains(body, []byte(c.presented)) {
		body = []byte(c.redact(string(body)))
	}
	return header, body
}

// redact replaces the API key by the account it belongs to.
func (c *call) redact(text string) string {
	if c.presented == "" {
		return text
	}
	return strings.ReplaceAll(text, c.presented, orString(c.logged.Account, "unknown"))
}

// Requests returns the remembered requests in order of arrival.
func (s *Simulator) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries := s.log.last()
	requests := make([]Request, len(entries))
	for i, r := range entries {
		requests[i] = *r
	}
	return requests
}

// RequestCount returns how many requests came since the start, remembered or not.
func (s *Simulator) RequestCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.seq
}

// ForgetRequests empties the log.
func (s *Simulator) ForgetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.entries = nil
}

// WaitForRequest returns the first remembered request that match accepts, waiting
// until there is one. It is asked about each request when it arrives (Done is
// false, Status 0) and again once it is done with; match must not call the
// simulator.
func (s *Simulator) WaitForRequest(ctx context.Context, match func(Request) bool) (Request, error) {
	var found Request
	err := s.WaitUntil(ctx, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		i := slices.IndexFunc(s.log.last(), func(r *Request) bool { return match(*r) })
		if i >= 0 {
			found = *s.log.last()[i]
		}
		return i >= 0
	})
	return found, err
}

// maxViolations bounds the record of violations.
const maxViolations = 1000

// violate records what a careful client never does. The caller holds the
// lock.
func (s *Simulator) violate(c *call, format string, args ...any) {
	what := fmt.Sprintf("%s %s: ", c.req.Method, c.req.URL.Path) + fmt.Sprintf(format, args...)
	if c.presented != "" {
		what = strings.ReplaceAll(what, c.presented, "(key)")
	}
	if len(s.violations) < maxViolations {
		s.violations = append(s.violations, what)
	}
}

// Violations returns what clients did that a careful one never does, and where
// the simulator's own answers broke the contract. Tests end with none.
func (s *Simulator) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

// ForgetViolations empties [Simulator.Violations], for tests that meant some.
func (s *Simulator) ForgetViolations() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violations = nil
}
