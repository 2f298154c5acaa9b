package account

import (
	"fmt"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// filled is a room with so many jobs in flight, and the next one that asked.
func filled(jobs int) (*concurrency, []*Tracker) {
	r := newConcurrency()
	trackers := make([]*Tracker, jobs)
	for i := range trackers {
		trackers[i] = &Tracker{}
		r.enter(trackers[i])
		r.onResponse(trackers[i], nil, time.Time{})
	}
	return &r, trackers
}

// What becomes of a ceiling that was learnt with three jobs in flight, when a fourth was refused.
func TestRoom(t *testing.T) {
	m := firstProbe
	retryAfter := refusal(dafty.KindConcurrency)
	retryAfter.RetryAfter = 4 * m
	for _, tt := range []struct {
		name string
		// then is what happens from the refusal on, at the time that it gives.
		then func(r *concurrency, in []*Tracker, now time.Time) time.Time
		full bool
		wait time.Duration // until the next try, where it is full
	}{
		{"nothing: full, until it is tried again", func(_ *concurrency, _ []*Tracker, now time.Time) time.Time { return now }, true, m},
		{"its time goes by", func(_ *concurrency, _ []*Tracker, now time.Time) time.Time { return now.Add(m) }, false, 0},
		{"a job ends", func(r *concurrency, in []*Tracker, now time.Time) time.Time { r.remove(in[0]); return now }, false, 0},
		{"a job ends, and one takes its place", func(r *concurrency, in []*Tracker, now time.Time) time.Time {
			r.remove(in[0])
			r.enter(&Tracker{})
			return now
		}, true, m},
		{"a try that is on its way keeps the others", func(r *concurrency, _ []*Tracker, now time.Time) time.Time {
			now = now.Add(m)
			r.startProbe(&Tracker{}, now)
			return now
		}, true, probeTimeout},
		{"a try that is refused: the next one is twice as much later", func(r *concurrency, _ []*Tracker, now time.Time) time.Time {
			now = now.Add(m)
			probing := &Tracker{}
			r.startProbe(probing, now)
			r.enter(probing)
			r.onResponse(probing, refusal(dafty.KindConcurrency), now)
			return now
		}, true, 2 * m},
		{"a try that is refused with Retry-After", func(r *concurrency, _ []*Tracker, now time.Time) time.Time {
			now = now.Add(m)
			probing := &Tracker{}
			r.startProbe(probing, now)
			r.enter(probing)
			r.onResponse(probing, retryAfter, now)
			return now
		}, true, 4 * m},
		{"a try that is accepted: the next follows soon", func(r *concurrency, _ []*Tracker, now time.Time) time.Time {
			now = now.Add(m)
			probing := &Tracker{}
			r.startProbe(probing, now)
			r.enter(probing)
			r.onResponse(probing, nil, now)
			return now
		}, true, nextProbe},
		{"a try that is never made: another follows", func(r *concurrency, _ []*Tracker, now time.Time) time.Time {
			now = now.Add(m)
			r.startProbe(&Tracker{}, now)
			return now.Add(probeTimeout)
		}, false, 0},
		{"a refusal with fewer in flight: the ceiling is lower than it seemed", func(r *concurrency, in []*Tracker, now time.Time) time.Time {
			r.remove(in[0])
			r.remove(in[1])
			refused := &Tracker{}
			r.enter(refused)
			r.onResponse(refused, refusal(dafty.KindConcurrency), now)
			return now
		}, true, m},
		{"one that is refused for itself takes no place", func(r *concurrency, in []*Tracker, now time.Time) time.Time {
			r.remove(in[0])
			refused := &Tracker{}
			r.enter(refused)
			r.onResponse(refused, refusal(dafty.KindInvalid), now)
			return now
		}, false, 0},
		{"one that is in doubt takes a place", func(r *concurrency, in []*Tracker, now time.Time) time.Time {
			r.remove(in[0])
			doubtful := &Tracker{}
			r.enter(doubtful)
			r.onResponse(doubtful, &dafty.CallError{Kind: dafty.KindUnavailable}, now)
			return now
		}, true, m},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Now()
			r, in := filled(3)
			fourth := &Tracker{}
			if hold := r.full(now); hold != nil {
				t.Fatalf("full before anything was refused: %+v", hold)
			}
			r.enter(fourth)
			r.onResponse(fourth, refusal(dafty.KindConcurrency), now)
			at := tt.then(r, in, now)
			hold := r.full(at)
			if (hold != nil) != tt.full {
				t.Fatalf("full: %t, want %t (%d in flight, ceiling %d)", hold != nil, tt.full, len(r.inFlight), r.ceiling)
			}
			if hold != nil && (hold.Kind != dafty.KindConcurrency || hold.Until.Sub(at) != tt.wait) {
				t.Errorf("held for %v as %s, want %v", hold.Until.Sub(at), hold.Kind, tt.wait)
			}
		})
	}
}

// Several that are refused together, as they were on their way together, are one lesson.
func TestRoomRefusalsAtOnceCountOnce(t *testing.T) {
	now := time.Now()
	r, _ := filled(3)
	var sent []*Tracker
	for range 7 {
		sent = append(sent, &Tracker{})
		r.enter(sent[len(sent)-1])
	}
	for i, each := range sent {
		r.onResponse(each, refusal(dafty.KindConcurrency), now.Add(time.Duration(i)*time.Millisecond))
	}
	if r.ceiling != 3 {
		t.Errorf("the ceiling is %d", r.ceiling)
	}
	if got := r.probe.Sub(now).Round(time.Second); got != firstProbe {
		t.Errorf("it is tried again after %v", got)
	}
}

// Retry-After or not, a ceiling costs a refusal now and then, and an ended job's place is taken at once.
func TestACeilingIsLearnt(t *testing.T) {
	for _, retryAfter := range []daftysim.LimitRetryAfter{daftysim.LimitRetryAfterPresent, daftysim.LimitRetryAfterAbsent} {
		t.Run(string(retryAfter), func(t *testing.T) {
			t.Parallel()
			inSimulation(t, daftysim.Options{Variants: daftysim.Variants{LimitRetryAfter: retryAfter}, Ceilings: daftysim.Ceilings{Images: 3}}, func(t *testing.T, s *simulation) {
				const jobs, minutes = 200, 60
				s.processing = func() time.Duration { return time.Minute }
				for i := range jobs {
					s.begin(fmt.Sprintf("%03d", i), "", nil)
				}
				time.Sleep(10 * time.Minute)
				early := s.refusedFor(dafty.KindConcurrency)
				time.Sleep((minutes - 10) * time.Minute)
				late := s.refusedFor(dafty.KindConcurrency) - early
				made := len(s.sim.Ledger())
				best := 3 * minutes * 60 / 62
				t.Logf("%d jobs of %d that could be; %d refusals in the first 10 minutes, %d in the other %d", made, best, early, late, minutes-10)
				if made < best*95/100 {
					t.Errorf("%d jobs of %d that could be", made, best)
				}
				// A try each 10 minutes.
				if late > 6 || early > 24 {
					t.Errorf("%d refusals in 10 minutes, then %d in %d", early, late, minutes-10)
				}
			})
		})
	}
}

// A ceiling that is raised is found out, and followed up.
func TestACeilingThatGivesWay(t *testing.T) {
	inSimulation(t, daftysim.Options{Ceilings: daftysim.Ceilings{Images: 3}}, func(t *testing.T, s *simulation) {
		for i := range 40 {
			s.begin(fmt.Sprintf("%03d", i), "", nil)
		}
		time.Sleep(20 * time.Minute)
		if n := len(s.sim.Running()); n != 3 {
			t.Fatalf("%d run", n)
		}
		s.sim.SetCeilings(daftysim.Ceilings{Images: 12})
		raised := s.now()
		for len(s.sim.Running()) < 12 && s.now()-raised < time.Hour {
			time.Sleep(time.Second)
		}
		took := s.now() - raised
		t.Logf("12 run after %v", took)
		if took > maxProbe+9*nextProbe+time.Minute {
			t.Errorf("12 run only after %v", took)
		}
		s.sim.SetCeilings(daftysim.Ceilings{})
		raised = s.now()
		for len(s.sim.Running()) < 40 && s.now()-raised < time.Hour {
			time.Sleep(time.Second)
		}
		t.Logf("40 run after %v more", s.now()-raised)
		if took := s.now() - raised; took > maxProbe+28*nextProbe+time.Minute {
			t.Errorf("40 run only after %v", took)
		}
	})
}

// With the ceiling known, the end of a job lets in one, and that one isn't refused.
func TestAnEndLetsOneIn(t *testing.T) {
	inSimulation(t, daftysim.Options{Ceilings: daftysim.Ceilings{Images: 3}}, func(t *testing.T, s *simulation) {
		for i := range 20 {
			s.begin(fmt.Sprintf("%03d", i), "", nil)
		}
		time.Sleep(40 * time.Minute)
		for i := range 5 {
			// In between two tries, which are 10 minutes apart.
			for last := s.refusedFor(dafty.KindConcurrency); last == s.refusedFor(dafty.KindConcurrency); {
				time.Sleep(time.Second)
			}
			time.Sleep(time.Minute)
			from := s.now()
			if err := s.sim.Finish(s.sim.Running()[0].JobID, daftysim.Succeed); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			creates := s.arrived("create", from, s.now())
			if len(creates) != 1 || refused(creates) > 0 {
				t.Errorf("end %d: %d creates, %d refused", i, len(creates), refused(creates))
			}
			if n := len(s.sim.Running()); n != 3 {
				t.Errorf("end %d: %d run after it", i, n)
			}
		}
	})
}

// refusedFor counts the refusals of one kind so far.
func (s *simulation) refusedFor(kind dafty.Kind) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lives {
		n += l.refused[kind]
	}
	return n
}
