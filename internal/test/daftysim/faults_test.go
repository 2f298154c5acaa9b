package daftysim

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// outcome is what a client sees of a faulty request.
type outcome struct {
	status int
	header http.Header
	body   []byte
	err    error // of the round trip or of reading the body
}

func roundTrip(ctx context.Context, t *testing.T, s *Server, key string) outcome {
	t.Helper()
	r := newRequest(t, "POST", s.URL+"/images/generate", fields{"prompt": "A cat"}).WithContext(ctx)
	idempotent(key)(r)
	r.GetBody = nil // else the transport repeats what has an Idempotency-Key by itself
	response, err := s.Client().Transport.RoundTrip(r)
	if err != nil {
		return outcome{err: err}
	}
	defer response.Body.Close() //nolint:errcheck // all of it was read
	body, err := io.ReadAll(response.Body)
	return outcome{response.StatusCode, response.Header, body, err}
}

func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault Fault
		jobs  int // made by the request
		check func(t *testing.T, o outcome)
	}{
		{"answer", Fault{}, 0, func(t *testing.T, o outcome) {
			equal(t, "status", o.status, 500)
			equal(t, "body", string(o.body), `{"error":{"code":"INTERNAL_ERROR","message":"Something went wrong"}}`)
		}},
		{"answer, worded", Fault{Status: 503, Code: "BUSY", Message: "Later", Header: map[string]string{"Retry-After": "7"}}, 0, func(t *testing.T, o outcome) {
			equal(t, "status", o.status, 503)
			equal(t, "Retry-After", o.header.Get("Retry-After"), "7")
			equal(t, "body", string(o.body), `{"error":{"code":"BUSY","message":"Later"}}`)
		}},
		{"answer after the effect", Fault{Status: 502, Effect: true, Body: "bad gateway"}, 1, func(t *testing.T, o outcome) {
			equal(t, "status", o.status, 502)
			equal(t, "body", string(o.body), "bad gateway")
		}},
		{"reset before", Fault{Kind: FaultResetBefore}, 0, wantReset},
		{"reset after", Fault{Kind: FaultResetAfter}, 1, wantReset},
		{"garbage", Fault{Kind: FaultGarbage, Effect: true}, 1, func(t *testing.T, o outcome) {
			equal(t, "status", o.status, 202)
			equal(t, "html", strings.HasPrefix(string(o.body), "<html>"), true)
			equal(t, "Content-Type", o.header.Get("Content-Type"), "text/html; charset=utf-8")
		}},
		{"garbage, chosen", Fault{Kind: FaultGarbage, Status: 200, Body: "{", Header: map[string]string{"Content-Type": "application/json"}}, 0, func(t *testing.T, o outcome) {
			equal(t, "status", o.status, 200)
			equal(t, "body", string(o.body), "{")
			equal(t, "Content-Type", o.header.Get("Content-Type"), "application/json")
		}},
		{"truncated", Fault{Kind: FaultTruncate}, 1, func(t *testing.T, o outcome) {
			equal(t, "status", o.status, 202)
			equal(t, "cut short", errors.Is(o.err, io.ErrUnexpectedEOF), true)
			equal(t, "begins well", strings.HasPrefix(string(o.body), `{"data":{"id":"`), true)
			length, _ := strconv.Atoi(o.header.Get("Content-Length"))
			equal(t, "half of it", len(o.body), length/2)
		}},
		{"redirect", Fault{Kind: FaultRedirect, Location: "https://evil.example.com/"}, 0, func(t *testing.T, o outcome) {
			equal(t, "status", o.status, 307)
			equal(t, "Location", o.header.Get("Location"), "https://evil.example.com/")
		}},
		{"huge", Fault{Kind: FaultHuge, Size: 1 << 20}, 0, func(t *testing.T, o outcome) {
			equal(t, "status", o.status, 202)
			equal(t, "size", len(o.body) > 1<<20, true)
			equal(t, "is JSON", strings.HasSuffix(string(o.body), `"}}`), true)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := Serve(New(Options{AnyKey: true}))
			defer server.Close()
			server.Inject(tt.fault)
			tt.check(t, roundTrip(t.Context(), t, server, "k"))
			equal(t, "jobs", len(server.Ledger()), tt.jobs)
			equal(t, "used up", len(server.PendingFaults()), 0)
			request, err := server.WaitForRequest(t.Context(), Request.Done)
			if err != nil {
				t.Fatal(err)
			}
			kind := tt.fault.Kind
			if kind == "" {
				kind = FaultAnswer
			}
			equal(t, "fault", request.Fault, kind)

			// The next request is well, and finds the job that was made.
			o := roundTrip(t.Context(), t, server, "k")
			equal(t, "status", o.status, 202)
			equal(t, "jobs", len(server.Ledger()), 1)
			equal(t, "violations", len(server.Violations()), 0)
		})
	}
}

func wantReset(t *testing.T, o outcome) {
	t.Helper()
	if !errors.Is(o.err, syscall.ECONNRESET) && !errors.Is(o.err, io.EOF) {
		t.Fatalf("error is %v, want a reset", o.err)
	}
}

// TestFaultsInTime plays the faults that take a while.
func TestFaultsInTime(t *testing.T) {
	for _, tt := range []struct {
		name    string
		fault   Fault
		patient time.Duration // how long the client waits
		status  int           // 0: none
		after   time.Duration
		jobs    [2]int // when the client is done, and an hour later
	}{
		{"hang", Fault{Kind: FaultHang}, time.Minute, 0, time.Minute, [2]int{0, 0}},
		{"hang after the effect", Fault{Kind: FaultHang, Effect: true}, time.Minute, 0, time.Minute, [2]int{1, 1}},
		{"hang for a while", Fault{Kind: FaultHang, For: 5 * time.Second}, time.Minute, 0, 5 * time.Second, [2]int{0, 0}},
		{"slow", Fault{Kind: FaultSlow, For: 5 * time.Second}, time.Minute, 202, 5 * time.Second, [2]int{1, 1}},
		{"too slow", Fault{Kind: FaultSlow, For: 5 * time.Minute}, time.Minute, 0, time.Minute, [2]int{1, 1}},
		{"delay", Fault{Kind: FaultDelay, For: 5 * time.Second}, time.Minute, 202, 5 * time.Second, [2]int{1, 1}},
		{"delay until the client has left", Fault{Kind: FaultDelay, For: 5 * time.Minute}, time.Minute, 0, time.Minute, [2]int{0, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := ServeInMemory(New(Options{AnyKey: true}))
				defer server.Close()
				server.Inject(tt.fault)
				ctx, cancel := context.WithTimeout(t.Context(), tt.patient)
				defer cancel()
				start := time.Now()
				o := roundTrip(ctx, t, server, "k")
				equal(t, "status", o.status, tt.status)
				equal(t, "time", time.Since(start), tt.after)
				synctest.Wait()
				equal(t, "jobs", len(server.Ledger()), tt.jobs[0])
				time.Sleep(time.Hour)
				equal(t, "jobs in the end", len(server.Ledger()), tt.jobs[1])
				equal(t, "violations", len(server.Violations()), 0)
			})
		})
	}
}

// TestTransportRepeatsByItself pins the habit of Go's transport that the
// operator must guard against: it shows on a reused connection.
func TestTransportRepeatsByItself(t *testing.T) {
	server := Serve(New(Options{AnyKey: true}))
	defer server.Close()
	equal(t, "status", roundTrip(t.Context(), t, server, "first").status, 202)
	server.Inject(Fault{Kind: FaultResetAfter})
	createOver(t, server)
	requests := server.Requests()
	equal(t, "requests", len(requests), 3)
	equal(t, "fault", requests[1].Fault, FaultResetAfter)
	equal(t, "repeat of", requests[2].IdempotencyKey(), "k")
	equal(t, "jobs", len(server.Ledger()), 2)
}

func TestFaultRules(t *testing.T) {
	list := func(h *harness, options ...option) int { return h.do("GET", "/jobs", nil, options...).status }
	account := func(h *harness, options ...option) int { return h.do("GET", "/account", nil, options...).status }
	type ask struct {
		do   func(*harness, ...option) int
		key  string
		want int
	}
	for _, tt := range []struct {
		name  string
		fault Fault
		asks  []ask
		left  int
	}{
		{"any request, once", Fault{}, []ask{{list, testKey, 500}, {list, testKey, 200}}, 0},
		{"one operation", Fault{Operation: ListJobs}, []ask{{account, testKey, 200}, {list, testKey, 500}, {list, testKey, 200}}, 0},
		{"the third", Fault{Nth: 3}, []ask{{list, testKey, 200}, {account, testKey, 200}, {list, testKey, 500}, {list, testKey, 200}}, 0},
		{"the second and third", Fault{Nth: 2, Count: 2}, []ask{{list, testKey, 200}, {list, testKey, 500}, {list, testKey, 500}, {list, testKey, 200}}, 0},
		{"forever", Fault{Count: Forever}, []ask{{list, testKey, 500}, {list, testKey, 500}, {list, testKey, 500}}, 1},
		{"one key", Fault{APIKey: otherKey}, []ask{{list, testKey, 200}, {list, otherKey, 500}}, 0},
		{"one account", Fault{Account: "acme", Count: Forever}, []ask{{list, strangerKey, 200}, {list, otherKey, 500}, {list, testKey, 500}}, 1},
		{"by the request", Fault{Match: func(r Request) bool { return strings.HasSuffix(r.Path, "/jobs") }}, []ask{{account, testKey, 200}, {list, testKey, 500}}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, func(o *Options) { o.RequestLog = -1 }) // rules see what the log doesn't keep
			h.Inject(tt.fault)
			for i, a := range tt.asks {
				equal(t, "answer "+strconv.Itoa(i+1), a.do(h, as(a.key)), a.want)
			}
			equal(t, "left", len(h.PendingFaults()), tt.left)
		})
	}
}

func TestFaultsCanBeCleared(t *testing.T) {
	h := newHarness(t, nil)
	first := h.Inject(Fault{Count: Forever, Status: 501})
	h.Inject(Fault{Count: Forever, Status: 502})
	for _, want := range []int{501, 502, 200} {
		equal(t, "status", h.do("GET", "/jobs", nil).status, want)
		if want == 501 {
			h.ClearFaults(first)
		} else {
			h.ClearFaults()
		}
	}
}

func TestUnknownFaultPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	New(Options{}).Inject(Fault{Kind: "explode"})
}

func TestFaultOfAReservedPath(t *testing.T) {
	h := newHarness(t, nil)
	h.Inject(Fault{Operation: PutUpload, Status: 500})
	h.wantStatus(h.put(h.reserve("image/png"), "image/png", []byte("x")), 500)
}
