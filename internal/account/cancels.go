package account

import (
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/internal/lifecycle"
)

// cancelledBy is the DaftyJob that a job was cancelled for, and why.
type cancelledBy struct {
	uid   types.UID
	cause lifecycle.CancelCause
}

// after keeps what a user asked for: it isn't forgotten where the deadline comes too.
func (c cancelledBy) after(before cancelledBy) cancelledBy {
	if before.uid == c.uid && before.cause == lifecycle.CancelForUser {
		return before
	}
	return c
}

// cancelOf returns who had a job cancelled, as far as this process remembers.
func (r *Registry) cancelOf(jobID string) (by cancelledBy, known bool) {
	value, _ := r.cancels.Get(strings.ToLower(jobID))
	by, known = value.(cancelledBy)
	return by, known
}

func (r *Registry) setCancel(jobID string, by cancelledBy) {
	r.cancels.Add(strings.ToLower(jobID), by)
}

func (r *Registry) unsetCancel(jobID string) { r.cancels.Remove(strings.ToLower(jobID)) }
