package simulation

import (
	"time"
)

// leaderOversleeps stops the leader between its write-ahead and its POST until another leader repeats it.
func leaderOversleeps(e *env) {
	pause := e.random.between(44*time.Second, time.Minute, "the leader oversleeps")
	stopLeaderAt(e, "before", pause)
	e.create(image)
	e.advance(pause + 3*time.Minute)
}

// crashWithin crashes the operator while Dafty works on its request.
func crashWithin(e *env) {
	e.onMoment = func(moment string) {
		if moment == "within" {
			e.onMoment = nil
			e.leader.crash("within its request")
		}
	}
	e.create(image)
	e.advance(5 * time.Minute)
}

// deletedInDoubt deletes an object while the answer to its request is lost, and crashes the operator.
func deletedInDoubt(e *env) {
	e.injectFault(hangAfter)
	e.create(image)
	e.advance(6 * time.Second)
	e.do(func() {
		e.deleteOne()
		e.leader.crash("in doubt")
	})
	e.advance(5 * time.Minute)
}

// cancelledAndOrphaned cancels a job and deletes its object, which would leave it running, at once.
func cancelledAndOrphaned(e *env) {
	e.create(orphan)
	e.advance(queued)
	e.do(func() {
		e.cancelOne()
		e.deleteOne()
	})
	e.advance(5 * time.Minute)
}

// slowRequest pauses a leader while its request is on its way, and the request takes long.
func slowRequest(e *env) {
	e.do(func() { e.daftyFaults = faults{kinds: []fault{slow}, odds: 8, until: time.Now().Add(time.Minute)} })
	e.create(image)
	e.advance(500 * time.Millisecond)
	e.do(func() { e.leader.pause(2 * time.Minute) })
	e.advance(5 * time.Minute)
}

// repeatRefused loses the answer to a request, and refuses its repeats for a while.
func repeatRefused(e *env) {
	e.injectFault(hangAfter)
	e.create(image)
	e.advance(20 * time.Second)
	e.do(func() {
		e.daftyFaults = faults{kinds: []fault{tooMany}, odds: 8, until: time.Now().Add(time.Minute)}
	})
	e.advance(5 * time.Minute)
}

// rotatedInDoubt loses the answer to a request, and then rotates the key.
func rotatedInDoubt(e *env) {
	e.injectFault(hangAfter)
	e.create(image)
	e.advance(20 * time.Second)
	e.do(func() { e.api.putSecret(keyTwo) })
	e.advance(5 * time.Minute)
}
