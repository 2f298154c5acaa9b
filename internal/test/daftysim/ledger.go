package daftysim

import "time"

// Entry is a job in the ledger. It never holds an API key.
type Entry struct {
	JobID          string    `json:"jobId"`
	Account        string    `json:"account"`
	Key            int       `json:"key"` // which of the account's keys, from 1; 0: made by a person
	IdempotencyKey string    `json:"idempotencyKey,omitempty"`
	Operation      Operation `json:"operation"`
	Status         string    `json:"status"`            // of the contract's four, whatever variants show
	Prompt         string    `json:"prompt"`            // or the url of a style
	Charge         int       `json:"charge"`            // CU, at creation
	CancelCharge   int       `json:"cancelCharge"`      // CU
	Refund         int       `json:"refund,omitempty"`  // CU, of Charge, for a cancel
	Cancelled      bool      `json:"cancelled"`         // a cancel was accepted and won
	Created        time.Time `json:"created"`           // on the clock, as all times
	Started        time.Time `json:"started,omitzero"`  // zero: it never processed
	Finished       time.Time `json:"finished,omitzero"` // zero: it still runs
}

// Terminal reports whether the job has ended.
func (e Entry) Terminal() bool { return e.Status == StatusCompleted || e.Status == StatusFailed }

func (j *job) entry() Entry {
	e := Entry{
		JobID: j.id, Account: j.account.name, IdempotencyKey: j.idempotencyKey, Operation: j.op, Status: j.state,
		Prompt: j.spec.prompt, Charge: j.price, CancelCharge: j.cancelPrice, Refund: j.refund, Cancelled: j.cancelled,
		Created: j.created, Started: j.started, Finished: j.finished,
	}
	if j.key != nil {
		e.Key = j.key.number
	}
	return e
}

func (s *Simulator) entries(keep func(*job) bool) []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries := []Entry{}
	for _, j := range s.order {
		if s.advance(j); keep(j) {
			entries = append(entries, j.entry())
		}
	}
	return entries
}

// Ledger returns every job ever made, in order.
func (s *Simulator) Ledger() []Entry { return s.entries(func(*job) bool { return true }) }

// Running returns the jobs that haven't ended.
func (s *Simulator) Running() []Entry { return s.entries(func(j *job) bool { return !j.terminal() }) }

// Job returns one job's entry.
func (s *Simulator) Job(id string) (Entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.jobs[canonical(id)]
	if j == nil {
		return Entry{}, false
	}
	s.advance(j)
	return j.entry(), true
}

// Paid returns what the job cost in all, in CU.
func (e Entry) Paid() int { return e.Charge - e.Refund + e.CancelCharge }

// Charges returns what each account has paid, in CU, for creates and cancels.
func (s *Simulator) Charges() map[string]int {
	charges := map[string]int{}
	for _, e := range s.Ledger() {
		if total := e.Paid(); total != 0 {
			charges[e.Account] += total
		}
	}
	return charges
}
