package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account/poll"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// The times that packages ratelimit and poll keep.
const (
	probeTimeout       = time.Minute
	probeGrace         = 5 * time.Second
	earlyProbeInterval = 5 * time.Second
	secondSubmission   = 2 * time.Second
	rateLimitPause     = 10 * time.Second
	maxProbe           = 10 * time.Minute
	nextProbe          = 15 * time.Second
	sweepInterval      = 8 * time.Second
)

// Every test here runs in virtual time, and fails where a goroutine is left at its end.

// env is a registry in front of scripted Daftys, one for each API key.
type env struct {
	t        *testing.T
	registry *Registry
	stop     context.CancelFunc

	mu     sync.Mutex
	began  time.Time
	daftys map[string]*fakeDafty
	wakes  []wakeUp
	// bells ring for those who wait to be woken, by name.
	bells map[string]chan struct{}
}

// wakeUp is one that the registry gave, at a time since the test began.
type wakeUp struct {
	name string
	at   time.Duration
}

// inEnv runs a test in virtual time.
func inEnv(t *testing.T, test func(t *testing.T, w *env)) {
	t.Helper()
	inEnvWithLimits(t, DefaultLimits, test)
}

func inEnvWithLimits(t *testing.T, limits Limits, test func(t *testing.T, w *env)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		// The test's own context would stop what a test has to stop itself.
		ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
		w := &env{t: t, stop: stop, began: time.Now(), daftys: map[string]*fakeDafty{}}
		w.registry = NewRegistry(ctx, Config{Limits: limits, Client: func(key string) Dafty { return w.dafty(key) }, Wake: w.wake,
			WakeAccount: func(name string) { w.wake(types.NamespacedName{Name: name}) }})
		defer func() { w.stop() }()
		test(t, w)
	})
}

// wake takes every lock there is: it hangs where one is held while somebody is woken.
func (w *env) wake(name types.NamespacedName) {
	w.registry.mu.Lock()
	trackers := make([]*Tracker, 0, len(w.registry.trackers))
	for _, t := range w.registry.trackers {
		trackers = append(trackers, t)
	}
	w.registry.mu.Unlock()
	w.registry.accounts.mu.Lock()
	for _, a := range w.registry.accounts.byID {
		a.gate.QuietAt()
		a.poller.LongPolls()
	}
	w.registry.accounts.mu.Unlock()
	for _, t := range trackers {
		t.Known()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wakes = append(w.wakes, wakeUp{name.Name, time.Since(w.began).Round(10 * time.Millisecond)})
	if bell := w.bells[name.Name]; bell != nil {
		select {
		case bell <- struct{}{}:
		default:
		}
	}
}

// waits until the time that a block tells, or until somebody is woken before, as the reconciler does.
func (w *env) waits(name string, block *lifecycle.Block) {
	w.mu.Lock()
	if w.bells == nil {
		w.bells = map[string]chan struct{}{}
	}
	if w.bells[name] == nil {
		w.bells[name] = make(chan struct{}, 1)
	}
	bell := w.bells[name]
	w.mu.Unlock()
	select {
	case <-bell:
	case <-time.After(time.Until(block.Until)):
	}
}

// woken returns the names that were woken since it was last asked, in order of their names.
func (w *env) woken() []string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for _, wake := range w.wakes {
		names = append(names, wake.name)
	}
	w.wakes = nil
	slices.Sort(names)
	return names
}

func (w *env) dafty(key string) *fakeDafty {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.daftys[key] == nil {
		w.daftys[key] = &fakeDafty{began: w.began}
	}
	return w.daftys[key]
}

// tracker returns the Tracker of a DaftyJob whose Secret has a key.
func (w *env) tracker(name, key string) *Tracker {
	t := w.registry.Tracker(types.NamespacedName{Namespace: "ns", Name: name}, types.UID("uid-"+name), time.Time{})
	t.SetAPIKey(key)
	return t
}

func (w *env) forget(name string) {
	w.registry.Forget(types.NamespacedName{Namespace: "ns", Name: name})
}

// accounts returns how many the registry holds.
func (w *env) accounts() int {
	w.registry.accounts.mu.Lock()
	defer w.registry.accounts.mu.Unlock()
	return len(w.registry.accounts.byID)
}

// fakeDafty answers as it is told to, and keeps account of what was asked. Without an answer
// to give, it takes jobs and uploads at once, says "pending" of jobs, and "failed" to a cancel.
type fakeDafty struct {
	began time.Time

	mu     sync.Mutex
	calls  []call
	create func(ctx context.Context, key string) (*dafty.Job, error)
	look   func(ctx context.Context, wait bool) (*dafty.Job, error)
	cancel func(ctx context.Context) (*dafty.Job, error)
	list   func(status dafty.JobStatus, cursor string) (*dafty.JobPage, error)
	// search answers a search.
	search func(ctx context.Context, query string, limit int) ([]dafty.StyleAsset, error)
	// upload answers a step of an upload.
	upload func(ctx context.Context, step string) error
	// uploads are the files as they were reserved and sent, in order.
	uploads []lifecycle.File
}

type call struct {
	what string // create, look, hold, list, cancel, search, reserve, put, complete
	at   time.Duration
}

const jobID = "3f0c9a52-6d1e-4b7a-8c35-9e2f1d4b6a70"

func job(status dafty.JobStatus) *dafty.Job { return &dafty.Job{Id: jobID, Status: status} }

func (f *fakeDafty) note(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call{what, time.Since(f.began).Round(10 * time.Millisecond)})
}

// asked returns the calls since it was last asked.
func (f *fakeDafty) asked() []call {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

// count returns how many calls of a kind there were since it was last asked.
func (f *fakeDafty) count(what string) int {
	n := 0
	for _, c := range f.asked() {
		if c.what == what {
			n++
		}
	}
	return n
}

// onLook changes what looks are answered with.
func (f *fakeDafty) onLook(look func(ctx context.Context, wait bool) (*dafty.Job, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.look = look
}

// lists has the job under a status.
func (f *fakeDafty) lists(under dafty.JobStatus) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = func(status dafty.JobStatus, _ string) (*dafty.JobPage, error) {
		if status == under {
			return &dafty.JobPage{Jobs: []dafty.ListedJob{{ID: strings.ToUpper(jobID)}}}, nil
		}
		return &dafty.JobPage{Jobs: []dafty.ListedJob{{ID: "another"}}}, nil
	}
}

func (f *fakeDafty) onCancel(cancel func(ctx context.Context) (*dafty.Job, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cancel = cancel
}

func (f *fakeDafty) onCreate(create func(ctx context.Context, key string) (*dafty.Job, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.create = create
}

func (f *fakeDafty) Create(ctx context.Context, _ dafty.Create, key string) (*dafty.Job, error) {
	if ctx.Err() != nil {
		return nil, &dafty.CallError{Kind: dafty.KindUnavailable, Message: "given up", Unsent: true}
	}
	f.note("create")
	f.mu.Lock()
	answer := f.create
	f.mu.Unlock()
	if answer == nil {
		return job(dafty.Pending), nil
	}
	return answer(ctx, key)
}

// List has nothing to show where it isn't told.
func (f *fakeDafty) List(_ context.Context, status dafty.JobStatus, cursor string) (*dafty.JobPage, error) {
	f.note("list")
	f.mu.Lock()
	answer := f.list
	f.mu.Unlock()
	if answer == nil {
		return &dafty.JobPage{}, nil
	}
	return answer(status, cursor)
}

func (f *fakeDafty) Job(ctx context.Context, id string, wait bool) (*dafty.Job, error) {
	if id != jobID {
		return nil, errors.New("another job was asked for: " + id)
	}
	f.note(map[bool]string{false: "look", true: "hold"}[wait])
	f.mu.Lock()
	answer := f.look
	f.mu.Unlock()
	if answer == nil {
		return job(dafty.Pending), nil
	}
	return answer(ctx, wait)
}

func (f *fakeDafty) Cancel(ctx context.Context, id string) (*dafty.Job, error) {
	if id != jobID {
		return nil, errors.New("another job was cancelled: " + id)
	}
	f.note("cancel")
	f.mu.Lock()
	answer := f.cancel
	f.mu.Unlock()
	if answer == nil {
		return job(dafty.Failed), nil
	}
	return answer(ctx)
}

func (f *fakeDafty) onSearch(search func(ctx context.Context, query string, limit int) ([]dafty.StyleAsset, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.search = search
}

// Search finds one asset where it isn't told, which is named for the query.
func (f *fakeDafty) Search(ctx context.Context, styleID, query string, limit int) ([]dafty.StyleAsset, error) {
	if styleID != searchedStyle {
		return nil, errors.New("another style was searched: " + styleID)
	}
	f.note("search")
	f.mu.Lock()
	answer := f.search
	f.mu.Unlock()
	if answer == nil {
		return []dafty.StyleAsset{{ID: "asset", Name: query}}, nil
	}
	return answer(ctx, query, limit)
}

func (f *fakeDafty) onUpload(upload func(ctx context.Context, step string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.upload = upload
}

// step answers a step of an upload.
func (f *fakeDafty) step(ctx context.Context, step string) error {
	f.note(step)
	f.mu.Lock()
	answer := f.upload
	f.mu.Unlock()
	if answer == nil {
		return nil
	}
	return answer(ctx, step)
}

func (f *fakeDafty) Reserve(ctx context.Context, filename, contentType string) (*dafty.Reservation, error) {
	if err := f.step(ctx, "reserve"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.uploads = append(f.uploads, lifecycle.File{Name: filename, MediaType: contentType})
	id := fmt.Sprintf("up_%d", len(f.uploads))
	return &dafty.Reservation{ID: id, URL: "https://storage.test/" + id}, nil
}

func (f *fakeDafty) Put(ctx context.Context, to, contentType string, content []byte) error {
	if err := f.step(ctx, "put"); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.uploads {
		if file := &f.uploads[i]; fmt.Sprintf("https://storage.test/up_%d", i+1) == to && file.MediaType == contentType {
			file.Content = slices.Clone(content)
			return nil
		}
	}
	return errors.New("nothing was reserved at " + to)
}

func (f *fakeDafty) Complete(ctx context.Context, id string) (string, error) {
	if err := f.step(ctx, "complete"); err != nil {
		return "", err
	}
	return id + "_done", nil
}

// Account answers with what step says, else with an empty object.
func (f *fakeDafty) Account(ctx context.Context) (json.RawMessage, error) {
	if err := f.step(ctx, "account"); err != nil {
		return nil, err
	}
	return json.RawMessage(`{"plan":"team"}`), nil
}

// stored returns the contents that were sent, by the upload's id.
func (f *fakeDafty) stored() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	stored := map[string]string{}
	for i, file := range f.uploads {
		stored[fmt.Sprintf("up_%d_done", i+1)] = string(file.Content)
	}
	return stored
}

// says answers every look at once.
func says(status dafty.JobStatus) func(context.Context, bool) (*dafty.Job, error) {
	return func(context.Context, bool) (*dafty.Job, error) { return job(status), nil }
}

// fails answers every look with an error.
func fails(err *dafty.CallError) func(context.Context, bool) (*dafty.Job, error) {
	return func(context.Context, bool) (*dafty.Job, error) { return nil, err }
}

// holds answers a look with a job that is processing until end is closed, and completed
// after; a long poll as Dafty does, after 55 s at the latest.
func holds(end <-chan struct{}) func(context.Context, bool) (*dafty.Job, error) {
	return func(ctx context.Context, wait bool) (*dafty.Job, error) {
		limit := time.Duration(0)
		if wait {
			limit = 55 * time.Second
		}
		select {
		case <-end:
			return job(dafty.Completed), nil
		default:
		}
		select {
		case <-end:
			return job(dafty.Completed), nil
		case <-time.After(limit):
			return job(dafty.Processing), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

var (
	image = dafty.GenerateImageRequest{Prompt: "a mountain"}
	video = dafty.ImageToVideoRequest{Prompt: "a mountain"}
	style = dafty.ExtractStyleRequest{}
)

// submission returns one that is written ahead now, for the key in the Secret.
func submission(t *Tracker) *v1alpha1.Submission {
	now := metav1.Now()
	return &v1alpha1.Submission{
		Attempt: 1, IdempotencyKey: string(t.caller.UID) + "-1", StartedAt: &now, SentAt: &now,
		CredentialsHash: t.Known().Credentials.Secret,
	}
}

// repeated returns a submission in doubt that is sent once more now.
func repeated(t *Tracker) *v1alpha1.Submission {
	s := submission(t)
	s.StartedAt = &metav1.Time{Time: s.SentAt.Add(-time.Minute)}
	return s
}

// submit claims a turn, which must be there, and uses it.
func (w *env) submit(t *Tracker, create dafty.Create) {
	w.t.Helper()
	s := submission(t)
	if block := t.Claim(create, s, false); block != nil {
		w.t.Fatalf("%s is held: %+v", t.name.Name, block)
	}
	t.Submit(create, s)
	synctest.Wait()
}

// alone has it that no other process used a key a minute ago.
func (w *env) alone() { w.registry.accounts.previousUntil = w.began }

// take uses so many of the minute's other calls.
func (w *env) take(a *Account, calls int) {
	w.t.Helper()
	for i := range calls {
		if turn, _ := a.gate.TryAcquire(dafty.ClassOther, 0, true); turn == nil {
			w.t.Fatalf("the minute has %d calls", i)
		}
	}
}

// warm has the key used already, so that nothing new goes alone.
func (w *env) warm(key string) {
	w.t.Helper()
	w.submit(w.tracker("warm", key), image)
	w.forget("warm")
	w.dafty(key).asked()
	w.woken()
}

func refusal(kind dafty.Kind) *dafty.CallError {
	return &dafty.CallError{Kind: kind, Status: 429, Message: "no"}
}

var dialFailure = &dafty.CallError{Kind: dafty.KindUnavailable, Message: "Dafty can't be reached", Unsent: true}

func refuses(err *dafty.CallError) func(context.Context, string) (*dafty.Job, error) {
	return func(context.Context, string) (*dafty.Job, error) { return nil, err }
}

func accepts(context.Context, string) (*dafty.Job, error) { return job(dafty.Pending), nil }

// pass lets time pass, but no more than a call has.
func pass(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// settle waits until the watchers have reacted.
func settle() {
	time.Sleep(poll.Debounce)
	synctest.Wait()
}
