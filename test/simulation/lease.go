package simulation

import "time"

// The lease that says which process leads, as controller-runtime has it by default. Guarded
// by the world's lock.
const leaseDuration = 15 * time.Second

// standFor has a process that starts lead where nobody does.
func (w *world) standFor(p *process) {
	if w.leader == nil {
		w.lead(p)
	}
}

func (w *world) lead(p *process) {
	w.leader, p.leading = p, true
	if len(w.slots) > 1 {
		w.trace.add(p.id, "leads")
	}
	for name := range w.cluster.everNamed {
		p.queue.add(name, 0) // the names alone: each is drawn a time of its own
	}
}

// vacate follows the end or a pause of a process: if it led, and doesn't renew its lease in
// time, another leads.
func (w *world) vacate(p *process) {
	if w.leader != p {
		return
	}
	wait := w.chance.between(leaseDuration, leaseDuration+5*time.Second, p.id+" lease runs out")
	if p.dead && w.chance.oneIn(4, p.id+" gives its lease back") {
		wait = 500 * time.Millisecond
	}
	pause := p.resumed
	w.after(wait, func() {
		if w.leader != p || !p.dead && p.resumed != pause {
			return
		}
		w.leader = nil
		for _, other := range w.processes {
			if !other.paused() {
				w.lead(other)
				return
			}
		}
	})
}

// depose ends a process that wakes up and isn't the leader any more. Until it notices, it
// goes on with what it was doing.
func (w *world) depose(p *process) {
	if w.leader == nil {
		w.lead(p)
	}
	if !p.leading || w.leader == p {
		return
	}
	w.after(w.chance.between(0, 5*time.Second, p.id+" notices"), func() { p.crash("another leads") })
}
