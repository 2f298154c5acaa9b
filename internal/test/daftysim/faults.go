package daftysim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FaultKind is what a fault does to a request.
type FaultKind string

// The kinds of faults.
const (
	// FaultAnswer answers with Status, and either Body or an error of Code and
	// Message.
	FaultAnswer FaultKind = "answer"
	// FaultHang says nothing until the client leaves, or, with For, drops the
	// connection after that.
	FaultHang FaultKind = "hang"
	// FaultResetBefore resets the connection; the request has no effect.
	FaultResetBefore FaultKind = "reset-before"
	// FaultResetAfter resets the connection; the effect happened, its answer is lost.
	FaultResetAfter FaultKind = "reset-after"
	// FaultGarbage answers Body, or a page of HTML, with Status, or the one of success.
	FaultGarbage FaultKind = "garbage"
	// FaultTruncate sends half of the true answer and drops the connection.
	FaultTruncate FaultKind = "truncate"
	// FaultRedirect sends the client to Location, with Status or 307.
	FaultRedirect FaultKind = "redirect"
	// FaultHuge answers Size bytes of JSON, with Status, or the one of success.
	FaultHuge FaultKind = "huge"
	// FaultSlow has the effect at once and answers truly after For.
	FaultSlow FaultKind = "slow"
	// FaultDelay has the effect after For, whether or not the client still waits,
	// and answers truly.
	FaultDelay FaultKind = "delay"
)

// Forever makes a fault stay until it is cleared.
const Forever = -1

// Fault is a rule for what goes wrong. The first rule that matches a request
// takes it; a rule that names nothing matches every request.
type Fault struct {
	Operation Operation          `json:"operation,omitempty"`
	Account   string             `json:"account,omitempty"`
	APIKey    string             `json:"apiKey,omitempty"`
	Match     func(Request) bool `json:"-"` // must not call the simulator

	// Nth is the first matching call it befalls, from 1; 0 is 1. Count is how
	// many it befalls; 0 is 1, or [Forever].
	Nth   int `json:"nth,omitempty"`
	Count int `json:"count,omitempty"`

	Kind FaultKind `json:"kind,omitempty"` // "": [FaultAnswer]
	// Effect lets the request take effect before its answer is spoilt, for the
	// kinds that don't say so themselves: answer, hang, garbage, redirect, huge.
	Effect bool `json:"effect,omitempty"`

	Status   int               `json:"status,omitempty"`
	Code     string            `json:"code,omitempty"`
	Message  string            `json:"message,omitempty"`
	Body     string            `json:"body,omitempty"`
	Header   map[string]string `json:"header,omitempty"`
	Location string            `json:"location,omitempty"`
	Size     int               `json:"size,omitempty"` // bytes; 0: 64 MiB
	For      time.Duration     `json:"-"`              // "for" in JSON, as "1.5s"
}

// jsonFault has durations in the form of Go, such as 1.5s.
type jsonFault struct {
	plainFault
	For string `json:"for,omitempty"`
}

type plainFault Fault

// MarshalJSON leaves the API key out.
func (f Fault) MarshalJSON() ([]byte, error) {
	if f.APIKey != "" {
		f.APIKey = "(key)"
	}
	j := jsonFault{plainFault: plainFault(f)}
	if f.For != 0 {
		j.For = f.For.String()
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads a rule from the admin endpoint.
func (f *Fault) UnmarshalJSON(data []byte) error {
	var j jsonFault
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields() // a typo would make another rule
	if err := decoder.Decode(&j); err != nil {
		return err
	}
	*f = Fault(j.plainFault)
	if j.For != "" {
		var err error
		if f.For, err = time.ParseDuration(j.For); err != nil {
			return fmt.Errorf("for: %w", err)
		}
	}
	return nil
}

// fault is a rule and what it has done so far.
type fault struct {
	Fault
	id         int
	seen, used int
}

var faultKinds = []FaultKind{
	FaultAnswer, FaultHang, FaultResetBefore, FaultResetAfter, FaultGarbage, FaultTruncate, FaultRedirect, FaultHuge, FaultSlow, FaultDelay,
}

func (f Fault) validate() error {
	if f.Kind != "" && !slices.Contains(faultKinds, f.Kind) {
		return fmt.Errorf("no fault is called %q", f.Kind)
	}
	return nil
}

// Inject adds a rule after the others, and returns its number. It panics on a
// kind that doesn't exist.
func (s *Simulator) Inject(f Fault) int {
	if err := f.validate(); err != nil {
		panic("daftysim: " + err.Error())
	}
	f.Kind = FaultKind(orString(string(f.Kind), string(FaultAnswer)))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastFault++
	s.faults = append(s.faults, &fault{Fault: f, id: s.lastFault})
	return s.lastFault
}

// ClearFaults removes the rules of the given numbers, or all where none is
// given. Requests that a rule has already taken stay with it.
func (s *Simulator) ClearFaults(ids ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = slices.DeleteFunc(s.faults, func(f *fault) bool {
		return len(ids) == 0 || slices.Contains(ids, f.id)
	})
}

// PendingFaults returns the rules that are not used up, by number.
func (s *Simulator) PendingFaults() map[int]Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	pending := map[int]Fault{}
	for _, f := range s.faults {
		pending[f.id] = f.Fault
	}
	return pending
}

// befall returns the rule that takes a request. The caller holds the lock.
func (s *Simulator) befall(c *call) *Fault {
	for i, f := range s.faults {
		if !f.matches(c) {
			continue
		}
		if f.seen++; f.seen < f.Nth {
			continue
		}
		if f.used++; f.Count != Forever && f.used >= max(f.Count, 1) {
			s.faults = slices.Delete(s.faults, i, i+1)
		}
		return &f.Fault
	}
	return nil
}

func (f *fault) matches(c *call) bool {
	switch {
	case f.Operation != "" && f.Operation != c.operation,
		f.APIKey != "" && f.APIKey != c.presented,
		f.Account != "" && f.Account != c.logged.Account:
		return false
	}
	if f.Match == nil {
		return true
	}
	r := *c.logged
	r.Header, r.Body = c.content() // the log may keep neither
	return f.Match(r)
}

// suffer applies a fault to a request.
func (s *Simulator) suffer(w http.ResponseWriter, c *call, f *Fault) {
	ctx := c.req.Context()
	if f.Effect && f.Kind != FaultTruncate && f.Kind != FaultSlow && f.Kind != FaultDelay && f.Kind != FaultResetAfter {
		s.effect(c)
	}
	switch f.Kind {
	case FaultAnswer:
		s.send(w, c, f.spoilt(http.StatusInternalServerError, s.faultBody(f)), f.Kind)
	case FaultGarbage:
		a := f.spoilt(c.success(), []byte(orString(f.Body, garbage)))
		if f.Header["Content-Type"] == "" {
			a.header.Set("Content-Type", "text/html; charset=utf-8")
		}
		s.send(w, c, a, f.Kind)
	case FaultRedirect:
		a := f.spoilt(http.StatusTemporaryRedirect, nil)
		a.header.Set("Location", f.Location)
		s.send(w, c, a, f.Kind)
	case FaultHang:
		s.pause(ctx, f.For)
		s.drop(w, c, f.Kind)
	case FaultResetBefore:
		s.drop(w, c, f.Kind)
	case FaultResetAfter:
		s.effect(c)
		s.drop(w, c, f.Kind)
	case FaultSlow:
		a := s.effect(c)
		s.pause(ctx, f.For)
		s.send(w, c, a, f.Kind)
	case FaultDelay:
		// What is under way on the server goes on when the client has left.
		s.pause(context.WithoutCancel(ctx), f.For)
		s.send(w, c, s.effect(c), f.Kind)
	case FaultTruncate:
		a := s.effect(c)
		c.leave()
		s.done(c, a.status, f.Kind)
		maps.Copy(w.Header(), a.header)
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case FaultHuge:
		a := f.spoilt(c.success(), nil)
		c.leave()
		s.done(c, a.status, f.Kind)
		maps.Copy(w.Header(), a.header)
		w.WriteHeader(a.status)
		size := f.Size
		if size == 0 {
			size = 64 << 20
		}
		_, _ = io.Copy(w, io.MultiReader(strings.NewReader(`{"data":{"id":"`), io.LimitReader(endless{}, int64(size)), strings.NewReader(`"}}`)))
	}
}

const garbage = "<html><head><title>Just a moment…</title></head><body><h1>Bad gateway</h1></body></html>\n"

// endless is a reader of the letter a, without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

// spoilt returns the answer of a rule.
func (f *Fault) spoilt(status int, body []byte) answer {
	a := answer{status: status, header: http.Header{"Content-Type": {"application/json"}}, body: body}
	if f.Status != 0 {
		a.status = f.Status
	}
	for name, value := range f.Header {
		a.header.Set(name, value)
	}
	return a
}

func (s *Simulator) faultBody(f *Fault) []byte {
	if f.Body != "" {
		return []byte(f.Body)
	}
	return s.refuse(&refusal{code: orString(f.Code, "INTERNAL_ERROR"), message: orString(f.Message, "Something went wrong")}).body
}

// success returns the status of a successful request.
func (c *call) success() int {
	if c.op != nil && c.op.creates() {
		return http.StatusAccepted
	}
	return http.StatusOK
}

// pause waits for a time of the clock, 0 being for ever; or until the client
// leaves or the simulator closes.
func (s *Simulator) pause(ctx context.Context, d time.Duration) {
	var over <-chan time.Time
	if d > 0 {
		timer := s.clock.NewTimer(d)
		defer timer.Stop()
		over = timer.C()
	}
	select {
	case <-over:
	case <-ctx.Done():
	case <-s.closed:
	}
}

// drop resets the connection without an answer.
func (s *Simulator) drop(w http.ResponseWriter, c *call, kind FaultKind) {
	c.leave()
	s.done(c, 0, kind)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // no connection of our own: the server ends it
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a reset, not an orderly end
	}
	_ = conn.Close()
}
