package dafty

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Kind is what an error says, whatever call it answered. What follows from it for DaftyJobs is in lifecycle.MeaningOf.
type Kind string

const (
	// KindInvalid means that the request is wrong as it is (400 and its like).
	KindInvalid Kind = "Invalid"
	// KindUnauthorized means that the API key is missing, malformed, revoked, expired or not allowed (401, 403).
	KindUnauthorized Kind = "Unauthorized"
	// KindInsufficientCredits means that the account has too few credits (402).
	KindInsufficientCredits Kind = "InsufficientCredits"
	// KindSubscriptionRequired means that the plan doesn't include this (402).
	KindSubscriptionRequired Kind = "SubscriptionRequired"
	// KindNotFound means that the resource is absent, or another account's (404).
	KindNotFound Kind = "NotFound"
	// KindConflict means that the job's state forbids the call (409).
	KindConflict Kind = "Conflict"
	// KindRateLimit means that this minute's calls are used up (429).
	KindRateLimit Kind = "RateLimit"
	// KindConcurrency means that too many jobs are in flight (429).
	KindConcurrency Kind = "Concurrency"
	// KindUsageLimit means that the period's allowance is used up (429).
	KindUsageLimit Kind = "UsageLimit"
	// KindUnavailable means that there is no answer that can be understood: a timeout, a broken connection, a redirect, a 5xx, a
	// body that isn't Dafty's. The request may have had its effect.
	KindUnavailable Kind = "Unavailable"
)

// CallError is any failure of a call to Dafty. Its text never contains the API key.
type CallError struct {
	// Kind is what the error means.
	Kind Kind
	// Status is the HTTP status, 0 where there was no answer.
	Status int
	// Code is Dafty's error code, empty where it gave none.
	Code string
	// Message is Dafty's message, or the operator's own where there is none.
	Message string
	// Details are Dafty's details: the fields at fault and why. Nil where it gave none.
	Details map[string]any
	// RetryAfter is how long Dafty asks to wait, 0 where it doesn't say.
	RetryAfter time.Duration
	// Unsent is true where the request surely never left, so that it can't have had an effect.
	Unsent bool

	cause error
}

// unsentError returns the error of a request that couldn't be made.
func unsentError(kind Kind, what string, err error) *CallError {
	return &CallError{Kind: kind, Message: what + ": " + err.Error(), Unsent: true, cause: err}
}

// Error implements error.
func (e *CallError) Error() string {
	if e.Status == 0 {
		return e.Message
	}
	if e.Code == "" {
		return fmt.Sprintf("%s (HTTP %d)", e.Message, e.Status)
	}
	return fmt.Sprintf("%s (%s, HTTP %d)", e.Message, e.Code, e.Status)
}

// Unwrap returns the context's error if the call ended with it, else nil.
func (e *CallError) Unwrap() error { return e.cause }

// WithoutEffect reports whether the call has certainly had no effect: it never left, or Dafty has refused it.
func (e *CallError) WithoutEffect() bool { return e.Unsent || e.Kind != KindUnavailable }

// Refused reports whether a create that met this error has certainly made no job, so that nothing was charged and a new
// idempotency key may follow. A conflict may be with a job that the same key has made.
func (e *CallError) Refused() bool { return e.Unsent || e.WithoutEffect() && e.Kind != KindConflict }

// KeyMayBeTaken reports whether the answer to a create may mean that Dafty knows its idempotency key from a request with
// another body. Dafty's pages don't say what it does then; other APIs answer 409 or 422, or name the key in their code.
// That request may have made a job, and be charged for.
func (e *CallError) KeyMayBeTaken() bool {
	return e.Kind == KindConflict || e.Status == http.StatusUnprocessableEntity && e.Kind == KindInvalid || e.NamesKey()
}

// NamesKey reports whether the answer's code is about the idempotency key.
func (e *CallError) NamesKey() bool {
	return e.Kind != KindUnavailable && strings.Contains(strings.ToUpper(e.Code), "IDEMPOTEN")
}

// AsError finds the *CallError in err. An error of another type becomes one of KindUnavailable.
func AsError(err error) *CallError {
	if err == nil {
		return nil
	}
	var e *CallError
	if errors.As(err, &e) {
		return e
	}
	return &CallError{Kind: KindUnavailable, Message: err.Error(), cause: err}
}

// kindOf returns what a status and a code mean. Only an answer in Dafty's own error form may end a job or deny that it exists,
// as a proxy's page may have the same status. 401 and 429 mean the same whoever sends them.
func kindOf(status int, code string, daftys bool) Kind {
	switch {
	case status == http.StatusUnauthorized:
		return KindUnauthorized
	case status == http.StatusTooManyRequests:
		switch code {
		case "CONCURRENT_LIMIT_REACHED":
			return KindConcurrency
		case "USAGE_LIMIT_EXCEEDED":
			return KindUsageLimit
		}
		return KindRateLimit
	case !daftys || status < 400 || status >= 500:
		return KindUnavailable
	}
	switch status {
	case http.StatusPaymentRequired:
		if code == "SUBSCRIPTION_REQUIRED" {
			return KindSubscriptionRequired
		}
		return KindInsufficientCredits
	case http.StatusForbidden:
		return KindUnauthorized
	case http.StatusNotFound, http.StatusGone:
		return KindNotFound
	case http.StatusConflict:
		return KindConflict
	case http.StatusRequestTimeout, http.StatusTooEarly:
		return KindUnavailable
	}
	return KindInvalid
}
