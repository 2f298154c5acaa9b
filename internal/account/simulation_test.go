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

const (
	simKey     = "dk_live_sim_5f0c4c3e8b1d"
	simAccount = "acme"
)

// The tests with the simulated Dafty: it counts and refuses by itself, so that no test shares a mistake with the
// pacing. It answers each in virtual time, over a network that takes its time.

// simulation is one simulated Dafty, the operator in front of it, and a note of each request that arrived.
type simulation struct {
	t   *testing.T
	sim *daftysim.Simulator
	// operators are the processes, of which the last one runs.
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
	ctx      context.Context // A process is what it stands for.
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

// restart has another process take over. All that it has to go by is on record.
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

// way returns how long a request or an answer travels.
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

// arrives notes a request, and returns its number.
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

// arrived returns the requests of a span that a test asks for: what is "" for all but creates.
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

// most returns how many there are in the fullest minute.
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
		s.IdempotencyKey = fmt.Sprintf("%s-%d", t.caller.UID, len(l.refused)+l.refusals()+1)
	} else {
		// In doubt since the process before: repeated once that one's request has surely been given up.
		pass(o.ctx, time.Until(l.submission.SentAt.Add(45*time.Second)))
		s = repeated(t)
		s.IdempotencyKey = l.submission.IdempotencyKey
	}
	before := o.woken(l.name)
	for {
		block := t.Claim(image, s, false)
		l.claims++
		if block == nil {
			break
		}
		if !o.waits(l.name, block.Until) {
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

// another sends a create of somebody else with the key, and returns the status of the answer.
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

// spread sets how long the seeded jobs take, and those that follow them, so that as many end each minute.
func (s *simulation) spread(jobs int, each time.Duration) {
	n := 0
	s.processing = func() time.Duration {
		if n++; n <= jobs {
			return each * time.Duration(n) / time.Duration(jobs)
		}
		return each
	}
}

// lags returns how long after a job's begin or its end the operator knew it, for those of a span.
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

// earliest returns the first that is known.
func earliest(a, b time.Duration) time.Duration {
	if a != 0 && (b == 0 || a < b) {
		return a
	}
	return b
}

// percentile returns the value that so many of a hundred don't exceed.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)*p+99)/100-1]
}

// readings returns the ways to count a minute and to tell of it.
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

// endOf returns when the operator knew of a job's end, 0 where it doesn't.
func (s *simulation) endOf(l *life) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return l.ended
}

// wrong returns the jobs whose DaftyJobs said something of them before it was true.
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
