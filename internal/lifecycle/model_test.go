package lifecycle_test

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
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
	// gathered is what was read of what it refers to. It is never changed, but replaced.
	gathered lifecycle.Gathered
	now      time.Time
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

// wholeMoves are those of the worlds that are about what a spec says beside its operation: of the other moves those that
// matter to it, and what becomes of what it refers to.
func wholeMoves() []move {
	var list []move
	matter := regexp.MustCompile(`^(the time that was asked|desiredState|delete$|restart$|the submission is answered|a look finds|the cancel is accepted)`)
	for _, m := range moves() {
		if matter.MatchString(m.name) && !strings.HasSuffix(m.name, "paused") {
			list = append(list, m)
		}
	}
	add := func(name string, possible func(*world) bool, happen func(*world)) {
		list = append(list, move{name, possible, happen})
	}
	refers := func(w *world) bool { return w.job.Spec.ImageUpscale != nil }
	for _, phase := range []v1alpha1.Phase{v1alpha1.PhaseProcessing, v1alpha1.PhaseCompleted, v1alpha1.PhaseFailed} {
		add("the other is "+string(phase), refers, func(w *world) { w.gathered = depends(dependency(phase)) })
	}
	add("the other is gone", refers, func(w *world) { w.gathered = depends(nil) })
	add("the other waits for it", refers, func(w *world) {
		w.gathered = depends(dependency(v1alpha1.PhasePending))
		w.gathered.Cycle = []string{name, "other", name}
	})
	logo := func(w *world) bool {
		return w.job.Spec.ImageGenerate != nil && len(w.job.Spec.ImageGenerate.References) > 0
	}
	for what, file := range map[string]lifecycle.FileRead{"there": picture, "none": {Unusable: "what is none"}, "missing": {Missing: "what isn't there"}} {
		add("the picture is "+what, logo, func(w *world) { w.gathered = around(nil, file) })
	}
	for what, upload := range map[string]lifecycle.Upload{"succeeds": {Done: true, ID: "up_1"}, "fails": {Done: true, Err: noAnswer, Failures: 1}} {
		add("the upload "+what, func(w *world) bool { return w.known.Uploads != nil }, func(w *world) { uploaded(upload)(&w.known) })
	}
	add("another adopts it", func(w *world) bool { return w.job.Spec.AdoptJobID != "" }, func(w *world) { w.gathered.Adopter = "another" })
	add("the other adopter goes", func(w *world) bool { return w.gathered.Adopter != "" }, func(w *world) { w.gathered.Adopter = "" })
	films := func(w *world) bool { return w.job.Spec.ImageToVideo != nil && w.job.Status.JobID != "" }
	add("a look finds a clip", films, func(w *world) { w.known.Trouble = nil; w.observe(clip(nil)) })
	add("its thumbnail comes", films, func(w *world) { w.known.Job = clip(new("https://example.com/t.png")) })
	return list
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

func (w *world) input() lifecycle.Input {
	return lifecycle.Input{Job: w.job, Known: w.known, Gathered: w.gathered, Now: w.now, DeletionTimeout: deletionTimeout}
}

// reconcile decides and acts until there is nothing more to do, and gives the phases on the
// way. It gives false where the object is gone.
func (w *world) reconcile(t *testing.T, saw func(in lifecycle.Input, got lifecycle.Decision)) bool {
	t.Helper()
	for range 8 {
		in := w.input()
		got := lifecycle.Next(in)
		saw(in, got)
		if got.Store {
			got = lifecycle.Stored(in, got, "")
		}
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
		case lifecycle.UploadFiles:
			if w.known.Uploads == nil {
				uploaded(lifecycle.Upload{})(&w.known)
			}
		case lifecycle.RemoveFinalizer, lifecycle.Delete:
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
	whole := fmt.Sprint(jobType(w.job), w.job.Spec.ActiveDeadlineSeconds != nil, w.job.Spec.AdoptJobID != "", len(status.FailedJobIDs), w.gathered.Adopter, len(w.gathered.Cycle), asJSON(status.Inputs), asJSON(w.known.Uploads), asJSON(w.gathered.Files))
	for _, other := range w.gathered.Jobs {
		whole += string(other.Status.Phase)
	}
	if next := status.NextAttemptAt; next != nil {
		whole += fmt.Sprint(w.now.Before(next.Time))
	}
	if submitted := status.SubmittedAt; submitted != nil && w.job.Spec.ActiveDeadlineSeconds != nil {
		whole += fmt.Sprint(age(submitted.Time, time.Minute))
	}
	if status.Phase.Final() {
		return whole + string(status.Phase) + asJSON(status.Result) + fmt.Sprint(age(status.FinishedAt.Time, 2*time.Minute, 5*time.Minute), status.ResultConfigMap)
	}
	sketch := whole + fmt.Sprint(status.Phase, w.job.Spec.DesiredState, len(w.job.Finalizers), w.known.Credentials.Secret != "")
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
	been := map[string]bool{}
	var queue []*world
	visit := func(w *world) {
		if !w.reconcile(t, saw) {
			return
		}
		if sketch := w.sketch(); !been[sketch] {
			been[sketch] = true
			decide(t, w.input())
			if t.Failed() {
				t.FailNow()
			}
			queue = append(queue, w)
		}
	}
	walk := func(all []move, starts ...change) {
		for _, start := range starts {
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
	}
	walk(moves(), func(*v1alpha1.DaftyJob) {}, style, noOperation, desired(v1alpha1.DesiredSuspended), desired(v1alpha1.DesiredCancelled), note(ownNote))
	film := func(job *v1alpha1.DaftyJob) {
		job.Spec.ImageGenerate, job.Spec.ImageToVideo = nil, &v1alpha1.ImageToVideo{Image: v1alpha1.ImageReference{ID: otherID}, Prompt: "it moves"}
		kept(300)(job)
		stores(job)
	}
	hurried := func(job *v1alpha1.DaftyJob) { deadline(60)(job); tries(1)(job) }
	visit(&world{job: newJob(noFinalizer, adopts), known: with(keyA), gathered: lifecycle.Gathered{Adopter: "another"}, now: t0})
	walk(wholeMoves(), tries(1), hurried, upscaleOf("other", 0), upscaleOf("other", 1), withLogo, adopts, film)
	t.Logf("%d worlds", len(been))
	return seen
}

// jobType tells the operations apart.
func jobType(job *v1alpha1.DaftyJob) string { return string(lifecycle.JobType(&job.Spec)) }
