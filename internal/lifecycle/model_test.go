package lifecycle_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// world is a DaftyJob, what a process knows of it, and the time. The model walks through all
// that can become of it: whatever Dafty answers, whatever the user edits, however the operator
// crashes, in any order.
type world struct {
	job   *v1alpha1.DaftyJob
	known lifecycle.Known
	now   time.Time
	// after is when the operator looks again by itself, 0 where it doesn't.
	after time.Duration
}

// move is one thing that happens to a world. It isn't possible everywhere.
type move struct {
	name     string
	possible func(*world) bool
	happen   func(*world)
}

func (w world) copy() *world {
	w.job = w.job.DeepCopy()
	w.known.Submission, w.known.Trouble, w.known.Cancel = copied(w.known.Submission), copied(w.known.Trouble), copied(w.known.Cancel)
	return &w
}

func copied[T any](from *T) *T {
	if from == nil {
		return nil
	}
	to := *from
	return &to
}

func (w *world) deleting() bool { return w.job.DeletionTimestamp != nil }

// forget empties the memory, as a restart does.
func (w *world) forget() {
	w.known = lifecycle.Known{Since: w.now, Credentials: lifecycle.Credentials{Secret: w.known.Credentials.Secret, Problem: "no Secret"}}
}

func moves() []move {
	var list []move
	add := func(name string, possible func(*world) bool, happen func(*world)) {
		list = append(list, move{name, possible, happen})
	}

	// Time.
	add("the time that was asked for passes", func(w *world) bool { return w.after > 0 }, func(w *world) { w.now = w.now.Add(w.after) })
	add("a day passes", func(w *world) bool { return w.job.Status.InDoubt() || w.deleting() }, func(w *world) { w.now = w.now.Add(24 * time.Hour) })

	// The user.
	for _, state := range []v1alpha1.DesiredState{v1alpha1.DesiredCompleted, v1alpha1.DesiredSuspended, v1alpha1.DesiredCancelled} {
		add("desiredState "+string(state), func(w *world) bool {
			return w.job.Spec.DesiredState != v1alpha1.DesiredCancelled
		}, func(w *world) { w.job.Spec.DesiredState = state; w.job.Generation++ })
	}
	add("delete", func(w *world) bool { return !w.deleting() }, func(w *world) {
		now := w.now
		w.job.DeletionTimestamp = at(now.Sub(t0))
		w.job.Generation++
	})
	add("policy Orphan", (*world).deleting, func(w *world) { w.job.Spec.DeletionPolicy = v1alpha1.DeletionOrphan; w.job.Generation++ })
	add("the finalizer is taken off", func(w *world) bool { return len(w.job.Finalizers) > 0 }, func(w *world) { w.job.Finalizers = nil })
	add("the annotation is taken off", func(w *world) bool { return w.job.Annotations != nil }, func(w *world) { w.job.Annotations = nil })
	add("the annotation is given", func(w *world) bool { return w.job.Annotations == nil && w.job.Status.JobID == "" }, func(w *world) { note(ownNote)(w.job) })
	add("a person says that the request made no job", func(w *world) bool { return w.job.Annotations == nil && w.job.Status.InDoubt() }, func(w *world) {
		resubmit(w.job.Status.Submission.IdempotencyKey)(w.job)
	})
	for _, secret := range []string{keyA, keyB, ""} {
		add("Secret "+secret, func(w *world) bool { return w.known.Credentials.Secret != secret }, func(w *world) {
			w.known.Credentials.Secret, w.known.Credentials.Problem = secret, "no Secret"
			if secret != "" {
				w.known.Trouble, w.known.Cancel = nil, nil
			}
		})
	}

	// The operator and the object's place.
	add("restart", func(*world) bool { return true }, (*world).forget)
	add("created anew without its status", func(w *world) bool { return w.job.Annotations != nil && !w.deleting() }, func(w *world) {
		w.job.Status = v1alpha1.DaftyJobStatus{ObservedGeneration: -1}
		w.job.Generation = 1
		w.forget()
	})

	// Dafty answers a submission.
	posting := func(w *world) bool { return w.known.Submission != nil && !w.known.Submission.Done }
	for _, job := range answers {
		add("the submission is answered with "+string(job.Status), posting, func(w *world) {
			w.known.Submission.Done, w.known.Submission.Job, w.known.Submission.Failures = true, job, 0
			w.observe(job)
		})
	}
	for _, err := range failures {
		add("the submission meets "+err.Error(), posting, func(w *world) {
			w.known.Submission.Done, w.known.Submission.Err, w.known.Submission.Failures = true, err, 2
		})
	}

	// Dafty answers a look.
	looking := func(w *world) bool {
		return w.job.Status.JobID != "" && !w.job.Status.Phase.Final() && w.caller() != ""
	}
	for _, job := range answers {
		add("a look finds "+string(job.Status), looking, func(w *world) { w.known.Trouble = nil; w.observe(job) })
	}
	for _, err := range failures {
		add("two looks meet "+err.Error(), looking, func(w *world) {
			w.known.Trouble = &lifecycle.Trouble{Err: err, Credentials: w.caller(), Failures: 2}
		})
	}

	// Dafty answers a cancel.
	cancelling := func(w *world) bool { return w.known.Cancel != nil && !w.known.Cancel.Done }
	add("the cancel is accepted", cancelling, func(w *world) { w.known.Cancel.Done, w.known.Cancel.At = true, w.now })
	for _, err := range failures {
		add("the cancel meets "+err.Error(), cancelling, func(w *world) {
			w.known.Cancel.Done, w.known.Cancel.At, w.known.Cancel.Err, w.known.Cancel.Failures = true, w.now, err, 2
		})
	}
	return list
}

// answers are the states of a job at Dafty, and failures the errors, one for each kind.
var (
	answers  = []*dafty.Job{daftys(dafty.Pending), daftys(dafty.Processing), daftys("paused"), daftys(dafty.Completed), failedAs(dafty.GENERATIONFAILED, "no"), failedAs(dafty.EXTRACTIONFAILED, "no")}
	failures = func() (list []*dafty.CallError) {
		for _, kind := range kinds {
			list = append(list, refusal(kind))
		}
		return append(list, unsent)
	}()
)

func (w *world) caller() string {
	if w.known.Credentials.Secret != "" {
		return w.known.Credentials.Secret
	}
	return w.known.Credentials.Held
}

// observe is the tracker's: the end of a job is never taken back.
func (w *world) observe(job *dafty.Job) {
	if before := w.known.Job; before == nil || before.Status != dafty.Completed && before.Status != dafty.Failed {
		w.known.Job = job
	}
}

// reconcile decides and acts until there is nothing more to do, and gives the phases on the
// way. It gives false where the object is gone.
func (w *world) reconcile(t *testing.T, saw func(in lifecycle.Input, got lifecycle.Decision)) bool {
	t.Helper()
	for range 8 {
		in := lifecycle.Input{Job: w.job, Known: w.known, Now: w.now, DeletionTimeout: deletionTimeout}
		got := lifecycle.Next(in)
		saw(in, got)
		before := w.copy()
		w.after = got.After
		w.job.Status = got.Status
		switch got.Step {
		case lifecycle.AddFinalizer:
			w.job.Finalizers = []string{v1alpha1.CancelFinalizer}
		case lifecycle.Annotate:
			note(lifecycle.Annotation(w.job, got.Status.JobID))(w.job)
		case lifecycle.Submit:
			submission := got.Status.Submission
			w.known.Submission = &lifecycle.SubmissionCall{Record: *submission}
			w.known.Credentials.Held = submission.CredentialsHash
		case lifecycle.Cancel:
			w.known.Cancel = &lifecycle.CancelCall{}
		case lifecycle.RemoveFinalizer:
			return false
		}
		if equality.Semantic.DeepEqual(before.job, w.job) && reflect.DeepEqual(before.known.Cancel, w.known.Cancel) {
			return !(w.deleting() && len(w.job.Finalizers) == 0)
		}
	}
	t.Fatalf("no rest: %s\n%s", asJSON(w.job), asJSON(w.known))
	return false
}

// sketch is what matters of a world: two with the same one have the same future.
func (w *world) sketch() string {
	status := w.job.Status
	age := func(of time.Time, limits ...time.Duration) (n int) {
		for _, limit := range limits {
			if w.now.Sub(of) >= limit {
				n++
			}
		}
		return n
	}
	// Of the reasons, decisions rest on one alone: whether it stays told while a try is made.
	told := false
	if ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady); ready != nil {
		told = ready.Reason != v1alpha1.ReasonSubmitting
	}
	if status.Phase.Final() {
		return string(status.Phase)
	}
	sketch := fmt.Sprint(status.Phase, w.job.Spec.DesiredState, len(w.job.Finalizers), w.known.Credentials.Secret != "")
	if w.deleting() {
		sketch += fmt.Sprint(" deleting ", age(w.job.DeletionTimestamp.Time, deletionTimeout))
	}
	if s := status.Submission; s != nil {
		sketch += fmt.Sprint(" submission ", w.known.Credentials.Secret == s.CredentialsHash, w.known.Credentials.Held == s.CredentialsHash)
	}
	switch {
	case status.InDoubt():
		s := status.Submission
		sketch += fmt.Sprint(" in doubt ", told, s.StartedAt.Equal(s.SentAt), age(s.SentAt.Time, 5*time.Second, 45*time.Second), age(s.StartedAt.Time, 23*time.Hour), w.job.Annotations[v1alpha1.ResubmitAnnotation] == s.IdempotencyKey)
		if call := w.known.Submission; call != nil {
			sketch += fmt.Sprint(" call ", call.Record.SentAt.Equal(s.SentAt), call.Done)
		}
	case status.JobID == "":
		sketch += fmt.Sprint(len(w.job.Annotations))
	default:
		if job := w.known.Job; job != nil {
			sketch += " job " + string(job.Status)
		}
		sketch += fmt.Sprint(" trouble ", w.known.Trouble != nil, " cancel ", w.known.Cancel != nil)
		if call := w.known.Cancel; call != nil {
			sketch += fmt.Sprint(call.Done, call.Err != nil, age(call.At, 2*time.Second, 30*time.Second))
		}
	}
	return sketch
}

// explored is what was seen on the way: phases that follow each other, the first on "", and
// the phases that reasons and steps come with.
type explored struct {
	arrows  map[[2]v1alpha1.Phase]bool
	reasons map[string]map[v1alpha1.Phase]bool
	steps   map[lifecycle.Step]bool
}

// explore walks breadth-first through every world that can be reached, and holds the
// decisions there against what is true of all.
func explore(t *testing.T) explored {
	t.Helper()
	seen := explored{arrows: map[[2]v1alpha1.Phase]bool{}, reasons: map[string]map[v1alpha1.Phase]bool{}, steps: map[lifecycle.Step]bool{}}
	saw := func(in lifecycle.Input, got lifecycle.Decision) {
		from, to := in.Job.Status.Phase, got.Status.Phase
		if from != to {
			seen.arrows[[2]v1alpha1.Phase{from, to}] = true
		}
		if ready := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
			if seen.reasons[ready.Reason] == nil {
				seen.reasons[ready.Reason] = map[v1alpha1.Phase]bool{}
			}
			seen.reasons[ready.Reason][to] = true
		}
		seen.steps[got.Step] = true
	}
	all := moves()
	been := map[string]bool{}
	var queue []*world
	visit := func(w *world) {
		if !w.reconcile(t, saw) {
			return
		}
		if sketch := w.sketch(); !been[sketch] {
			been[sketch] = true
			decide(t, lifecycle.Input{Job: w.job, Known: w.known, Now: w.now, DeletionTimeout: deletionTimeout})
			if t.Failed() {
				t.FailNow()
			}
			queue = append(queue, w)
		}
	}
	for _, start := range []change{func(*v1alpha1.DaftyJob) {}, style, noOperation, desired(v1alpha1.DesiredSuspended), desired(v1alpha1.DesiredCancelled), note(ownNote)} {
		job := newJob(noFinalizer, start)
		job.Generation = 1
		visit(&world{job: job, known: with(keyA), now: t0})
	}
	for len(queue) > 0 {
		w := queue[0]
		queue = queue[1:]
		for _, move := range all {
			if !move.possible(w) {
				continue
			}
			next := w.copy()
			move.happen(next)
			visit(next)
		}
		if len(been) > 20_000 {
			t.Fatal("the model doesn't end")
		}
	}
	t.Logf("%d worlds", len(been))
	return seen
}
