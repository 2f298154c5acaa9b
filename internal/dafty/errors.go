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
	// KindInvalid : the request is wrong as it is (400 and its like).
	KindInvalid Kind = "Invalid"
	// KindUnauthorized : the API key is missing, malformed, revoked, expired or not allowed (401, 403).
	KindUnauthorized Kind = "Unauthorized"
	// KindInsufficientCredits : the account has too few credits (402).
	KindInsufficientCredits Kind = "InsufficientCredits"
	// KindSubscriptionRequired : the plan doesn't include this (402).
	KindSubscriptionRequired Kind = "SubscriptionRequired"
	// KindNotFound : absent, or another account's (404).
	KindNotFound Kind = "NotFound"
	// KindConflict : the job's state forbids the call (409).
	KindConflict Kind = "Conflict"
	// KindRateLimit : this minute's calls are used up (429).
	KindRateLimit Kind = "RateLimit"
	// KindConcurrency : too many jobs are in flight (429).
	KindConcurrency Kind = "Concurrency"
	// KindUsageLimit : the period's allowance is used up (429).
	KindUsageLimit Kind = "UsageLimit"
	// KindUnavailable : no answer, or none that can be understood: a timeout, a broken
	// connection, a redirect, a 5xx, a body that isn't Dafty's. It proves nothing about the
	// job: the request may have had its effect.
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

// Unwrap gives the context's error where the call ended with it, else nil.
func (e *CallError) Unwrap() error { return e.cause }

// WithoutEffect reports whether the call has certainly had no effect: it never left, or Dafty has refused it.
func (e *CallError) WithoutEffect() bool { return e.Unsent || e.Kind != KindUnavailable }

// Refused reports whether a create that met this error has certainly made no job, so that nothing was charged and a fresh
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

// kindOf reads a status and code. Only an answer in Dafty's own error form may end a job or
// deny its existence: a proxy's page with the same status says nothing about it. Two answers
// mean the same whoever gives them: 401, and 429.
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
