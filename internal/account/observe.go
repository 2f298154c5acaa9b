package account

import (
	"strings"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

// observe keeps the newest answer about the job, and reports whether it is news, and whether the news is the job's end. That is
// never taken back by an answer that is older; a video's thumbnail may come after it.
func (t *Tracker) observe(job *dafty.Job) (news, end bool) {
	before := t.job
	if before != nil && strings.EqualFold(before.Id, job.Id) && ended(before) {
		late := before.Status == dafty.Completed && job.Status == dafty.Completed && hasThumbnail(job) && !hasThumbnail(before)
		if late {
			t.job = job
		}
		return late, false
	}
	t.job = job
	if ended(job) {
		t.endedAt = time.Now()
	}
	dated := before != nil && before.CreatedAt.IsZero() && !job.CreatedAt.IsZero() // a list told of it before
	return before == nil || before.Id != job.Id || before.Status != job.Status || dated, ended(job)
}

// knowsEnd reports whether Dafty has said that the job ended: who asks decided before that came.
func (t *Tracker) knowsEnd(jobID string) bool {
	return t.job != nil && strings.EqualFold(t.job.Id, jobID) && ended(t.job)
}

// turnTo forgets what was heard of another job: a person may have corrected the id.
func (t *Tracker) turnTo(jobID string) {
	if t.followed != "" && !strings.EqualFold(t.followed, jobID) {
		t.trouble, t.missed, t.lookRefusals, t.cancel, t.cancelSent = nil, 0, 0, nil, false
	}
	t.followed = jobID
}

func ended(job *dafty.Job) bool {
	return job.Status == dafty.Completed || job.Status == dafty.Failed
}

func hasThumbnail(job *dafty.Job) bool {
	return job.Result != nil && job.Result.Video != nil && job.Result.Video.ThumbnailUrl != nil && *job.Result.Video.ThumbnailUrl != ""
}
