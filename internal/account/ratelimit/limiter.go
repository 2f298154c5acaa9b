package ratelimit

import (
	"slices"
	"time"
)

const (
	// ReservedForCancels is how many calls of a minute are left for cancels by all others: a flood of those never keeps cancels
	// waiting.
	ReservedForCancels = 6
	// ReservedForLooks is how many are left for cancels and looks at jobs that are ending.
	ReservedForLooks = ReservedForCancels + 3
	// solo is how long the first call after a quiet minute goes alone: its answer tells what others have used.
	solo = 2 * time.Second
)

// limiter spreads the calls of one class over an API key's minutes, so that none is refused and none is given away: by its own
// count, which is all there is where Dafty says nothing; and by what Dafty's answers say of all who use the key.
type limiter struct {
	window window
	// documented is the limit where Dafty says none.
	documented int
	// limit is the one that Dafty said last, 0 where it has said none.
	limit int
	// remaining is how many it said last were left, for metrics.
	remaining int
	// paused is until when Dafty asked to wait.
	paused time.Time

	// left is how many calls are left by Dafty's newest word, less those since, until more are at leftUntil.
	left      int
	leftUntil time.Time
	// others is how much of a minute others were seen to use.
	others sightings
	// previousUntil is until when calls of the process before this one may still count, where they aren't on record.
	previousUntil time.Time

	// inFlight counts the calls that were sent and have no answer.
	inFlight int
	// soloUntil is set while nothing is known of the minute.
	soloUntil time.Time
	// scarce is set where calls are so few that each counts: the first after a pause goes alone, and they are spread evenly when
	// they are many.
	scarce bool

	// saturated is set while there is more to send than the limit allows: calls are then spread evenly, so that others who use
	// the key find room, and are noticed.
	saturated bool
	// slot is the time that the newest call had in an even spread.
	slot time.Time
}

func newLimiter(limit int, scarce bool) limiter {
	return limiter{documented: max(1, limit), scarce: scarce}
}

// bound returns how many calls a minute may have now.
func (l *limiter) bound(now time.Time) int {
	limit := l.limit
	if limit == 0 {
		limit = l.documented - l.usedByPrevious(now)
	}
	if others := l.others.used(now); others > 0 {
		limit -= others + 1 // one more: they may come at any moment
	}
	return max(1, limit)
}

// usedByPrevious returns how many calls of the previous process may still count: as many as it could make, evenly spread.
func (l *limiter) usedByPrevious(now time.Time) int {
	left := l.previousUntil.Sub(now)
	if left <= 0 {
		return 0
	}
	return int(float64(l.documented-min(ReservedForLooks, l.documented/2)) * float64(left) / float64(WindowLength))
}

// next returns the earliest time at which a call may go after so many that go before it, or that room is to be left for.
func (l *limiter) next(now time.Time, before int) time.Time { return l.earliest(now, before, l.scarce) }

// unspread returns the earliest time at which a call may go that isn't spread over the minute.
func (l *limiter) unspread(now time.Time) time.Time { return l.earliest(now, 0, false) }

func (l *limiter) earliest(now time.Time, before int, spread bool) time.Time {
	l.window.limit = l.bound(now)
	l.window.keepLate(now)
	at := l.window.next(now, before)
	if free := l.window.limit - len(l.window.taken); spread && before >= free {
		// Those before it will be spread.
		at = l.window.oldest(now).Add(WindowLength + time.Duration(before-free)*l.spacing())
		if n := before - free; n < len(l.window.taken) && l.window.taken[n].Add(WindowLength).After(at) {
			at = l.window.taken[n].Add(WindowLength)
		}
	}
	if len(l.window.taken) >= l.window.limit {
		l.saturated = true
	}
	later := func(other time.Time) {
		if other.After(at) {
			at = other
		}
	}
	if soon := now.Add(WindowLength / time.Duration(l.documented)); l.limit == 0 && now.Before(l.previousUntil) && at.After(soon) {
		at = soon // as calls of the previous process leave the window
	}
	later(l.paused)
	if now.Before(l.leftUntil) && l.left <= before {
		later(l.leftUntil)
	}
	if spread {
		later(l.soloUntil)
		if l.saturated || len(l.others) > 0 {
			later(l.slot.Add(time.Duration(before+1) * l.spacing()))
		}
	}
	return at
}

func (l *limiter) spacing() time.Duration { return WindowLength / time.Duration(l.window.limit) }

// acquire counts a call that goes at now, while so many wait.
func (l *limiter) acquire(now time.Time, waiting int) {
	if l.scarce && l.idle(now) {
		l.soloUntil = now.Add(solo)
	}
	l.window.limit = l.bound(now)
	if waiting == 0 && len(l.window.taken) < l.window.limit/2 {
		l.saturated = false
	}
	l.window.acquire(now)
	l.left--
	// What came late catches up, by one call at most.
	if spacing := l.spacing(); now.Sub(l.slot) < 2*spacing {
		l.slot = l.slot.Add(spacing)
	} else {
		l.slot = now
	}
}

// giveBack takes back a call that was taken and isn't sent.
func (l *limiter) giveBack(taken time.Time) {
	if i := slices.IndexFunc(l.window.taken, taken.Equal); i >= 0 {
		l.window.taken = slices.Delete(l.window.taken, i, i+1)
		l.left++
	}
}

// idle reports whether nothing of the last minute is known.
func (l *limiter) idle(now time.Time) bool {
	n := len(l.window.taken)
	return n == 0 || now.Sub(l.window.taken[n-1]) >= WindowLength
}

// onSent notes that a call that was taken leaves.
func (l *limiter) onSent() { l.inFlight++ }

// quietAt returns when nothing that it remembers matters any more.
func (l *limiter) quietAt() time.Time {
	at := l.paused
	if n := len(l.window.taken); n > 0 {
		if left := l.window.taken[n-1].Add(WindowLength); left.After(at) {
			at = left
		}
	}
	return at
}
