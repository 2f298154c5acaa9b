package dafty_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

func daftys(code, message string) string {
	return fmt.Sprintf(`{"error":{"code":%q,"message":%q}}`, code, message)
}

const proxyPage = "<html><body><h1>nginx</h1></body></html>"

func TestErrors(t *testing.T) {
	type want struct {
		kind    dafty.Kind
		refused bool
		code    string
		message string
	}
	var (
		unavailable = want{kind: dafty.KindUnavailable}
		invalid     = want{kind: dafty.KindInvalid, refused: true}
		rejected    = want{kind: dafty.KindUnauthorized, refused: true}
	)
	with := func(w want, code, message string) want { w.code, w.message = code, message; return w }
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   want
	}{
		// Each code that is documented.
		{"validation", 400, daftys("VALIDATION_ERROR", "no"), with(invalid, "VALIDATION_ERROR", "no")},
		{"unauthorized", 401, daftys("UNAUTHORIZED", "no"), with(rejected, "UNAUTHORIZED", "no")},
		{"credits", 402, daftys("INSUFFICIENT_CREDITS", "no"), want{dafty.KindInsufficientCredits, true, "INSUFFICIENT_CREDITS", "no"}},
		{"subscription", 402, daftys("SUBSCRIPTION_REQUIRED", "no"), want{dafty.KindSubscriptionRequired, true, "SUBSCRIPTION_REQUIRED", "no"}},
		{"not found", 404, daftys("NOT_FOUND", "no"), want{dafty.KindNotFound, true, "NOT_FOUND", "no"}},
		{"rate limit", 429, daftys("RATE_LIMIT_ERROR", "no"), want{dafty.KindRateLimit, true, "RATE_LIMIT_ERROR", "no"}},
		{"concurrency", 429, daftys("CONCURRENT_LIMIT_REACHED", "no"), want{dafty.KindConcurrency, true, "CONCURRENT_LIMIT_REACHED", "no"}},
		{"usage", 429, daftys("USAGE_LIMIT_EXCEEDED", "no"), want{dafty.KindUsageLimit, true, "USAGE_LIMIT_EXCEEDED", "no"}},
		{"internal", 500, daftys("INTERNAL_ERROR", "no"), with(unavailable, "INTERNAL_ERROR", "no")},

		// Codes and statuses that aren't.
		{"new code of a 400", 400, daftys("PROMPT_REFUSED", "no"), with(invalid, "PROMPT_REFUSED", "no")},
		{"new code of a 402", 402, daftys("CARD_EXPIRED", "no"), want{dafty.KindInsufficientCredits, true, "CARD_EXPIRED", "no"}},
		{"new code of a 429", 429, daftys("SLOW_DOWN", "no"), want{dafty.KindRateLimit, true, "SLOW_DOWN", "no"}},
		{"no code", 400, `{"error":{"message":"no"}}`, with(invalid, "", "no")},
		{"forbidden", 403, daftys("FORBIDDEN", "no"), with(rejected, "FORBIDDEN", "no")},
		{"request timeout", 408, daftys("TIMEOUT", "no"), with(unavailable, "TIMEOUT", "no")},
		{"conflict", 409, daftys("CONFLICT", "no"), want{dafty.KindConflict, false, "CONFLICT", "no"}},
		{"gone", 410, daftys("GONE", "no"), want{dafty.KindNotFound, true, "GONE", "no"}},
		{"too large", 413, daftys("TOO_LARGE", "no"), with(invalid, "TOO_LARGE", "no")},
		{"unprocessable", 422, daftys("X", "no"), with(invalid, "X", "no")},
		{"too early", 425, daftys("X", "no"), with(unavailable, "X", "no")},
		{"bad gateway", 502, daftys("X", "no"), with(unavailable, "X", "no")},
		{"unavailable", 503, daftys("VALIDATION_ERROR", "no"), with(unavailable, "VALIDATION_ERROR", "no")},
		{"status of no class", 799, daftys("X", "no"), with(unavailable, "X", "no")},

		// What isn't Dafty's own form proves nothing.
		{"proxy's 400", 400, proxyPage, with(unavailable, "", "Dafty answered 400 Bad Request without saying why")},
		{"proxy's 402", 402, proxyPage, with(unavailable, "", "Dafty answered 402 Payment Required without saying why")},
		{"proxy's 403", 403, proxyPage, with(unavailable, "", "Dafty answered 403 Forbidden without saying why")},
		{"proxy's 404", 404, proxyPage, with(unavailable, "", "Dafty answered 404 Not Found without saying why")},
		{"proxy's 407", 407, "", with(unavailable, "", "Dafty answered 407 Proxy Authentication Required without saying why")},
		{"proxy's 409", 409, proxyPage, with(unavailable, "", "Dafty answered 409 Conflict without saying why")},
		{"proxy's 410", 410, proxyPage, with(unavailable, "", "Dafty answered 410 Gone without saying why")},
		{"proxy's 502", 502, proxyPage, with(unavailable, "", "Dafty answered 502 Bad Gateway without saying why")},
		{"proxy's 520", 520, proxyPage, with(unavailable, "", "Dafty answered 520 without saying why")},
		{"404 in another form of JSON", 404, `{"message":"no route"}`, with(unavailable, "", "Dafty answered 404 Not Found without saying why")},
		{"404 with an error that is a text", 404, `{"error":"not found"}`, with(unavailable, "", "Dafty answered 404 Not Found without saying why")},
		{"404 without a message", 404, `{"error":{"code":"NOT_FOUND"}}`, with(unavailable, "", "Dafty answered 404 Not Found without saying why")},
		{"404 with an empty message", 404, daftys("NOT_FOUND", ""), with(unavailable, "", "Dafty answered 404 Not Found without saying why")},
		{"404 with a message that is none", 404, `{"error":{"message":{"en":"no"}}}`, with(unavailable, "", "Dafty answered 404 Not Found without saying why")},
		{"404 with null", 404, `{"error":null}`, with(unavailable, "", "Dafty answered 404 Not Found without saying why")},
		{"404 that breaks off", 404, `{"error":{"message":"no`, with(unavailable, "", "Dafty answered 404 Not Found without saying why")},
		{"404 and more", 404, daftys("NOT_FOUND", "no") + "garbage", with(unavailable, "", "Dafty answered 404 Not Found without saying why")},
		{"400 without a body", 400, "", with(unavailable, "", "Dafty answered 400 Bad Request without saying why")},

		// Two mean the same whoever says them.
		{"401 without a body", 401, "", with(rejected, "", "Dafty answered 401 Unauthorized without saying why")},
		{"401 page", 401, proxyPage, with(rejected, "", "Dafty answered 401 Unauthorized without saying why")},
		{"401 with another code", 401, daftys("VALIDATION_ERROR", "no"), with(rejected, "VALIDATION_ERROR", "no")},
		{"429 page", 429, proxyPage, want{dafty.KindRateLimit, true, "", "Dafty answered 429 Too Many Requests without saying why"}},

		// A code of an unexpected type spoils nothing.
		{"code that is a number", 400, `{"error":{"code":42,"message":"no"}}`, with(invalid, "", "no")},
		{"code that is an object", 400, `{"error":{"code":{"a":1},"message":"no"}}`, with(invalid, "", "no")},
		{"unknown fields", 400, `{"error":{"message":"no","requestId":"r"},"status":400}`, with(invalid, "", "no")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, requests := always(t, httpAnswer(tt.status, tt.body))
			client := newClient(t, url)
			calls := map[string]func() (*dafty.Job, error){
				"create": func() (*dafty.Job, error) {
					return client.Create(t.Context(), dafty.ExtractStyleRequest{}, "k")
				},
				"look":   func() (*dafty.Job, error) { return client.Job(t.Context(), jobID, false) },
				"cancel": func() (*dafty.Job, error) { return client.Cancel(t.Context(), jobID) },
			}
			for name, call := range calls {
				job, err := call()
				var e *dafty.CallError
				if job != nil || !errors.As(err, &e) {
					t.Fatalf("%s: got %+v, %v", name, job, err)
				}
				got := want{e.Kind, e.Refused(), e.Code, e.Message}
				if got != tt.want {
					t.Errorf("%s:\ngot  %+v\nwant %+v", name, got, tt.want)
				}
				if e.Status != tt.status || e.Unsent || e.Unwrap() != nil {
					t.Errorf("%s: status %d, unsent %t, cause %v", name, e.Status, e.Unsent, e.Unwrap())
				}
				if text := e.Error(); !strings.Contains(text, fmt.Sprint(tt.status)) || !strings.Contains(text, e.Code) {
					t.Errorf("%s: %q doesn't tell status and code", name, text)
				}
			}
			if got := requests.Load(); got != 3 {
				t.Errorf("%d requests for 3 calls", got)
			}
		})
	}
}

func TestErrorDetails(t *testing.T) {
	for _, tt := range []struct {
		details string
		want    map[string]any
	}{
		{`{"prompt":["too long"]}`, map[string]any{"prompt": []any{"too long"}}},
		{`{"fields":{"a":{"b":1}}}`, map[string]any{"fields": map[string]any{"a": map[string]any{"b": 1.0}}}},
		{`{}`, map[string]any{}},
		{`null`, nil},
		{`"too long"`, nil},
		{`["too long"]`, nil},
		{`7`, nil},
	} {
		t.Run(tt.details, func(t *testing.T) {
			url, _ := always(t, httpAnswer(400, `{"error":{"code":"VALIDATION_ERROR","message":"no","details":`+tt.details+`}}`))
			_, err := newClient(t, url).Create(t.Context(), dafty.ExtractStyleRequest{}, "k")
			e := dafty.AsError(err)
			if e == nil || e.Kind != dafty.KindInvalid || e.Message != "no" {
				t.Fatalf("got %+v", e)
			}
			if !reflect.DeepEqual(e.Details, tt.want) {
				t.Errorf("details %#v, want %#v", e.Details, tt.want)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	const date = "Date: Fri, 02 Jan 2026 03:04:05 GMT"
	soon := time.Now().Add(10 * time.Minute).UTC().Format(http.TimeFormat)
	for _, tt := range []struct {
		name    string
		headers []string
		from    time.Duration
		to      time.Duration
	}{
		{name: "absent"},
		{name: "empty", headers: []string{"Retry-After: "}},
		{name: "seconds", headers: []string{"Retry-After: 7"}, from: 7 * time.Second},
		{name: "space around", headers: []string{"Retry-After:  7 "}, from: 7 * time.Second},
		{name: "none", headers: []string{"Retry-After: 0"}},
		{name: "negative", headers: []string{"Retry-After: -7"}},
		{name: "negative beyond int64 as nanoseconds", headers: []string{"Retry-After: -9223372036854775807"}},
		{name: "negative beyond int64", headers: []string{"Retry-After: -99999999999999999999"}},
		{name: "huge", headers: []string{"Retry-After: 86400"}, from: time.Hour},
		{name: "huge beyond int64 as nanoseconds", headers: []string{"Retry-After: 9223372036854775807"}, from: time.Hour},
		{name: "huge beyond int64", headers: []string{"Retry-After: 99999999999999999999"}, from: time.Hour},
		{name: "garbage", headers: []string{"Retry-After: soon"}},
		{name: "fraction", headers: []string{"Retry-After: 1.5"}},
		{name: "unit", headers: []string{"Retry-After: 7s"}},
		{name: "date by the server's clock", headers: []string{date, "Retry-After: Fri, 02 Jan 2026 03:04:35 GMT"}, from: 30 * time.Second},
		{name: "date of RFC 850", headers: []string{date, "Retry-After: Friday, 02-Jan-26 03:04:35 GMT"}, from: 30 * time.Second},
		{name: "date that is past", headers: []string{date, "Retry-After: Fri, 02 Jan 2026 03:04:00 GMT"}},
		{name: "date that is far", headers: []string{date, "Retry-After: Fri, 02 Jan 2099 03:04:00 GMT"}, from: time.Hour},
		{name: "date by our clock", headers: []string{"Retry-After: " + soon}, from: 9 * time.Minute, to: 10 * time.Minute},
		{name: "date by our clock as the server's is garbage", headers: []string{"Date: now", "Retry-After: " + soon}, from: 9 * time.Minute, to: 10 * time.Minute},
		{name: "twice", headers: []string{"Retry-After: 7", "Retry-After: 9"}, from: 7 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, _ := always(t, httpAnswer(429, daftys("RATE_LIMIT_ERROR", "no"), tt.headers...))
			_, err := newClient(t, url).Job(t.Context(), jobID, false)
			e := dafty.AsError(err)
			if e == nil || e.Kind != dafty.KindRateLimit {
				t.Fatalf("got %+v", e)
			}
			if e.RetryAfter < tt.from || e.RetryAfter > max(tt.from, tt.to) {
				t.Errorf("got %v, want %v to %v", e.RetryAfter, tt.from, max(tt.from, tt.to))
			}
		})
	}
}

// dated checks a job's date, and that nothing else is lost with it.
func dated(at time.Time) func(*dafty.Job) bool {
	return func(j *dafty.Job) bool { return j.Status == dafty.Processing && j.CreatedAt.Equal(at) }
}

func TestJobsAreReadLeniently(t *testing.T) {
	job := func(fields string) string { return `{"data":{"id":"` + jobID + `"` + fields + `}}` }
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		body  string
		check func(*dafty.Job) bool
	}{
		{"plain", pendingJob, func(j *dafty.Job) bool {
			return j.Status == dafty.Pending && j.Type == dafty.ImageGenerate && j.CreatedAt.Equal(created)
		}},
		{"unknown fields", job(`,"status":"pending","eta":{"s":1}`), func(j *dafty.Job) bool { return j.Status == dafty.Pending }},
		{"unknown status", job(`,"status":"paused","type":"image.generate"`), func(j *dafty.Job) bool { return j.Status == "paused" }},
		{"unknown type", job(`,"status":"pending","type":"audio.generate"`), func(j *dafty.Job) bool { return j.Type == "audio.generate" }},
		{"nulls", job(`,"status":"pending","type":null,"createdAt":null,"result":null,"error":null`), func(j *dafty.Job) bool {
			return j.CreatedAt.IsZero() && j.Result == nil && j.Error == nil
		}},
		{"id in another case", strings.ReplaceAll(pendingJob, jobID, strings.ToUpper(jobID)), func(j *dafty.Job) bool { return j.Status == dafty.Pending }},
		{"failed", job(`,"status":"failed","error":{"code":"GENERATION_FAILED","message":"no"}`), func(j *dafty.Job) bool {
			return j.Status == dafty.Failed && j.Error.Code == "GENERATION_FAILED" && j.Error.Message == "no"
		}},
		{"failed with an error that is a text", job(`,"status":"failed","error":"no"`), func(j *dafty.Job) bool { return j.Status == dafty.Failed }},
		{"failed with a code that is a number", job(`,"status":"failed","error":{"code":7,"message":"no"}`), func(j *dafty.Job) bool {
			return j.Status == dafty.Failed && j.Error.Message == "no"
		}},
		{"a date in no known form", job(`,"createdAt":"yesterday","status":"processing","type":"image.edit"`), func(j *dafty.Job) bool {
			return j.Status == dafty.Processing && j.Type == dafty.ImageEdit && j.CreatedAt.IsZero()
		}},
		{"a date without seconds", job(`,"createdAt":"2026-01-02T03:04Z","status":"processing"`), dated(time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC))},
		{"a date with one digit of a fraction", job(`,"createdAt":"2026-01-02T03:04:05.6Z","status":"processing"`), dated(time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC))},
		{"a date with more digits than nanoseconds have", job(`,"createdAt":"2026-01-02T03:04:05.123456789012345Z","status":"processing"`), dated(time.Date(2026, 1, 2, 3, 4, 5, 123_456_789, time.UTC))},
		{"a date without seconds that there isn't", job(`,"createdAt":"2026-02-30T03:04Z","status":"processing"`), func(j *dafty.Job) bool { return j.Status == dafty.Processing && j.CreatedAt.IsZero() }},
		{"a date that is a number", job(`,"createdAt":1767323045,"status":"processing"`), func(j *dafty.Job) bool { return j.Status == dafty.Processing }},
		{"a clip's length with a fraction", job(`,"createdAt":"","status":"completed","result":{"video":{"id":"v","durationSeconds":8.04,"url":"https://x/v.mp4"}}`),
			func(j *dafty.Job) bool {
				return j.Status == dafty.Completed && j.Result.Video.Url == "https://x/v.mp4"
			}},
		{"an image's side that is a text", job(`,"status":"completed","result":{"images":[{"id":"i","width":"1024","url":"https://x/1.png"},{"id":"k","url":"https://x/2.png"}]}`),
			func(j *dafty.Job) bool {
				images := *j.Result.Images
				return len(images) == 2 && images[0].Url == "https://x/1.png" && images[1].Id == "k"
			}},
		{"a result in another form", job(`,"status":"completed","result":["https://x/1.png"]`), func(j *dafty.Job) bool { return j.Status == dafty.Completed }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, _ := always(t, httpAnswer(200, tt.body))
			client := newClient(t, url)
			looked, err := client.Job(t.Context(), jobID, false)
			if err != nil || !tt.check(looked) {
				t.Errorf("look: got %+v, %v", looked, err)
			}
			made, err := client.Create(t.Context(), dafty.ExtractStyleRequest{}, "k")
			if err != nil || !tt.check(made) {
				t.Errorf("create: got %+v, %v", made, err)
			}
		})
	}
}

// An answer that looks like success but tells nothing proves nothing: the request may have
// had its effect.
func TestAnswersThatTellNothing(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, tt := range []struct {
		name   string
		answer string
	}{
		{"no body", httpAnswer(202, "")},
		{"no content", "HTTP/1.1 204 No Content\r\n\r\n"},
		{"a page", httpAnswer(200, proxyPage)},
		{"null", httpAnswer(202, "null")},
		{"a list", httpAnswer(202, "[]")},
		{"no data", httpAnswer(202, "{}")},
		{"data of another form", httpAnswer(202, `{"data":"yes"}`)},
		{"a list of jobs", httpAnswer(200, `{"data":[{"id":"`+jobID+`","status":"pending"}]}`)},
		{"no id", httpAnswer(202, `{"data":{"status":"pending","type":"image.generate"}}`)},
		{"an id that is a number", httpAnswer(202, `{"data":{"id":7,"status":"pending"}}`)},
		{"no status", httpAnswer(202, `{"data":{"id":"`+jobID+`"}}`)},
		{"an id that is too long", httpAnswer(202, `{"data":{"id":"`+long+`","status":"pending"}}`)},
		{"a status that is too long", httpAnswer(202, `{"data":{"id":"`+jobID+`","status":"`+long+`"}}`)},
		{"broken JSON", httpAnswer(202, pendingJob[:len(pendingJob)-2])},
		{"two answers", httpAnswer(202, pendingJob+pendingJob)},
		{"a body that breaks off", strings.Replace(httpAnswer(202, pendingJob), "Content-Length: 1", "Content-Length: 2", 1)},
		{"a broken chunk", "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"},
		{"garbled compression", "HTTP/1.1 202 Accepted\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := listen(t, func(c *connection) {
				if c.request() != "" {
					_, _ = io.WriteString(c, tt.answer)
				}
			})
			job, err := newClient(t, url).Create(t.Context(), dafty.ExtractStyleRequest{}, "k")
			e := dafty.AsError(err)
			if job != nil || e == nil || e.Kind != dafty.KindUnavailable || e.Unsent || e.Refused() {
				t.Errorf("got %+v, %+v", job, e)
			}
			if e != nil && (e.Status < 200 || e.Status > 204) {
				t.Errorf("status %d is lost", e.Status)
			}
		})
	}
}

func TestAnswerAboutAnotherJob(t *testing.T) {
	url, _ := always(t, httpAnswer(200, strings.ReplaceAll(pendingJob, jobID, "11111111-6d1e-4b7a-8c35-9e2f1d4b6a70")))
	client := newClient(t, url)
	_, lookErr := client.Job(t.Context(), jobID, true)
	_, cancelErr := client.Cancel(t.Context(), jobID)
	for _, err := range []error{lookErr, cancelErr} {
		if e := dafty.AsError(err); e == nil || e.Kind != dafty.KindUnavailable {
			t.Errorf("got %v", err)
		}
	}
}

// What is shown to the user goes into the object's status, which has a limit.
func TestTextsAreCut(t *testing.T) {
	long := strings.Repeat("é", 10_000)
	url, _ := always(t, httpAnswer(400, daftys(long, long)))
	_, err := newClient(t, url).Create(t.Context(), dafty.ExtractStyleRequest{}, "k")
	e := dafty.AsError(err)
	for _, text := range []string{e.Code, e.Message} {
		if len(text) > 4096 || !strings.HasSuffix(text, "é…") {
			t.Errorf("%d bytes, ending in %q", len(text), text[len(text)-8:])
		}
	}
	url, _ = always(t, httpAnswer(200, `{"data":{"id":"`+jobID+`","status":"failed","error":{"code":"`+long+`","message":"`+long+`"}}}`))
	job, err := newClient(t, url).Job(t.Context(), jobID, false)
	if err != nil || len(job.Error.Message) > 4096 || len(job.Error.Code) > 4096 {
		t.Errorf("got %d bytes, %v", len(job.Error.Message), err)
	}
}

func TestAsError(t *testing.T) {
	if e := dafty.AsError(nil); e != nil {
		t.Errorf("nil became %v", e)
	}
	own := &dafty.CallError{Kind: dafty.KindNotFound}
	if e := dafty.AsError(fmt.Errorf("looking: %w", own)); e != own {
		t.Errorf("got %v", e)
	}
	other := errors.New("other")
	if e := dafty.AsError(other); e.Kind != dafty.KindUnavailable || e.Refused() || !errors.Is(e, other) {
		t.Errorf("got %+v", e)
	}
}
