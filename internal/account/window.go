package account

import "time"

// windowLength is the span that Dafty's limits are counted over.
const windowLength = time.Minute

// window paces calls so that no span of a minute holds more than limit of them, which is
// right for fixed and for sliding windows.
type window struct {
	limit int
	// taken are the times of the calls of the last minute, oldest first.
	taken []time.Time
}

// next is the earliest time at which a call may go, leaving spare calls for others.
func (w *window) next(now time.Time, spare int) time.Time {
	gone := 0
	for gone < len(w.taken) && now.Sub(w.taken[gone]) >= windowLength {
		gone++
	}
	w.taken = append(w.taken[:0], w.taken[gone:]...)
	over := len(w.taken) + spare - w.limit
	if over < 0 {
		return now
	}
	return w.taken[min(over, len(w.taken)-1)].Add(windowLength)
}

// take counts a call at now, or says when there is room for it.
func (w *window) take(now time.Time, spare int) (at time.Time, ok bool) {
	if at = w.next(now, spare); at.After(now) {
		return at, false
	}
	w.taken = append(w.taken, now)
	return now, true
}
