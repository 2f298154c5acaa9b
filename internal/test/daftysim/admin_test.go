package daftysim

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// admin asks an admin endpoint from the loopback interface.
func (h *harness) admin(method, path, body string, options ...option) reply {
	h.t.Helper()
	r := newRequest(h.t, method, "http://127.0.0.1/_sim/"+path, body)
	r.RemoteAddr = "127.0.0.1:5000"
	r.Header.Del("X-Api-Key")
	for _, o := range options {
		o(r)
	}
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	return read(recorder.Result())
}

func withAdmin(o *Options) { o.Admin = true }

func TestAdmin(t *testing.T) {
	h := newHarness(t, func(o *Options) { o.Admin = true; o.Manual = true })
	ok := func(r reply) reply {
		t.Helper()
		h.wantStatus(r, 200)
		if strings.Contains(string(r.raw), testKey) || strings.Contains(string(r.raw), "new-key") {
			t.Fatalf("an API key is in %s", r.raw)
		}
		return r
	}
	id := h.generate()
	ok(h.admin("POST", "jobs/"+id+"/start", ""))
	h.wantShown(id, StatusProcessing)
	ok(h.admin("POST", "jobs/"+id+"/finish?outcome=fail", ""))
	h.wantShown(id, StatusFailed)
	h.wantStatus(h.admin("POST", "jobs/"+id+"/finish", ""), 400)
	ok(h.admin("POST", "jobs", `{"account":"acme","prompt":"By hand"}`))

	var ledger, running []Entry
	for path, entries := range map[string]*[]Entry{"ledger": &ledger, "running": &running} {
		if err := json.Unmarshal(ok(h.admin("GET", path, "")).raw, entries); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "ledger", len(ledger), 2)
	equal(t, "first", ledger[0].JobID, id)
	equal(t, "running", len(running), 1)
	var requests []Request
	if err := json.Unmarshal(ok(h.admin("GET", "requests", "")).raw, &requests); err != nil {
		t.Fatal(err)
	}
	equal(t, "requests", len(requests), 3)
	equal(t, "charges", strings.Contains(string(ok(h.admin("GET", "charges", "")).raw), `"acme": 1`), true)

	ok(h.admin("POST", "faults", `{"operation":"listJobs","kind":"answer","status":503,"count":2}`))
	ok(h.admin("POST", "faults", `{"apiKey":"`+testKey+`","kind":"delay","for":"1.5s"}`))
	equal(t, "for", strings.Contains(string(ok(h.admin("GET", "faults", "")).raw), `"for": "1.5s"`), true)
	ok(h.admin("DELETE", "faults/2", ""))
	h.wantStatus(h.do("GET", "/jobs", nil), 503)
	ok(h.admin("DELETE", "faults", ""))
	h.wantStatus(h.do("GET", "/jobs", nil), 200)
	for _, bad := range []string{`{`, `{"kind":"explode"}`, `{"status":500,"wen":1}`, `{"for":"soon"}`} {
		h.wantStatus(h.admin("POST", "faults", bad), 400)
	}
	h.wantStatus(h.admin("DELETE", "faults/first", ""), 400)

	ok(h.admin("POST", "credits", `{"account":"acme","credits":5}`))
	ok(h.admin("POST", "credits", `{"account":"acme","topUp":2,"allowance":1,"subscribed":false}`))
	equal(t, "credits", h.Credits("acme"), 7)
	h.wantError(h.create("/images/generate", fields{"prompt": "A cat"}), 402, "SUBSCRIPTION_REQUIRED")

	ok(h.admin("POST", "keys", `{"account":"acme","apiKey":"new-key"}`))
	h.wantStatus(h.do("GET", "/jobs", nil, as("new-key")), 200)
	ok(h.admin("DELETE", "keys", `{"apiKey":"new-key"}`))
	h.wantStatus(h.do("GET", "/jobs", nil, as("new-key")), 401)

	ok(h.admin("POST", "variants", `{"list-order":"oldest-first"}`))
	equal(t, "reading", strings.Contains(string(ok(h.admin("GET", "variants", "")).raw), `"list-order": "oldest-first"`), true)
	h.wantStatus(h.admin("POST", "variants", `{"list-order":"by name"}`), 400)

	h.do("GET", "/jobs", nil, without("User-Agent"))
	equal(t, "violation", strings.Contains(string(ok(h.admin("GET", "violations", "")).raw), "no User-Agent"), true)
	ok(h.admin("DELETE", "violations", ""))
	ok(h.admin("DELETE", "requests", ""))
	equal(t, "requests", len(h.Requests()), 0)
	ok(h.admin("POST", "hold", ""))
	ok(h.admin("POST", "release", ""))
}

func TestAdminIsForThisMachine(t *testing.T) {
	h := newHarness(t, withAdmin)
	h.wantStatus(h.admin("GET", "ledger", "", func(r *http.Request) { r.RemoteAddr = "192.0.2.1:5000" }), 403)
	h.wantStatus(h.admin("GET", "ledger", "", header("Origin", "https://example.com")), 403)
	h.wantStatus(newHarness(t, nil).admin("GET", "ledger", ""), 404)
}
