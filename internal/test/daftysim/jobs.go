package daftysim

import (
	"fmt"
	"time"
)

// The statuses of a job, as the contract has them.
const (
	StatusPending    = "pending"
	StatusProcessing = "processing"
	StatusCompleted  = "completed"
	StatusFailed     = "failed"
)

// job is one piece of paid work. Its due times are job time, what happened is
// the clock's.
type job struct {
	id             string
	op             Operation
	account        *account
	key            *apiKey // nil: made by a person
	idempotencyKey string
	spec           spec

	state                      string
	created, started, finished time.Time
	startDue, finishDue        time.Time // zero: only moved by hand
	price, cancelPrice         int
	refund                     int // of the price

	cancelAsked bool // and not settled, while the state isn't terminal
	cancelled   bool
	races       bool   // the next cancel meets the completion
	reviewed    bool   // past the status that the contract lacks
	shown       string // a status forced by hand

	images  []*picture
	styleID string
	changed chan struct{} // made by the first who waits
}

// spec is the part of a request that its result depends on.
type spec struct {
	prompt        string
	width, height int
	variations    int
	duration      int // seconds
	fail          bool
}

func (j *job) terminal() bool { return j.state == StatusCompleted || j.state == StatusFailed }

func jobType(op Operation, derived DerivedType) string {
	switch op {
	case GenerateImage:
		return "image.generate"
	case EditImage:
		return "image.edit"
	case ResizeImage, UpscaleImage:
		if derived == DerivedTypeEdit {
			return "image.edit"
		}
		if op == ResizeImage {
			return "image.resize"
		}
		return "image.upscale"
	case ImageToVideo, VideoFrames:
		return "video.generate"
	default:
		return "style.extract"
	}
}

// jobNow returns the time by which jobs change.
func (s *Simulator) jobNow() time.Time {
	if !s.heldAt.IsZero() {
		return s.heldAt.Add(-s.holding)
	}
	return s.now().Add(-s.holding)
}

// newJob makes a job and plans its life. The caller holds the lock.
func (s *Simulator) newJob(acc *account, key *apiKey, op Operation, sp spec) *job {
	j := &job{
		id: s.uuid(), op: op, account: acc, key: key, spec: sp,
		state: StatusPending, created: s.now(),
	}
	if !s.opts.Manual {
		j.startDue = s.jobNow().Add(s.opts.PendingFor(op))
		j.finishDue = j.startDue.Add(s.opts.ProcessingFor(op))
	}
	s.jobs[j.id] = j
	s.order = append(s.order, j)
	acc.jobs = append(acc.jobs, j)
	if key != nil {
		if len(key.active) == cap(key.active) {
			s.running(key) // drops what ended before room is made for more
		}
		key.active = append(key.active, j)
	}
	return j
}

// advance updates a job to its present state. The caller holds the lock.
func (s *Simulator) advance(j *job) {
	now := s.jobNow()
	due := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	if j.cancelAsked {
		if !j.terminal() && due(j.finishDue) {
			s.end(j, false, j.finishDue.Add(s.holding))
		}
		return
	}
	if j.state == StatusPending && due(j.startDue) {
		s.begin(j, j.startDue.Add(s.holding))
	}
	if j.state == StatusProcessing && due(j.finishDue) {
		s.end(j, !j.spec.fail, j.finishDue.Add(s.holding))
	}
}

func (s *Simulator) begin(j *job, at time.Time) {
	j.state, j.started = StatusProcessing, at
}

// end ends a job and makes its results.
func (s *Simulator) end(j *job, completed bool, at time.Time) {
	j.finished = at
	if !completed {
		j.state = StatusFailed
		return
	}
	j.state = StatusCompleted
	switch classOf(j.op) {
	case ClassImages:
		for i := range j.spec.variations {
			p := &picture{id: s.uuid(), op: j.op, job: j.id, index: i, prompt: j.spec.prompt, width: j.spec.width, height: j.spec.height}
			j.images = append(j.images, p)
			j.account.pictures[p.id] = p
		}
	case ClassStyles:
		j.styleID = s.uuid()
		j.account.styles[j.styleID] = newStyle(j.styleID, j.spec.prompt, nil)
	}
}

// next returns when a job will change by itself, on the clock.
func (s *Simulator) next(j *job) (time.Time, bool) {
	due := j.finishDue
	if j.state == StatusPending && !j.cancelAsked {
		due = j.startDue
	}
	return due.Add(s.holding), s.heldAt.IsZero() && !due.IsZero()
}

// moved wakes those who hold a request for the job. The caller holds the lock.
func (s *Simulator) moved(j *job) {
	if j.changed != nil {
		close(j.changed)
		j.changed = nil
	}
	s.happened()
}

// readable reports whether the API still knows the job.
func (s *Simulator) readable(j *job) bool {
	return s.opts.Variants.JobRetention != JobRetentionLimited || !j.terminal() ||
		s.now().Before(j.finished.Add(s.opts.JobsReadableFor))
}

// find returns an account's job, updated to its present state. The caller holds the lock.
func (s *Simulator) find(acc *account, id string) (*job, *refusal) {
	j := s.jobs[canonical(id)]
	if j != nil {
		s.advance(j)
	}
	if j == nil || j.account != acc || !s.readable(j) {
		return nil, notFound("Job %s was not found", id)
	}
	return j, nil
}

// cancel answers a request to cancel a job.
func (s *Simulator) cancel(c *call) answer {
	s.mu.Lock()
	j, r := s.find(c.key.account, c.params["id"])
	if r == nil {
		r = s.cancelFound(j)
	}
	if r != nil {
		s.mu.Unlock()
		return s.refuse(r)
	}
	shown := s.show(j, c.base, true)
	s.moved(j)
	s.mu.Unlock()
	return s.data(200, shown)
}

func (s *Simulator) cancelFound(j *job) *refusal {
	v := s.opts.Variants
	switch {
	case j.terminal():
		switch v.CancelTerminal {
		case CancelTerminalNotFound:
			return notFound("Job %s can't be cancelled: it has ended", j.id)
		case CancelTerminalConflict:
			return &refusal{status: 409, code: "CONFLICT", message: fmt.Sprintf("Job %s has already ended", j.id)}
		}
		return nil
	case j.cancelAsked:
		return nil
	}
	meets := j.races || s.opts.CancelRaceWindow > 0 && !j.finishDue.IsZero() && !s.jobNow().Add(s.opts.CancelRaceWindow).Before(j.finishDue)
	if meets {
		if j.state == StatusPending {
			s.begin(j, s.now())
		}
		if v.CancelRace == CancelRaceCompleted {
			s.end(j, !j.spec.fail, s.now())
			return nil
		}
	}
	if j.state == StatusProcessing {
		j.cancelPrice = s.opts.Prices.Cancel
		j.account.credits -= j.cancelPrice
	}
	if j.state == StatusPending || v.CancelCharge == CancelChargeRefunded {
		j.refund = j.price
		j.account.credits += j.refund
	}
	j.cancelAsked, j.cancelled = true, true
	j.startDue, j.finishDue = time.Time{}, time.Time{}
	switch {
	case v.AfterCancel == AfterCancelFailed || meets:
		s.end(j, false, s.now())
	case !s.opts.Manual:
		j.finishDue = s.jobNow().Add(s.opts.CancelSettles)
	}
	return nil
}

// Outcome is how [Simulator.Finish] ends a job.
type Outcome string

// The outcomes of [Simulator.Finish].
const (
	Succeed Outcome = "succeed"
	Fail    Outcome = "fail"
)

// byHand moves one job.
func (s *Simulator) byHand(id string, move func(*job) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.jobs[canonical(id)]
	if j == nil {
		return fmt.Errorf("no job %s", id)
	}
	s.advance(j)
	if err := move(j); err != nil {
		return err
	}
	s.moved(j)
	return nil
}

// Start moves a pending job to processing at once. Under [UnknownJobStatus] a
// second Start takes it past the unknown status.
func (s *Simulator) Start(id string) error {
	return s.byHand(id, func(j *job) error {
		switch {
		case j.state == StatusPending && !j.cancelAsked:
			s.begin(j, s.now())
			if !s.opts.Manual {
				j.startDue = s.jobNow()
				j.finishDue = j.startDue.Add(s.opts.ProcessingFor(j.op))
			}
		case j.state == StatusProcessing && !j.reviewed:
			j.reviewed = true
		default:
			return fmt.Errorf("job %s is %s", id, j.state)
		}
		return nil
	})
}

// Finish ends a job at once, from any state but a final one. One whose cancel
// has yet to settle fails, whatever the outcome says.
func (s *Simulator) Finish(id string, outcome Outcome) error {
	return s.byHand(id, func(j *job) error {
		if j.terminal() {
			return fmt.Errorf("job %s is %s", id, j.state)
		}
		if j.state == StatusPending && !j.cancelAsked {
			s.begin(j, s.now())
		}
		s.end(j, outcome == Succeed && !j.cancelAsked, s.now())
		return nil
	})
}

// FinishAll ends every job that still runs, and returns how many.
func (s *Simulator) FinishAll(outcome Outcome) int {
	n := 0
	for _, e := range s.Running() {
		if s.Finish(e.JobID, outcome) == nil {
			n++
		}
	}
	return n
}

// RaceCancel makes the next cancel of a job meet its completion: which of them
// wins is the variant [CancelRace].
func (s *Simulator) RaceCancel(id string) error {
	return s.byHand(id, func(j *job) error { j.races = true; return nil })
}

// ShowStatus makes a job show a status, which the contract need not have, until
// it is called with "".
func (s *Simulator) ShowStatus(id, status string) error {
	return s.byHand(id, func(j *job) error {
		j.shown, s.statusesShown = status, true
		return nil
	})
}

// Hold stops the time that jobs live by; [Simulator.Release] lets it go on.
// Moves by hand and cancels still work.
func (s *Simulator) Hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.heldAt.IsZero() {
		return
	}
	s.settle()
	s.heldAt = s.now()
	s.wakeAll()
}

// Release ends a [Simulator.Hold]: jobs go on where they stood.
func (s *Simulator) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.heldAt.IsZero() {
		return
	}
	s.settle()
	s.holding += s.now().Sub(s.heldAt)
	s.heldAt = time.Time{}
	s.wakeAll()
}

// settle makes every due move before job time changes its relation to the clock.
func (s *Simulator) settle() {
	for _, j := range s.order {
		if !j.terminal() {
			s.advance(j)
		}
	}
}

func (s *Simulator) wakeAll() {
	for _, j := range s.order {
		if j.changed != nil {
			s.moved(j)
		}
	}
	s.happened()
}

// PersonJob is a job that somebody makes in Dafty's own pages.
type PersonJob struct {
	Operation Operation // "": [GenerateImage]
	Prompt    string
}

// AddJob makes a job as a person would, without an API key: it is free here,
// and part of no key's list. It returns the job's id.
func (s *Simulator) AddJob(accountName string, p PersonJob) string {
	var id string
	s.change(accountName, func(a *account) {
		if p.Operation == "" {
			p.Operation = GenerateImage
		}
		sp := spec{prompt: p.Prompt, width: 1024, height: 1024, variations: 1, duration: 6, fail: s.fails(p.Prompt)}
		id = s.newJob(a, nil, p.Operation, sp).id
	})
	return id
}
