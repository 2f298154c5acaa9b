package ratelimit

import (
	"slices"
	"time"
)

// WindowLength is the span that Dafty's limits are counted over.
const WindowLength = time.Minute

// window spreads calls so that no span of a minute has more than limit of them, which is right for fixed and for sliding
// windows.
type window struct {
	limit int
	// taken are the times of the calls of the last minute, oldest first.
	taken []time.Time
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
