package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// killOperators starts and kills operators in rounds: single processes with short lives, and pairs of which one leads. It leaves a single one at
// work.
func (r *run) killOperators(ctx context.Context, chance *rand.Rand) {
	for pair := true; ctx.Err() == nil; pair = !pair {
		if pair {
			r.killLeaders(ctx, chance)
		} else {
			r.killSingles(ctx, chance, between(chance, 10*time.Second, 16*time.Second))
		}
	}
	last := r.fleet.start()
	if !last.works(r.t.Context(), startWithin) {
		r.t.Errorf("%s doesn't get to work; its last words:\n%s", last.Name, last.Log.Tail(tailLines))
	}
}

// killSingles runs one process after another for a time, and kills each soon.
func (r *run) killSingles(ctx context.Context, chance *rand.Rand, length time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	for ctx.Err() == nil {
		p := r.fleet.start()
		// One in five is killed before its first object.
		if chance.IntN(5) > 0 && !p.works(ctx, startWithin) && ctx.Err() == nil {
			r.t.Errorf("%s doesn't get to work; its last words:\n%s", p.Name, p.Log.Tail(tailLines))
		}
		pause(ctx, between(chance, 0, 3*time.Second))
		why := r.waitForMoment(ctx, chance)
		if p.EndedByItself() {
			r.t.Errorf("%s ended by itself: %s; its last words:\n%s", p.Name, p.State(), p.Log.Tail(tailLines))
		}
		r.fleet.kill(p, why)
		pause(ctx, between(chance, 0, 2*time.Second))
	}
}

// killLeaders has a standby take over from a leader that is killed, or paused until it has lost its lease.
func (r *run) killLeaders(ctx context.Context, chance *rand.Rand) {
	const elect = "--leader-elect"
	pair := []*operator{r.fleet.start(elect), r.fleet.start(elect)}
	defer func() {
		for _, p := range pair {
			r.fleet.end(p)
		}
	}()
	for range 1 + chance.IntN(2) {
		leader := r.leader(ctx, pair)
		if leader < 0 {
			return
		}
		old, standby := pair[leader], pair[1-leader]
		pause(ctx, between(chance, 500*time.Millisecond, 3*time.Second))
		why := r.waitForMoment(ctx, chance)
		sleep, again := chance.IntN(3) > 0, between(chance, 0, 4*time.Second)
		if ctx.Err() != nil {
			return
		}
		for _, p := range pair {
			if p.EndedByItself() {
				r.t.Errorf("%s ended by itself: %s; its last words:\n%s", p.Name, p.State(), p.Log.Tail(tailLines))
				return
			}
		}
		if sleep {
			r.fleet.pause(old, why)
		} else {
			r.fleet.kill(old, why)
		}
		if !standby.works(ctx, takeOverWithin) {
			if ctx.Err() == nil {
				r.t.Errorf("%s doesn't take over from %s; its last words:\n%s", standby.Name, old.Name, standby.Log.Tail(tailLines))
			}
			return
		}
		r.fleet.count(takeovers)
		if sleep {
			pause(ctx, again)
			r.fleet.resume(old)
			select {
			case <-old.Done(): // as it has lost its lease
			case <-ctx.Done():
				return
			case <-time.After(startWithin):
				r.t.Errorf("%s has lost its lease, and goes on; its last words:\n%s", old.Name, old.Log.Tail(tailLines))
				return
			}
		}
		pause(ctx, again)
		pair[leader] = r.fleet.start(elect)
	}
}

// leader waits until one of two processes leads, and returns which; -1 if none does before ctx is done.
func (r *run) leader(ctx context.Context, pair []*operator) int {
	select {
	case <-pair[0].Working():
		if pair[0].Ended() {
			return 1
		}
		return 0
	case <-pair[1].Working():
		if pair[1].Ended() {
			return 0
		}
		return 1
	case <-ctx.Done():
	case <-time.After(takeOverWithin):
		r.t.Errorf("neither %s nor %s leads; their last words:\n%s\n\n%s", pair[0].Name, pair[1].Name, pair[0].Log.Tail(tailLines), pair[1].Log.Tail(tailLines))
	}
	return -1
}

// waitForMoment waits for a moment to kill an operator at, and returns which it is. One that doesn't come soon isn't waited for.
func (r *run) waitForMoment(ctx context.Context, chance *rand.Rand) string {
	moments := []struct {
		name  string
		after time.Duration // at most
		calls chan struct{}
	}{
		{"at any moment", 0, nil},
		{"as a create arrives", 3 * time.Millisecond, r.dafty.createArrives},
		{"as a create is answered", 30 * time.Millisecond, r.dafty.createAnswered},
		{"as a cancel arrives", 3 * time.Millisecond, r.dafty.cancelArrives},
		{"as a cancel is answered", 30 * time.Millisecond, r.dafty.cancelAnswered},
	}
	moment := moments[[]int{0, 0, 1, 1, 1, 2, 2, 2, 3, 4}[chance.IntN(10)]]
	after := between(chance, 0, moment.after)
	if moment.calls == nil {
		return moment.name
	}
	select {
	case <-moment.calls:
		time.Sleep(after) // the moment is what is drawn; there is nothing to wait for
		return fmt.Sprintf("%s after it: %s", after.Round(100*time.Microsecond), moment.name)
	case <-ctx.Done():
	case <-time.After(3 * time.Second):
	}
	return "at any moment, as none came: " + moment.name
}
