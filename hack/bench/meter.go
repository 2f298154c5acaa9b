package main

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// kind is the purpose of a call to Dafty.
type kind uint8

const (
	kindCreate kind = iota
	kindLook        // a job's state, at once
	kindWait        // a job's state, held until it has ended
	kindList
	kindCancel
	kindElse
)

// otherKinds share Dafty's limit of 120 calls a minute.
var otherKinds = []kind{kindLook, kindWait, kindList, kindCancel, kindElse}

// call is one request to Dafty.
type call struct {
	at       time.Time
	key      uint32 // which API key, by order of first use; the key itself is kept nowhere
	kind     kind
	operator bool // made by the operator
	status   int  // 0 while it hasn't been answered, or where the client left
}

// roomForCalls bounds the meter's memory.
const roomForCalls = 4 << 20

// meter counts what passes through it to the simulated Dafty.
type meter struct {
	dafty http.Handler

	mu      sync.Mutex
	calls   []call
	dropped int
	keys    map[[sha256.Size]byte]uint32
	cancels map[string]time.Time // the first of each job
	// looked is when each job was first asked about or listed since resetLooks, nil: nobody wants to know.
	looked map[string]time.Time
}

func newMeter(dafty http.Handler) *meter {
	return &meter{dafty: dafty, keys: map[[sha256.Size]byte]uint32{}, cancels: map[string]time.Time{}}
}

func (m *meter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	kind, jobID := classify(r)
	place, keep := m.arrive(now, kind, jobID, r)
	answer := &answerWriter{ResponseWriter: w, keep: keep}
	defer func() { m.answered(place, answer.status) }() // also where the connection is dropped
	m.dafty.ServeHTTP(answer, r)
	if keep {
		m.listed(answer.body, now)
	}
}

// classify returns a call's kind, and the job that it is about.
func classify(r *http.Request) (kind, string) {
	path := strings.TrimPrefix(r.URL.Path, daftysim.BasePath)
	id, of := strings.CutPrefix(path, "/jobs/")
	switch {
	case r.Method == http.MethodPost && of && strings.HasSuffix(id, "/cancel"):
		return kindCancel, strings.TrimSuffix(id, "/cancel")
	case r.Method == http.MethodPost:
		return kindCreate, ""
	case r.Method == http.MethodGet && path == "/jobs":
		return kindList, ""
	case r.Method == http.MethodGet && of && r.URL.Query().Get("wait") == "true":
		return kindWait, id
	case r.Method == http.MethodGet && of:
		return kindLook, id
	default:
		return kindElse, ""
	}
}

// arrive records a call. keep is true if the answer's body is needed.
func (m *meter) arrive(now time.Time, kind kind, jobID string, r *http.Request) (place int, keep bool) {
	hash := sha256.Sum256([]byte(r.Header.Get("X-Api-Key")))
	m.mu.Lock()
	defer m.mu.Unlock()
	key, known := m.keys[hash]
	if !known {
		key = uint32(len(m.keys))
		m.keys[hash] = key
	}
	switch kind {
	case kindCancel:
		if _, again := m.cancels[jobID]; !again {
			m.cancels[jobID] = now
		}
	case kindLook, kindWait:
		m.look(jobID, now)
	}
	place = -1
	if len(m.calls) < roomForCalls {
		place = len(m.calls)
		m.calls = append(m.calls, call{at: now, key: key, kind: kind, operator: strings.HasPrefix(r.UserAgent(), "dafty-operator/")})
	} else {
		m.dropped++
	}
	return place, kind == kindList && m.looked != nil
}

// look records that a job was looked at. The caller holds the lock.
func (m *meter) look(jobID string, now time.Time) {
	if m.looked == nil || jobID == "" {
		return
	}
	if _, again := m.looked[jobID]; !again {
		m.looked[jobID] = now
	}
}

// listed records the jobs of a page of the list.
func (m *meter) listed(body []byte, now time.Time) {
	var page struct{ Data []struct{ ID string } }
	if json.Unmarshal(body, &page) != nil {
		return // an error
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, job := range page.Data {
		m.look(job.ID, now)
	}
}

func (m *meter) answered(place, status int) {
	if place < 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls[place].status = status
}

// answerWriter remembers an answer's status, and its body where it is asked to.
type answerWriter struct {
	http.ResponseWriter
	keep   bool
	status int
	body   []byte
}

func (w *answerWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *answerWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if w.keep {
		w.body = append(w.body, b...)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets the simulator's faults reach the connection.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// resetLooks forgets which jobs were looked at.
func (m *meter) resetLooks() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.looked = map[string]time.Time{}
}

// lookedAt returns when each job was first looked at since resetLooks.
func (m *meter) lookedAt() map[string]time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	looked := make(map[string]time.Time, len(m.looked))
	for id, at := range m.looked {
		looked[id] = at
	}
	return looked
}

// cancelAt returns when a job's first cancel came; false if none did.
func (m *meter) cancelAt(jobID string) (time.Time, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.cancels[jobID]
	return at, ok
}

// overflow returns how many calls there was no room for.
func (m *meter) overflow() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dropped
}

// count returns the number of the operator's calls that a filter accepts.
func (m *meter) count(is func(call) bool) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, c := range m.calls {
		if c.operator && is(c) {
			n++
		}
	}
	return n
}

// times returns when the operator made the calls that a filter accepts, by API key.
func (m *meter) times(is func(call) bool) map[uint32][]time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	times := map[uint32][]time.Time{}
	for _, c := range m.calls {
		if c.operator && is(c) {
			times[c.key] = append(times[c.key], c.at)
		}
	}
	return times
}

func anyCall(call) bool { return true }

func refused(c call) bool { return c.status == http.StatusTooManyRequests }

// erred reports whether a call failed.
func erred(c call) bool { return c.status >= 400 }

// of returns a filter for calls of some kinds.
func of(kinds ...kind) func(call) bool {
	return func(c call) bool {
		for _, k := range kinds {
			if c.kind == k {
				return true
			}
		}
		return false
	}
}

// mostOthersAMinute returns the highest number of calls of one key within a minute, without creates.
func (m *meter) mostOthersAMinute() int {
	most := 0
	for _, times := range m.times(of(otherKinds...)) {
		most = max(most, mostWithin(times, time.Minute))
	}
	return most
}
