package account

import (
	"slices"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
)

const (
	// rateLimitPause is how long a class pauses after a 429 without Retry-After.
	rateLimitPause = 10 * time.Second
	// sightingLife is how long others who use the key are reckoned with after they were last noticed: a whole
	// window, and the time until the next answer.
	sightingLife = windowLength + 15*time.Second
	// guessLife is the same where a refusal tells of them, and nothing else does: each costs one.
	guessLife = 5 * time.Minute
	// fresh is how old an answer's word on what is left may be. A held request's is a minute old.
	fresh = 5 * time.Second
	// alone is how long the first call after a quiet minute goes alone: its answer tells what others have used.
	alone = 2 * time.Second
)

// limiter is how the calls of one class are spread over an API key's minutes, so that none is refused and none is given
// away: by its own count, which alone is right where Dafty says nothing; and by what Dafty's answers say of all who
// use the key.
type limiter struct {
	window window
	// late are the calls that left it a moment ago.
	late []time.Time
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
	others []sighting
	// before is until when calls of the process before this one may still count, where they aren't on record.
	before time.Time

	// inFlight are the calls that were sent and have no answer.
	inFlight int
	// aloneUntil is set while nothing is known of the minute.
	aloneUntil time.Time
	// slowly says that calls are so few that each counts: the first after a pause goes alone, and they are spread
	// evenly when they are many.
	slowly bool

	// saturated is set while there is more to send than the limit allows: calls are then spread evenly, so that
	// others who use the key find room, and are noticed.
	saturated bool
	// slot is the time that the newest call had in an even spread.
	slot time.Time
}

// sighting is how many calls of a minute others had used when an answer came.
type sighting struct {
	at    time.Time
	calls int
	// life is how long it is reckoned with.
	life time.Duration
}

func newLimiter(limit int, slowly bool) limiter {
	return limiter{documented: max(1, limit), slowly: slowly}
}

// bound is how many calls a minute may have now.
func (p *limiter) bound(now time.Time) int {
	limit := p.limit
	if limit == 0 {
		limit = p.documented - p.usedBefore(now)
	}
	if others := p.usedByOthers(now); others > 0 {
		limit -= others + 1 // one more: they may come at any moment
	}
	return max(1, limit)
}

// usedBefore is how many calls of the process before may still count: as many as it could make, evenly spread.
func (p *limiter) usedBefore(now time.Time) int {
	left := p.before.Sub(now)
	if left <= 0 {
		return 0
	}
	return int(float64(p.documented-min(spareForLooks, p.documented/2)) * float64(left) / float64(windowLength))
}

func (p *limiter) usedByOthers(now time.Time) int {
	p.others = slices.DeleteFunc(p.others, func(s sighting) bool { return now.Sub(s.at) >= s.life })
	most := 0
	for _, s := range p.others {
		most = max(most, s.calls)
	}
	return most
}

// next is the earliest time at which a call may go after so many that go before it, or that room is to be left for.
func (p *limiter) next(now time.Time, before int) time.Time { return p.earliest(now, before, p.slowly) }

// unspread is the earliest time at which a call may go that isn't spread over the minute.
func (p *limiter) unspread(now time.Time) time.Time { return p.earliest(now, 0, false) }

func (p *limiter) earliest(now time.Time, before int, spread bool) time.Time {
	p.window.limit = p.bound(now)
	p.keepLate(now)
	at := p.window.next(now, before)
	if free := p.window.limit - len(p.window.taken); spread && before >= free {
		// Those before it will be spread.
		at = p.window.oldest(now).Add(windowLength + time.Duration(before-free)*p.spacing())
		if n := before - free; n < len(p.window.taken) && p.window.taken[n].Add(windowLength).After(at) {
			at = p.window.taken[n].Add(windowLength)
		}
	}
	if len(p.window.taken) >= p.window.limit {
		p.saturated = true
	}
	later := func(other time.Time) {
		if other.After(at) {
			at = other
		}
	}
	if soon := now.Add(windowLength / time.Duration(p.documented)); p.limit == 0 && now.Before(p.before) && at.After(soon) {
		at = soon // as calls of the process before leave the window
	}
	later(p.paused)
	if now.Before(p.leftUntil) && p.left <= before {
		later(p.leftUntil)
	}
	if spread {
		later(p.aloneUntil)
		if p.saturated || len(p.others) > 0 {
			later(p.slot.Add(time.Duration(before+1) * p.spacing()))
		}
	}
	return at
}

// keepLate keeps the calls that leave the window for as long as an answer may speak of them: what it says was so before
// it came.
func (p *limiter) keepLate(now time.Time) {
	p.late = slices.DeleteFunc(p.late, func(at time.Time) bool { return now.Sub(at) >= windowLength+fresh })
	for _, at := range p.window.taken {
		if now.Sub(at) < windowLength {
			break
		}
		p.late = append(p.late, at)
	}
}

func (p *limiter) spacing() time.Duration { return windowLength / time.Duration(p.window.limit) }

// acquire counts a call that goes at now, while so many wait.
func (p *limiter) acquire(now time.Time, waiting int) {
	if p.slowly && p.idle(now) {
		p.aloneUntil = now.Add(alone)
	}
	p.window.limit = p.bound(now)
	if waiting == 0 && len(p.window.taken) < p.window.limit/2 {
		p.saturated = false
	}
	p.window.acquire(now)
	p.left--
	// What came late catches up, by one call at most.
	if spacing := p.spacing(); now.Sub(p.slot) < 2*spacing {
		p.slot = p.slot.Add(spacing)
	} else {
		p.slot = now
	}
}

// giveBack takes back a call that was taken and isn't sent.
func (p *limiter) giveBack(taken time.Time) {
	if i := slices.IndexFunc(p.window.taken, taken.Equal); i >= 0 {
		p.window.taken = slices.Delete(p.window.taken, i, i+1)
		p.left++
	}
}

// idle says that nothing of the last minute is known.
func (p *limiter) idle(now time.Time) bool {
	n := len(p.window.taken)
	return n == 0 || now.Sub(p.window.taken[n-1]) >= windowLength
}

// onSent notes that a call that was taken leaves.
func (p *limiter) onSent() { p.inFlight++ }

// onResponse learns from the answer to a call that was sent. err is nil where it succeeded.
func (p *limiter) onResponse(taken, now time.Time, rate dafty.Rate, err *dafty.CallError) {
	p.inFlight--
	p.observe(taken, now, rate, err)
}

// observe learns from the answer to a call that was taken at taken. A held request isn't among those in flight: it was
// counted when it came.
func (p *limiter) observe(taken, now time.Time, rate dafty.Rate, err *dafty.CallError) {
	p.aloneUntil = time.Time{}
	if now.Sub(taken) < windowLength/2 {
		p.window.onResponse(taken, now)
	}
	refused := err != nil && err.Kind == dafty.KindRateLimit
	switch told := rate.Limit > 0 && now.Sub(taken) < fresh; {
	case told:
		p.learn(taken, now, rate, refused)
	case refused:
		p.others = append(p.others, sighting{at: now, calls: p.usedByOthers(now) + 1, life: guessLife})
	}
	if refused {
		p.pause(err, now)
	}
}

// learn takes Dafty's word on the minute.
func (p *limiter) learn(taken, now time.Time, rate dafty.Rate, refused bool) {
	p.limit, p.remaining = rate.Limit, rate.Remaining
	// Those in flight may be counted already, or not.
	p.left, p.leftUntil = rate.Remaining-p.inFlight, now.Add(rate.Reset)
	if now.Before(p.before) {
		return // what others used would be what the process before did
	}
	// The minute that is meant began so long before its reset, which is told in whole seconds and was so before the
	// answer came.
	began := taken.Add(rate.Reset - windowLength - time.Second)
	own := 0
	for _, at := range slices.Concat(p.late, p.window.taken) {
		if at.After(began) {
			own++
		}
	}
	if refused {
		own-- // this one isn't counted
	}
	if others := rate.Limit - rate.Remaining - own; others > 0 {
		p.others = append(p.others, sighting{at: now, calls: others, life: sightingLife})
	}
}

// pause heeds a Retry-After for everyone who uses the key.
func (p *limiter) pause(err *dafty.CallError, now time.Time) {
	wait := err.RetryAfter
	if wait == 0 {
		wait = rateLimitPause
	}
	if until := now.Add(wait); until.After(p.paused) {
		p.paused = until
	}
}

// recall counts a call that the process before this one made, or may have made.
func (p *limiter) recall(at time.Time) {
	i, _ := slices.BinarySearchFunc(p.window.taken, at, time.Time.Compare)
	p.window.taken = slices.Insert(p.window.taken, i, at)
}

// quietAt is when nothing that it remembers matters any more.
func (p *limiter) quietAt() time.Time {
	at := p.paused
	if n := len(p.window.taken); n > 0 {
		if left := p.window.taken[n-1].Add(windowLength); left.After(at) {
			at = left
		}
	}
	return at
}
