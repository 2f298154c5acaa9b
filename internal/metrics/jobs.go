package metrics

import (
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	kubetypes "k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// jobs counts DaftyJobs, and keeps when those that Dafty has were sent.
type jobs struct {
	mu    sync.Mutex
	count counts
	sent  map[kubetypes.UID]sent
}

// counts has the number of DaftyJobs by kind, and of those that have not ended by reason.
type counts struct {
	kinds   map[kind]int
	reasons map[string]int
	// oldest is how long ago the oldest job at Dafty was sent, by phase.
	oldest map[v1alpha1.Phase]time.Duration
}

// kind is what DaftyJobs are counted by.
type kind struct{ phase, jobType string }

// sent is a job that Dafty has, or may be getting.
type sent struct {
	phase v1alpha1.Phase
	since time.Time
}

// noCounts returns counts with each series that always exists, at 0.
func noCounts() counts {
	c := counts{kinds: map[kind]int{}, reasons: map[string]int{}, oldest: map[v1alpha1.Phase]time.Duration{}}
	for _, labels := range combinations(phases, types) {
		c.kinds[kind{labels[0], labels[1]}] = 0
	}
	for _, reason := range reasons {
		c.reasons[reason] = 0
	}
	for _, phase := range withDafty {
		c.oldest[phase] = 0
	}
	return c
}

// add adds other counts.
func (c *counts) add(more counts) {
	for kind, n := range more.kinds {
		c.kinds[kind] += n
	}
	for reason, n := range more.reasons {
		c.reasons[reason] += n
	}
	for phase, age := range more.oldest {
		c.oldest[phase] = max(c.oldest[phase], age)
	}
}

func newJobs() *jobs {
	return &jobs{count: noCounts(), sent: map[kubetypes.UID]sent{}}
}

// move is called as moves tells.
func (j *jobs) move(from, to any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if job, ok := from.(*v1alpha1.DaftyJob); ok {
		j.tally(job, -1)
		delete(j.sent, job.UID)
	}
	if job, ok := to.(*v1alpha1.DaftyJob); ok {
		j.tally(job, 1)
		if since := sentAt(&job.Status); !since.IsZero() {
			j.sent[job.UID] = sent{job.Status.Phase, since}
		}
	}
}

func (j *jobs) tally(job *v1alpha1.DaftyJob, n int) {
	j.count.kinds[kindOf(job)] += n
	if !job.Status.Phase.Final() {
		j.count.reasons[reasonOf(job)] += n
	}
}

func (j *jobs) counted(now time.Time) counts {
	j.mu.Lock()
	defer j.mu.Unlock()
	c := counts{kinds: maps.Clone(j.count.kinds), reasons: maps.Clone(j.count.reasons), oldest: maps.Clone(j.count.oldest)}
	for _, job := range j.sent {
		c.oldest[job.phase] = max(c.oldest[job.phase], now.Sub(job.since))
	}
	return c
}

func kindOf(job *v1alpha1.DaftyJob) kind {
	k := kind{phase: string(job.Status.Phase), jobType: job.Status.JobType}
	if k.phase == "" {
		k.phase = string(v1alpha1.PhasePending)
	}
	if k.jobType == "" {
		// A spec without a request has no known type.
		k.jobType = string(lifecycle.JobType(&job.Spec))
	}
	if !slices.Contains(types, k.jobType) {
		k.jobType = other
	}
	return k
}

// reasonOf returns why a job has not ended.
func reasonOf(job *v1alpha1.DaftyJob) string {
	ready := meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case ready == nil:
		return noReason
	case slices.Contains(reasons, ready.Reason):
		return ready.Reason
	default:
		return other
	}
}

// sentAt returns when a job was first sent to Dafty, zero if no job of it can be running there.
func sentAt(status *v1alpha1.DaftyJobStatus) time.Time {
	switch {
	case !slices.Contains(withDafty, status.Phase):
	case status.SubmittedAt != nil:
		return status.SubmittedAt.Time
	case status.InDoubt() && status.Submission.StartedAt != nil:
		return status.Submission.StartedAt.Time
	}
	return time.Time{}
}
