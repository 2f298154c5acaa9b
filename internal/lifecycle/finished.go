package lifecycle

import (
	"strings"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// finished sees to what comes after the end: a video's late thumbnail, the ConfigMap, and the object's own end.
func (d *decider) finished() Decision {
	if d.thumbnailWanted() {
		if job := d.Known.Job; job != nil && strings.EqualFold(job.Id, d.status.JobID) {
			if made := jobResult(job.Result); made != nil && made.Video != nil && made.Video.ThumbnailURL != "" {
				d.status.Result.Video.ThumbnailURL = made.Video.ThumbnailURL
				d.status.ResultConfigMap = "" // which lacks it
			}
		}
	}
	var event *Event
	if d.status.Phase == v1alpha1.PhaseCancelled {
		event = d.cancelledBefore()
	}
	d.forgetStored()
	decision := d.keepStatus(Rest{}, 0)
	decision.Event = event
	if d.storeWanted() {
		decision.requeueBy(d.storePoll())
	}
	return d.afterwards(decision)
}

// afterwards adds to a final decision what is to follow.
func (d *decider) afterwards(decision Decision) Decision {
	switch left := d.ttlLeft(); {
	case left > 0:
		decision.requeueBy(left)
	case left < 0 && d.Job.Status.Phase.Final():
		decision.Step, decision.After = Delete{}, deleteAgain
		return decision
	case left < 0:
		decision.requeueBy(time.Second) // once the end is on record
	}
	if d.thumbnailWanted() {
		decision.Step = LookForThumbnail{}
		decision.requeueBy(d.status.FinishedAt.Add(ThumbnailFor).Sub(d.Now))
	}
	if d.Job.Status.Phase.Final() && d.finalizer() && !d.deleting() && Is[Rest](decision.Step) {
		decision.Step = Release{}
	}
	if d.storeWanted() {
		return d.store(decision)
	}
	return decision
}

// ttlLeft returns for how long the object is kept on, less than 0 where it is to go, and 0 where it stays.
func (d *decider) ttlLeft() time.Duration {
	ttl, from := d.Job.Spec.TTLSecondsAfterFinished, d.status.FinishedAt
	if ttl == nil || from == nil {
		return 0
	}
	if left := from.Add(time.Duration(*ttl) * time.Second).Sub(d.Now); left > 0 {
		return left
	}
	return -1
}

// thumbnailWanted reports whether a video completed a short while ago, without a thumbnail.
func (d *decider) thumbnailWanted() bool { return thumbnailWanted(&d.status, d.Now) }

// ThumbnailWanted reports whether a job's thumbnail is looked for, although the job has ended.
func ThumbnailWanted(job *v1alpha1.DaftyJob, now time.Time) bool {
	return thumbnailWanted(&job.Status, now)
}

func thumbnailWanted(status *v1alpha1.DaftyJobStatus, now time.Time) bool {
	return status.Phase == v1alpha1.PhaseCompleted && status.JobID != "" && status.FinishedAt != nil &&
		status.Result != nil && status.Result.Video != nil && status.Result.Video.ThumbnailURL == "" &&
		now.Before(status.FinishedAt.Add(ThumbnailFor))
}
