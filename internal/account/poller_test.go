package account

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// Used by nobody else, a key is never over its limits, however many jobs there are; nor after a restart, when another process
// has used the minute.
func TestAKeyUsedAloneIsNeverRefused(t *testing.T) {
	for _, jobs := range []int{1, 20, 100, 600} {
		t.Run(fmt.Sprint(jobs, " jobs"), func(t *testing.T) {
			eachReading(t, daftysim.Options{}, func(t *testing.T, s *simulation) {
				// As many end as may be made: 20 a minute, where there are so many.
				s.spread(jobs, time.Duration(max(jobs, 20))*3*time.Second)
				s.seed(jobs)
				const before, after = 4 * time.Minute, 2 * time.Minute
				time.Sleep(before)
				for _, what := range []string{"create", ""} {
					calls := s.arrived(what, 0, before)
					if n := refused(calls); n > 0 {
						t.Errorf("%d of %d calls (%q) are refused", n, len(calls), what)
					}
				}
				if n := most(s.arrived("", 0, before)); n > 120 {
					t.Errorf("%d calls in a minute", n)
				}
				s.restart()
				time.Sleep(after)
				for _, what := range []string{"create", ""} {
					calls := s.arrived(what, before, before+after)
					if n := refused(calls); n > 0 {
						t.Errorf("after a restart %d of %d calls (%q) are refused", n, len(calls), what)
					}
				}
			})
		})
	}
}

// A long queue has the whole rate from the second minute on, and asks for its turns about as often as it gets them.
func TestAQueueGoesOutAtTheFullRate(t *testing.T) {
	eachReading(t, daftysim.Options{}, func(t *testing.T, s *simulation) {
		const waiting, minutes = 140, 6
		var lives []*life
		for i := range waiting {
			lives = append(lives, s.begin(fmt.Sprintf("%03d", i), "", nil))
		}
		time.Sleep((minutes + 1) * time.Minute)
		creates := s.arrived("create", time.Minute, minutes*time.Minute)
		if n, full := len(creates), 20*(minutes-1); float64(n) < 0.98*float64(full) {
			t.Errorf("%d creates of %d", n, full)
		}
		if n := refused(s.arrived("create", 0, time.Hour)); n > 0 {
			t.Errorf("%d are refused", n)
		}
		claims, woken, worst := 0, 0, 0
		for _, l := range lives {
			claims, woken, worst = claims+l.claims, woken+l.woken, max(worst, l.claims)
		}
		t.Logf("%d creates from the second minute on, %d in the first; %d claims, %d wake-ups for %d jobs, %d for one at most",
			len(creates), len(s.arrived("create", 0, time.Minute)), claims, woken, waiting, worst)
		// Each comes once to be told its time, and once at that time; those of the first minute once more,
		// as the first of all goes alone.
		const most = 3
		if float64(claims) > waiting*most || worst > 5 {
			t.Errorf("%d claims for %d jobs, %d for one of them", claims, waiting, worst)
		}
	})
}

// Where somebody else uses the key too, both go on, and neither is refused much.
func TestSomebodyElseUsesTheKey(t *testing.T) {
	eachReading(t, daftysim.Options{}, func(t *testing.T, s *simulation) {
		const minutes = 20
		told := s.variants.RateHeaders == daftysim.RateHeadersAlways
		s.processing = func() time.Duration { return 20 * time.Second }
		theirs, theirsRefused := 0, 0
		go func() {
			for i := range 10 * (minutes + 1) {
				if status := s.another(i); s.now() > time.Minute && s.now() < minutes*time.Minute {
					theirs++
					if status == http.StatusTooManyRequests {
						theirsRefused++
					}
				}
				time.Sleep(6 * time.Second)
			}
		}()
		for i := range 20 * minutes {
			s.begin(fmt.Sprintf("%03d", i), "", nil)
		}
		time.Sleep((minutes + 1) * time.Minute)
		ours := s.arrived("create", time.Minute, minutes*time.Minute)
		oursRefused := refused(ours)
		t.Logf("ours: %d, %d refused (%.1f %%), %.1f a minute; theirs: %d, %d refused", len(ours), oursRefused,
			100*float64(oursRefused)/float64(len(ours)), float64(len(ours)-oursRefused)/(minutes-1), theirs, theirsRefused)
		// Where Dafty doesn't tell what is left, only a refusal teaches it, again and again.
		most, mostTheirs := 0.1, 0.15
		if told {
			most, mostTheirs = 0.01, 0.02
		}
		if float64(oursRefused) > most*float64(len(ours)) {
			t.Errorf("%d of our %d creates are refused", oursRefused, len(ours))
		}
		if float64(theirsRefused) > mostTheirs*float64(theirs) {
			t.Errorf("%d of their %d creates are refused", theirsRefused, theirs)
		}
		if accepted := len(ours) - oursRefused; accepted < 8*(minutes-1) {
			t.Errorf("%d of ours are accepted in %d minutes", accepted, minutes-1)
		}
	})
}

// A hundred jobs are as many as can have a long poll with the calls of a minute: the end of each is known at once.
func TestAHundredJobsHaveLongPolls(t *testing.T) {
	eachReading(t, daftysim.Options{}, func(t *testing.T, s *simulation) {
		const jobs, span = 100, 25 * time.Minute
		s.spread(jobs, 100*time.Minute)
		s.seed(jobs)
		time.Sleep(2 * time.Minute)
		least, few, samples := jobs, 0, 0
		for ; s.now() < span; samples++ {
			n := s.sim.Held()
			if least = min(least, n); n < jobs*95/100 {
				few++
			}
			time.Sleep(500 * time.Millisecond)
		}
		_, ends := s.lags(2*time.Minute, span-time.Second)
		t.Logf("%d are held at least, under 95 for %d of %d samples; %d ends, known after %v (half), %v (95 %%), %v (all)", least, few, samples, len(ends), percentile(ends, 50), percentile(ends, 95), percentile(ends, 100))
		// Those that began first, and so end first; the lists tell of the others.
		if least < jobs*60/100 {
			t.Errorf("only %d of %d are held", least, jobs)
		}
		if late := percentile(ends, 95); len(ends) < 20 || late > 250*time.Millisecond {
			t.Errorf("95 %% of %d ends are known after %v", len(ends), late)
		}
	})
}

// A hundred jobs that take 5 minutes each, so that 20 end and 20 begin in a minute: the calls for a long poll each
// don't quite suffice. None may be forgotten over that.
func TestAHundredJobsThatChange(t *testing.T) {
	eachReading(t, daftysim.Options{}, func(t *testing.T, s *simulation) {
		const jobs, span = 100, 12 * time.Minute
		s.spread(jobs, 5*time.Minute)
		s.seed(jobs)
		time.Sleep(span)
		begins, ends := s.lags(2*time.Minute, span-time.Minute)
		t.Logf("%d ends, known after %v (half), %v (95 %%), %v (all); begins after %v (95 %%), %d calls a minute", len(ends), percentile(ends, 50), percentile(ends, 95),
			percentile(ends, 100), percentile(begins, 95), len(s.arrived("", 2*time.Minute, span))/10)
		if late := percentile(ends, 95); len(ends) < 150 || late > 250*time.Millisecond {
			t.Errorf("95 %% of %d ends are known after %v", len(ends), late)
		}
		if late := percentile(begins, 95); late > 12*time.Second {
			t.Errorf("95 %% of the begins are known after %v", late)
		}
	})
}

// A hundred jobs that take 2 to 3 minutes each want more long polls than a minute has. Once it is known how long
// they take, none is spent on one that can't end within it.
func TestAHundredJobsOfMinutes(t *testing.T) {
	eachReading(t, daftysim.Options{}, func(t *testing.T, s *simulation) {
		const jobs, learnt, span = 100, 5 * time.Minute, 12 * time.Minute
		n, random := 0, rand.New(rand.NewPCG(1, 2))
		s.processing = func() time.Duration {
			if n++; n <= jobs {
				return 150 * time.Second * time.Duration(n) / jobs
			}
			return 2*time.Minute + time.Duration(random.Int64N(int64(time.Minute)))
		}
		s.seed(jobs)
		time.Sleep(span)
		_, ends := s.lags(learnt, span-time.Minute)
		all := s.arrived("", learnt, span)
		t.Logf("%d ends, known after %v (half), %v (95 %%), %v (all); %d calls in a minute", len(ends), percentile(ends, 50), percentile(ends, 95),
			percentile(ends, 100), most(all))
		if late := percentile(ends, 95); len(ends) < 100 || late > 250*time.Millisecond {
			t.Errorf("95 %% of %d ends are known after %v", len(ends), late)
		}
		if n := refused(all); n > 0 {
			t.Errorf("%d calls are refused", n)
		}
	})
}

// The same from the very first job on: those that run on although they are older tell, too. And where all begin at once,
// and as many follow as end, each of them may end at any time.
func TestAHundredJobsFromTheStart(t *testing.T) {
	for name, each := range map[string]time.Duration{"one after the other": 1200 * time.Millisecond, "all at once": 50 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			eachReading(t, daftysim.Options{}, func(t *testing.T, s *simulation) {
				const jobs = 100
				random := rand.New(rand.NewPCG(1, 2))
				s.processing = func() time.Duration { return 2*time.Minute + time.Duration(random.Int64N(int64(time.Minute))) }
				s.sim.SetLimits(daftysim.Limits{Images: 1000})
				var begin func()
				n := 0
				begin = func() {
					s.mu.Lock()
					n++
					i := n
					s.mu.Unlock()
					if _, err := s.serve(s.foreign(-i), "before"); err != nil { //nolint:bodyclose // It is in memory.
						panic(err)
					}
					ledger := s.sim.Ledger()
					s.begin(fmt.Sprintf("job-%04d", i), ledger[len(ledger)-1].JobID, begin)
				}
				for range jobs {
					begin()
					time.Sleep(each)
				}
				time.Sleep(5 * time.Minute)
				_, ends := s.lags(0, s.now()-time.Minute)
				all := s.arrived("", 0, s.now())
				t.Logf("%d ends, known after %v (half), %v (95 %%), %v (all); %d calls in a minute", len(ends), percentile(ends, 50), percentile(ends, 95),
					percentile(ends, 100), most(all))
				if late := percentile(ends, 95); len(ends) < jobs || late > 250*time.Millisecond {
					t.Errorf("95 %% of %d ends are known after %v", len(ends), late)
				}
				if n := refused(all); n > 0 {
					t.Errorf("%d calls are refused", n)
				}
			})
		})
	}
}

// Six hundred jobs are far more than can have a long poll.
func TestSixHundredJobsAreListed(t *testing.T) {
	eachReading(t, daftysim.Options{}, func(t *testing.T, s *simulation) {
		const jobs, span = 600, 6 * time.Minute
		s.spread(jobs, 30*time.Minute)
		s.seed(jobs)
		time.Sleep(2 * time.Minute)
		// One is cancelled each 10 s, from those that end last.
		var asked []time.Duration
		for i := 0; s.now() < span-time.Minute; i++ {
			l := s.life(fmt.Sprintf("old-%04d", jobs-1-i))
			asked = append(asked, s.now())
			s.operator().tracker(l.name).Cancel(l.jobID)
			time.Sleep(10 * time.Second)
		}
		time.Sleep(span - s.now())
		_, ends := s.lags(2*time.Minute, span-time.Minute)
		all := s.arrived("", 0, span)
		t.Logf("%d ends, known after %v (half), %v (95 %%), %v (all); %d calls in a minute, %d held", len(ends), percentile(ends, 50), percentile(ends, 95), percentile(ends, 100), most(all), s.sim.Held())
		if late := percentile(ends, 95); len(ends) < 60 || late > 15*time.Second {
			t.Errorf("95 %% of %d ends are known after %v", len(ends), late)
		}
		if n := most(all); n > 120 {
			t.Errorf("%d calls in a minute", n)
		}
		cancels := s.arrived("cancel", 0, span)
		for i, at := range asked {
			if i >= len(cancels) || cancels[i].at-at > time.Second {
				t.Errorf("the cancel of %v doesn't leave within a second", at)
			}
		}
	})
}

// The usual case is cheap: jobs of 50 s, 20 a minute.
func TestCallsForAJob(t *testing.T) {
	eachReading(t, daftysim.Options{}, func(t *testing.T, s *simulation) {
		const minutes, jobs = 8, 160
		s.pending, s.processing = func() time.Duration { return 5 * time.Second }, func() time.Duration { return 45 * time.Second }
		for i := range jobs {
			s.begin(fmt.Sprintf("%03d", i), "", nil)
			time.Sleep(minutes * time.Minute / jobs)
		}
		time.Sleep(time.Minute)
		begins, ends := s.lags(0, minutes*time.Minute)
		calls := len(s.arrived("", 0, time.Hour)) + len(s.arrived("create", 0, time.Hour))
		t.Logf("%.2f calls a job; begins known after %v (95 %%), %v (all); ends after %v (all)", float64(calls)/jobs, percentile(begins, 95), percentile(begins, 100), percentile(ends, 100))
		if len(ends) < jobs-20 || float64(calls) > 2.5*jobs {
			t.Errorf("%d calls for %d jobs, of which %d have ended", calls, jobs, len(ends))
		}
		if late := percentile(begins, 100); late > 10*time.Second {
			t.Errorf("Processing is known after %v", late)
		}
		if late := percentile(ends, 100); late > 250*time.Millisecond {
			t.Errorf("an end is known after %v", late)
		}
	})
}

// Lists come in either order, and with the jobs of others; what they say of a job is true, and which job nobody follows.
func TestListsTellOfJobs(t *testing.T) {
	for _, order := range []daftysim.ListOrder{daftysim.ListNewestFirst, daftysim.ListOldestFirst} {
		for _, scope := range []daftysim.ListScope{daftysim.ListScopeKey, daftysim.ListScopeAccount} {
			t.Run(fmt.Sprintf("%s, of the %s", order, scope), func(t *testing.T) {
				t.Parallel()
				inSimulation(t, daftysim.Options{Variants: daftysim.Variants{ListOrder: order, ListScope: scope}}, func(t *testing.T, s *simulation) {
					const jobs, span = 200, 8 * time.Minute
					s.pending = func() time.Duration { return 30 * time.Second }
					s.spread(jobs, 10*time.Minute)
					s.seed(jobs)
					for range 130 {
						s.sim.AddJob(simAccount, daftysim.PersonJob{Prompt: "by hand"})
					}
					holder := s.operator().registry.Holder("agency")
					holder.SetAPIKey(simKey)
					time.Sleep(span)
					unfollowed := holder.Known().Unfollowed
					if (len(unfollowed) > 0) != (scope == daftysim.ListScopeAccount) {
						t.Errorf("%d jobs are said to be followed by nobody", len(unfollowed))
					}
					for _, job := range unfollowed {
						if entry, _ := s.sim.Job(job.ID); entry.Key != 0 {
							t.Errorf("job %s is said to be followed by nobody", job.ID)
						}
					}
					begins, ends := s.lags(time.Minute, span-time.Minute)
					looks := len(s.arrived("look", 0, span))
					_, all := s.lags(0, span)
					t.Logf("%d ends, known after %v (95 %%), begins after %v; %d looks", len(ends), percentile(ends, 95), percentile(begins, 95), looks)
					if late := percentile(ends, 95); len(ends) < 100 || late > 15*time.Second {
						t.Errorf("95 %% of %d ends are known after %v", len(ends), late)
					}
					if late := percentile(begins, 95); len(begins) < 100 || late > 20*time.Second {
						t.Errorf("95 %% of %d begins are known after %v", len(begins), late)
					}
					if looks > len(all)*12/10 {
						t.Errorf("%d looks for %d ends", looks, len(all))
					}
					if wrong := s.wrong(); len(wrong) > 0 {
						t.Errorf("%d jobs are said to process, or to have ended, before they do: %s and others", len(wrong), wrong[0])
					}
					if n := refused(s.arrived("", 0, span)); n > 0 {
						t.Errorf("%d calls are refused", n)
					}
				})
			})
		}
	}
}

// A job that runs under a status which isn't known is in no list. It is looked at less and less often, and its end is
// known nevertheless.
func TestAJobInNoList(t *testing.T) {
	inSimulation(t, daftysim.Options{}, func(t *testing.T, s *simulation) {
		s.seed(200)
		time.Sleep(30 * time.Second)
		odd := s.life("old-0100")
		if err := s.sim.ShowStatus(odd.jobID, "reviewing"); err != nil {
			t.Fatal(err)
		}
		looks := func(minutes int) (n int) {
			from := s.now()
			time.Sleep(time.Duration(minutes) * time.Minute)
			for _, c := range s.arrived("look", from, s.now()) {
				if strings.HasSuffix(c.path, odd.jobID) {
					n++
				}
			}
			return n
		}
		first, second, third := looks(3), looks(3), looks(6)
		t.Logf("%d, %d, %d looks in 3, 3 and 6 minutes", first, second, third)
		if first < 2 || first > 7 || second > 4 || third > 7 {
			t.Errorf("%d looks in 3 minutes, then %d, then %d in 6", first, second, third)
		}
		if err := s.sim.ShowStatus(odd.jobID, ""); err != nil {
			t.Fatal(err)
		}
		if err := s.sim.Finish(odd.jobID, daftysim.Succeed); err != nil {
			t.Fatal(err)
		}
		time.Sleep(75 * time.Second)
		if s.endOf(odd) == 0 {
			t.Error("its end isn't known")
		}
	})
}

// While the lists fail, they are asked for less and less often, and the calls that are left tell of the jobs.
func TestListsThatFail(t *testing.T) {
	inSimulation(t, daftysim.Options{}, func(t *testing.T, s *simulation) {
		const jobs, span = 150, 15 * time.Minute
		s.sim.Inject(daftysim.Fault{Operation: daftysim.ListJobs, Kind: daftysim.FaultAnswer, Status: 500, Count: daftysim.Forever})
		s.spread(jobs, 60*time.Minute)
		s.seed(jobs)
		time.Sleep(span)
		if n := len(s.arrived("list", 5*time.Minute, 10*time.Minute)); n > 12 {
			t.Errorf("%d lists in 5 minutes", n)
		}
		_, ends := s.lags(2*time.Minute, 10*time.Minute)
		t.Logf("%d ends, known after %v (half), %v (95 %%); %d calls a minute", len(ends), percentile(ends, 50), percentile(ends, 95), len(s.arrived("", 5*time.Minute, 10*time.Minute))/5)
		if late := percentile(ends, 95); late > 3*time.Minute {
			t.Errorf("95 %% of %d ends are known after %v", len(ends), late)
		}
	})
}

// waits is like holds, for a job that doesn't begin.
func waits(end <-chan struct{}) func(context.Context, bool) (*dafty.Job, error) {
	return func(ctx context.Context, wait bool) (*dafty.Job, error) {
		answer, err := holds(end)(ctx, wait)
		if err == nil && answer.Status == dafty.Processing {
			answer = job(dafty.Pending)
		}
		return answer, err
	}
}

// Where a list fails, the next look at it is a backoff later; where it is well again, it is as before.
func TestListsAreBackedOff(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		w.alone()
		w.dafty("k").onLook(waits(nil))
		w.dafty("k").list = func(dafty.JobStatus, string) (*dafty.JobPage, error) {
			if time.Since(w.began) > 200*time.Second {
				return &dafty.JobPage{}, nil
			}
			return nil, &dafty.CallError{Kind: dafty.KindUnavailable}
		}
		w.tracker("a", "k").Follow(jobID, dafty.ClassImageCreate)
		time.Sleep(4 * time.Minute)
		var gaps []int
		last, failing := time.Duration(0), true
		for _, c := range w.dafty("k").asked() {
			if c.what != "list" {
				continue
			}
			gap := c.at - last
			if n := len(gaps); failing && n > 0 && gap < time.Duration(gaps[n-1]-2)*time.Second {
				t.Errorf("a list %v after the one before, which came after %d s", gap, gaps[n-1])
			}
			if !failing && gap > sweepInterval+2*time.Second {
				t.Errorf("well again, and a list only %v after the one before", gap)
			}
			gaps, last, failing = append(gaps, int(gap/time.Second)), c.at, c.at <= 200*time.Second
		}
		if len(gaps) > 15 || slices.Max(gaps) < 55 {
			t.Errorf("lists are as many seconds apart: %v", gaps)
		}
		if got := w.woken(); len(got) != 1 { // By the long poll; a list that fails is no news.
			t.Errorf("woken %d times", len(got))
		}
	})
}

// A list whose cursors never end costs no more than the minute has, and holds up nothing else.
func TestListsThatNeverEnd(t *testing.T) {
	inEnv(t, func(t *testing.T, w *env) {
		end := make(chan struct{})
		w.dafty("k").onLook(waits(end))
		w.dafty("k").list = func(_ dafty.JobStatus, cursor string) (*dafty.JobPage, error) {
			time.Sleep(20 * time.Millisecond)
			return &dafty.JobPage{Jobs: []dafty.ListedJob{{ID: "another" + cursor}}, Next: cursor + "x"}, nil
		}
		w.tracker("a", "k").Follow(jobID, dafty.ClassImageCreate)
		time.Sleep(10 * time.Minute)
		calls := w.dafty("k").asked()
		for i := range calls {
			if j := i + 120; j < len(calls) && calls[j].at-calls[i].at < time.Minute {
				t.Fatalf("121 calls within a minute, at %v", calls[i].at)
			}
		}
		sweeps, wasHeld := 0, 0
		for i, c := range calls {
			switch {
			case c.what == "hold":
				wasHeld++
			case i > 0 && c.at-calls[i-1].at > 5*time.Second:
				sweeps++
			}
		}
		t.Logf("%d calls, %d held, %d rests", len(calls), wasHeld, sweeps)
		if wasHeld < 10 {
			t.Errorf("%d held requests", wasHeld)
		}
		close(end)
		settle()
		if job := w.tracker("a", "k").Known().Job; job == nil || job.Status != dafty.Completed {
			t.Errorf("the end isn't known: %+v", job)
		}
	})
}

// A cancel waits for nothing, and the looks that confirm it come before all others: also while the lists and long
// requests have used all that they may.
func TestCancelsComeFirst(t *testing.T) {
	inSimulation(t, daftysim.Options{Variants: daftysim.Variants{AfterCancel: daftysim.AfterCancelLater}, CancelSettles: 3 * time.Second}, func(t *testing.T, s *simulation) {
		s.seed(600)
		time.Sleep(3 * time.Minute)
		for i := range 5 {
			l := s.life(fmt.Sprintf("old-%04d", 500+i))
			at := s.now()
			s.operator().tracker(l.name).Cancel(l.jobID)
			time.Sleep(30 * time.Second)
			if end := s.endOf(l); end == 0 || end-at > 10*time.Second {
				t.Errorf("a cancel is confirmed at %v, asked for at %v", end, at)
			}
		}
	})
}
