package apierror_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"dafty.ai/dafty-operator/internal/apierror"
)

func TestErrors(t *testing.T) {
	configMaps := schema.GroupResource{Resource: "configmaps"}
	status := func(code int32, message string) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Message: message}}
	}
	for _, tt := range []struct {
		name  string
		err   error
		says  string
		lasts bool
	}{
		{"no answer", errors.New("connection refused"), "connection refused", false},
		{"forbidden", apierrors.NewForbidden(configMaps, "hero", errors.New("a policy says no")), `configmaps "hero" is forbidden: a policy says no`, true},
		{"wrapped", fmt.Errorf("writing status: %w", status(http.StatusUnprocessableEntity, "too long")), "too long", true},
		{"conflict", apierrors.NewConflict(configMaps, "hero", errors.New("changed")), `Operation cannot be fulfilled on configmaps "hero": changed`, true},
		{"unauthorized", status(http.StatusUnauthorized, "who are you"), "who are you", false},
		{"timeout", status(http.StatusRequestTimeout, "too slow"), "too slow", false},
		{"too many requests", status(http.StatusTooManyRequests, "too many"), "too many", false},
		{"its own trouble", status(http.StatusInternalServerError, "etcd is away"), "etcd is away", false},
		{"several lines", status(http.StatusForbidden, "  one\n\ttwo\x00three "), "one two three", true},
		{"much", status(http.StatusForbidden, strings.Repeat("ü", 401)), strings.Repeat("ü", 399) + "…", true},
		{"not too much", status(http.StatusForbidden, strings.Repeat("ü", 400)), strings.Repeat("ü", 400), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := apierror.Describe(tt.err); got != tt.says {
				t.Errorf("it says %q, want %q", got, tt.says)
			}
			if got := apierror.IsLasting(tt.err); got != tt.lasts {
				t.Errorf("it lasts: %t", got)
			}
		})
	}
}
