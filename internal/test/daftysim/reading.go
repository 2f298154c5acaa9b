package daftysim

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"time"
)

// showNew returns a job as the answer to its create shows it.
func (s *Simulator) showNew(j *job) wireJob {
	shown := wireJob{ID: j.id, Type: jobType(j.op, s.opts.Variants.DerivedType), Status: StatusPending, CreatedAt: s.opts.Variants.CreatedAt.write(j.created)}
	if s.opts.Variants.UnknownJob == UnknownJobType {
		shown.Type += UnknownTypeSuffix
	}
	if s.opts.Variants.ExtraFields == ExtraFieldsPresent {
		shown.Extra = &extra{Region: "eu-1"}
	}
	return shown
}

// show returns a job as it stands. The caller holds the lock and has advanced it.
func (s *Simulator) show(j *job, base string, result bool) wireJob {
	shown := s.showNew(j)
	shown.Status = s.status(j)
	switch {
	case j.state == StatusFailed:
		shown.Error = s.failure(j)
	case j.state == StatusCompleted && result:
		shown.Result = s.result(j, base)
	}
	return shown
}

func (s *Simulator) status(j *job) string {
	switch {
	case j.shown != "":
		return j.shown
	case s.opts.Variants.UnknownJob == UnknownJobStatus && j.state == StatusProcessing && !j.reviewed && !s.halfway(j):
		return UnknownStatus
	default:
		return j.state
	}
}

// halfway reports whether a processing job has half of its time behind it.
func (s *Simulator) halfway(j *job) bool {
	if j.finishDue.IsZero() {
		return false
	}
	return !s.jobNow().Before(j.startDue.Add(j.finishDue.Sub(j.startDue) / 2))
}

func (s *Simulator) failure(j *job) *wireError {
	generation := &wireError{Code: "GENERATION_FAILED", Message: "The generation failed"}
	extraction := &wireError{Code: "EXTRACTION_FAILED", Message: "The page could not be read"}
	if !j.cancelled {
		if j.op == ExtractStyle {
			return extraction
		}
		return generation
	}
	generation.Message, extraction.Message = "The job was cancelled", "The job was cancelled"
	switch s.opts.Variants.CancelError {
	case CancelErrorGeneration:
		return generation
	case CancelErrorExtraction:
		return extraction
	default:
		return nil
	}
}

func (s *Simulator) result(j *job, base string) *wireResult {
	n := s.opts.Variants.Nulls
	switch classOf(j.op) {
	case ClassImages:
		r := &wireResult{}
		for _, p := range j.images {
			r.Images = append(r.Images, wireImage{ID: p.id, URL: base + p.path(), Width: n.size(p.width), Height: n.size(p.height)})
		}
		return r
	case ClassVideos:
		v := &wireVideo{
			ID: j.id, URL: base + filesPath + j.id + ".gif",
			DurationSeconds: n.size(j.spec.duration), Width: n.size(j.spec.width), Height: n.size(j.spec.height),
		}
		if !s.now().Before(j.finished.Add(s.opts.ThumbnailAfter)) {
			thumbnail := base + filesPath + j.id + ".png"
			v.ThumbnailURL = &thumbnail
		}
		return &wireResult{Video: v}
	default:
		return &wireResult{Style: &wireStyle{ID: j.styleID}}
	}
}

// getJob answers a job, with wait=true once it has ended, the wait is over or the
// client has left.
func (s *Simulator) getJob(ctx context.Context, c *call) answer {
	deadline := s.now()
	if c.query.Get("wait") == "true" {
		deadline = deadline.Add(s.opts.WaitFor)
	}
	for {
		s.mu.Lock()
		j, r := s.find(c.key.account, c.params["id"])
		if r != nil {
			s.mu.Unlock()
			return s.refuse(r)
		}
		if j.terminal() || !s.now().Before(deadline) {
			shown := s.show(j, c.base, true)
			s.mu.Unlock()
			return s.data(200, shown)
		}
		wake := deadline
		if next, ok := s.next(j); ok && next.Before(wake) {
			wake = next
		}
		if j.changed == nil {
			j.changed = make(chan struct{})
		}
		changed := j.changed
		s.waits++
		s.happened()
		s.mu.Unlock()

		goOn := s.sleepUntil(ctx, wake, changed)
		s.mu.Lock()
		s.waits--
		s.happened()
		s.mu.Unlock()
		if !goOn {
			return answer{gone: true}
		}
	}
}

// sleepUntil returns at the given time of the clock or when early is closed, and
// false if the client left or the simulator closed.
func (s *Simulator) sleepUntil(ctx context.Context, wake time.Time, early <-chan struct{}) bool {
	timer := s.clock.NewTimer(wake.Sub(s.now()))
	defer timer.Stop()
	// A fake clock may have been stepped past wake before the timer was set.
	if !s.now().Before(wake) {
		return true
	}
	select {
	case <-timer.C():
	case <-early:
	case <-ctx.Done():
		return false
	case <-s.closed:
		return false
	}
	return true
}

// listJobs answers a page. A cursor is the index of the last job shown among all
// jobs of its account, so that new jobs don't shift a page.
func (s *Simulator) listJobs(c *call) answer {
	limit := 20
	if l := c.query.Get("limit"); l != "" {
		limit, _ = strconv.Atoi(l) // the contract was checked
	}
	s.mu.Lock()
	v := s.opts.Variants
	all := c.key.account.jobs
	at, step := 0, 1
	if v.ListOrder == ListNewestFirst {
		at, step = len(all)-1, -1
	}
	if cursor := c.query.Get("cursor"); cursor != "" {
		last, err := parseCursor(cursor)
		if err != nil || last >= len(all) {
			s.mu.Unlock()
			return s.refuse(invalid(fieldErrors{"cursor": "is not one of ours"}))
		}
		at = last + step
	}
	page, last, more := []wireJob{}, 0, false
	for ; at >= 0 && at < len(all); at += step {
		j := all[at]
		s.advance(j)
		if !s.readable(j) || v.ListScope == ListScopeKey && j.key != c.key ||
			c.query.Has("status") && c.query.Get("status") != s.status(j) {
			continue
		}
		if len(page) == limit {
			more = true
			break
		}
		page, last = append(page, s.show(j, c.base, v.ListResult == ListResultShown)), at
	}
	s.mu.Unlock()

	e := envelope{Data: page, NextCursor: v.Nulls.absent()}
	if v.ExtraFields == ExtraFieldsPresent {
		e.Extra = &extra{Region: "eu-1"}
	}
	if more {
		e.NextCursor = marshal(formatCursor(last))
	}
	return jsonAnswer(200, e)
}

func formatCursor(at int) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "job:%d", at))
}

func parseCursor(cursor string) (int, error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return 0, err
	}
	var at int
	if _, err := fmt.Sscanf(string(raw), "job:%d", &at); err != nil || at < 0 {
		return 0, fmt.Errorf("no cursor: %q", raw)
	}
	return at, nil
}
