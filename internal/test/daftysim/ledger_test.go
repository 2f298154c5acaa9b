package daftysim

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestLedger(t *testing.T) {
	h := newHarness(t, nil)
	h.wantStatus(h.do("POST", "/images/generate", fields{"prompt": "A cat", "variations": 3}, idempotent("one")), 202)
	h.clock.Step(15 * time.Second)
	h.wantStatus(h.do("POST", "/styles/extract", fields{"url": "https://example.com"}, idempotent("two"), as(otherKey)), 202)
	ledger := h.Ledger()
	h.wantStatus(h.do("POST", "/jobs/"+ledger[0].JobID+"/cancel", nil), 200)

	want := []Entry{
		{
			JobID: ledger[0].JobID, Account: "acme", Key: 1, IdempotencyKey: "one", Operation: GenerateImage, Status: StatusFailed,
			Prompt: "A cat", Charge: 3, CancelCharge: 1, Refund: 3, Cancelled: true,
			Created: noon, Started: noon.Add(10 * time.Second), Finished: noon.Add(15 * time.Second),
		},
		{
			JobID: ledger[1].JobID, Account: "acme", Key: 2, IdempotencyKey: "two", Operation: ExtractStyle, Status: StatusPending,
			Prompt: "https://example.com", Charge: 2, Created: noon.Add(15 * time.Second),
		},
	}
	equal(t, "ledger", slices.Equal(h.Ledger(), want), true)
	equal(t, "running", slices.Equal(h.Running(), want[1:]), true)
	equal(t, "charges", h.Charges()["acme"], 3)
	if _, ok := h.Job(foreignID); ok {
		t.Error("there is a job that nobody made")
	}
	printed, err := json.Marshal([]any{h.Ledger(), h.Charges(), h.Requests()})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{testKey, otherKey} {
		if strings.Contains(string(printed), key) {
			t.Errorf("the books hold the key %q", key)
		}
	}
}

func TestRequestLog(t *testing.T) {
	h := newHarness(t, nil)
	h.wantStatus(h.do("POST", "/images/generate", fields{"prompt": "A cat"}, idempotent("k")), 202)
	h.clock.Step(time.Second)
	h.wantStatus(h.do("GET", "/jobs?limit=1", nil, without("X-Api-Key"), header("Authorization", "Bearer "+otherKey)), 200)
	h.wantStatus(h.do("GET", "/jobs", nil, as("nobody's")), 401)

	requests := h.Requests()
	equal(t, "number", len(requests), 3)
	first, second, third := requests[0], requests[1], requests[2]
	equal(t, "body", string(first.Body), `{"prompt":"A cat"}`)
	equal(t, "key", first.IdempotencyKey(), "k")
	equal(t, "operation", first.Operation, GenerateImage)
	equal(t, "status", first.Status, 202)
	equal(t, "x-api-key", first.Header.Get("X-Api-Key"), "acme")
	equal(t, "method", second.Method, "GET")
	equal(t, "path", second.Path, BasePath+"/jobs")
	equal(t, "query", second.Query, "limit=1")
	equal(t, "authorization", second.Header.Get("Authorization"), "Bearer acme")
	equal(t, "time", second.Time, noon.Add(time.Second))
	equal(t, "account", third.Account, "")
	equal(t, "unknown key", third.Header.Get("X-Api-Key"), "unknown")

	h.do("GET", "/jobs?cursor="+otherKey, nil, as(otherKey), header("Idempotency-Key", otherKey))
	h.do("POST", "/images/generate", fields{"prompt": otherKey}, idempotent("leak"), as(otherKey))
	equal(t, "violations", len(h.takeViolations()), 2)
	h.do("PUT", "/", strings.Repeat("x", maxLoggedBody+1), without("X-Api-Key"))
	h.takeViolations()
	h.do("GET", "/jobs", nil, header("Authorization", "Bearer "+otherKey)) // x-api-key was preferred
	requests = h.Requests()
	printed, err := json.Marshal(requests)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{testKey, otherKey, "nobody's"} {
		equal(t, "the log holds "+key, strings.Contains(string(printed), key), false)
	}
	equal(t, "kept", len(requests[5].Body), maxLoggedBody)
	equal(t, "size", requests[5].Size, maxLoggedBody+1)

	h.ForgetRequests()
	equal(t, "number", len(h.Requests()), 0)
	equal(t, "count", h.RequestCount(), 7)
}

func TestRequestLogIsBounded(t *testing.T) {
	for bound, want := range map[int]int{1: 1, 7: 7, -1: 0} {
		h := newHarness(t, func(o *Options) { o.RequestLog = bound; o.Limits = NoLimits })
		for range 50 {
			h.do("GET", "/jobs", nil)
			equal(t, "within twice the bound", len(h.log.entries) <= max(2*bound, 0), true)
		}
		requests := h.Requests()
		equal(t, "remembered", len(requests), want)
		equal(t, "count", h.RequestCount(), 50)
		if want > 0 {
			equal(t, "last", requests[want-1].Seq, 50)
		}
	}
}

func TestWaitForRequest(t *testing.T) {
	h := newHarness(t, nil)
	created := func(r Request) bool { return r.Operation == GenerateImage && r.Done() }

	// One that is still to come.
	found := make(chan Request)
	go func() {
		r, err := h.WaitForRequest(t.Context(), created)
		if err != nil {
			t.Error(err)
		}
		found <- r
	}()
	h.do("GET", "/jobs", nil)
	id := h.generate()
	equal(t, "status", (<-found).Status, 202)

	// One that was there, and one that never comes.
	if _, err := h.WaitForRequest(t.Context(), created); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.WaitForRequest(ctx, func(Request) bool { return false }); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}

	// One that is held, before it is answered.
	var done sync.WaitGroup
	done.Go(func() { h.do("GET", "/jobs/"+id+"?wait=true", nil) })
	held, err := h.WaitForRequest(t.Context(), func(r Request) bool { return r.Query == "wait=true" })
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "status", held.Status, 0)
	if err := h.WaitUntil(t.Context(), func() bool { return h.Held() == 1 }); err != nil {
		t.Fatal(err)
	}
	if err := h.Finish(id, Succeed); err != nil {
		t.Fatal(err)
	}
	done.Wait()
}

// TestManyAtOnce is for the race detector, and counts that nothing is lost.
func TestManyAtOnce(t *testing.T) {
	server := Serve(New(Options{AnyKey: true, Limits: NoLimits, PendingFor: Fixed(0), ProcessingFor: Fixed(time.Millisecond)}))
	defer server.Close()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10 {
				<-waitOn(t.Context(), t, server, server.makeJob(t))
			}
		})
	}
	all.Wait()
	equal(t, "jobs", len(server.Ledger()), 80)
	equal(t, "running", len(server.Running()), 0)
	equal(t, "requests", server.RequestCount(), 160)
}
