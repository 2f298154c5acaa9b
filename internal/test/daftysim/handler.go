package daftysim

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// call is one request on its way through.
type call struct {
	req       *http.Request
	query     url.Values
	body      []byte
	base      string // scheme and host that the client used
	presented string // the API key that it sent

	operation Operation  // "": no such path
	op        *operation // nil outside of the contract
	params    map[string]string
	wrongVerb bool

	key            *apiKey // nil: none that is valid
	idempotencyKey string
	known          *record // what its Idempotency-Key stood for on arrival
	leave          func()  // takes it off the wire
	fault          *Fault
	logged         *Request
	rate           *rate
}

// ServeHTTP serves the API below [BasePath], uploads and results beside it,
// and, where [Options.Admin] has it so, the admin endpoints.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.opts.Admin && strings.HasPrefix(r.URL.Path, adminPath) {
		s.serveAdmin(w, r)
		return
	}
	body, err := readBody(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	c := s.receive(r, body)
	defer c.leave()
	if c.fault != nil {
		s.suffer(w, c, c.fault)
		return
	}
	s.send(w, c, s.effect(c), "")
}

// receive finds out who sent a request, what it asks for, and what it breaks.
func (s *Simulator) receive(r *http.Request, body []byte) *call {
	c := &call{
		req: r, query: r.URL.Query(), body: body, base: baseOf(r),
		presented: presentedKey(r.Header), leave: func() {},
	}
	path, api := strings.CutPrefix(r.URL.Path, BasePath+"/")
	var known bool
	switch {
	case r.Method == http.MethodGet && r.URL.Path == BasePath+"/openapi.json":
		c.operation = GetOpenAPI
	case api:
		c.op, c.params, known = s.contract.match(r.Method, path)
		if c.op != nil {
			c.operation = c.op.id
		}
		c.wrongVerb = known && c.op == nil
	case strings.HasPrefix(r.URL.Path, storagePath) && r.Method == http.MethodPut:
		c.operation = PutUpload
	case strings.HasPrefix(r.URL.Path, filesPath) && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		c.operation = GetFile
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if c.op != nil {
		c.key = s.authenticate(c.presented)
	}
	s.arrive(c)
	s.inspect(c, api)
	if c.key != nil && c.op.creates() {
		c.idempotencyKey = r.Header.Get("Idempotency-Key")
		c.leave = s.enter(c)
		c.known = s.recall(c.key, c.idempotencyKey)
	}
	c.fault = s.befall(c)
	return c
}

// inspect records what no careful client sends, whatever the answer. The
// caller holds the lock.
func (s *Simulator) inspect(c *call, api bool) {
	h := c.req.Header
	switch {
	case c.operation == GetOpenAPI:
	case api && c.op == nil:
		s.violate(c, "the contract has no such path and method")
	case !api && (c.presented != "" || h.Get("Authorization") != ""):
		s.violate(c, "an API key was sent outside of the API")
	}
	if c.presented != "" && (strings.Contains(c.req.URL.String(), c.presented) || strings.Contains(string(c.body), c.presented)) {
		s.violate(c, "the API key is in the URL or the body")
	}
	if c.op == nil {
		return
	}
	if c.req.UserAgent() == "" {
		s.violate(c, "no User-Agent")
	}
	if c.op.creates() {
		switch key := h.Get("Idempotency-Key"); {
		case key == "":
			s.violate(c, "a create without Idempotency-Key")
		case utf8.RuneCountInString(key) > 255:
			s.violate(c, "an Idempotency-Key of over 255 characters")
		}
	}
}

// effect does what the request asks for.
func (s *Simulator) effect(c *call) answer {
	switch {
	case c.operation == GetOpenAPI:
		return answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: openAPIJSON()}
	case c.operation == PutUpload:
		return s.putUpload(c)
	case c.operation == GetFile:
		return s.getFile(c)
	case c.wrongVerb:
		return s.refuse(&refusal{status: http.StatusMethodNotAllowed, code: "METHOD_NOT_ALLOWED", message: "Method not allowed"})
	case c.op == nil:
		return s.refuse(notFound("No such path"))
	}
	a := s.serveAPI(c)
	if a.gone {
		return a
	}
	s.mu.Lock()
	v := s.opts.Variants
	s.mu.Unlock()
	if c.rate != nil && (v.RateHeaders == RateHeadersAlways || v.RateHeaders == RateHeadersOn429 && a.status == http.StatusTooManyRequests) {
		c.rate.write(a.header)
	}
	if !s.opts.SkipAnswerValidation {
		open := v.UnknownJob != UnknownJobNone || s.shownByHand(c)
		if broken := s.contract.checkAnswer(c.op, c.req, a, open); len(broken) > 0 {
			s.mu.Lock()
			s.violations = append(s.violations, broken...)
			s.mu.Unlock()
		}
	}
	return a
}

// shownByHand reports whether ShowStatus may have put a status into the answer.
func (s *Simulator) shownByHand(c *call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.statusesShown && classOf(c.op.id) == ClassOther
}

// serveAPI answers an operation of the contract.
func (s *Simulator) serveAPI(c *call) answer {
	if c.key == nil {
		return s.refuse(unauthorized())
	}
	s.mu.Lock()
	over := s.limited(c, c.known == nil || s.opts.Variants.RepeatCounts == RepeatCountsYes)
	s.mu.Unlock()
	if over {
		return s.refuseCreate(c, &refusal{
			status: http.StatusTooManyRequests, code: "RATE_LIMIT_ERROR", message: "Too many requests",
			retryAfter: max(1, seconds(c.rate.reset)),
		})
	}
	if r := s.checkContract(c); r != nil {
		return s.refuseCreate(c, r)
	}
	if c.op.creates() {
		if c.known != nil {
			return s.repeat(c)
		}
		return s.create(c)
	}
	switch c.op.id {
	case GetAccount:
		return s.getAccount(c)
	case SearchStyleAssets:
		return s.searchStyleAssets(c)
	case ListJobs:
		return s.listJobs(c)
	case GetJob:
		return s.getJob(c.req.Context(), c)
	case CancelJob:
		return s.cancel(c)
	case CreateUpload:
		return s.createUpload(c)
	case CompleteUpload:
		return s.completeUpload(c)
	default:
		panic(fmt.Sprintf("daftysim: the contract has an operation %q that the simulator lacks", c.op.id))
	}
}

// checkContract checks the request against the OpenAPI file.
func (s *Simulator) checkContract(c *call) *refusal {
	fields, violations, badPath := checkRequest(c.op, c.req, c.body, c.params)
	s.mu.Lock()
	for _, v := range violations {
		s.violate(c, "%s", v)
	}
	if len(fields) > 0 && s.opts.StrictRequests {
		s.violate(c, "it breaks the contract: %s", fields)
	}
	s.mu.Unlock()
	switch {
	case len(fields) == 0:
		return nil
	case badPath && !c.op.documents(http.StatusBadRequest):
		// What can't be an id names nothing; the contract has no 400 here.
		return notFound("%s was not found", c.params["id"])
	default:
		return invalid(fields)
	}
}

// send ends a call with an answer. It leaves the wire and is in the log before
// the client can have the answer.
func (s *Simulator) send(w http.ResponseWriter, c *call, a answer, kind FaultKind) {
	c.leave()
	s.done(c, a.status, kind)
	a.write(w)
}

// baseOf returns the scheme and host that the client used.
func baseOf(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// maxBody is more than Dafty takes in one request or upload.
const maxBody = 32 << 20

// readBody reads what a client sends, up to a bound.
func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil { // asked by a test, without a server
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err == nil && len(body) > maxBody {
		err = fmt.Errorf("the body is over %d bytes", maxBody)
	}
	return body, err
}
