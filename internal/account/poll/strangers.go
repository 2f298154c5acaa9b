package poll

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

const (
	// strangerAfter is how long a job is listed before it counts as one that nobody follows: whoever submits one knows its id a
	// moment later.
	strangerAfter = time.Minute
	// strangersLife is how long what a list has told is taken for the truth. There are no lists while nothing is followed.
	strangersLife = 10 * time.Minute
	// maxStrangers bounds those that are told.
	maxStrangers = 20
)

// strangers are the jobs of the API key that run and that no Target follows, by the status that they were listed under.
type strangers map[dafty.JobStatus]strangerList

type strangerList struct {
	at   time.Time
	jobs map[string]stranger
}

type stranger struct {
	dafty.ListedJob
	since time.Time
}

// listed takes in a list that was read to its end.
func (s *strangers) listed(status dafty.JobStatus, jobs []dafty.ListedJob, targets map[*Target]bool, now time.Time) {
	followed := map[string]bool{}
	for t := range targets {
		followed[strings.ToLower(t.ID)] = true
	}
	list := strangerList{at: now, jobs: map[string]stranger{}}
	for _, job := range jobs {
		if id := strings.ToLower(job.ID); !followed[id] {
			list.jobs[id] = stranger{ListedJob: job, since: s.since(id, now)}
		}
	}
	if *s == nil {
		*s = strangers{}
	}
	(*s)[status] = list
}

// since returns since when a job is listed.
func (s *strangers) since(id string, now time.Time) time.Time {
	since := now
	for _, list := range *s {
		if before, was := list.jobs[id]; was && before.since.Before(since) && now.Sub(list.at) <= strangersLife {
			since = before.since
		}
	}
	return since
}

// Unfollowed returns the jobs of the API key that run and that nobody follows, as far as the lists have told, the oldest first.
func (p *Poller) Unfollowed(now time.Time) []dafty.ListedJob {
	p.mu.Lock()
	defer p.mu.Unlock()
	followed := map[string]bool{}
	for t := range p.targets {
		followed[strings.ToLower(t.ID)] = true
	}
	var all []dafty.ListedJob
	for _, list := range p.strangers {
		for id, job := range list.jobs {
			if now.Sub(list.at) <= strangersLife && now.Sub(job.since) >= strangerAfter && !followed[id] {
				followed[id] = true // it may be on two lists, as one that moved on between them
				all = append(all, job.ListedJob)
			}
		}
	}
	slices.SortFunc(all, func(a, b dafty.ListedJob) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return all[:min(len(all), maxStrangers)]
}
