package poll

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/internal/dafty"
)

// Job is a job at Dafty that is to be polled, as far as it is known.
type Job struct {
	ID    string
	Class dafty.Class
	// Name and Created are of whom it is for: the oldest is asked about first.
	Name    types.NamespacedName
	Created time.Time

	// Status is as last seen, empty where this process hasn't seen any, and Made when Dafty made the job, zero where that isn't
	// known.
	Status dafty.JobStatus
	Made   time.Time
	// Cancelling is set where a cancel must be confirmed.
	Cancelling bool
	// LookAt is when the job is asked about by itself, zero where a long poll or the lists tell of it. An Urgent look is at a job
	// that is ending.
	LookAt time.Time
	Urgent bool
}

// Look is the answer to one look at a job.
type Look struct {
	Job *dafty.Job
	Err *dafty.CallError
	// At is when it was decided on, and Long set where Dafty was asked to hold it.
	At   time.Time
	Long bool
}

// Follower is told what becomes of a job. It is called without locks.
type Follower interface {
	// OnLook is told of a look, and tells the Poller how to go on: Again, GoOn or, by Unfollow, not at all.
	OnLook(t *Target, look Look)
	// OnListed is told that a list has the job under another status.
	OnListed(t *Target, status dafty.JobStatus)
}

// Target is a job that is polled until it has ended. The Poller's lock guards what changes of it.
type Target struct {
	Job
	follower Follower
	ctx      context.Context // It ends the target's calls.
	stop     context.CancelFunc

	// rest is before when there is no long poll, asked when the job was last asked about.
	rest, asked time.Time
	// looks counts those since the last that was wanted at once.
	looks int
	// busy is set while a call is on its way. release gives up a long poll, nil where there is none.
	busy    bool
	release context.CancelFunc
	// absent counts the sweeps that didn't have the job although it runs; it isn't judged by one before unlisted.
	absent   int
	unlisted time.Time
}

// before puts the jobs that began first first: they end first.
func (t *Target) before(other *Target) bool {
	if (t.Status == dafty.Processing) != (other.Status == dafty.Processing) {
		return t.Status == dafty.Processing
	}
	if !t.Created.Equal(other.Created) {
		return t.Created.Before(other.Created)
	}
	return t.Name.String() < other.Name.String()
}

// waitsLonger puts the jobs first that nobody has asked about for longest.
func (t *Target) waitsLonger(other *Target) bool {
	if !t.asked.Equal(other.asked) {
		return t.asked.Before(other.asked)
	}
	return t.before(other)
}
