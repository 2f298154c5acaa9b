package ratelimit

import (
	"slices"
	"time"
)

const (
	// WindowLength is the span that Dafty's limits are counted over.
	WindowLength = time.Minute
	// fresh is how old an answer's word on what is left may be. That of a long poll is a minute old.
	fresh = 5 * time.Second
)

// window spreads calls so that no span of a minute has more than limit of them, which is right for fixed and for sliding
// windows.
type window struct {
	limit int
	// taken are the times of the calls of the last minute, oldest first.
	taken []time.Time
	// late are the calls that left it a moment ago.
	late []time.Time
}

// next returns the earliest time at which a call may go after so many others that go before it, or that room is to be left for.
func (w *window) next(now time.Time, others int) time.Time {
	gone := 0
	for gone < len(w.taken) && now.Sub(w.taken[gone]) >= WindowLength {
		gone++
	}
	w.taken = slices.Delete(w.taken, 0, gone)
	free := w.limit - len(w.taken)
	round, place := others/w.limit, others%w.limit
	at := now
	if place >= free {
		at = w.taken[place-free].Add(WindowLength)
	}
	return at.Add(time.Duration(round) * WindowLength)
}

// oldest returns the time of the call that leaves the window first, now where there is none.
func (w *window) oldest(now time.Time) time.Time {
	if len(w.taken) == 0 {
		return now
	}
	return w.taken[0]
}

// acquire counts a call that goes at now.
func (w *window) acquire(now time.Time) {
	w.taken = append(w.taken, now)
}

// onResponse moves a call to the time of its answer: Dafty has counted it somewhere between, and a minute from the later of the
// two is right wherever that was.
func (w *window) onResponse(taken, now time.Time) {
	if i := slices.IndexFunc(w.taken, taken.Equal); i >= 0 {
		w.taken = slices.Delete(w.taken, i, i+1)
	}
	w.taken = append(w.taken, now)
}

// keepLate keeps the calls that leave the window for as long as an answer may speak of them: what it says was so before it came.
func (w *window) keepLate(now time.Time) {
	w.late = slices.DeleteFunc(w.late, func(at time.Time) bool { return now.Sub(at) >= WindowLength+fresh })
	for _, at := range w.taken {
		if now.Sub(at) < WindowLength {
			break
		}
		w.late = append(w.late, at)
	}
}

// recall counts a call that a process before this one made, or may have made.
func (w *window) recall(at time.Time) {
	i, _ := slices.BinarySearchFunc(w.taken, at, time.Time.Compare)
	w.taken = slices.Insert(w.taken, i, at)
}
