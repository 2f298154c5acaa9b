// Package apierror reads the errors of the API server.
package apierror

import (
	"errors"
	"net/http"
	"strings"
	"unicode"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// maxWords bounds what is told of the API server's words, in characters.
const maxWords = 400

// IsLasting reports whether an error is a verdict on the write, which stays the same however often it is tried.
func IsLasting(err error) bool {
	var refusal apierrors.APIStatus
	if !errors.As(err, &refusal) {
		return false
	}
	switch code := refusal.Status().Code; code {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	default:
		return code >= 400 && code < 500
	}
}

// Describe returns what the API server said, on one line and not too long; where it said nothing, what happened.
func Describe(err error) string {
	words := err.Error()
	var refusal apierrors.APIStatus
	if errors.As(err, &refusal) && refusal.Status().Message != "" {
		words = refusal.Status().Message
	}
	words = strings.Join(strings.FieldsFunc(words, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }), " ")
	if runes := []rune(words); len(runes) > maxWords {
		words = string(runes[:maxWords-1]) + "…"
	}
	return words
}
