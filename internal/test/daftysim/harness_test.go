package daftysim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

const (
	testKey     = "key-of-acme"
	otherKey    = "second-key-of-acme"
	strangerKey = "key-of-globex"

	fixedImage = "11111111-1111-4111-8111-111111111111"
	fixedStyle = "22222222-2222-4222-8222-222222222222"
	foreignID  = "33333333-3333-4333-8333-333333333333"
)

// noon is a whole minute, where fixed windows begin.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// harness is a simulator on a fake clock, asked without any network.
type harness struct {
	*Simulator
	t     *testing.T
	clock *clocktesting.FakeClock
	next  int
}

// newHarness fails the test if it ends with violations that nobody took.
func newHarness(t *testing.T, change func(*Options)) *harness {
	t.Helper()
	fake := clocktesting.NewFakeClock(noon)
	opts := Options{
		Clock: fake,
		Seed:  1,
		Accounts: []Account{
			{
				Name: "acme", APIKeys: []string{testKey, otherKey}, Credits: 1000,
				Images: []Image{{ID: fixedImage, Width: 1600, Height: 900, Prompt: "A fixed image"}},
				Styles: []Style{{ID: fixedStyle, Name: "house style"}},
			},
			{Name: "globex", APIKeys: []string{strangerKey}, Images: []Image{{ID: foreignID}}, Styles: []Style{{ID: foreignID}}},
		},
		PendingFor:    Fixed(10 * time.Second),
		ProcessingFor: Fixed(20 * time.Second),
	}
	if change != nil {
		change(&opts)
	}
	h := &harness{Simulator: New(opts), t: t, clock: fake}
	t.Cleanup(func() {
		for _, v := range h.Violations() {
			t.Errorf("violation: %s", v)
		}
	})
	return h
}

// takeViolations returns the violations that a test meant to happen.
func (h *harness) takeViolations() []string {
	v := h.Violations()
	h.ForgetViolations()
	return v
}

// reply is an answer, decoded.
type reply struct {
	status int
	header http.Header
	raw    []byte
	body   struct {
		Data  json.RawMessage `json:"data"`
		Error struct {
			Code    string         `json:"code"`
			Message string         `json:"message"`
			Details map[string]any `json:"details"`
		} `json:"error"`
		NextCursor string `json:"nextCursor"`
	}
}

// jobReply is a job as a client reads it.
type jobReply struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Status    string `json:"status"`
	CreatedAt string `json:"createdAt"`
	Error     *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
	Result *struct {
		Images []struct {
			ID     string `json:"id"`
			URL    string `json:"url"`
			Width  int    `json:"width"`
			Height int    `json:"height"`
		} `json:"images"`
		Video *struct {
			ID              string  `json:"id"`
			URL             string  `json:"url"`
			DurationSeconds int     `json:"durationSeconds"`
			ThumbnailURL    *string `json:"thumbnailUrl"`
			Width           int     `json:"width"`
			Height          int     `json:"height"`
		} `json:"video"`
		Style *struct {
			ID string `json:"id"`
		} `json:"style"`
	} `json:"result"`
}

func (r reply) job(t *testing.T) jobReply {
	t.Helper()
	return decode[jobReply](t, r)
}

func decode[T any](t *testing.T, r reply) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(r.body.Data, &v); err != nil {
		t.Fatalf("answer %d %s: %v", r.status, r.raw, err)
	}
	return v
}

// newRequest makes a request as a careful client would.
func newRequest(t *testing.T, method, url string, body any) *http.Request {
	t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	case []byte:
		reader = bytes.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		reader = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, reader)
	if err != nil {
		t.Fatal(err)
	}
	if reader != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("User-Agent", "daftysim-test")
	r.Header.Set("X-Api-Key", testKey)
	return r
}

// option changes a request.
type option func(*http.Request)

func header(name, value string) option {
	return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = []string{value} }
}

func without(name string) option { return func(r *http.Request) { r.Header.Del(name) } }

func as(key string) option           { return header("X-Api-Key", key) }
func idempotent(key string) option   { return header("Idempotency-Key", key) }
func contentType(name string) option { return header("Content-Type", name) }

// do asks for a path below the base path.
func (h *harness) do(method, path string, body any, options ...option) reply {
	h.t.Helper()
	return h.url(method, "http://dafty.test"+BasePath+path, body, options...)
}

func (h *harness) url(method, url string, body any, options ...option) reply {
	h.t.Helper()
	r := newRequest(h.t, method, url, body)
	for _, o := range options {
		o(r)
	}
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	return read(recorder.Result())
}

func read(response *http.Response) reply {
	defer response.Body.Close() //nolint:errcheck // all of it was read
	raw, _ := io.ReadAll(response.Body)
	r := reply{status: response.StatusCode, header: response.Header, raw: raw}
	_ = json.Unmarshal(raw, &r.body) // what is no JSON stays in raw
	return r
}

// fields of a JSON body.
type fields map[string]any

// create posts with a key of its own.
func (h *harness) create(path string, body any, options ...option) reply {
	h.t.Helper()
	h.next++
	return h.do("POST", path, body, append([]option{idempotent("key-" + strconv.Itoa(h.next))}, options...)...)
}

// generate makes an image job and gives its id.
func (h *harness) generate(options ...option) string {
	h.t.Helper()
	r := h.create("/images/generate", fields{"prompt": "A cat"}, options...)
	h.wantStatus(r, 202)
	return r.job(h.t).ID
}

func (h *harness) get(id string, options ...option) jobReply {
	h.t.Helper()
	r := h.do("GET", "/jobs/"+id, nil, options...)
	h.wantStatus(r, 200)
	return r.job(h.t)
}

func (h *harness) wantStatus(r reply, status int) {
	h.t.Helper()
	if r.status != status {
		h.t.Fatalf("answer is %d %s, want %d", r.status, r.raw, status)
	}
}

func (h *harness) wantError(r reply, status int, code string) {
	h.t.Helper()
	h.wantStatus(r, status)
	if r.body.Error.Code != code || r.body.Error.Message == "" {
		h.t.Fatalf("error is %s, want code %s and a message", r.raw, code)
	}
}

func (h *harness) wantShown(id, status string) jobReply {
	h.t.Helper()
	j := h.get(id)
	if j.Status != status {
		h.t.Fatalf("job is %s, want %s", j.Status, status)
	}
	return j
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s is %v, want %v", what, got, want)
	}
}
