package simulation

import (
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// refusedWrite is a kind of write of an object by a process.
type refusedWrite struct {
	process, kind string
	uid           types.UID
}

// refusedSince is since when, and until when, it was refused.
type refusedSince struct{ first, last time.Time }

// unreportedAfter is how long a write may be refused before an event must tell of it.
const unreportedAfter = 2 * time.Minute

// checkRefusal checks that an event tells of what is refused for long.
func (inv *invariants) checkRefusal(p *process, kind, name string, code int) {
	job, now := inv.env.api.get(name), time.Now()
	if job == nil || code == http.StatusNotFound || kind == configMapCreates || kind == configMapPatches {
		return // that of results has a condition of its own
	}
	if kind == metadataWrites && job.Status.Phase.Final() && job.DeletionTimestamp == nil {
		inv.releaseRefused[job.UID] = now // nobody waits for that, and it isn't told
		return
	}
	key := refusedWrite{p.id, kind, job.UID}
	since, met := inv.refusedSince[key]
	if !met || now.Sub(since.last) > time.Minute {
		since.first = now
	}
	since.last = now
	inv.refusedSince[key] = since
	// A conflict may as well be one.
	if told := inv.reportedRefusals[key]; !told && now.Sub(since.first) > unreportedAfter && code != http.StatusConflict && !inv.env.clocksJumped {
		inv.violated("stuck: the %s of %s can't be written for %s, and nobody is told", kind, name, now.Sub(since.first))
		inv.reportedRefusals[key] = true
	}
}

// unrecorded reports whether the cancel of a job left a process that is no more, and isn't on record: whoever comes after it
// can't know.
func (inv *invariants) unrecorded(job *v1alpha1.DaftyJob) bool {
	by := inv.cancels[strings.ToLower(job.Status.JobID)].by
	return by != "" && !inv.cancelRecorded[job.UID] && (inv.env.leader == nil || inv.env.leader.id != by)
}

// noteRefusalEvent notes an event that tells of a refusal. Which write it is about is only in its message.
func (inv *invariants) noteRefusalEvent(p *process, job *v1alpha1.DaftyJob, reason, message string) {
	if reason != v1alpha1.ReasonWriteRefused && reason != v1alpha1.ReasonWriteFailed {
		return
	}
	kind := metadataWrites
	switch {
	case strings.HasPrefix(message, "the status "):
		kind = statusWrites
	case strings.HasPrefix(message, "this DaftyJob can't be deleted"):
		kind = deletions
	}
	inv.reportedRefusals[refusedWrite{p.id, kind, job.UID}] = true
}

// cancelSent is a cancel that left a process.
type cancelSent struct {
	by string
	at time.Time
}

// noteCancel notes a cancel that leaves a process, whether or not it arrives.
func (inv *invariants) noteCancel(p *process, req *http.Request) {
	if path, ok := strings.CutSuffix(req.URL.Path, "/cancel"); ok {
		id := strings.ToLower(path[strings.LastIndexByte(path, '/')+1:])
		inv.cancels[id] = cancelSent{by: p.id, at: time.Now()}
	}
}

// checkAbandoned holds an abandoned deletion against what was tried: where there was a key, the job's cancel was.
func (inv *invariants) checkAbandoned(job *v1alpha1.DaftyJob, message string) {
	id := job.Status.JobID
	if id == "" || strings.Contains(message, "no API key") {
		return
	}
	if tried, ok := inv.cancels[strings.ToLower(id)]; !ok || tried.at.Before(job.DeletionTimestamp.Add(-time.Minute)) {
		inv.violated("left running: the cancel of %s was given up, and was never tried: %s", job.Name, message)
	}
}

// checkNoRefusals checks that no object says that a write is refused, once none is.
func (inv *invariants) checkNoRefusals() {
	for _, job := range inv.objects() {
		if reason := readyOf(job).Reason; reason == v1alpha1.ReasonWriteRefused || reason == v1alpha1.ReasonWriteFailed {
			inv.violated("false: %s is %s, and nothing is refused any more", job.Name, describe(job))
		}
	}
}
