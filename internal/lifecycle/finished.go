package lifecycle

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	decision := d.keep(Rest, 0)
	decision.Event = event
	if d.storeWanted() {
		decision.Store, decision.After = true, d.storePoll()
	}
	return d.afterwards(decision)
}

// afterwards adds to a final decision what is to follow.
func (d *decider) afterwards(decision Decision) Decision {
	switch left := d.kept(); {
	case left > 0:
		decision.soonest(left)
	case left < 0 && d.Job.Status.Phase.Final():
		decision.Step, decision.Store, decision.After = Delete, false, deleteAgain
		return decision
	case left < 0:
		decision.soonest(time.Second) // once the end is on record
	}
	if d.thumbnailWanted() {
		decision.Step = LookForThumbnail
		decision.soonest(d.status.FinishedAt.Add(ThumbnailFor).Sub(d.Now))
	}
	return decision
}

// kept is for how long the object is kept on, less than 0 where it is to go, and 0 where it stays.
func (d *decider) kept() time.Duration {
	ttl, from := d.Job.Spec.TTLSecondsAfterFinished, d.status.FinishedAt
	if ttl == nil || from == nil {
		return 0
	}
	if left := from.Add(time.Duration(*ttl) * time.Second).Sub(d.Now); left > 0 {
		return left
	}
	return -1
}

// thumbnailWanted says whether a video completed a short while ago, without a thumbnail.
func (d *decider) thumbnailWanted() bool { return thumbnailWanted(&d.status, d.Now) }

// ThumbnailWanted says whether a job's thumbnail is looked for, although the job has ended.
func ThumbnailWanted(job *v1alpha1.DaftyJob, now time.Time) bool {
	return thumbnailWanted(&job.Status, now)
}

func thumbnailWanted(status *v1alpha1.DaftyJobStatus, now time.Time) bool {
	return status.Phase == v1alpha1.PhaseCompleted && status.JobID != "" && status.FinishedAt != nil &&
		status.Result != nil && status.Result.Video != nil && status.Result.Video.ThumbnailURL == "" &&
		now.Before(status.FinishedAt.Add(ThumbnailFor))
}

// storeWanted says whether the result is to be written to a ConfigMap.
func (d *decider) storeWanted() bool {
	name := d.Job.Spec.ResultConfigMap
	return name != "" && d.status.Phase == v1alpha1.PhaseCompleted && d.status.Result != nil && d.status.ResultConfigMap != name
}

// storePoll is when to try again to write the ConfigMap: rarer the longer it can't be.
func (d *decider) storePoll() time.Duration {
	var waited time.Duration
	if c := findCondition(d.Job, v1alpha1.ConditionResultStored); c != nil && c.Status == metav1.ConditionFalse {
		waited = d.Now.Sub(c.LastTransitionTime.Time)
	}
	return min(max(waited/4, storePoll), maxBackoff)
}

// Stored puts into a decision what came of writing the result: the problem for the user, empty where there was none.
func Stored(in Input, decision Decision, problem string) Decision {
	d := &decider{Input: in, status: decision.Status}
	name := in.Job.Spec.ResultConfigMap
	if problem == "" {
		d.status.ResultConfigMap = name
		d.set(v1alpha1.ConditionResultStored, metav1.ConditionTrue, v1alpha1.ReasonStored, "the result is in ConfigMap "+name)
		decision.Status = d.status
		return decision
	}
	before := findCondition(in.Job, v1alpha1.ConditionResultStored)
	d.set(v1alpha1.ConditionResultStored, metav1.ConditionFalse, v1alpha1.ReasonNotStored, problem)
	decision.Status = d.status
	decision.soonest(d.storePoll())
	switch event := decision.Event; {
	case event != nil:
		// There is one event for each decision.
		decision.Event = &Event{Warning: event.Warning, Reason: event.Reason, Message: event.Message + "; " + problem}
	case before == nil || before.Message != problem:
		decision.Event = &Event{Warning: true, Reason: v1alpha1.ReasonNotStored, Message: problem}
	}
	return decision
}
