package simulation

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
)

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

// serve returns the answer of Dafty, or of what stands in its place.
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
