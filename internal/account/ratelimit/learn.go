package ratelimit

import (
	"slices"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

const (
	// rateLimitPause is how long a class pauses after a 429 without Retry-After.
	rateLimitPause = 10 * time.Second
	// sightingLife is how long others who use the key are reckoned with after they were last noticed: a whole window, and the
	// time until the next answer.
	sightingLife = WindowLength + 15*time.Second
	// guessLife is the same where a refusal tells of them, and nothing else does: each costs one.
	guessLife = 5 * time.Minute
	// fresh is how old an answer's word on what is left may be. That of a long poll is a minute old.
	fresh = 5 * time.Second
)

// sighting is how many calls of a minute others had used when an answer came.
type sighting struct {
	at    time.Time
	calls int
	// life is how long it is reckoned with.
	life time.Duration
}

// usedByPrevious returns how many calls of the previous process may still count: as many as it could make, evenly spread.
func (l *limiter) usedByPrevious(now time.Time) int {
	left := l.previousUntil.Sub(now)
	if left <= 0 {
		return 0
	}
	return int(float64(l.documented-min(ReservedForLooks, l.documented/2)) * float64(left) / float64(WindowLength))
}

// usedByOthers returns how many calls of a minute others were seen to use.
func (l *limiter) usedByOthers(now time.Time) int {
	l.others = slices.DeleteFunc(l.others, func(s sighting) bool { return now.Sub(s.at) >= s.life })
	most := 0
	for _, s := range l.others {
		most = max(most, s.calls)
	}
	return most
}

// keepLate keeps the calls that leave the window for as long as an answer may speak of them: what it says was so before
// it came.
func (l *limiter) keepLate(now time.Time) {
	l.late = slices.DeleteFunc(l.late, func(at time.Time) bool { return now.Sub(at) >= WindowLength+fresh })
	for _, at := range l.window.taken {
		if now.Sub(at) < WindowLength {
			break
		}
		l.late = append(l.late, at)
	}
}

// onResponse learns from the answer to a call that was sent. err is nil where it succeeded.
func (l *limiter) onResponse(taken, now time.Time, rate dafty.Rate, err *dafty.CallError) {
	l.inFlight--
	l.observe(taken, now, rate, err)
}

// observe learns from the answer to a call that was taken at taken. A long poll isn't among those in flight: it was
// counted when it came.
func (l *limiter) observe(taken, now time.Time, rate dafty.Rate, err *dafty.CallError) {
	l.soloUntil = time.Time{}
	if now.Sub(taken) < WindowLength/2 {
		l.window.onResponse(taken, now)
	}
	refused := err != nil && err.Kind == dafty.KindRateLimit
	switch told := rate.Limit > 0 && now.Sub(taken) < fresh; {
	case told:
		l.learn(taken, now, rate, refused)
	case refused:
		l.others = append(l.others, sighting{at: now, calls: l.usedByOthers(now) + 1, life: guessLife})
	}
	if refused {
		l.pause(err, now)
	}
}

// learn takes Dafty's word on the minute.
func (l *limiter) learn(taken, now time.Time, rate dafty.Rate, refused bool) {
	l.limit, l.remaining = rate.Limit, rate.Remaining
	// Those in flight may be counted already, or not.
	l.left, l.leftUntil = rate.Remaining-l.inFlight, now.Add(rate.Reset)
	if now.Before(l.previousUntil) {
		return // what others used would be what the previous process did
	}
	// The minute that is meant began so long before its reset, which is told in whole seconds and was so before the
	// answer came.
	began := taken.Add(rate.Reset - WindowLength - time.Second)
	own := 0
	for _, at := range slices.Concat(l.late, l.window.taken) {
		if at.After(began) {
			own++
		}
	}
	if refused {
		own-- // this one isn't counted
	}
	if others := rate.Limit - rate.Remaining - own; others > 0 {
		l.others = append(l.others, sighting{at: now, calls: others, life: sightingLife})
	}
}

// pause heeds a Retry-After for everyone who uses the key.
func (l *limiter) pause(err *dafty.CallError, now time.Time) {
	wait := err.RetryAfter
	if wait == 0 {
		wait = rateLimitPause
	}
	if until := now.Add(wait); until.After(l.paused) {
		l.paused = until
	}
}

// recall counts a call that a process before this one made, or may have made.
func (l *limiter) recall(at time.Time) {
	i, _ := slices.BinarySearchFunc(l.window.taken, at, time.Time.Compare)
	l.window.taken = slices.Insert(l.window.taken, i, at)
}
