package controller

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// An object that is older than what was written is waited for, but not for ever: the API server's store may have been set back.
func TestStaleObjects(t *testing.T) {
	at := func(version string) *v1alpha1.DaftyJob {
		return &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "hero", ResourceVersion: version}}
	}
	wrote := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		read  string
		after time.Duration
		want  bool
	}{
		"older, a moment later":      {"7", time.Second, true},
		"as written":                 {"8", time.Second, false},
		"newer":                      {"9", time.Second, false},
		"still older, after a while": {"7", staleFor, false},
	} {
		t.Run(name, func(t *testing.T) {
			var w expectations
			w.record(at("8"), wrote)
			if got := w.stale(at(tt.read), wrote.Add(tt.after)); got != tt.want {
				t.Errorf("stale is %t", got)
			}
		})
	}
}
