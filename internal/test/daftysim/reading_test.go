package daftysim

import (
	"context"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestListPages(t *testing.T) {
	for reading, oldest := range map[ListOrder]bool{ListOldestFirst: true, ListNewestFirst: false} {
		t.Run(string(reading), func(t *testing.T) {
			h := newHarness(t, func(o *Options) { o.Variants.ListOrder = reading; o.Limits = NoLimits })
			var want []string
			for range 45 {
				want = append(want, h.generate())
				h.clock.Step(time.Second)
			}
			if !oldest {
				slices.Reverse(want)
			}
			for _, tt := range []struct {
				query string
				pages int
			}{{"", 3}, {"limit=45", 1}, {"limit=50", 1}, {"limit=10", 5}, {"limit=1", 45}} {
				var got []string
				pages, cursor := 0, ""
				for more := true; more; more = cursor != "" {
					path := "/jobs?" + tt.query
					if cursor != "" {
						path += "&cursor=" + url.QueryEscape(cursor)
					}
					r := h.do("GET", path, nil)
					h.wantStatus(r, 200)
					for _, j := range decode[[]jobReply](t, r) {
						got = append(got, j.ID)
					}
					pages, cursor = pages+1, r.body.NextCursor
				}
				equal(t, tt.query+": pages", pages, tt.pages)
				equal(t, tt.query+": jobs as made", slices.Equal(got, want), true)
			}
		})
	}
}

// TestNewJobsDontShiftPages: a cursor goes on where its page ended.
func TestNewJobsDontShiftPages(t *testing.T) {
	h := newHarness(t, nil)
	a, b := h.generate(), h.generate()
	r := h.do("GET", "/jobs?limit=1", nil)
	equal(t, "first", decode[[]jobReply](t, r)[0].ID, b)
	h.generate()
	r = h.do("GET", "/jobs?limit=1&cursor="+r.body.NextCursor, nil)
	equal(t, "second", decode[[]jobReply](t, r)[0].ID, a)
	equal(t, "cursor", r.body.NextCursor, "")
}

func TestListByStatus(t *testing.T) {
	h := newHarness(t, nil)
	done := h.generate()
	h.clock.Step(time30)
	running := h.generate()
	h.clock.Step(15 * time.Second)
	fresh := h.generate()
	for status, id := range map[string]string{StatusCompleted: done, StatusProcessing: running, StatusPending: fresh} {
		jobs := decode[[]jobReply](t, h.do("GET", "/jobs?status="+status, nil))
		equal(t, status+": number", len(jobs), 1)
		equal(t, status, jobs[0].ID, id)
	}
	equal(t, "failed", len(decode[[]jobReply](t, h.do("GET", "/jobs?status=failed", nil))), 0)
}

func TestListResultReadings(t *testing.T) {
	for reading, shown := range map[ListResult]bool{ListResultShown: true, ListResultHidden: false} {
		h := newHarness(t, func(o *Options) { o.Variants.ListResult = reading })
		id := h.generate()
		h.clock.Step(time30)
		equal(t, string(reading), decode[[]jobReply](t, h.do("GET", "/jobs", nil))[0].Result != nil, shown)
		equal(t, "by id", h.get(id).Result != nil, true)
	}
}

func TestListScopeReadings(t *testing.T) {
	for reading, want := range map[ListScope]int{ListScopeKey: 1, ListScopeAccount: 3} {
		t.Run(string(reading), func(t *testing.T) {
			h := newHarness(t, func(o *Options) { o.Variants.ListScope = reading })
			h.generate()
			h.generate(as(otherKey))
			h.generate(as(strangerKey))
			person := h.AddJob("acme", PersonJob{Prompt: "By hand"})
			equal(t, "listed", len(decode[[]jobReply](t, h.do("GET", "/jobs", nil))), want)
			h.clock.Step(time30)
			h.wantShown(person, StatusCompleted)
			entry, _ := h.Job(person)
			equal(t, "key", entry.Key, 0)
			equal(t, "charge", entry.Charge, 0)
		})
	}
}

// waitOn starts GET /jobs/{id}?wait=true inside a bubble.
func waitOn(ctx context.Context, t *testing.T, s *Server, id string) <-chan jobReply {
	answered := make(chan jobReply, 1)
	r := newRequest(t, "GET", s.URL+"/jobs/"+id+"?wait=true", nil).WithContext(ctx)
	go func() {
		defer close(answered)
		if response, err := s.Client().Do(r); err == nil {
			answered <- read(response).job(t)
		}
	}()
	return answered
}

func TestWait(t *testing.T) {
	for _, tt := range []struct {
		name       string
		processing time.Duration
		move       func(s *Simulator, id string) // 5 s in
		status     string
		after      time.Duration
	}{
		{"until it ends", 20 * time.Second, nil, StatusCompleted, 30 * time.Second},
		{"until the wait is over", time.Hour, nil, StatusProcessing, 55 * time.Second},
		{"until somebody ends it", time.Hour, func(s *Simulator, id string) { _ = s.Finish(id, Fail) }, StatusFailed, 5 * time.Second},
		{"while on hold", 20 * time.Second, func(s *Simulator, _ string) { s.Hold() }, StatusPending, 55 * time.Second},
		{"until after a hold", 20 * time.Second, func(s *Simulator, _ string) {
			s.Hold()
			time.Sleep(5 * time.Second)
			s.Release()
		}, StatusCompleted, 35 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := ServeInMemory(New(Options{AnyKey: true, PendingFor: Fixed(10 * time.Second), ProcessingFor: Fixed(tt.processing), CancelSettles: 1}))
				defer server.Close()
				id := server.makeJob(t)
				start := time.Now()
				answered := waitOn(t.Context(), t, server, id)
				synctest.Wait()
				equal(t, "held", server.Held(), 1)
				if tt.move != nil {
					time.Sleep(5 * time.Second)
					tt.move(server.Simulator, id)
				}
				equal(t, "status", (<-answered).Status, tt.status)
				equal(t, "time", time.Since(start), tt.after)
				equal(t, "held", server.Held(), 0)
				equal(t, "violations", len(server.Violations()), 0)
			})
		})
	}
}

// makeJob makes an image job over the wire.
func (s *Server) makeJob(t *testing.T) string {
	t.Helper()
	r := newRequest(t, "POST", s.URL+"/images/generate", fields{"prompt": "A cat"})
	idempotent(time.Now().String())(r)
	response, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return read(response).job(t).ID
}

func TestWaitEndsWhenTheClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := ServeInMemory(New(Options{AnyKey: true, Manual: true}))
		defer server.Close()
		id := server.makeJob(t)
		ctx, leave := context.WithCancel(t.Context())
		answered := waitOn(ctx, t, server, id)
		synctest.Wait()
		equal(t, "held", server.Held(), 1)
		leave()
		if _, ok := <-answered; ok {
			t.Error("there was an answer")
		}
		synctest.Wait()
		equal(t, "held", server.Held(), 0)
		requests := server.Requests()
		last := requests[len(requests)-1]
		equal(t, "gone", last.Gone, true)
		equal(t, "status", last.Status, 0)
	})
}

func TestWaitEndsWhenTheSimulatorCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := ServeInMemory(New(Options{AnyKey: true, Manual: true}))
		answered := waitOn(t.Context(), t, server, server.makeJob(t))
		synctest.Wait()
		server.Close()
		server.Simulator.Close() // twice does no harm
		<-answered
	})
}

// TestWaitOnAFakeClock steps the clock under a held request.
func TestWaitOnAFakeClock(t *testing.T) {
	h := newHarness(t, nil)
	id := h.generate()
	answered := make(chan reply)
	go func() { answered <- h.do("GET", "/jobs/"+id+"?wait=true", nil) }()
	if err := h.WaitUntil(t.Context(), func() bool { return h.Held() == 1 }); err != nil {
		t.Fatal(err)
	}
	h.clock.Step(time30)
	equal(t, "status", (<-answered).job(t).Status, StatusCompleted)
}
