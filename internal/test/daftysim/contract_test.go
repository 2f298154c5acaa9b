package daftysim

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestOperations asks each operation once in its fullest form; every answer is
// held against the contract.
func TestOperations(t *testing.T) {
	long := strings.Repeat("é", 255)
	for _, tt := range []struct {
		name, method, path string
		body               any
		options            []option
		status             int
		jobType            string
	}{
		{"account", "GET", "/account", nil, nil, 200, ""},
		{"generate, least", "POST", "/images/generate", fields{"prompt": "A cat"}, []option{idempotent("k")}, 202, "image.generate"},
		{"generate, all", "POST", "/images/generate", fields{
			"prompt": "A cat", "aspectRatio": "16:9", "quality": "high", "resolution": "4K", "styleId": fixedStyle,
			"references": []string{"https://example.com/cat.png", fixedImage}, "variations": 4,
		}, []option{idempotent("k")}, 202, "image.generate"},
		{"key of 255 characters", "POST", "/images/generate", fields{"prompt": "A cat"}, []option{idempotent(long)}, 202, "image.generate"},
		{"edit", "POST", "/images/edit", fields{"imageId": fixedImage, "prompt": "Add a hat", "references": []string{fixedImage}}, []option{idempotent("k")}, 202, "image.edit"},
		{"resize", "POST", "/images/resize", fields{"imageId": fixedImage, "aspectRatio": "21:9", "resolution": "2K"}, []option{idempotent("k")}, 202, "image.resize"},
		{"upscale", "POST", "/images/upscale", fields{"imageId": strings.ToUpper(fixedImage), "resolution": "4K"}, []option{idempotent("k")}, 202, "image.upscale"},
		{"image to video", "POST", "/videos/image-to-video", fields{
			"image": fixedImage, "prompt": "Fly", "duration": 15, "resolution": "480p", "audio": false, "negativePrompt": "fog",
		}, []option{idempotent("k")}, 202, "video.generate"},
		{"frames", "POST", "/videos/frames", fields{
			"startImage": fixedImage, "endImage": "https://example.com/end.png", "prompt": "Fly", "duration": 4, "aspectRatio": "auto",
		}, []option{idempotent("k")}, 202, "video.generate"},
		{"extract", "POST", "/styles/extract", fields{"url": "https://example.com"}, []option{idempotent("k")}, 202, "style.extract"},
		{"search", "POST", "/styles/" + fixedStyle + "/search", fields{"query": "logo", "limit": 3}, nil, 200, ""},
		{"list", "GET", "/jobs?limit=50&status=pending", nil, nil, 200, ""},
		{"upload", "POST", "/uploads", fields{"filename": "a.png", "contentType": "image/png"}, []option{contentType("application/json; charset=utf-8")}, 201, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, nil)
			r := h.do(tt.method, tt.path, tt.body, tt.options...)
			h.wantStatus(r, tt.status)
			if tt.jobType != "" {
				j := r.job(t)
				equal(t, "type", j.Type, tt.jobType)
				equal(t, "status", j.Status, StatusPending)
				if !uuidPattern.MatchString(j.ID) {
					t.Errorf("id %q is no UUID", j.ID)
				}
				equal(t, "createdAt", j.CreatedAt, "2026-03-01T12:00:00.000Z")
			}
		})
	}
}

// TestRefusedRequests tells for each bad request the answer, the fields at
// fault and whether it counts as a violation.
func TestRefusedRequests(t *testing.T) {
	generate, edit := "/images/generate", "/images/edit"
	for _, tt := range []struct {
		name, method, path string
		body               any
		options            []option
		status             int
		code               string
		details            []string
		violation          string // "": none
	}{
		{"no prompt", "POST", generate, fields{}, nil, 400, "VALIDATION_ERROR", []string{"prompt"}, ""},
		{"empty prompt", "POST", generate, fields{"prompt": ""}, nil, 400, "VALIDATION_ERROR", []string{"prompt"}, ""},
		{"long prompt", "POST", generate, fields{"prompt": strings.Repeat("a", 2001)}, nil, 400, "VALIDATION_ERROR", []string{"prompt"}, ""},
		{"wrong type", "POST", generate, fields{"prompt": 7}, nil, 400, "VALIDATION_ERROR", []string{"prompt"}, ""},
		{"two at once", "POST", generate, fields{"prompt": "A cat", "quality": "best", "aspectRatio": "21:9"}, nil, 400, "VALIDATION_ERROR", []string{"aspectRatio", "quality"}, ""},
		{"no variations", "POST", generate, fields{"prompt": "A cat", "variations": 0}, nil, 400, "VALIDATION_ERROR", []string{"variations"}, ""},
		{"too many variations", "POST", generate, fields{"prompt": "A cat", "variations": 5}, nil, 400, "VALIDATION_ERROR", []string{"variations"}, ""},
		{"null", "POST", generate, fields{"prompt": "A cat", "quality": nil}, nil, 400, "VALIDATION_ERROR", []string{"quality"}, ""},
		{"five references", "POST", generate, fields{"prompt": "A cat", "references": slices.Repeat([]string{"https://example.com/a"}, 5)}, nil, 400, "VALIDATION_ERROR", []string{"references"}, ""},
		{"an empty reference", "POST", generate, fields{"prompt": "A cat", "references": []string{""}}, nil, 400, "VALIDATION_ERROR", []string{"references.0"}, ""},
		{"http reference", "POST", generate, fields{"prompt": "A cat", "references": []string{"http://example.com/a"}}, nil, 400, "VALIDATION_ERROR", []string{"references"}, ""},
		{"no url", "POST", generate, fields{"prompt": "A cat", "references": []string{"cat"}}, nil, 400, "VALIDATION_ERROR", []string{"references"}, ""},
		{"unknown reference", "POST", generate, fields{"prompt": "A cat", "references": []string{"up_0000"}}, nil, 404, "NOT_FOUND", nil, ""},
		{"another's image", "POST", generate, fields{"prompt": "A cat", "references": []string{foreignID}}, nil, 404, "NOT_FOUND", nil, ""},
		{"style is no UUID", "POST", generate, fields{"prompt": "A cat", "styleId": "mine"}, nil, 400, "VALIDATION_ERROR", []string{"styleId"}, ""},
		{"another's style", "POST", generate, fields{"prompt": "A cat", "styleId": foreignID}, nil, 404, "NOT_FOUND", nil, ""},
		{"image is no UUID", "POST", edit, fields{"prompt": "A hat", "imageId": "cat"}, nil, 400, "VALIDATION_ERROR", []string{"imageId"}, ""},
		{"another's image to edit", "POST", edit, fields{"prompt": "A hat", "imageId": foreignID}, nil, 404, "NOT_FOUND", nil, ""},
		{"no ratio", "POST", "/images/resize", fields{"imageId": fixedImage}, nil, 400, "VALIDATION_ERROR", []string{"aspectRatio"}, ""},
		{"resolution", "POST", "/images/upscale", fields{"imageId": fixedImage, "resolution": "8K"}, nil, 400, "VALIDATION_ERROR", []string{"resolution"}, ""},
		{"duration", "POST", "/videos/frames", fields{"startImage": fixedImage, "endImage": fixedImage, "prompt": "Fly", "duration": 3}, nil, 400, "VALIDATION_ERROR", []string{"duration"}, ""},
		{"end image", "POST", "/videos/frames", fields{"startImage": fixedImage, "endImage": "nowhere", "prompt": "Fly"}, nil, 400, "VALIDATION_ERROR", []string{"endImage"}, ""},
		{"start image", "POST", "/videos/image-to-video", fields{"image": foreignID, "prompt": "Fly"}, nil, 404, "NOT_FOUND", nil, ""},
		{"page is no url", "POST", "/styles/extract", fields{"url": "example"}, nil, 400, "VALIDATION_ERROR", []string{"url"}, ""},
		{"no JSON", "POST", generate, `{"prompt":`, nil, 400, "VALIDATION_ERROR", []string{"body"}, ""},
		{"no body", "POST", generate, nil, []option{contentType("application/json")}, 400, "VALIDATION_ERROR", []string{"body"}, ""},
		{"unknown field", "POST", generate, fields{"prompt": "A cat", "size": "4K"}, nil, 400, "VALIDATION_ERROR", []string{"size"}, `unknown field "size"`},
		{"Content-Type", "POST", generate, fields{"prompt": "A cat"}, []option{contentType("text/plain")}, 400, "VALIDATION_ERROR", []string{"Content-Type"}, `Content-Type "text/plain"`},
		{"key of 256 characters", "POST", generate, fields{"prompt": "A cat"}, []option{idempotent(strings.Repeat("é", 256))}, 400, "VALIDATION_ERROR", []string{"Idempotency-Key"}, "over 255"},
		{"unknown parameter", "GET", "/jobs?page=2", nil, nil, 400, "VALIDATION_ERROR", []string{"page"}, `unknown query parameter "page"`},
		{"limit", "GET", "/jobs?limit=51", nil, nil, 400, "VALIDATION_ERROR", []string{"limit"}, ""},
		{"status", "GET", "/jobs?status=done", nil, nil, 400, "VALIDATION_ERROR", []string{"status"}, ""},
		{"cursor", "GET", "/jobs?cursor=abc", nil, nil, 400, "VALIDATION_ERROR", []string{"cursor"}, ""},
		{"wait", "GET", "/jobs/" + fixedImage + "?wait=false", nil, nil, 400, "VALIDATION_ERROR", []string{"wait"}, ""},
		{"no such job", "GET", "/jobs/" + fixedImage, nil, nil, 404, "NOT_FOUND", nil, ""},
		{"no job id", "GET", "/jobs/first", nil, nil, 404, "NOT_FOUND", nil, ""},
		{"cancel of no job", "POST", "/jobs/" + fixedImage + "/cancel", nil, nil, 404, "NOT_FOUND", nil, ""},
		{"cancel with a body", "POST", "/jobs/" + fixedImage + "/cancel", fields{}, nil, 400, "VALIDATION_ERROR", []string{"body"}, "a body where the contract has none"},
		{"upload type", "POST", "/uploads", fields{"filename": "a", "contentType": "image/tiff"}, nil, 400, "VALIDATION_ERROR", []string{"contentType"}, ""},
		{"no such upload", "POST", "/uploads/up_1/complete", nil, nil, 404, "NOT_FOUND", nil, ""},
		{"no such style", "POST", "/styles/" + foreignID + "/search", fields{"query": "logo"}, nil, 404, "NOT_FOUND", nil, ""},
		{"another's style to search", "POST", "/styles/" + foreignID + "/search", fields{"query": "logo"}, []option{as(testKey)}, 404, "NOT_FOUND", nil, ""},
		{"search in no UUID", "POST", "/styles/mine/search", fields{"query": "logo"}, nil, 404, "NOT_FOUND", nil, ""},
		{"search without query", "POST", "/styles/" + fixedStyle + "/search", fields{}, nil, 400, "VALIDATION_ERROR", []string{"query"}, ""},
		{"long search", "POST", "/styles/" + fixedStyle + "/search", fields{"query": strings.Repeat("é", 501)}, nil, 400, "VALIDATION_ERROR", []string{"query"}, ""},
		{"search for nothing", "POST", "/styles/" + fixedStyle + "/search", fields{"query": "logo", "limit": 0}, nil, 400, "VALIDATION_ERROR", []string{"limit"}, ""},
		{"search for too much", "POST", "/styles/" + fixedStyle + "/search", fields{"query": "logo", "limit": 51}, nil, 400, "VALIDATION_ERROR", []string{"limit"}, ""},
		{"search with a wrong key", "POST", "/styles/" + fixedStyle + "/search", fields{"query": "logo"}, []option{as("no key")}, 401, "UNAUTHORIZED", nil, ""},
		{"account with a wrong key", "GET", "/account", nil, []option{as("no key")}, 401, "UNAUTHORIZED", nil, ""},
		{"account with a body", "GET", "/account", fields{}, nil, 400, "VALIDATION_ERROR", []string{"body"}, "a body where the contract has none"},
		{"empty search", "POST", "/styles/" + fixedStyle + "/search", fields{"query": ""}, nil, 400, "VALIDATION_ERROR", []string{"query"}, ""},
		{"no such path", "GET", "/webhooks", nil, nil, 404, "NOT_FOUND", nil, "no such path"},
		{"wrong method", "DELETE", "/jobs/" + fixedImage, nil, nil, 405, "METHOD_NOT_ALLOWED", nil, "no such path"},
		{"no User-Agent", "GET", "/jobs/" + fixedImage, nil, []option{without("User-Agent")}, 404, "NOT_FOUND", nil, "no User-Agent"},
		{"key in the query", "GET", "/jobs?cursor=" + testKey, nil, nil, 400, "VALIDATION_ERROR", []string{"cursor"}, "the API key is in the URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, nil)
			options := tt.options
			if tt.method == http.MethodPost && !strings.HasPrefix(tt.path, "/jobs") && !strings.HasPrefix(tt.path, "/uploads") {
				options = append([]option{idempotent("k")}, options...)
			}
			r := h.do(tt.method, tt.path, tt.body, options...)
			h.wantError(r, tt.status, tt.code)
			for _, field := range tt.details {
				if _, ok := r.body.Error.Details[field]; !ok || !strings.Contains(r.body.Error.Message, field) {
					t.Errorf("neither details nor message leave out %s: %s", field, r.raw)
				}
			}
			equal(t, "number of fields at fault", len(r.body.Error.Details), len(tt.details))
			violations := h.takeViolations()
			if tt.violation == "" && len(violations) > 0 || tt.violation != "" && (len(violations) != 1 || !strings.Contains(violations[0], tt.violation)) {
				t.Errorf("violations are %q, want one of %q", violations, tt.violation)
			}
			for _, v := range violations {
				if strings.Contains(v, testKey) {
					t.Errorf("violation %q holds the API key", v)
				}
			}
			equal(t, "jobs made", len(h.Ledger()), 0)
		})
	}
}

func TestCreateWithoutIdempotencyKeyIsAViolation(t *testing.T) {
	h := newHarness(t, nil)
	h.wantStatus(h.do("POST", "/images/generate", fields{"prompt": "A cat"}), 202)
	if v := h.takeViolations(); len(v) != 1 || !strings.Contains(v[0], "without Idempotency-Key") {
		t.Errorf("violations are %q", v)
	}
}

func TestStrictRequestsCountsPlainMistakes(t *testing.T) {
	h := newHarness(t, func(o *Options) { o.StrictRequests = true })
	h.wantStatus(h.create("/images/generate", fields{"prompt": ""}), 400)
	if v := h.takeViolations(); len(v) != 1 || !strings.Contains(v[0], "prompt") {
		t.Errorf("violations are %q", v)
	}
}

// TestOwnAnswersAreChecked feeds answers to the check that guards them.
func TestOwnAnswersAreChecked(t *testing.T) {
	c := loadContract()
	getJob, _, _ := c.match("GET", "jobs/"+fixedImage)
	cancel, _, _ := c.match("POST", "jobs/"+fixedImage+"/cancel")
	job := func(status string) string {
		return `{"data":{"id":"x","type":"image.generate","status":"` + status + `","createdAt":"2026-03-01T12:00:00.000Z"}}`
	}
	problem := `{"error":{"message":"no"}}`
	for _, tt := range []struct {
		name   string
		op     *operation
		status int
		body   string
		header http.Header
		open   bool
		broken bool
	}{
		{name: "right", op: getJob, status: 200, body: job("pending")},
		{name: "unknown status", op: getJob, status: 200, body: job("reviewing"), broken: true},
		{name: "unknown status, meant", op: getJob, status: 200, body: job("reviewing"), open: true},
		{name: "not in UTC", op: getJob, status: 200, body: strings.Replace(job("pending"), "000Z", "000+01:00", 1), broken: true},
		{name: "no data", op: getJob, status: 200, body: `{}`, broken: true},
		{name: "no JSON", op: getJob, status: 200, body: `<html>`, broken: true},
		{name: "no message", op: getJob, status: 404, body: `{"error":{"code":"NOT_FOUND"}}`, broken: true},
		{name: "header", op: getJob, status: 200, body: job("pending"), header: http.Header{"X-Ratelimit-Limit": {"many"}}, broken: true},
		{name: "status of no row", op: getJob, status: 418, body: problem, broken: true},
		{name: "201", op: getJob, status: 201, body: job("pending"), broken: true},
		{name: "conflict of a variant", op: cancel, status: 409, body: problem},
		{name: "conflict without message", op: cancel, status: 409, body: `{}`, broken: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := answer{status: tt.status, header: http.Header{"Content-Type": {"application/json"}}, body: []byte(tt.body)}
			for name, values := range tt.header {
				a.header[name] = values
			}
			broken := c.checkAnswer(tt.op, newRequest(t, "GET", "http://dafty.test/", nil), a, tt.open)
			equal(t, "broken", len(broken) > 0, tt.broken)
		})
	}
}

func TestBrokenAnswersBecomeViolations(t *testing.T) {
	for _, skip := range []bool{false, true} {
		h := newHarness(t, func(o *Options) { o.SkipAnswerValidation = skip; o.Manual = true })
		id := h.generate()
		h.mu.Lock()
		h.jobs[id].state = "lost"
		h.mu.Unlock()
		h.do("GET", "/jobs/"+id, nil)
		equal(t, "noticed", len(h.takeViolations()) > 0, !skip)
	}
}
