package dafty

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Rate is the rate limit of the API key and the class of the call, as an answer tells it (X-RateLimit-*).
type Rate struct {
	// Limit is how many calls Dafty allows in a minute, 0 if unknown.
	Limit int
	// Remaining is how many of them are left, whoever used the key.
	Remaining int
	// Reset is how long it takes until more are left.
	Reset time.Duration
}

type rateKey struct{}

// WithRate returns a context whose calls store the rate limit of the answer in the Rate.
func WithRate(ctx context.Context) (context.Context, *Rate) {
	rate := &Rate{}
	return context.WithValue(ctx, rateKey{}, rate), rate
}

// maxRateLimit bounds what an answer can say of a limit, against garbage in a header.
const maxRateLimit = 10_000_000

// noteRate stores the rate limit of an answer in the context's Rate, if all three headers are there and make sense.
func noteRate(ctx context.Context, h http.Header) {
	rate, wanted := ctx.Value(rateKey{}).(*Rate)
	if !wanted {
		return
	}
	read := func(name string, most int) (int, bool) {
		n, err := strconv.Atoi(strings.TrimSpace(h.Get(name)))
		return n, err == nil && n >= 0 && n <= most
	}
	limit, hasLimit := read("X-RateLimit-Limit", maxRateLimit)
	remaining, hasRemaining := read("X-RateLimit-Remaining", limit)
	reset, hasReset := read("X-RateLimit-Reset", int(maxRetryAfter/time.Second))
	if hasLimit && limit > 0 && hasRemaining && hasReset {
		*rate = Rate{Limit: limit, Remaining: remaining, Reset: time.Duration(reset) * time.Second}
	}
}
