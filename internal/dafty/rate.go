package dafty

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Rate is what an answer says of the API key's minute, for the class of its call (X-RateLimit-*).
type Rate struct {
	// Limit is how many calls Dafty allows in a minute, 0 where the answer doesn't say.
	Limit int
	// Remaining is how many of them are left, whoever used the key.
	Remaining int
	// Reset is how long it takes until more are left.
	Reset time.Duration
}

type rateKey struct{}

// WithRate makes a context whose calls write down what the answer says of the rate limit.
func WithRate(ctx context.Context) (context.Context, *Rate) {
	rate := &Rate{}
	return context.WithValue(ctx, rateKey{}, rate), rate
}

// maxRateLimit bounds what an answer can say of a limit, against a header that is garbage.
const maxRateLimit = 10_000_000

// noteRate reads the headers of an answer, if all three are there and make sense.
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
