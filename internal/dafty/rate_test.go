package dafty_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

// What answers say of the minute is taken as a whole, or not at all: a limit without what is left of it, or with a reset
// that is a time of day, would have the operator wait for nothing.
func TestRateLimitHeaders(t *testing.T) {
	const limit, remaining, reset = "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"
	all := func(l, r, s string) []string {
		return []string{limit + ": " + l, remaining + ": " + r, reset + ": " + s}
	}
	for _, tt := range []struct {
		name    string
		headers []string
		want    dafty.Rate
	}{
		{"none", nil, dafty.Rate{}},
		{"all", all("120", "7", "42"), dafty.Rate{Limit: 120, Remaining: 7, Reset: 42 * time.Second}},
		{"none left", all("20", "0", "1"), dafty.Rate{Limit: 20, Reset: time.Second}},
		{"the reset is now", all("20", "20", "0"), dafty.Rate{Limit: 20, Remaining: 20}},
		{"in small letters, with spaces", []string{"x-ratelimit-limit:  20 ", "x-ratelimit-remaining: 3\t", "x-ratelimit-reset: 5"},
			dafty.Rate{Limit: 20, Remaining: 3, Reset: 5 * time.Second}},
		{"an hour", all("20", "3", "3600"), dafty.Rate{Limit: 20, Remaining: 3, Reset: time.Hour}},

		{"no limit", all("20", "3", "5")[1:], dafty.Rate{}},
		{"nothing left told", []string{all("20", "3", "5")[0], all("20", "3", "5")[2]}, dafty.Rate{}},
		{"no reset", all("20", "3", "5")[:2], dafty.Rate{}},
		{"empty", all("", "", ""), dafty.Rate{}},
		{"words", all("many", "some", "soon"), dafty.Rate{}},
		{"a limit of none", all("0", "0", "5"), dafty.Rate{}},
		{"negative", all("20", "-1", "5"), dafty.Rate{}},
		{"a negative limit", all("-20", "0", "5"), dafty.Rate{}},
		{"a negative reset", all("20", "3", "-5"), dafty.Rate{}},
		{"fractions", all("20", "3", "5.5"), dafty.Rate{}},
		{"hexadecimal", all("0x14", "3", "5"), dafty.Rate{}},
		{"more left than there are", all("20", "21", "5"), dafty.Rate{}},
		{"the reset is a time of day", all("20", "3", "1767225600"), dafty.Rate{}},
		{"the reset is a date", all("20", "3", "Thu, 01 Jan 2026 00:00:00 GMT"), dafty.Rate{}},
		{"beyond all numbers", all("99999999999999999999", "3", "5"), dafty.Rate{}},
		{"a limit that is garbage", all("1767225600", "3", "5"), dafty.Rate{}},
		{"two limits", all("20, 120", "3", "5"), dafty.Rate{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, answer := range []struct {
				name, text string
				fails      bool
			}{
				{"a job", httpAnswer(http.StatusOK, pendingJob, tt.headers...), false},
				{"a refusal", httpAnswer(http.StatusTooManyRequests, daftys("RATE_LIMIT_ERROR", "no"), tt.headers...), true},
				{"an answer that can't be read", httpAnswer(http.StatusOK, "<html>", tt.headers...), true},
			} {
				url, _ := always(t, answer.text)
				ctx, got := dafty.WithRate(t.Context())
				_, err := newClient(t, url).Job(ctx, jobID, false)
				if (err != nil) != answer.fails {
					t.Fatalf("%s: %v", answer.name, err)
				}
				if *got != tt.want {
					t.Errorf("%s: got %+v, want %+v", answer.name, *got, tt.want)
				}
			}
		})
	}
}

// Every call notes it, and only for the context that asked.
func TestEachCallNotesTheRate(t *testing.T) {
	url, _ := always(t, httpAnswer(http.StatusOK, pendingJob, "X-RateLimit-Limit: 20", "X-RateLimit-Remaining: 3", "X-RateLimit-Reset: 5"))
	list, _ := always(t, httpAnswer(http.StatusOK, `{"data":[]}`, "X-RateLimit-Limit: 20", "X-RateLimit-Remaining: 3", "X-RateLimit-Reset: 5"))
	for name, call := range map[string]func(ctx context.Context) error{
		"create": func(ctx context.Context) error { return create(ctx, newClient(t, url)) },
		"look":   func(ctx context.Context) error { _, err := newClient(t, url).Job(ctx, jobID, false); return err },
		"hold":   func(ctx context.Context) error { _, err := newClient(t, url).Job(ctx, jobID, true); return err },
		"cancel": func(ctx context.Context) error { _, err := newClient(t, url).Cancel(ctx, jobID); return err },
		"list":   func(ctx context.Context) error { _, err := newClient(t, list).List(ctx, dafty.Pending, ""); return err },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, noted := dafty.WithRate(t.Context())
			_, other := dafty.WithRate(t.Context())
			if err := call(ctx); err != nil {
				t.Fatal(err)
			}
			if want := (dafty.Rate{Limit: 20, Remaining: 3, Reset: 5 * time.Second}); *noted != want {
				t.Errorf("noted %+v", *noted)
			}
			if *other != (dafty.Rate{}) {
				t.Errorf("noted elsewhere: %+v", *other)
			}
			if err := call(t.Context()); err != nil {
				t.Errorf("without a place to note it: %v", err)
			}
		})
	}
	t.Run("no answer", func(t *testing.T) {
		ctx, noted := dafty.WithRate(t.Context())
		broken := listen(t, func(c *connection) { c.request(); c.reset() })
		if err := create(ctx, newClient(t, broken)); err == nil {
			t.Fatal("no error")
		}
		if *noted != (dafty.Rate{}) {
			t.Errorf("noted %+v", *noted)
		}
	})
}
