package ratelimit

import (
	"slices"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

// rateLimitPause is how long a class pauses after a 429 without Retry-After.
const rateLimitPause = 10 * time.Second

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
		l.others = append(l.others, sighting{at: now, calls: l.others.used(now) + 1, life: guessLife})
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
	for _, at := range slices.Concat(l.window.late, l.window.taken) {
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
