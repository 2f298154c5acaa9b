package account

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/test/daftysim"
)

// The tests with the simulated Dafty: it counts and refuses by itself, so that no test shares a mistake with the
// pacing. It answers each in virtual time, over a network that takes its time.

const (
	simKey     = "dk_live_sim_5f0c4c3e8b1d"
	simAccount = "acme"
)

// simulation is one simulated Dafty, the operator in front of it, and a note of each request that arrived.
type simulation struct {
	t   *testing.T
	sim *daftysim.Simulator
	// operators are the processes, the last one is that which runs.
	operators []*operator

	mu     sync.Mutex
	random *rand.Rand
	calls  []arrival
	// lives are the DaftyJobs that there are, and were, by name.
	lives map[string]*life
	// pending and processing say how long the next job is in each state.
	pending, processing func() time.Duration
	began               time.Time
	variants            daftysim.Variants
}

// arrival is a request as Dafty got it.
type arrival struct {
	what   string // create, look, hold, list, cancel, reserve, put, complete
	path   string
	at     time.Duration // since the test began
	status int           // 0 where the client left before the answer
	by     string        // "us", or who else
}

// operator is one process: its registry, and how its DaftyJobs are woken.
type operator struct {
	running  sync.WaitGroup
	s        *simulation
	registry *Registry
	ctx      context.Context //nolint:containedctx // A process is what it stands for.
	stop     context.CancelFunc

	mu    sync.Mutex
	bells map[string]chan struct{}
	wakes map[string]int
}

// life is what a DaftyJob goes through.
type life struct {
	name string
	// submission is what is on record in status.
	submission *v1alpha1.Submission
	jobID      string
	// claims and woken count what it cost to get a turn; refused are the refusals by kind.
	claims, woken int
	refused       map[dafty.Kind]int
	// accepted, processing and ended are when the operator knew.
	accepted, processing, ended time.Duration
	// onEnd is called when it has ended.
	onEnd func()
}

// inSimulation runs a test in front of a simulated Dafty with an operator.
func inSimulation(t *testing.T, o daftysim.Options, test func(t *testing.T, s *simulation)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(17*time.Second + 300*time.Millisecond) // No minute of the clock begins with the test.
		s := &simulation{t: t, lives: map[string]*life{}, random: rand.New(rand.NewPCG(1, 2)), began: time.Now(), variants: o.Variants}
		s.pending = func() time.Duration { return 2 * time.Second }
		s.processing = func() time.Duration { return time.Hour }
		o.Seed, o.StrictRequests, o.SkipAnswerValidation, o.RequestLog = 1, true, true, -1
		o.Accounts = []daftysim.Account{{Name: simAccount, APIKeys: []string{simKey}}}
		o.PendingFor = func(daftysim.Operation) time.Duration { return s.pending() }
		o.ProcessingFor = func(daftysim.Operation) time.Duration { return s.processing() }
		s.sim = daftysim.New(o)
		s.start()
		test(t, s)
		s.operator().stop()
		s.sim.Close()
		time.Sleep(time.Minute)
		if violations := s.sim.Violations(); len(violations) > 0 {
			t.Errorf("%d requests break the contract, the first: %s", len(violations), violations[0])
		}
	})
}

func (s *simulation) operator() *operator { return s.operators[len(s.operators)-1] }

// start begins a process that knows what is on record, as the controller tells it.
func (s *simulation) start() {
	ctx, stop := context.WithCancel(context.WithoutCancel(s.t.Context()))
	o := &operator{s: s, ctx: ctx, stop: stop, bells: map[string]chan struct{}{}, wakes: map[string]int{}}
	o.registry = NewRegistry(ctx, Config{
		Wake: o.wake,
		Client: func(key string) Dafty {
			return dafty.New("https://dafty.test"+daftysim.BasePath, key, "test", doer(s.carry))
		},
	})
	s.mu.Lock()
	var recalled []Recalled
	for _, l := range s.lives {
		if l.submission != nil {
			recalled = append(recalled, Recalled{UID: types.UID("uid-" + l.name), Submission: l.submission.DeepCopy(), Class: dafty.ClassImageCreate})
		}
	}
	s.mu.Unlock()
	o.registry.Recall(recalled)
	s.operators = append(s.operators, o)
}

// restart has another process take over. What it has to go by is on record alone.
func (s *simulation) restart() {
	before := s.operator()
	before.stop()
	before.running.Wait()
	time.Sleep(time.Second)
	s.start()
	s.mu.Lock()
	var left []*life
	for _, name := range slices.Sorted(maps.Keys(s.lives)) {
		if l := s.lives[name]; l.ended == 0 {
			left = append(left, l)
		}
	}
	s.mu.Unlock()
	for _, l := range left {
		o := s.operator()
		o.running.Go(func() { o.run(l) })
	}
}

func (s *simulation) now() time.Duration { return time.Since(s.began) }

// way is how long a request or an answer travels.
func (s *simulation) way() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return 15*time.Millisecond + time.Duration(s.random.Int64N(int64(85*time.Millisecond)))
}

// carry brings the operator's request to Dafty, and the answer back.
func (s *simulation) carry(req *http.Request) (resp *http.Response, err error) {
	ctx := req.Context()
	if hook := httptrace.ContextClientTrace(ctx); hook != nil && hook.GotConn != nil {
		hook.GotConn(httptrace.GotConnInfo{})
	}
	travels := func(d time.Duration) {
		if pass(ctx, d); ctx.Err() != nil {
			err = ctx.Err()
		}
	}
	if travels(s.way()); err != nil {
		return nil, err
	}
	if resp, err = s.serve(req, "us"); err != nil {
		return nil, err
	}
	if travels(s.way()); err != nil {
		return nil, err
	}
	resp.Request = req
	return resp, nil
}

// serve has Dafty answer a request that has arrived.
func (s *simulation) serve(req *http.Request, by string) (resp *http.Response, err error) {
	ctx, n, recorder := req.Context(), s.arrives(req, by), httptest.NewRecorder()
	defer func() {
		switch r := recover(); {
		case r == http.ErrAbortHandler: //nolint:errorlint // A panic's value, as net/http compares it.
			err = cmp.Or(ctx.Err(), errors.New("the connection was dropped"))
		case r != nil:
			panic(r)
		}
	}()
	arrived := req.Clone(ctx)
	arrived.Host, arrived.TLS = "dafty.test", &tls.ConnectionState{}
	s.sim.ServeHTTP(recorder, arrived)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[n].status = recorder.Code
	return recorder.Result(), nil
}

// arrives notes a request, and gives its number.
func (s *simulation) arrives(req *http.Request, by string) int {
	what := "look"
	switch {
	case req.Header.Get("Idempotency-Key") != "":
		what = "create"
	case strings.HasSuffix(req.URL.Path, "/cancel"):
		what = "cancel"
	case strings.HasSuffix(req.URL.Path, "/uploads"):
		what = "reserve"
	case req.Method == http.MethodPut:
		what = "put"
	case strings.HasSuffix(req.URL.Path, "/complete"):
		what = "complete"
	case strings.HasSuffix(req.URL.Path, "/jobs"):
		what = "list"
	case req.URL.Query().Get("wait") == "true":
		what = "hold"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, arrival{what: what, path: req.URL.Path, at: s.now(), by: by})
	return len(s.calls) - 1
}

// arrived are the requests of a span that a test asks for: what is "" for all but creates.
func (s *simulation) arrived(what string, from, to time.Duration) (calls []arrival) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if c.by == "us" && c.at >= from && c.at < to && (c.what == what || what == "" && c.what != "create") {
			calls = append(calls, c)
		}
	}
	return calls
}

// refused counts those that were over the limit.
func refused(calls []arrival) (n int) {
	for _, c := range calls {
		if c.status == http.StatusTooManyRequests {
			n++
		}
	}
	return n
}

// most is how many there are in the fullest minute.
func most(calls []arrival) (n int) {
	for i := range calls {
		j := i
		for j < len(calls) && calls[j].at-calls[i].at < time.Minute {
			j++
		}
		n = max(n, j-i)
	}
	return n
}

func (o *operator) wake(name types.NamespacedName) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wakes[name.Name]++
	select {
	case o.bell(name.Name) <- struct{}{}:
	default:
	}
}

// bell is called with the lock.
func (o *operator) bell(name string) chan struct{} {
	if o.bells[name] == nil {
		o.bells[name] = make(chan struct{}, 1)
	}
	return o.bells[name]
}

// waits until it is woken, or until a time. False: the process ends. A reconcile comes a little later than it could.
func (o *operator) waits(name string, until time.Time) bool {
	o.mu.Lock()
	bell := o.bell(name)
	o.mu.Unlock()
	var timer <-chan time.Time
	if !until.IsZero() {
		timer = time.After(time.Until(until))
	}
	select {
	case <-bell:
	case <-timer:
	case <-o.ctx.Done():
		return false
	}
	pass(o.ctx, 20*time.Millisecond)
	return o.ctx.Err() == nil
}

// begin makes a DaftyJob. It is taken for one that Dafty has, where a job's id is given.
func (s *simulation) begin(name, jobID string, onEnd func()) *life {
	l := &life{name: name, jobID: jobID, refused: map[dafty.Kind]int{}, onEnd: onEnd}
	s.mu.Lock()
	s.lives[name] = l
	s.mu.Unlock()
	o := s.operator()
	o.running.Go(func() { o.run(l) })
	return l
}

func (o *operator) tracker(name string) *Tracker {
	t := o.registry.Tracker(types.NamespacedName{Namespace: "ns", Name: name}, types.UID("uid-"+name), time.Time{})
	t.SetAPIKey(simKey)
	return t
}

// run does for a DaftyJob what the reconciler does.
func (o *operator) run(l *life) {
	t := o.tracker(l.name)
	for l.jobID == "" {
		if !o.submit(t, l) {
			return
		}
	}
	t.Follow(l.jobID, dafty.ClassImageCreate)
	for {
		if job := t.Known().Job; job != nil && strings.EqualFold(job.Id, l.jobID) {
			o.s.mu.Lock()
			if job.Status == dafty.Processing && l.processing == 0 {
				l.processing = o.s.now()
			}
			end := ended(job)
			if end {
				l.ended = o.s.now()
			}
			o.s.mu.Unlock()
			if end {
				o.registry.Forget(types.NamespacedName{Namespace: "ns", Name: l.name})
				if l.onEnd != nil {
					l.onEnd()
				}
				return
			}
		}
		if !o.waits(l.name, time.Time{}) {
			return
		}
	}
}

// submit gets a turn and uses it. False: the process ends.
func (o *operator) submit(t *Tracker, l *life) bool {
	s := submission(t)
	if l.submission == nil {
		s.IdempotencyKey = fmt.Sprintf("%s-%d", t.uid, len(l.refused)+l.refusals()+1)
	} else {
		// In doubt since the process before: repeated once that one's request has surely been given up.
		pass(o.ctx, time.Until(l.submission.SentAt.Add(45*time.Second)))
		s = repeated(t)
		s.IdempotencyKey = l.submission.IdempotencyKey
	}
	before := o.woken(l.name)
	for {
		hold := t.Claim(image, s, false)
		l.claims++
		if hold == nil {
			break
		}
		if !o.waits(l.name, hold.Until) {
			return false
		}
	}
	l.woken += o.woken(l.name) - before
	s.SentAt.Time = time.Now()
	if l.submission == nil {
		*s.StartedAt = *s.SentAt
	}
	record := s.DeepCopy()
	record.SentAt.Time = record.SentAt.Truncate(time.Second) // as it is written in JSON
	o.s.mu.Lock()
	l.submission = record
	o.s.mu.Unlock()
	pass(o.ctx, 20*time.Millisecond)
	if o.ctx.Err() != nil {
		return false
	}
	t.Submit(image, s)
	for !t.Known().Submission.Done {
		if !o.waits(l.name, time.Time{}) {
			return false
		}
	}
	if o.ctx.Err() != nil {
		return false
	}
	call := t.Known().Submission
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	if call.Err == nil {
		l.jobID, l.accepted = call.Job.Id, o.s.now()
		return true
	}
	if !call.Err.Refused() {
		o.s.t.Errorf("%s: the submission got %v", l.name, call.Err)
		return false
	}
	l.refused[call.Err.Kind]++
	l.submission = nil
	return true
}

func (l *life) refusals() (n int) {
	for _, times := range l.refused {
		n += times
	}
	return n
}

func (o *operator) woken(name string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.wakes[name]
}

// another is a create of somebody else with the key, and says what it was answered.
func (s *simulation) another(n int) int {
	pass(s.operator().ctx, s.way())
	resp, err := s.serve(s.foreign(n), "another") //nolint:bodyclose // It is in memory.
	if err != nil {
		panic(err)
	}
	return resp.StatusCode
}

func (s *simulation) foreign(n int) *http.Request {
	req, err := http.NewRequestWithContext(context.WithoutCancel(s.t.Context()), http.MethodPost,
		"https://dafty.test"+daftysim.BasePath+"/images/generate", strings.NewReader(`{"prompt":"another"}`))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Api-Key", simKey)
	req.Header.Set("User-Agent", "another")
	req.Header.Set("Idempotency-Key", fmt.Sprint("another-", n))
	return req
}

// seed has so many jobs run at Dafty as though they had been made long ago, and has them followed. Each that ends is
// followed by a new DaftyJob.
func (s *simulation) seed(jobs int) {
	var ids []string
	s.sim.SetLimits(daftysim.NoLimits)
	for i := range jobs {
		if _, err := s.serve(s.foreign(-i), "before"); err != nil { //nolint:bodyclose // It is in memory.
			panic(err)
		}
	}
	for _, e := range s.sim.Running() {
		ids = append(ids, e.JobID)
	}
	s.sim.SetLimits(daftysim.Limits{})
	s.mu.Lock()
	s.began, s.calls = time.Now(), nil
	s.mu.Unlock()
	n := 0
	var next func()
	next = func() {
		s.mu.Lock()
		n++
		name := fmt.Sprintf("new-%04d", n)
		s.mu.Unlock()
		s.begin(name, "", next)
	}
	for i, id := range ids {
		s.begin(fmt.Sprintf("old-%04d", i), id, next)
	}
}

// spread is how long jobs take that were seeded, and then that follow them: so that as many end each minute.
func (s *simulation) spread(jobs int, each time.Duration) {
	n := 0
	s.processing = func() time.Duration {
		if n++; n <= jobs {
			return each * time.Duration(n) / time.Duration(jobs)
		}
		return each
	}
}

// lags are how long after a job's begin or its end the operator knew it, for those of a span.
func (s *simulation) lags(from, to time.Duration) (begins, ends []time.Duration) {
	entries := map[string]daftysim.Entry{}
	for _, e := range s.sim.Ledger() {
		entries[e.JobID] = e
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lives {
		e := entries[l.jobID]
		lag := func(at time.Time, known time.Duration) (time.Duration, bool) {
			when := at.Sub(s.began)
			if at.IsZero() || when < from || when >= to {
				return 0, false
			}
			if known == 0 {
				return s.now() - when, true // not yet: so long at least
			}
			return known - when, true
		}
		if d, ok := lag(e.Started, earliest(l.processing, l.ended)); ok {
			begins = append(begins, d)
		}
		if d, ok := lag(e.Finished, l.ended); ok {
			ends = append(ends, d)
		}
	}
	slices.Sort(begins)
	slices.Sort(ends)
	return begins, ends
}

// earliest is the first that is known.
func earliest(a, b time.Duration) time.Duration {
	if a != 0 && (b == 0 || a < b) {
		return a
	}
	return b
}

// percentile is the value that so many of a hundred don't exceed.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*p+99)/100-1]
}

// readings are the ways to count a minute and to tell of it.
func readings() (all []daftysim.Variants) {
	for _, window := range []daftysim.RateWindow{daftysim.RateWindowFixed, daftysim.RateWindowSliding} {
		for _, headers := range []daftysim.RateHeaders{daftysim.RateHeadersAlways, daftysim.RateHeadersOn429, daftysim.RateHeadersNever} {
			all = append(all, daftysim.Variants{RateWindow: window, RateHeaders: headers})
		}
	}
	return all
}

// eachReading runs a test under each of them.
func eachReading(t *testing.T, o daftysim.Options, test func(t *testing.T, s *simulation)) {
	t.Helper()
	for _, v := range readings() {
		t.Run(fmt.Sprintf("%s window, headers %s", v.RateWindow, v.RateHeaders), func(t *testing.T) {
			t.Parallel()
			o := o
			o.Variants.RateWindow, o.Variants.RateHeaders = v.RateWindow, v.RateHeaders
			inSimulation(t, o, test)
		})
	}
}

func (s *simulation) life(name string) *life {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lives[name]
}

// endOf is when the operator knew of a job's end, 0 where it doesn't.
func (s *simulation) endOf(l *life) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return l.ended
}

// wrong are the jobs whose DaftyJobs said something of them before it was true.
func (s *simulation) wrong() (names []string) {
	entries := map[string]daftysim.Entry{}
	for _, e := range s.sim.Ledger() {
		entries[e.JobID] = e
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lives {
		e := entries[l.jobID]
		early := func(known time.Duration, at time.Time) bool {
			return known != 0 && (at.IsZero() || known < at.Sub(s.began))
		}
		if early(l.processing, e.Started) || early(l.ended, e.Finished) {
			names = append(names, l.name)
		}
	}
	slices.Sort(names)
	return names
}

// Used alone, a key is never over its limits, however many jobs there are; nor after a restart, when another process
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

// A hundred jobs are as many as can be held with the calls of a minute: the end of each is known at once.
func TestAHundredJobsAreHeld(t *testing.T) {
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

// A hundred jobs that take 5 minutes each, so that 20 end and 20 begin in a minute: the calls for a held request each
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

// A hundred jobs that take 2 to 3 minutes each want more held requests than a minute has. Once it is known how long
// they take, none is spent on one that can't end while it is held.
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

// Six hundred jobs are far more than can be held.
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

// Lists come in either order, and with the jobs of others; what they say of a job is true.
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
					time.Sleep(span)
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

// waits is as holds is, of a job that doesn't begin.
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
	inWorld(t, func(t *testing.T, w *world) {
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
			if !failing && gap > sweepEvery+2*time.Second {
				t.Errorf("well again, and a list only %v after the one before", gap)
			}
			gaps, last, failing = append(gaps, int(gap/time.Second)), c.at, c.at <= 200*time.Second
		}
		if len(gaps) > 15 || slices.Max(gaps) < 55 {
			t.Errorf("lists are as many seconds apart: %v", gaps)
		}
		if got := w.woken(); len(got) != 1 { // By the held request; a list that fails is no news.
			t.Errorf("woken %d times", len(got))
		}
	})
}

// A list whose cursors never end costs no more than the minute has, and holds up nothing else.
func TestListsThatNeverEnd(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		end := make(chan struct{})
		w.dafty("k").onLook(waits(end))
		w.dafty("k").list = func(_ dafty.JobStatus, cursor string) (*dafty.JobPage, error) {
			time.Sleep(20 * time.Millisecond)
			return &dafty.JobPage{IDs: []string{"another" + cursor}, Next: cursor + "x"}, nil
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

// A cancel waits for nothing, and the looks that confirm it come before all others: also while the lists and held
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

// The plan of a minute: what there is decides between held requests and lists.
func TestPlan(t *testing.T) {
	for _, tt := range []struct {
		name                string
		jobs, ready, cancel int // ready are those that process, cancel those that are cancelled
		limit               int
		holds               int
		lists               int
		crowded             bool
		atLeast             time.Duration // between two sweeps
		spaced              bool
	}{
		{name: "nothing", limit: 120, atLeast: sweepEvery},
		{name: "one that waits", jobs: 1, limit: 120, holds: 1, lists: 1, atLeast: sweepEvery},
		{name: "one that has begun", jobs: 1, ready: 1, limit: 120, holds: 1, atLeast: sweepEvery},
		{name: "one that is cancelled", jobs: 1, cancel: 1, limit: 120, atLeast: sweepEvery},
		{name: "as many as can begin at once", jobs: 55, limit: 120, holds: 55, lists: 1, atLeast: sweepEvery},
		{name: "more than that", jobs: 56, limit: 120, holds: 56, lists: 2, atLeast: sweepEvery, spaced: true},
		{name: "as many as can be held", jobs: 86, limit: 120, holds: 86, lists: 2, atLeast: sweepEvery, spaced: true},
		{name: "more", jobs: 101, limit: 120, holds: 101, lists: 2, crowded: true, atLeast: sweepEvery, spaced: true},
		{name: "far more", jobs: 600, limit: 120, holds: 20, lists: 2, crowded: true, atLeast: sweepEvery, spaced: true},
		{name: "a tiny limit", jobs: 3, limit: 2, holds: 0, lists: 2, crowded: true, atLeast: time.Minute, spaced: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAccount("k", &fakeDafty{}, Limits{dafty.ClassOther: tt.limit}, time.Time{})
				for i := range tt.jobs {
					w := &poll{account: a, tracker: &Tracker{}, cancelling: i < tt.cancel}
					if i < tt.ready {
						w.status = dafty.Processing
					}
					a.poller.polls[w] = true
				}
				got := a.poller.plan(time.Now())
				if got.crowded != tt.crowded || len(got.lists) != tt.lists || got.every < tt.atLeast || (got.spacing > 0) != tt.spaced {
					t.Errorf("got %+v", got)
				}
				if !tt.crowded && got.holds != tt.holds || tt.crowded && got.holds > tt.holds {
					t.Errorf("%d are held, want %d", got.holds, tt.holds)
				}
				// All of it together is no more than the minute has, whatever is left for looks; where all may be held, the
				// spacing sees to that.
				cost := float64(got.holds) * 60 / 55
				if tt.crowded {
					cost += float64(1+(tt.jobs+dafty.PageSize-1)/dafty.PageSize) * float64(time.Minute) / float64(got.every)
				}
				if got.holds < tt.jobs && cost > float64(max(1, tt.limit-min(spareForLooks, tt.limit/2))) {
					t.Errorf("%.1f calls a minute of %d: %+v", cost, tt.limit, got)
				}
			})
		})
	}
}
