package simulation

import (
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// scenario is a short life of one DaftyJob, to be crashed at each point.
type scenario struct {
	name string
	// manual: jobs stay where they are until they are moved, or the env is healed.
	manual bool
	play   func(e *env)
}

// The moments in which a user can act: so long after the object was created.
const (
	beforeWrite = 10 * time.Millisecond
	posting     = 500 * time.Millisecond
	queued      = 4 * time.Second
)

// scenarios are the fixed list. In all of them the creation takes Dafty a second, and jobs in
// envs that aren't manual are pending for 4 s and processing for 5 s.
func scenarios() []scenario { //nolint:funlen // It is a list.
	list := []scenario{
		{"submit", false, func(e *env) { e.create(image) }},
		{"submit, and it fails", false, func(e *env) { e.create(impossible) }},
		{"submit what Dafty refuses", false, func(e *env) { e.create(invalid) }},
		{"submit a video", false, func(e *env) { e.create(video) }},
		{"submit a style", false, func(e *env) { e.create(style) }},
		{"submit, and the Secret comes later", false, func(e *env) {
			e.do(func() { e.api.create(image()) })
			e.advance(20 * time.Second)
			e.do(func() { e.api.putSecret(keyOne) })
		}},
		{"suspend and release", false, func(e *env) {
			e.create(suspended)
			e.advance(5 * time.Second)
			e.do(func() { e.setDesiredStateOfOne(v1alpha1.DesiredCompleted) })
		}},
		{"suspend, release and suspend again", false, func(e *env) {
			e.create(suspended)
			e.advance(time.Second)
			e.do(func() { e.setDesiredStateOfOne(v1alpha1.DesiredCompleted) })
			e.advance(30 * time.Millisecond)
			e.do(func() { e.setDesiredStateOfOne(v1alpha1.DesiredSuspended) })
		}},
		{"cancel while suspended", false, func(e *env) { e.create(suspended); e.advance(time.Second); e.do(e.cancelOne) }},
		{"delete while suspended", false, func(e *env) { e.create(suspended); e.advance(time.Second); e.do(e.deleteOne) }},
		{"delete after the end", false, func(e *env) { e.create(image); e.advance(20 * time.Second); e.do(e.deleteOne) }},
		{"cancel after the end", false, func(e *env) { e.create(image); e.advance(20 * time.Second); e.do(e.cancelOne) }},
		{"orphan", true, func(e *env) { e.create(orphan); e.advance(queued); e.do(e.deleteOne) }},
		{"orphan, called off before", true, func(e *env) {
			e.create(orphan)
			e.advance(queued)
			e.do(e.cancelOne)
			e.do(e.deleteOne)
			e.advance(time.Minute)
		}},
		{"orphan, called off in doubt", true, func(e *env) {
			e.injectFault(hangAfter)
			e.create(orphan)
			e.advance(5 * time.Second)
			e.do(e.cancelOne)
			e.do(e.deleteOne)
			e.advance(2 * time.Minute)
		}},
		{"cancel meets the end", true, func(e *env) { e.create(image); e.raceOne(); e.do(e.cancelOne) }},
		{"delete meets the end", true, func(e *env) { e.create(image); e.raceOne(); e.do(e.deleteOne) }},
		{"cancel, then delete", true, func(e *env) {
			e.create(image)
			e.advance(queued)
			e.do(e.cancelOne)
			e.advance(200 * time.Millisecond)
			e.do(e.deleteOne)
		}},
		{"the namespace goes", true, func(e *env) {
			e.create(image)
			e.advance(queued)
			e.do(func() { deleteNamespace(e, picker{}) })
		}},
		{"the Secret goes, then the object", true, func(e *env) {
			e.create(image)
			e.advance(queued)
			e.do(func() { deleteSecret(e, picker{}) })
			e.advance(5 * time.Second)
			e.do(e.deleteOne)
			e.advance(time.Minute)
		}},
	}
	list = append(list, tamperScenarios()...)
	list = append(list, specScenarios()...)
	list = append(list, refusedScenarios()...)
	list = append(list, takenBackScenarios()...)
	list = append(list, restoredScenarios()...)
	list = append(list, campaignScenarios()...)
	list = append(list, searchScenarios()...)
	for _, moment := range []struct {
		name  string
		after time.Duration
		start bool
	}{
		{"before it is written", beforeWrite, false},
		{"while it is posted", posting, false},
		{"while queued", queued, false},
		{"while processing", queued, true},
	} {
		wait := func(e *env) {
			e.advance(moment.after)
			if moment.start {
				e.do(e.startAll)
				e.advance(7 * time.Second)
			}
		}
		list = append(list,
			scenario{"cancel " + moment.name, true, func(e *env) { e.create(image); wait(e); e.do(e.cancelOne) }},
			scenario{"delete " + moment.name, true, func(e *env) { e.create(image); wait(e); e.do(e.deleteOne) }},
			scenario{"the Secret is rotated " + moment.name, false, func(e *env) {
				e.create(image)
				wait(e)
				e.do(func() { e.api.putSecret(keyTwo) })
			}},
			scenario{"the Secret gets another account's key " + moment.name, false, func(e *env) {
				e.create(image)
				wait(e)
				e.do(func() { e.api.putSecret(keyOther) })
				e.advance(20 * time.Second)
			}},
		)
	}
	for _, f := range []fault{refused, reset, resetWithin, resetAfter, hang, hangAfter, truncated, badGateway, badGatewayAfter, broken, brokenAfter,
		garbageAfter, unauthorized, tooMany} {
		list = append(list,
			scenario{"submit meets " + string(f), false, func(e *env) { e.injectFault(f); e.create(image); e.advance(time.Minute) }},
			scenario{"cancel meets " + string(f), true, func(e *env) {
				e.create(image)
				e.advance(queued)
				e.injectFault(f)
				e.do(e.cancelOne)
				e.advance(time.Minute)
			}},
			scenario{"delete in doubt after " + string(f), true, func(e *env) {
				e.injectFault(f)
				e.create(image)
				e.advance(2 * time.Second)
				e.do(e.deleteOne)
				e.advance(time.Minute)
			}},
		)
	}
	for _, trouble := range []struct {
		name       string
		make, mend func(*daftysim.Simulator)
	}{
		{"no credits", func(s *daftysim.Simulator) { s.SetCredits(acme, 0) }, func(s *daftysim.Simulator) { s.SetCredits(acme, 1000) }},
		{"no subscription", func(s *daftysim.Simulator) { s.SetSubscribed(acme, false) }, func(s *daftysim.Simulator) { s.SetSubscribed(acme, true) }},
		{"no allowance", func(s *daftysim.Simulator) { s.SetAllowance(acme, 0) }, func(s *daftysim.Simulator) { s.SetAllowance(acme, 10) }},
		{"a revoked key", func(s *daftysim.Simulator) { s.RevokeKey(keyOne) }, func(s *daftysim.Simulator) { s.AddKey(acme, keyOne) }},
	} {
		list = append(list, scenario{"submit meets " + trouble.name, false, func(e *env) {
			trouble.make(e.sim)
			e.create(image)
			e.advance(20 * time.Second)
			trouble.mend(e.sim)
			e.advance(time.Minute)
		}})
	}
	return list
}
