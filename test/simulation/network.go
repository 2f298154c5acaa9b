package simulation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

const (
	daftyHost = "dafty.test"
	daftyURL  = "https://" + daftyHost + daftysim.BasePath

	// lateness is how long a request may still be on its way after its client has given it up
	// or died; processing (env.go) may be added to that. With maxSkew this stays within the 15 s
	// that the operator allows for before it repeats one.
	lateness = 3 * time.Second
)

// network is a process's network to Dafty.
type network struct{ p *process }

// outcome is what a client reads from its connection.
type outcome struct {
	response *http.Response
	err      error
}

// Do implements dafty.Doer.
func (n network) Do(req *http.Request) (*http.Response, error) {
	p, e, ctx := n.p, n.p.env, req.Context()
	what := n.p.id + " " + describeRequest(req)
	if !p.gate(what) {
		return nil, failed(req, context.Cause(ctx))
	}
	e.mu.Lock()
	e.invariants.noteCancel(p, req)
	e.mu.Unlock()
	if ctx.Err() != nil {
		return nil, failed(req, context.Cause(ctx)) // it was paused for longer than the call has
	}
	if mutate := e.mutation.request; mutate != nil {
		mutate(req)
	}
	e.invariants.checkRequest(req)
	fault := e.drawFault(what)
	if fault == refused {
		if !p.sleep(e.random.between(time.Millisecond, 50*time.Millisecond, what+" is refused")) {
			return nil, failed(req, context.Canceled)
		}
		e.trace.add(p.id, "%s: connection refused", describeRequest(req))
		return nil, failed(req, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED})
	}
	if hook := httptrace.ContextClientTrace(ctx); hook != nil && hook.GotConn != nil {
		hook.GotConn(httptrace.GotConnInfo{})
	}
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body) // from memory
	}
	e.invariants.checkBody(req, body)
	answered := make(chan outcome, 2) // a connection may break before the answer
	go n.transmit(req, body, what, fault, answered)
	var got outcome
	select {
	case got = <-answered:
	case <-ctx.Done():
		got = outcome{err: failed(req, context.Cause(ctx))}
	case <-p.ctx.Done():
		return nil, failed(req, context.Canceled)
	}
	if !p.gate(what + " answer") {
		return nil, failed(req, context.Canceled)
	}
	if got.err == nil && ctx.Err() != nil && e.random.oneIn(2, what+" answer and deadline at once") {
		return nil, failed(req, context.Cause(ctx))
	}
	return got.response, got.err
}

// failed wraps an error as http.Client does.
func failed(req *http.Request, err error) error {
	if err == nil {
		err = context.Canceled
	}
	return &url.Error{Op: req.Method, URL: req.URL.String(), Err: err}
}

// transmit brings a request to Dafty and the answer back, if one arrives.
func (n network) transmit(req *http.Request, body []byte, what string, fault fault, answered chan<- outcome) {
	p, e, ctx := n.p, n.p.env, req.Context()
	brief := describeRequest(req)
	way := e.random.between(5*time.Millisecond, 150*time.Millisecond, what+" travels")
	if fault == slow {
		way = e.random.between(time.Second, 40*time.Second, what+" travels slowly")
	}
	sent := time.Now()
	timer := time.NewTimer(way)
	select {
	case <-timer.C:
	case <-ctx.Done():
		timer.Stop()
		left := min(way-time.Since(sent), lateness)
		if e.random.oneIn(2, what+" is lost with its client") {
			return
		}
		time.Sleep(left)
	}

	e.mu.Lock()
	effect, alive := 0, false
	if !p.dead { // What left before the crash arrives after it.
		if effect, alive = p.beginEffect(brief); !alive {
			e.mu.Unlock()
			return
		}
	}
	if e.over {
		e.mu.Unlock()
		return
	}
	creates := req.Header.Get("Idempotency-Key") != ""
	if creates {
		e.reached("within")
	}
	e.mu.Unlock()

	broken := outcome{err: failed(req, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET})}
	if fault == resetWithin {
		time.AfterFunc(e.random.between(time.Microsecond, time.Second, what+" breaks"), func() { answered <- broken })
	}
	answer := n.serve(req, body, fault)
	// What ended several held requests at once is seen one by one.
	time.Sleep(e.random.between(time.Microsecond, time.Millisecond, what+" is served"))
	e.trace.add(p.id, "%s: %s", brief, answer)
	e.mu.Lock()
	if alive {
		p.endEffect(effect)
	}
	if creates {
		e.reached("after")
	}
	e.mu.Unlock()
	if answer.lost {
		return
	}
	time.Sleep(e.random.between(5*time.Millisecond, 150*time.Millisecond, what+" is answered"))
	if answer.reset {
		answered <- broken
		return
	}
	var text io.Reader = bytes.NewReader(answer.body)
	if fault == truncated {
		text = io.MultiReader(bytes.NewReader(answer.body[:len(answer.body)/2]), brokenOff{})
	}
	answered <- outcome{response: &http.Response{StatusCode: answer.status, Header: answer.header, Body: io.NopCloser(text), Request: req}}
}

// brokenOff is the end of a body whose connection broke.
type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// served is what came of a request at the other end.
type served struct {
	// reset: the connection breaks; lost: nothing is ever heard; fault: how it was spoilt.
	reset, lost bool
	fault       fault
	status      int
	header      http.Header
	body        []byte
}

func (s served) String() string {
	var b strings.Builder
	switch {
	case s.lost:
		b.WriteString("no answer")
	case s.reset:
		b.WriteString("connection reset")
	default:
		b.WriteString(strconv.Itoa(s.status))
		for _, field := range []string{`"code":"`, `"status":"`, `"id":"`} {
			if _, rest, ok := strings.Cut(string(s.body), field); ok {
				value, _, _ := strings.Cut(rest, `"`)
				b.WriteString(" " + shortID(value))
			}
		}
	}
	if s.fault != "" {
		fmt.Fprintf(&b, " (%s)", s.fault)
	}
	return b.String()
}

// serve has Dafty answer, or what stands in its place.
func (n network) serve(req *http.Request, body []byte, fault fault) served {
	got := served{fault: fault}
	if !fault.reaches() {
		switch fault {
		case reset:
			got.reset = true
		case hang:
			got.lost = true
		default:
			got.status, got.header, got.body = fault.answer()
		}
		return got
	}
	recorded := httptest.NewRecorder()
	if err := n.p.env.ask(recorded, req, body); err != nil {
		got.reset = true
		return got
	}
	got.status, got.header, got.body = recorded.Code, recorded.Header(), recorded.Body.Bytes()
	switch fault {
	case resetWithin, resetAfter:
		got.reset = true
	case hangAfter:
		got.lost = true
	case badGatewayAfter, brokenAfter, garbageAfter:
		got.status, got.header, got.body = fault.answer()
	}
	return got
}

// ask calls the simulator as its server would.
func (e *env) ask(recorded http.ResponseWriter, req *http.Request, body []byte) (err error) {
	defer func() {
		switch r := recover(); r {
		case nil:
		case http.ErrAbortHandler:
			err = errors.New("dropped")
		default:
			panic(r)
		}
	}()
	arrived := req.Clone(req.Context())
	arrived.Host, arrived.Body = daftyHost, io.NopCloser(bytes.NewReader(body))
	arrived.Header.Set("X-Forwarded-Proto", "https")
	e.sim.ServeHTTP(recorded, arrived)
	return nil
}

// describeRequest names a request for the trace and for chance.
func describeRequest(req *http.Request) string {
	path := strings.TrimPrefix(req.URL.Path, daftysim.BasePath)
	if key := req.Header.Get("Idempotency-Key"); key != "" {
		return fmt.Sprintf("%s %s [%s]", req.Method, path, key)
	}
	parts := strings.Split(path, "/")
	for i := range parts {
		parts[i] = shortID(parts[i])
	}
	path = strings.Join(parts, "/")
	if req.URL.RawQuery != "" {
		path += "?" + req.URL.RawQuery
	}
	return req.Method + " " + path
}

// shortID cuts a UUID down to what tells it from others.
func shortID(text string) string {
	if len(text) == 36 {
		return text[:8]
	}
	return text
}
