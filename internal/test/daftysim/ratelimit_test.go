package daftysim

import (
	"strconv"
	"testing"
	"time"
)

func TestDocumentedLimits(t *testing.T) {
	video := fields{"image": fixedImage, "prompt": "Fly"}
	cat := fields{"prompt": "A cat"}
	type ask struct {
		method, path string
		body         any
	}
	for _, tt := range []struct {
		name  string
		limit int
		asks  []ask // take turns: they share the limit
	}{
		{"image creates", 20, []ask{
			{"POST", "/images/generate", cat},
			{"POST", "/images/edit", fields{"imageId": fixedImage, "prompt": "A hat"}},
			{"POST", "/images/resize", fields{"imageId": fixedImage, "aspectRatio": "1:1"}},
			{"POST", "/images/upscale", fields{"imageId": fixedImage}},
		}},
		{"video creates", 5, []ask{
			{"POST", "/videos/image-to-video", video},
			{"POST", "/videos/frames", fields{"startImage": fixedImage, "endImage": fixedImage, "prompt": "Fly"}},
		}},
		{"style extracts", 3, []ask{{"POST", "/styles/extract", fields{"url": "https://example.com"}}}},
		{"uploads", 30, []ask{{"POST", "/uploads", fields{"filename": "a", "contentType": "image/png"}}}},
		{"everything else", 120, []ask{
			{"GET", "/account", nil},
			{"GET", "/jobs", nil},
			{"GET", "/jobs/" + foreignID, nil},
			{"POST", "/jobs/" + foreignID + "/cancel", nil},
			{"POST", "/uploads/up_1/complete", nil},
			{"POST", "/styles/" + fixedStyle + "/search", fields{"query": "logo"}},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, nil)
			for i := range tt.limit {
				a := tt.asks[i%len(tt.asks)]
				if r := h.do(a.method, a.path, a.body, idempotent(strconv.Itoa(i))); r.status == 429 {
					t.Fatalf("request %d of %d is over the limit", i+1, tt.limit)
				}
			}
			a := tt.asks[0]
			r := h.do(a.method, a.path, a.body, idempotent("over"))
			h.wantError(r, 429, "RATE_LIMIT_ERROR")
			equal(t, "Retry-After", r.header.Get("Retry-After"), "60")
			if a.method == "POST" {
				h.wantStatus(h.do("GET", "/account", nil), 200) // another class
			}
			if r := h.do(a.method, a.path, a.body, idempotent("over"), as(otherKey)); r.status == 429 {
				t.Error("another key of the account shares the limit")
			}
		})
	}
}

// TestRateWindowReadings asks at times within two minutes, 2 a minute allowed.
func TestRateWindowReadings(t *testing.T) {
	type step struct {
		at         time.Duration
		over       bool
		remaining  string
		reset      string
		retryAfter string
	}
	for reading, steps := range map[RateWindow][]step{
		RateWindowFixed: {
			{40 * time.Second, false, "1", "20", ""},
			{50*time.Second + 1, false, "0", "10", ""},
			{59 * time.Second, true, "0", "1", "1"},
			{60 * time.Second, false, "1", "60", ""}, // a new minute
			{61 * time.Second, false, "0", "59", ""},
			{62 * time.Second, true, "0", "58", "58"},
		},
		RateWindowSliding: {
			{40 * time.Second, false, "1", "60", ""},
			{50 * time.Second, false, "0", "50", ""},
			{60 * time.Second, true, "0", "40", "40"},
			{99*time.Second + 999*time.Millisecond, true, "0", "1", "1"},
			{100 * time.Second, false, "0", "10", ""}, // the first left
			{101 * time.Second, true, "0", "9", "9"},
			{110 * time.Second, false, "0", "50", ""},
		},
	} {
		t.Run(string(reading), func(t *testing.T) {
			h := newHarness(t, func(o *Options) {
				o.Limits.Other = 2
				o.Variants.RateWindow = reading
			})
			for _, s := range steps {
				h.clock.SetTime(noon.Add(s.at))
				r := h.do("GET", "/jobs", nil)
				what := s.at.String() + ": "
				equal(t, what+"over", r.status == 429, s.over)
				equal(t, what+"limit", r.header.Get("X-RateLimit-Limit"), "2")
				equal(t, what+"remaining", r.header.Get("X-RateLimit-Remaining"), s.remaining)
				equal(t, what+"reset", r.header.Get("X-RateLimit-Reset"), s.reset)
				equal(t, what+"Retry-After", r.header.Get("Retry-After"), s.retryAfter)
			}
		})
	}
}

func TestRateHeadersReadings(t *testing.T) {
	for reading, want := range map[RateHeaders][2]bool{RateHeadersAlways: {true, true}, RateHeadersOn429: {false, true}, RateHeadersNever: {false, false}} {
		t.Run(string(reading), func(t *testing.T) {
			h := newHarness(t, func(o *Options) {
				o.Limits.Other = 1
				o.Variants.RateHeaders = reading
			})
			for i, status := range []int{200, 429} {
				r := h.do("GET", "/jobs", nil)
				h.wantStatus(r, status)
				for _, name := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} {
					equal(t, name, r.header.Get(name) != "", want[i])
				}
				equal(t, "Retry-After", r.header.Get("Retry-After") != "", status == 429)
			}
			equal(t, "headers on 401", h.do("GET", "/jobs", nil, as("nobody")).header.Get("X-RateLimit-Limit"), "")
		})
	}
}

func TestLimitsCanBeLifted(t *testing.T) {
	h := newHarness(t, func(o *Options) { o.Limits.Other = 1 })
	h.wantStatus(h.do("GET", "/jobs", nil), 200)
	h.wantStatus(h.do("GET", "/jobs", nil), 429)
	h.SetLimits(NoLimits)
	for range 200 {
		h.wantStatus(h.do("GET", "/jobs", nil), 200)
	}
	h.SetLimits(Limits{Other: 3})
	h.UseUp(testKey, ClassOther, 1)
	equal(t, "remaining", h.do("GET", "/jobs", nil).header.Get("X-RateLimit-Remaining"), "0")
}

func TestRefusedRequestsCountToo(t *testing.T) {
	h := newHarness(t, nil)
	r := h.create("/images/generate", fields{"prompt": ""})
	h.wantStatus(r, 400)
	equal(t, "remaining", r.header.Get("X-RateLimit-Remaining"), "19")
}
