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

// crashWithin has the operator crash while Dafty works on its request.
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

// deletedInDoubt has an object deleted while the answer to its request is lost, and the operator crash.
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

// cancelledAndOrphaned has a job called off and its object, which would leave it running, deleted at once.
func cancelledAndOrphaned(e *env) {
	e.create(orphan)
	e.advance(queued)
	e.do(func() {
		e.cancelOne()
		e.deleteOne()
	})
	e.advance(5 * time.Minute)
}

// slowRequest has a leader stop while its request is on its way, and the request take long.
func slowRequest(e *env) {
	e.do(func() { e.daftyFaults = faults{kinds: []fault{slow}, odds: 8, until: time.Now().Add(time.Minute)} })
	e.create(image)
	e.advance(500 * time.Millisecond)
	e.do(func() { e.leader.pause(2 * time.Minute) })
	e.advance(5 * time.Minute)
}

// repeatRefused has the answer to a request lost, and its repeats refused for a while.
func repeatRefused(e *env) {
	e.injectFault(hangAfter)
	e.create(image)
	e.advance(20 * time.Second)
	e.do(func() {
		e.daftyFaults = faults{kinds: []fault{tooMany}, odds: 8, until: time.Now().Add(time.Minute)}
	})
	e.advance(5 * time.Minute)
}

// rotatedInDoubt has the answer to a request lost, and then the key rotated.
func rotatedInDoubt(e *env) {
	e.injectFault(hangAfter)
	e.create(image)
	e.advance(20 * time.Second)
	e.do(func() { e.api.putSecret(keyTwo) })
	e.advance(5 * time.Minute)
}
