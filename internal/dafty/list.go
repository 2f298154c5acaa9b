package dafty

import (
	"context"
	"encoding/json"
	"time"
)

// JobPage is a page of the jobs that have a status, in no documented order. Jobs that others made may be among them.
type JobPage struct {
	// Jobs are those of the page.
	Jobs []ListedJob
	// Next is the cursor of the next page, empty on the last.
	Next string
}

// ListedJob is what a list tells of a job.
type ListedJob struct {
	ID string
	// Type is in Dafty's words, and CreatedAt when Dafty made the job; empty and zero where it doesn't say.
	Type      string
	CreatedAt time.Time
}

// PageSize is how many jobs a page has, the most that Dafty allows.
const PageSize = 50

// List returns a page of the jobs that now have a status. cursor is the Next of the previous page, empty for the first.
func (c *Client) List(ctx context.Context, status JobStatus, cursor string) (*JobPage, error) {
	params := ListJobsParams{Status: &status, Limit: new(PageSize)}
	if cursor != "" {
		params.Cursor = &cursor
	}
	req, err := newListJobsRequest(ctx, c.server, params)
	if err != nil {
		return nil, unsentError(KindUnavailable, "the request can't be encoded", err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	body, code, err := c.do(ctx, req)
	if err != nil {
		return nil, err
	}
	page := &JobPage{}
	var envelope struct {
		Data *[]struct {
			ID        any `json:"id"`
			Type      any `json:"type"`
			CreatedAt any `json:"createdAt"`
		} `json:"data"`
		NextCursor any `json:"nextCursor"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil || envelope.Data == nil {
		return nil, &CallError{Kind: KindUnavailable, Status: code, Message: "Dafty's list of jobs can't be read"}
	}
	for _, job := range *envelope.Data {
		if id, ok := job.ID.(string); ok && len(id) <= maxName {
			text, _ := job.CreatedAt.(string)
			page.Jobs = append(page.Jobs, ListedJob{ID: id, Type: textOf(job.Type, maxName), CreatedAt: readTime(text)})
		}
	}
	page.Next, _ = envelope.NextCursor.(string)
	return page, nil
}
