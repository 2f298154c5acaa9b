package simulation

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
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
