package account

import (
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"

	"dafty.ai/dafty-operator/internal/lifecycle"
)

// maxCancels is how many cancels are remembered. Who shares a job hears of its end within a minute, in which each API key has
// 120 of them.
const maxCancels = 100000

// cancelRecords remember who had a job cancelled, and why: another DaftyJob may share it, and status may be set back.
type cancelRecords struct{ byJob *lru.Cache }

func newCancelRecords() cancelRecords { return cancelRecords{lru.New(maxCancels)} }

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

// get returns who had a job cancelled, as far as this process remembers.
func (r cancelRecords) get(jobID string) (by cancelledBy, known bool) {
	value, _ := r.byJob.Get(strings.ToLower(jobID))
	by, known = value.(cancelledBy)
	return by, known
}

func (r cancelRecords) set(jobID string, by cancelledBy) { r.byJob.Add(strings.ToLower(jobID), by) }

func (r cancelRecords) remove(jobID string) { r.byJob.Remove(strings.ToLower(jobID)) }
