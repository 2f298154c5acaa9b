package budget

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

// world plays the whole protocol: processes that reserve, record, send and settle, over one API server and one Dafty. A process
// stalls wherever others go on, and crashes where its memory goes.
type world struct {
	*env
	t         *rapid.T
	processes []*process
	jobs      []string
	// versions are those that a DaftyJob had, for caches that are behind.
	versions map[string][]*v1alpha1.DaftyJob
	// charged are the charges of each attempt when it was last reserved.
	charged map[string]v1alpha1.Reservation
	// taken has, by idempotency key, the attempt that Dafty took; refused are keys that it refused.
	taken   map[string]string
	refused map[string]bool
	// deleted reports whether a DaftyJob was deleted, jumped whether a clock was set, and wanted how many attempts there are to be.
	deleted, jumped bool
	wanted          int
	// asks has a process ask the API server whether its version is the newest before it reserves, as the controller does. What is reserved
	// for an older one may be counted though it was sent and settled long ago, so that a budget has less room than it says.
	asks bool
}

// process is one of the operator. Its Book and what it is about to do are lost with it.
type process struct {
	book  *Book
	clock *clocktesting.FakeClock
	tasks []*task
}

// task is what a process is about to do for one DaftyJob: its steps follow each other, with any time in between.
type task struct {
	step    string // record, send or answer
	job     *v1alpha1.DaftyJob
	attempt int32
	took    bool
}

func TestProtocol(t *testing.T) {
	e := &env{TB: t}
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, e)
		for range rapid.IntRange(20, 150).Draw(t, "steps") {
			w.play()
			w.judge()
		}
		w.settleDown()
	})
}

func newWorld(t *rapid.T, e *env) *world {
	w := &world{env: &env{TB: e.TB}, t: t, versions: map[string][]*v1alpha1.DaftyJob{}, charged: map[string]v1alpha1.Reservation{},
		taken: map[string]string{}, refused: map[string]bool{}, asks: rapid.Bool().Draw(t, "asks")}
	budgets := []v1alpha1.Budget{daily(rapid.Int64Range(1, 4).Draw(t, "a day"))}
	if rapid.Bool().Draw(t, "per namespace too") {
		budgets = append(budgets, budgetOf(v1alpha1.PerNamespace, v1alpha1.PeriodWeek, rapid.Int64Range(1, 4).Draw(t, "a week")))
	}
	w.server = newServer(t, budgets...)
	for range 2 {
		w.processes = append(w.processes, w.newProcess(noon))
	}
	for n := range rapid.IntRange(2, 5).Draw(t, "jobs") {
		name := fmt.Sprint("job-", n)
		job := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name), CreationTimestamp: metav1.NewTime(noon)}}
		job.Spec.BackoffLimit = new(rapid.Int32Range(0, 2).Draw(t, "backoffLimit"))
		w.wanted += int(*job.Spec.BackoffLimit) + 1
		w.must(w.server.Create(context.Background(), job))
		w.jobs = append(w.jobs, name)
		w.versions[name] = append(w.versions[name], w.job(name))
	}
	return w
}

func (w *world) newProcess(now time.Time) *process {
	clock := clocktesting.NewFakeClock(now)
	return &process{book: w.newBook(clock), clock: clock}
}

func (w *world) must(err error) {
	if err != nil {
		w.t.Fatal(err)
	}
}

// job returns a DaftyJob as it is, nil where it is gone.
func (w *world) job(name string) *v1alpha1.DaftyJob {
	job := &v1alpha1.DaftyJob{}
	if err := w.server.Get(context.Background(), types.NamespacedName{Namespace: "shop", Name: name}, job); err != nil {
		w.must(client.IgnoreNotFound(err))
		return nil
	}
	return job
}

// play has one thing happen.
func (w *world) play() {
	p := rapid.SampledFrom(w.processes).Draw(w.t, "process")
	name := rapid.SampledFrom(w.jobs).Draw(w.t, "job")
	w.before, w.after = w.weather(), w.weather()
	switch rapid.SampledFrom([]string{"begin", "begin", "go on", "go on", "go on", "go on", "go on", "touch", "fail", "observe", "observe", "sweep", "cache",
		"time", "crash", "clock", "delete"}).Draw(w.t, "what") {
	case "begin":
		w.begin(p, w.seen(name))
	case "go on":
		w.goOn(p)
	case "touch":
		w.touch(name)
	case "fail":
		w.fail(name)
	case "observe":
		if job := w.seen(name); job != nil {
			p.book.Observe(agency, job)
		}
	case "sweep":
		_ = p.book.Sweep(context.Background(), agency) // which fails in such weather, and comes again
	case "cache":
		p.book.Changed(w.current())
	case "time":
		p.clock.Step(settleAfter)
	case "crash":
		*p = *w.newProcess(p.clock.Now())
	case "clock":
		if rapid.IntRange(0, 3).Draw(w.t, "jumps") == 0 {
			w.jumped = true
			p.clock.SetTime(noon.AddDate(0, 0, rapid.IntRange(-3, 3).Draw(w.t, "days")))
		}
	case "delete":
		if job := w.job(name); job != nil && rapid.IntRange(0, 3).Draw(w.t, "deletes") == 0 {
			w.deleted = true
			w.must(w.server.Delete(context.Background(), job))
		}
	}
	w.running.Wait()
	w.before, w.after = nil, nil
}

// weather draws what becomes of writes: nothing, or a conflict or a lost answer.
func (w *world) weather() func() error {
	if rapid.IntRange(0, 5).Draw(w.t, "weather") > 0 {
		return nil
	}
	return first(1, errors.New("connection reset"))
}

func (w *world) current() *v1alpha1.DaftyAccount {
	account := &v1alpha1.DaftyAccount{}
	w.must(w.server.Get(context.Background(), types.NamespacedName{Name: agency}, account))
	return account
}

// seen returns a DaftyJob as a cache may have it: as it is, or as it was.
func (w *world) seen(name string) *v1alpha1.DaftyJob {
	if rapid.IntRange(0, 2).Draw(w.t, "behind") == 0 {
		return rapid.SampledFrom(w.versions[name]).Draw(w.t, "version").DeepCopy()
	}
	return w.job(name)
}

// begin has a process reserve the next attempt of a DaftyJob, or repeat the one in doubt.
func (w *world) begin(p *process, job *v1alpha1.DaftyJob) {
	if job == nil || job.Status.JobID != "" || job.Status.Phase.Final() {
		return
	}
	if job.Status.InDoubt() {
		p.tasks = append(p.tasks, &task{step: "send", job: job, attempt: job.Status.Submission.Attempt})
		return
	}
	if is := w.job(job.Name); w.asks && (is == nil || is.ResourceVersion != job.ResourceVersion) {
		return
	}
	s := NewSubmission(job, job.Status.Attempts+1, func() {})
	for _, ask := range []func(context.Context, string, Submission) (*Exhausted, error){p.book.Check, p.book.Reserve} {
		if exhausted, err := ask(context.Background(), agency, s); exhausted != nil || err != nil {
			return
		}
		w.running.Wait()
	}
	// What it is charged to stands on record; where it was settled meanwhile, it can't be put on record any more.
	for _, r := range w.current().Status.Reservations {
		if r.UID == job.UID && r.Attempt == s.Reservation.Attempt {
			w.charged[attemptOf(job, r.Attempt)] = r
		}
	}
	p.tasks = append(p.tasks, &task{step: "record", job: job, attempt: s.Reservation.Attempt})
}

func attemptOf(job *v1alpha1.DaftyJob, attempt int32) string {
	return fmt.Sprintf("%s-%d", job.UID, attempt)
}

// goOn has a process take the next step of something that it has begun.
func (w *world) goOn(p *process) {
	if len(p.tasks) == 0 {
		return
	}
	at := rapid.IntRange(0, len(p.tasks)-1).Draw(w.t, "task")
	task := p.tasks[at]
	p.tasks = slices.Delete(p.tasks, at, at+1)
	switch task.step {
	case "record":
		w.record(p, task)
	case "send":
		w.send(p, task)
	case "answer":
		w.answer(p, task)
	}
}

// record writes an attempt into the version of the DaftyJob that it was reserved for.
func (w *world) record(p *process, task *task) {
	refusals := int32(0)
	if last := task.job.Status.Submission; last != nil && last.Attempt == task.attempt {
		refusals = last.Refusals
	}
	if w.write(task.job, func(s *v1alpha1.DaftyJobStatus) {
		s.Attempts = task.attempt
		s.Submission = &v1alpha1.Submission{Attempt: task.attempt, Refusals: refusals, IdempotencyKey: fmt.Sprintf("%s.%d", attemptOf(task.job, task.attempt), refusals)}
	}) {
		task.step = "send"
		p.tasks = append(p.tasks, task)
	}
}

// send has Dafty take or refuse a request. It refuses none that repeats one which it took, and its answer may be lost.
func (w *world) send(p *process, task *task) {
	key := task.job.Status.Submission.IdempotencyKey
	if _, known := w.taken[key]; !known && !w.refused[key] {
		if rapid.IntRange(0, 2).Draw(w.t, "refuses") == 0 {
			w.refused[key] = true
		} else {
			w.taken[key] = attemptOf(task.job, task.attempt)
		}
	}
	if rapid.IntRange(0, 4).Draw(w.t, "loses the answer") > 0 {
		task.step, task.took = "answer", !w.refused[key]
		p.tasks = append(p.tasks, task)
	}
}

// answer writes what Dafty said, if the request is still in doubt, and settles.
func (w *world) answer(p *process, task *task) {
	job := w.job(task.job.Name)
	if job == nil || !job.Status.InDoubt() || job.Status.Submission.IdempotencyKey != task.job.Status.Submission.IdempotencyKey {
		return
	}
	if w.write(job, func(s *v1alpha1.DaftyJobStatus) {
		if task.took {
			s.JobID = "job-of-" + s.Submission.IdempotencyKey
		} else {
			s.Attempts, s.Submission = task.attempt-1, &v1alpha1.Submission{Attempt: task.attempt, Refusals: s.Submission.Refusals + 1}
		}
	}) {
		p.book.Observe(agency, job)
	}
}

// touch is somebody who labels a DaftyJob.
func (w *world) touch(name string) {
	if job := w.job(name); job != nil {
		job.Labels = map[string]string{"touched": job.ResourceVersion}
		w.must(w.server.Update(context.Background(), job))
		w.versions[name] = append(w.versions[name], job.DeepCopy())
	}
}

// fail has a job fail at Dafty: it completes as failed, or is tried again.
func (w *world) fail(name string) {
	job := w.job(name)
	if job == nil || job.Status.JobID == "" || job.Status.Phase.Final() {
		return
	}
	w.write(job, func(s *v1alpha1.DaftyJobStatus) {
		if s.Attempts > *job.Spec.BackoffLimit {
			s.Phase = v1alpha1.PhaseFailed
			return
		}
		s.FailedJobIDs = append(s.FailedJobIDs, s.JobID)
		s.JobID, s.Submission = "", nil
	})
}

// write writes the status of a DaftyJob if it is still as it was read, and reports whether the writer knows that it did.
func (w *world) write(job *v1alpha1.DaftyJob, change func(*v1alpha1.DaftyJobStatus)) bool {
	base := job.DeepCopy()
	change(&job.Status)
	job.Status.UID = job.UID
	err := w.server.Status().Patch(context.Background(), job, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}))
	if err == nil {
		w.versions[job.Name] = append(w.versions[job.Name], job.DeepCopy())
	}
	return err == nil && (w.after == nil || w.after() == nil)
}

// judge checks that no period of a budget has more than its size, by what Dafty took.
func (w *world) judge() {
	count := counted{}
	for _, attempt := range w.taken {
		r, found := w.charged[attempt]
		if !found {
			w.t.Fatalf("%s was sent, and is charged to nothing", attempt)
		}
		count.add(r, 1)
	}
	for _, b := range w.current().Spec.Budgets {
		for key, n := range count {
			if key.budget == b.Key() && n > *b.Submissions {
				w.t.Fatalf("Dafty took %d submissions of %+v, which allows %d", n, key, *b.Submissions)
			}
		}
	}
}

// settleDown has a last process do all that is left to do, without any trouble. If nothing was lost on the way, all that the
// budgets allow gets through.
func (w *world) settleDown() {
	p := w.newProcess(noon)
	for range 40 {
		p.book.Changed(w.current())
		w.must(p.book.Sweep(context.Background(), agency))
		p.clock.Step(settleAfter)
		w.running.Wait()
		for _, name := range w.jobs {
			if job := w.job(name); job != nil {
				p.book.Observe(agency, job)
				w.begin(p, job)
				for len(p.tasks) > 0 {
					w.goOn(p)
				}
				w.fail(name)
			}
			w.judge()
		}
	}
	p.clock.Step(settleAfter)
	w.running.Wait()
	left := w.current().Status.Reservations
	if w.deleted || w.jumped || !w.asks {
		return
	}
	want := w.wanted
	for _, b := range w.current().Spec.Budgets {
		want = min(want, int(*b.Submissions))
	}
	if len(w.taken) != want || len(left) > 0 {
		w.t.Fatalf("Dafty took %d submissions, where %d were wanted and allowed; left over are %v", len(w.taken), want, left)
	}
}
