package simulation

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

func readyOf(job *v1alpha1.DaftyJob) metav1.Condition {
	if c := meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// describe is an object's status in a few words.
func describe(job *v1alpha1.DaftyJob) string {
	text := string(job.Status.Phase)
	if reason := readyOf(job).Reason; reason != text {
		text += "/" + reason
	}
	if job.Status.InDoubt() {
		text += " [" + job.Status.Submission.IdempotencyKey + "]"
	}
	if id := job.Status.JobID; id != "" {
		text += " " + shortID(id)
	}
	if job.DeletionTimestamp != nil {
		text += " (deleting)"
	}
	return text
}

// describePatch is a metadata patch in a few words.
func describePatch(patch []byte) string {
	text := string(patch)
	if at := strings.Index(text, `,"resourceVersion"`); at > 0 {
		text = text[:at] + "}}"
	}
	return text
}

// describeRequest names a request for the trace and for random draws.
func describeRequest(req *http.Request) string {
	path := strings.TrimPrefix(req.URL.Path, daftysim.BasePath)
	if key := req.Header.Get("Idempotency-Key"); key != "" {
		return fmt.Sprintf("%s %s [%s]", req.Method, path, key)
	}
	parts := strings.Split(path, "/")
	for i := range parts {
		parts[i] = shortID(parts[i])
	}
	path = strings.Join(parts, "/")
	if strings.HasSuffix(path, "/search") && req.GetBody != nil {
		if body, err := req.GetBody(); err == nil {
			asked, _ := io.ReadAll(body) // from memory
			path += " " + string(asked)
		}
	}
	if req.URL.RawQuery != "" {
		path += "?" + req.URL.RawQuery
	}
	return req.Method + " " + path
}

// shortID returns the first eight characters of a UUID, and any other text as it is.
func shortID(text string) string {
	if len(text) == 36 {
		return text[:8]
	}
	return text
}
