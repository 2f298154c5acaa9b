package simulation

import (
	"net/http"
	"time"
)

// fault is what goes wrong with one call to Dafty.
type fault string

const (
	refused     fault = "connection refused"
	reset       fault = "reset before its effect"
	resetWithin fault = "reset while Dafty works on it"
	resetAfter  fault = "reset after its effect"
	hang        fault = "hangs"
	hangAfter   fault = "hangs after its effect"
	slow        fault = "slow"
	truncated   fault = "truncated"

	badGateway      fault = "a proxy's 502"
	badGatewayAfter fault = "a proxy's 502 after the effect"
	broken          fault = "Dafty's 500"
	brokenAfter     fault = "Dafty's 500 after the effect"
	garbageAfter    fault = "a page instead of the answer"
	unauthorized    fault = "a 401"
	tooMany         fault = "a 429"
	tooManyLong     fault = "a 429 with Retry-After"
)

// faultSets are what can be wrong with the network and Dafty for a while.
var faultSets = map[string][]fault{
	"refuses connections": {refused},
	"hangs":               {hang, hangAfter},
	"resets":              {reset, resetWithin, resetAfter},
	"is slow":             {slow, slow, slow, hangAfter},
	"answers 5xx":         {badGateway, badGatewayAfter, broken, brokenAfter},
	"is behind a proxy":   {badGateway, badGatewayAfter, garbageAfter, truncated},
	"answers 401":         {unauthorized},
	"answers 429":         {tooMany, tooManyLong},
	"does anything": {refused, reset, resetWithin, resetAfter, hang, hangAfter, slow, truncated, badGateway, badGatewayAfter, broken, brokenAfter,
		garbageAfter, unauthorized, tooMany, tooManyLong},
}

// faultSetNames are in an order that a seed can choose from.
var faultSetNames = []string{
	"refuses connections", "hangs", "resets", "is slow", "answers 5xx", "is behind a proxy", "answers 401", "answers 429", "does anything",
}

// faults is what is wrong, until a time, for so many calls in eight.
type faults struct {
	kinds []fault
	odds  uint64
	until time.Time
}

// hit reports whether a call fails.
func (f faults) hit(e *env, what string) bool {
	return time.Now().Before(f.until) && e.random.roll(what+" is met by the weather")%8 < f.odds
}

// drawFault draws the fault of a call, "" where it goes well.
func (e *env) drawFault(what string) fault {
	e.mu.Lock()
	f := e.daftyFaults
	e.mu.Unlock()
	if !f.hit(e, what) {
		return ""
	}
	return f.kinds[e.random.roll(what+" fault")%uint64(len(f.kinds))]
}

// reaches reports whether the request comes to Dafty.
func (f fault) reaches() bool {
	switch f {
	case "", slow, truncated, resetWithin, resetAfter, hangAfter, badGatewayAfter, brokenAfter, garbageAfter:
		return true
	}
	return false
}

// answer is what is read in place of Dafty's own.
func (f fault) answer() (int, http.Header, []byte) {
	page := []byte("<html><body><h1>Bad gateway</h1></body></html>")
	switch f {
	case badGateway, badGatewayAfter:
		return http.StatusBadGateway, http.Header{"Content-Type": {"text/html"}}, page
	case garbageAfter:
		return http.StatusOK, http.Header{"Content-Type": {"text/html"}}, page
	case unauthorized:
		return http.StatusUnauthorized, http.Header{}, []byte(`{"error":{"code":"UNAUTHORIZED","message":"The API key is invalid"}}`)
	case tooMany:
		return http.StatusTooManyRequests, http.Header{}, []byte(`{"error":{"code":"RATE_LIMIT_ERROR","message":"Too many requests"}}`)
	case tooManyLong:
		return http.StatusTooManyRequests, http.Header{"Retry-After": {"300"}}, []byte(`{"error":{"code":"RATE_LIMIT_ERROR","message":"Too many requests"}}`)
	default:
		return http.StatusInternalServerError, http.Header{}, []byte(`{"error":{"code":"INTERNAL_ERROR","message":"Something went wrong"}}`)
	}
}
