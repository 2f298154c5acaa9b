package simulation

import "time"

// The lease that says which process leads, as controller-runtime has it by default. Guarded
// by env.mu.
const leaseDuration = 15 * time.Second

// acquireFreeLease makes a process that starts the leader if there is none.
func (e *env) acquireFreeLease(p *process) {
	if e.leader == nil {
		e.acquireLease(p)
	}
}

func (e *env) acquireLease(p *process) {
	e.leader, p.leading = p, true
	if len(e.slots) > 1 {
		e.trace.add(p.id, "leads")
	}
	for name := range e.api.names {
		p.queue.add(name, 0) // the names alone: each is drawn a time of its own
	}
	for name := range e.api.assetNames {
		p.assetQueue.add(name, 0)
	}
	for name := range e.api.accountNames {
		p.accountQueue.add(name, 0)
	}
}

// stopRenewing follows the end or a pause of a process: if it led, and doesn't renew its lease in
// time, another leads.
func (e *env) stopRenewing(p *process) {
	if e.leader != p {
		return
	}
	wait := e.random.between(leaseDuration, leaseDuration+5*time.Second, p.id+" lease runs out")
	if p.dead && e.random.oneIn(4, p.id+" gives its lease back") {
		wait = 500 * time.Millisecond
	}
	pause := p.resumed
	e.afterFunc(wait, func() {
		if e.leader != p || !p.dead && p.resumed != pause {
			return
		}
		e.leader = nil
		for _, other := range e.processes {
			if !other.paused() {
				e.acquireLease(other)
				return
			}
		}
	})
}

// stepDown ends a process that wakes up and isn't the leader any more. Until it notices, it
// goes on with what it was doing.
func (e *env) stepDown(p *process) {
	if e.leader == nil {
		e.acquireLease(p)
	}
	if !p.leading || e.leader == p {
		return
	}
	e.afterFunc(e.random.between(0, 5*time.Second, p.id+" notices"), func() { p.crash("another leads") })
}
