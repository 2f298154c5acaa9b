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
	// or died; processing (world.go) may be added to that. With maxSkew this stays within the 15 s
	// that the operator allows for before it repeats one.
	lateness = 3 * time.Second
)

// doer is a process's network to Dafty.
type doer struct{ p *process }

// outcome is what a client reads from its connection.
type outcome struct {
	response *http.Response
	err      error
}

// Do implements dafty.Doer.
func (d doer) Do(req *http.Request) (*http.Response, error) {
	p, w, ctx := d.p, d.p.w, req.Context()
	what := d.p.id + " " + describeRequest(req)
	if !p.gate(what) {
		return nil, failed(req, context.Cause(ctx))
	}
	w.mu.Lock()
	w.judge.cancelTried(p, req)
	w.mu.Unlock()
	if ctx.Err() != nil {
		return nil, failed(req, context.Cause(ctx)) // it was paused for longer than the call has
	}
	if mutate := w.mutation.request; mutate != nil {
		mutate(req)
	}
	w.judge.sent(req)
	fault := w.strike(what)
	if fault == refused {
		if !p.sleep(w.chance.between(time.Millisecond, 50*time.Millisecond, what+" is refused")) {
			return nil, failed(req, context.Canceled)
		}
		w.trace.add(p.id, "%s: connection refused", describeRequest(req))
		return nil, failed(req, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED})
	}
	if hook := httptrace.ContextClientTrace(ctx); hook != nil && hook.GotConn != nil {
		hook.GotConn(httptrace.GotConnInfo{})
	}
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body) // from memory
	}
	w.judge.posted(req, body)
	answered := make(chan outcome, 2) // a connection may break before the answer
	go d.carry(req, body, what, fault, answered)
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
	if got.err == nil && ctx.Err() != nil && w.chance.oneIn(2, what+" answer and deadline at once") {
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

// carry brings a request to Dafty and the answer back, if one arrives.
func (d doer) carry(req *http.Request, body []byte, what string, fault fault, answered chan<- outcome) {
	p, w, ctx := d.p, d.p.w, req.Context()
	brief := describeRequest(req)
	way := w.chance.between(5*time.Millisecond, 150*time.Millisecond, what+" travels")
	if fault == slow {
		way = w.chance.between(time.Second, 40*time.Second, what+" travels slowly")
	}
	sent := time.Now()
	timer := time.NewTimer(way)
	select {
	case <-timer.C:
	case <-ctx.Done():
		timer.Stop()
		left := min(way-time.Since(sent), lateness)
		if w.chance.oneIn(2, what+" is lost with its client") {
			return
		}
		time.Sleep(left)
	}

	w.mu.Lock()
	n, alive := 0, false
	if !p.dead { // What left before the crash arrives after it.
		if n, alive = p.effect(brief); !alive {
			w.mu.Unlock()
			return
		}
	}
	if w.over {
		w.mu.Unlock()
		return
	}
	creates := req.Header.Get("Idempotency-Key") != ""
	if creates {
		w.moment("within")
	}
	w.mu.Unlock()

	broken := outcome{err: failed(req, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET})}
	if fault == resetWithin {
		time.AfterFunc(w.chance.between(time.Microsecond, time.Second, what+" breaks"), func() { answered <- broken })
	}
	answer := d.serve(req, body, fault)
	// What ended several held requests at once is seen one by one.
	time.Sleep(w.chance.between(time.Microsecond, time.Millisecond, what+" is served"))
	w.trace.add(p.id, "%s: %s", brief, answer)
	w.mu.Lock()
	if alive {
		p.done(n)
	}
	if creates {
		w.moment("after")
	}
	w.mu.Unlock()
	if answer.lost {
		return
	}
	time.Sleep(w.chance.between(5*time.Millisecond, 150*time.Millisecond, what+" is answered"))
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
				b.WriteString(" " + brief(value))
			}
		}
	}
	if s.fault != "" {
		fmt.Fprintf(&b, " (%s)", s.fault)
	}
	return b.String()
}

// serve has Dafty answer, or what stands in its place.
func (d doer) serve(req *http.Request, body []byte, fault fault) served {
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
	if err := d.p.w.ask(recorded, req, body); err != nil {
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
func (w *world) ask(recorded http.ResponseWriter, req *http.Request, body []byte) (err error) {
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
	w.sim.ServeHTTP(recorded, arrived)
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
		parts[i] = brief(parts[i])
	}
	path = strings.Join(parts, "/")
	if req.URL.RawQuery != "" {
		path += "?" + req.URL.RawQuery
	}
	return req.Method + " " + path
}

// brief cuts a UUID down to what tells it from others.
func brief(text string) string {
	if len(text) == 36 {
		return text[:8]
	}
	return text
}
