package main

import (
	"context"
	"math/rand/v2"
	"strings"
	"time"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// processing is about how long Dafty works on a job: enough to see it happen.
var processing = map[daftysim.Operation]time.Duration{
	daftysim.ExtractStyle:  4 * time.Second,
	daftysim.ResizeImage:   3 * time.Second,
	daftysim.GenerateImage: 6 * time.Second,
	daftysim.EditImage:     8 * time.Second,
	daftysim.UpscaleImage:  11 * time.Second,
	daftysim.VideoFrames:   13 * time.Second,
	daftysim.ImageToVideo:  15 * time.Second,
}

// longProcessing is for a job that the demo cancels.
const longProcessing = 2 * time.Minute

// driver starts and ends the simulator's jobs, as the simulator's own timing doesn't depend on the job.
type driver struct {
	sim   *daftysim.Server
	slow  map[string]bool // by prompt
	plans map[string]plan // by job id
}

// plan is when a job starts and ends, from its creation.
type plan struct{ start, finish time.Duration }

// run moves jobs until ctx ends.
func (s *driver) run(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, job := range s.sim.Running() {
			s.move(job)
		}
	}
}

// move starts or ends a job that is due. One that can't be moved has just been cancelled.
func (s *driver) move(job daftysim.Entry) {
	p, planned := s.plans[job.JobID]
	if !planned {
		p = s.plan(job)
		s.plans[job.JobID] = p
	}
	switch age := time.Since(job.Created); {
	case job.Status == daftysim.StatusPending && age >= p.start:
		_ = s.sim.Start(job.JobID)
	case job.Status == daftysim.StatusProcessing && age >= p.finish:
		outcome := daftysim.Succeed
		if strings.Contains(job.Prompt, daftysim.DefaultFailWord) {
			outcome = daftysim.Fail
		}
		_ = s.sim.Finish(job.JobID, outcome)
	}
}

// plan returns the usual times, each varied by up to a quarter.
func (s *driver) plan(job daftysim.Entry) plan {
	vary := func(d time.Duration) time.Duration {
		return time.Duration(float64(d) * (0.75 + rand.Float64()/2))
	}
	takes := vary(processing[job.Operation])
	if s.slow[job.Prompt] {
		takes = longProcessing
	}
	start := vary(1500 * time.Millisecond)
	return plan{start: start, finish: start + takes}
}
