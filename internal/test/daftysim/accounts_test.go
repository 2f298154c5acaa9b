package daftysim

import (
	"strings"
	"testing"
)

func TestAuthentication(t *testing.T) {
	for _, tt := range []struct {
		name    string
		anyKey  bool
		options []option
		status  int
	}{
		{"x-api-key", false, nil, 200},
		{"bearer", false, []option{without("X-Api-Key"), header("Authorization", "Bearer "+testKey)}, 200},
		{"bearer in small letters", false, []option{without("X-Api-Key"), header("Authorization", "bearer "+testKey)}, 200},
		{"x-api-key is preferred", false, []option{header("Authorization", "Bearer nonsense")}, 200},
		{"a bad x-api-key isn't rescued", false, []option{as("nonsense"), header("Authorization", "Bearer "+testKey)}, 401},
		{"missing", false, []option{without("X-Api-Key")}, 401},
		{"empty", false, []option{as("")}, 401},
		{"unknown", false, []option{as("nonsense")}, 401},
		{"another scheme", false, []option{without("X-Api-Key"), header("Authorization", "Basic "+testKey)}, 401},
		{"any key", true, []option{as("nonsense")}, 200},
		{"any key, but one", true, []option{without("X-Api-Key")}, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, func(o *Options) { o.AnyKey = tt.anyKey })
			r := h.do("GET", "/jobs", nil, tt.options...)
			h.wantStatus(r, tt.status)
			if tt.status == 401 {
				h.wantError(r, 401, "UNAUTHORIZED")
			}
		})
	}
}

func TestRevokedAndAddedKeys(t *testing.T) {
	h := newHarness(t, func(o *Options) { o.AnyKey = true })
	id := h.generate()

	h.RevokeKey(testKey)
	h.wantError(h.do("GET", "/jobs/"+id, nil), 401, "UNAUTHORIZED")
	h.wantStatus(h.do("GET", "/jobs/"+id, nil, as(otherKey)), 200)

	h.AddKey("acme", "third")
	h.wantStatus(h.do("GET", "/jobs/"+id, nil, as("third")), 200)
	h.AddKey("acme", testKey)
	h.wantStatus(h.do("GET", "/jobs/"+id, nil), 200)

	h.RevokeKey("never seen")
	h.wantError(h.do("GET", "/jobs", nil, as("never seen")), 401, "UNAUTHORIZED")
	h.AddKey("initech", "brand new")
	equal(t, "account", h.AccountOf("brand new"), "initech")
}

func TestAnyKeyMakesAnAccount(t *testing.T) {
	h := newHarness(t, func(o *Options) { o.AnyKey = true; o.NewAccount = Account{Credits: 1} })
	h.generate(as("walk-in"))
	h.wantError(h.create("/images/generate", fields{"prompt": "A cat"}, as("walk-in")), 402, "INSUFFICIENT_CREDITS")
	equal(t, "account", h.Ledger()[0].Account, h.AccountOf("walk-in"))
	if h.AccountOf("walk-in") == "acme" {
		t.Error("a new key joined an old account")
	}
}

func TestAccountsDontSeeEachOther(t *testing.T) {
	h := newHarness(t, nil)
	id := h.generate()
	h.wantError(h.do("GET", "/jobs/"+id, nil, as(strangerKey)), 404, "NOT_FOUND")
	h.wantError(h.do("POST", "/jobs/"+id+"/cancel", nil, as(strangerKey)), 404, "NOT_FOUND")
	h.wantStatus(h.do("GET", "/jobs/"+id, nil, as(otherKey)), 200)
	h.wantShown(id, StatusPending)
}

func TestPayment(t *testing.T) {
	image, video := fields{"prompt": "A cat"}, fields{"image": fixedImage, "prompt": "Fly"}
	h := newHarness(t, nil)
	post := func(path string, body any) reply { return h.create(path, body) }

	h.SetCredits("acme", 14)
	h.wantStatus(post("/images/generate", fields{"prompt": "A cat", "variations": 2}), 202)
	h.wantStatus(post("/styles/extract", fields{"url": "https://example.com"}), 202)
	h.wantStatus(post("/videos/image-to-video", video), 202)
	equal(t, "credits", h.Credits("acme"), 0)
	r := post("/images/generate", image)
	h.wantError(r, 402, "INSUFFICIENT_CREDITS")
	equal(t, "required", r.body.Error.Details["required"], any(1.0))

	h.TopUp("acme", 1)
	h.wantStatus(post("/images/generate", image), 202)
	equal(t, "charges", h.Charges()["acme"], 15)

	h.SetCredits("acme", 100)
	h.SetSubscribed("acme", false)
	h.wantError(post("/images/generate", image), 402, "SUBSCRIPTION_REQUIRED")
	h.SetSubscribed("acme", true)

	h.SetAllowance("acme", 1)
	h.wantStatus(post("/images/generate", image), 202)
	h.wantError(post("/images/generate", image), 429, "USAGE_LIMIT_EXCEEDED")
	equal(t, "jobs left", strings.Contains(string(h.do("GET", "/account", nil).raw), `"jobsLeft":0`), true)
	h.SetAllowance("acme", Unlimited)
	h.wantStatus(post("/images/generate", image), 202)
}

func TestPricesCanBeSet(t *testing.T) {
	h := newHarness(t, func(o *Options) { o.Prices = Prices{Image: 7, Cancel: -1} })
	id := h.generate()
	if err := h.Start(id); err != nil {
		t.Fatal(err)
	}
	h.wantStatus(h.do("POST", "/jobs/"+id+"/cancel", nil), 200)
	entry, _ := h.Job(id)
	equal(t, "charge", entry.Charge, 7)
	equal(t, "cancel charge", entry.CancelCharge, 0)
}

func TestCeilings(t *testing.T) {
	video := fields{"image": fixedImage, "prompt": "Fly"}
	for _, tt := range []struct {
		name       string
		perAccount bool
		retryAfter LimitRetryAfter
		otherKey   int // its answer while the first key is at the ceiling
		header     string
	}{
		{"per key", false, LimitRetryAfterPresent, 202, "5"},
		{"per account", true, LimitRetryAfterPresent, 429, "5"},
		{"without Retry-After", false, LimitRetryAfterAbsent, 202, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, func(o *Options) {
				o.Ceilings = Ceilings{Images: 2, Videos: 1, PerAccount: tt.perAccount}
				o.Variants.LimitRetryAfter = tt.retryAfter
			})
			h.wantStatus(h.create("/videos/image-to-video", video), 202)
			r := h.create("/videos/image-to-video", video)
			h.wantError(r, 429, "CONCURRENT_LIMIT_REACHED")
			equal(t, "Retry-After", r.header.Get("Retry-After"), tt.header)
			h.wantStatus(h.create("/videos/image-to-video", video, as(otherKey)), tt.otherKey)

			h.generate() // another kind
			first := h.generate()
			h.wantError(h.create("/images/generate", fields{"prompt": "A cat"}), 429, "CONCURRENT_LIMIT_REACHED")
			h.wantStatus(h.do("POST", "/jobs/"+first+"/cancel", nil), 200)
			h.generate() // the cancelled one made room

			h.clock.Step(time30)
			h.wantStatus(h.create("/videos/image-to-video", video), 202)
			h.SetCeilings(Ceilings{})
			h.wantStatus(h.create("/videos/image-to-video", video), 202)
		})
	}
}

func TestUsageLimitWithoutRetryAfter(t *testing.T) {
	for reading, want := range map[LimitRetryAfter]string{LimitRetryAfterPresent: "60", LimitRetryAfterAbsent: ""} {
		h := newHarness(t, func(o *Options) {
			o.Accounts[0].Allowance = -1
			o.Variants.LimitRetryAfter = reading
		})
		r := h.create("/images/generate", fields{"prompt": "A cat"})
		h.wantError(r, 429, "USAGE_LIMIT_EXCEEDED")
		equal(t, "Retry-After", r.header.Get("Retry-After"), want)
	}
}
