package account

import (
	"fmt"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

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
