package budget

import "time"

const (
	// wakeBurst is how many are woken in a wakeInterval: each comes with a look at its DaftyJob and a write of its status.
	wakeBurst    = 20
	wakeInterval = time.Second
	// backstopAfter is how often those are looked for who had their turn and didn't come, or were told what is no longer so.
	backstopAfter = 5 * time.Minute
)

// offer makes those due that there is room for.
func (p *page) offer(now time.Time) {
	if p.known == nil || len(p.waiters.byAge) == 0 {
		return
	}
	t := p.tally(now)
	if t.err != nil {
		return
	}
	granted := map[usageKey]int64{}
	for _, each := range p.waiters.byAge {
		if !each.lapsed(now) && t.grant(each.Reservation.Namespace, granted) && each.turn.IsZero() {
			each.due = true
		}
	}
}

// wakeOutdated makes those due that a wake didn't reach, and those that were told what is no longer so.
func (p *page) wakeOutdated(now time.Time) {
	if p.known == nil {
		return
	}
	if t := p.tally(now); t.err == nil {
		p.waiters.wakeOutdated(t, now)
	} else {
		p.waiters.wakeAll()
	}
}

// tick does what is due by the clock.
func (p *page) tick() {
	for _, each := range p.takeDue() {
		each()
	}
}

// takeDue starts a write that is due, and returns whom to wake.
func (p *page) takeDue() (wake []func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	now := p.book.clock.Now()
	p.timerAt = time.Time{}
	if p.settleDue(now) {
		p.startWrite()
	}
	if !now.Before(p.backstopAt) {
		p.wakeOutdated(now)
		p.backstopAt = now.Add(backstopAfter)
	}
	for _, each := range p.waiters.byAge {
		if !now.Before(each.told.Until) && each.turn.Before(each.told.Until) {
			each.due = true
		}
	}
	p.offer(now)
	wake = p.takeBurst(now)
	p.reschedule()
	return wake
}

// takeBurst returns those to wake of those that are due, the oldest first.
func (p *page) takeBurst(now time.Time) (wake []func()) {
	if !now.Before(p.woken) && now.Sub(p.woken) < wakeInterval {
		return nil
	}
	for _, each := range p.waiters.byAge {
		switch {
		case !each.due:
		case len(wake) == wakeBurst:
			p.backstopAt = now.Add(backstopAfter) // or the youngest would never be reached
			return wake
		default:
			each.due, each.turn, p.woken = false, now, now
			wake = append(wake, each.Wake)
		}
	}
	return wake
}

// reschedule sets the timer for what is due next.
func (p *page) reschedule() {
	now := p.book.clock.Now()
	next := p.nextDue(now)
	if p.closed || next.IsZero() || p.timerAt.After(now) && !next.Before(p.timerAt) {
		return
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	p.timerAt = next
	if !next.After(now) {
		p.book.start(p.account, p.tick)
		return
	}
	p.timer = p.book.clock.AfterFunc(next.Sub(now), func() { p.book.start(p.account, p.tick) })
}

// nextDue returns when something is due next, zero where nothing is.
func (p *page) nextDue(now time.Time) (next time.Time) {
	earliest := func(at time.Time) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	if len(p.settles) > 0 && !p.writing {
		earliest(p.settleAt)
	}
	for _, each := range p.waiters.byAge {
		switch {
		case each.due:
			earliest(p.woken.Add(wakeInterval))
		case each.turn.Before(each.told.Until):
			earliest(each.told.Until)
		}
		if !each.turn.IsZero() && !each.lapsed(now) {
			earliest(each.turn.Add(turnLife)) // what was kept for it is for others then
		}
		earliest(p.backstopAt)
	}
	return next
}
