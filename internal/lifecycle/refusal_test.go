package lifecycle_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	. "dafty.ai/dafty-operator/api/v1alpha1" //nolint:revive // The tables are made of its words.
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// refusalOf returns what a policy refuses, or a webhook that is down, since so long after t0.
func refusalOf(write lifecycle.Write, lasting bool, since time.Duration) lifecycle.Refusal {
	return lifecycle.Refusal{Write: write, Message: "denied by policy", Lasting: lasting, Since: t0.Add(since)}
}

// tellings are what status says of writes that the API server refuses.
var tellings = []struct {
	name    string
	given   *DaftyJob
	known   lifecycle.Known
	refused []lifecycle.Refusal
	when    time.Duration
	then    then
}{
	{
		name: "the finalizer is refused: nothing is submitted, and told", given: newJob(noFinalizer), known: with(keyA),
		refused: []lifecycle.Refusal{refusalOf(lifecycle.WriteFinalizer, true, 0)}, when: 2 * time.Second,
		then: then{phase: PhasePending, way: stalled, reason: ReasonWriteRefused, says: "nothing is submitted without it", step: lifecycle.AddFinalizer{}},
	},
	{
		name: "one error isn't news", given: newJob(noFinalizer), known: with(keyA),
		refused: []lifecycle.Refusal{refusalOf(lifecycle.WriteFinalizer, true, 0)}, when: time.Second,
		then: then{way: unseen, step: lifecycle.AddFinalizer{}},
	},
	{
		name: "a webhook that is down is waited for", given: newJob(noFinalizer), known: with(keyA),
		refused: []lifecycle.Refusal{refusalOf(lifecycle.WriteFinalizer, false, 0)}, when: 10 * time.Second,
		then: then{phase: PhasePending, way: inProgress, reason: ReasonWriteFailed, says: "denied by policy", step: lifecycle.AddFinalizer{}},
	},
	{
		name: "the annotation is refused: the job goes on", given: newJob(taken(PhaseProcessing), note("")), known: with(keyA, looked(daftys(dafty.Processing))),
		refused: []lifecycle.Refusal{refusalOf(lifecycle.WriteAnnotation, true, 0)}, when: time.Minute,
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonWriteFailed, says: "annotation dafty.ai/job can't be written", step: lifecycle.Annotate{}},
	},
	{
		name: "a refusal of another write isn't this one's", given: newJob(taken(PhaseProcessing)), known: with(keyA, looked(daftys(dafty.Processing))),
		refused: []lifecycle.Refusal{refusalOf(lifecycle.WriteAnnotation, true, 0), refusalOf(lifecycle.WriteStatus, true, 0)}, when: time.Minute,
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, step: lifecycle.Follow{}},
	},
	{
		name: "taken back as it goes on", given: newJob(taken(PhaseProcessing), says(PhaseProcessing, ReasonWriteFailed)), known: with(keyA, looked(daftys(dafty.Processing))), when: time.Minute,
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, step: lifecycle.Follow{}},
	},
	{
		name: "taken back where nothing else is new", given: newJob(sent, says(PhaseSubmitting, ReasonWriteRefused)), known: with(keyA), when: 5 * time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Rest{}},
	},
	{
		name: "what went wrong meanwhile is told once writes are taken", given: newJob(says(PhasePending, ReasonWriteRefused)), known: with(""), when: 5 * time.Second,
		then: then{phase: PhasePending, way: inProgress, reason: ReasonWaitingForCredentials, step: lifecycle.Rest{}, event: "Warning WaitingForCredentials"},
	},
	{
		name: "a process that has just begun leaves it until it has tried", given: newJob(noFinalizer, says(PhasePending, ReasonWriteRefused)), known: with(keyA), when: 5 * time.Second,
		then: then{phase: PhasePending, reason: ReasonWriteRefused, step: lifecycle.AddFinalizer{}},
	},
	{
		name: "a request in doubt that is called off waits for no finalizer", given: newJob(sent, noFinalizer, desired(DesiredCancelled)), known: with(keyA),
		refused: []lifecycle.Refusal{refusalOf(lifecycle.WriteFinalizer, true, 0)}, when: 45 * time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}},
	},
}

// The Ready condition tells what is refused of the next step, and takes it back once it isn't any more.
func TestRefusals(t *testing.T) {
	for _, row := range tellings {
		t.Run(row.name, func(t *testing.T) {
			in := lifecycle.Snapshot{Job: row.given, Known: row.known, Now: t0.Add(row.when), DeletionTimeout: deletionTimeout}
			in.Known.Refusals = row.refused
			got := lifecycle.Next(in)
			way, err := standing(&got.Status)
			if row.then.way != "" && (err != nil || way != row.then.way) {
				t.Errorf("conditions stand %q (%v), want %q", way, err, row.then.way)
			}
			ready := meta.FindStatusCondition(got.Status.Conditions, ConditionReady)
			if ready == nil {
				ready = &metav1.Condition{}
			}
			if got.Status.Phase != row.then.phase || ready.Reason != row.then.reason || !reflect.DeepEqual(got.Step, row.then.step) || !strings.Contains(ready.Message, row.then.says) {
				t.Errorf("got %s/%s, %s: %s", got.Status.Phase, ready.Reason, got.Step, ready.Message)
			}
			if event := eventOf(got); event != row.then.event {
				t.Errorf("event %q, want %q", event, row.then.event)
			}
			if got.Event != nil && ready.Reason == ReasonWriteRefused {
				t.Errorf("a second event: %+v", got.Event)
			}
		})
	}
}

// An ended object that can't be let go isn't Ready, in each final phase; how it ended stays.
func TestAReleaseThatIsRefused(t *testing.T) {
	for _, phase := range []Phase{PhaseCompleted, PhaseFailed, PhaseCancelled} {
		given := newJob(taken(phase), deleted(0))
		in := lifecycle.Snapshot{Job: given, Known: with(keyA), Now: t0.Add(time.Minute), DeletionTimeout: deletionTimeout}
		in.Known.Refusals = []lifecycle.Refusal{refusalOf(lifecycle.WriteRelease, true, 0)}
		got := lifecycle.Next(in)
		ready := meta.FindStatusCondition(got.Status.Conditions, ConditionReady)
		if !lifecycle.Is[lifecycle.RemoveFinalizer](got.Step) || got.Status.Phase != phase || ready.Reason != ReasonWriteRefused || ready.Status != "False" ||
			!meta.IsStatusConditionTrue(got.Status.Conditions, ConditionStalled) || !strings.Contains(ready.Message, "the deletion can't end") {
			t.Errorf("%s: %s", phase, asJSON(got))
		}
		for _, c := range got.Status.Conditions {
			if c.ObservedGeneration != given.Generation {
				t.Errorf("%s: %s is of generation %d, and the object of %d", phase, c.Type, c.ObservedGeneration, given.Generation)
			}
		}
		// Another's finalizer keeps it: ours is gone, and it reads as it ended.
		in.Job = given.DeepCopy()
		in.Job.Status, in.Job.Finalizers, in.Known.Refusals = got.Status, []string{"example.com/other"}, nil
		got = lifecycle.Next(in)
		if reason := readyReason(&got.Status); reason != string(phase) || !lifecycle.Is[lifecycle.Rest](got.Step) {
			t.Errorf("%s, let go: %s", phase, asJSON(got))
		}
		if way, err := standing(&got.Status); err != nil || way == inProgress {
			t.Errorf("%s, let go: %s, %v", phase, way, err)
		}
	}
}

// A refusal changes only Ready, Reconciling and Stalled, is the same however often it is told, and costs no step.
func TestARefusalChangesNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		next := func(in lifecycle.Snapshot) lifecycle.Decision {
			decision, _ := settled(in, lifecycle.StoreOutcome{})
			return decision
		}
		plain := next(in)
		in.Known.Refusals = []lifecycle.Refusal{refusalOf(lifecycle.WriteOf(plain.Step), rapid.Bool().Draw(t, "lasting"), -time.Hour)}
		if lifecycle.Is[lifecycle.AddFinalizer](plain.Step) {
			in.Known.Refusals = nil // it lets what is called off go on
		}
		got := next(in)
		if !reflect.DeepEqual(got.Step, plain.Step) || got.After != plain.After {
			t.Fatalf("another step: %s, %s", asJSON(plain), asJSON(got))
		}
		rests := in
		rests.Job = in.Job.DeepCopy()
		rests.Job.Status = plain.Status
		if asJSON(next(rests).Status) != asJSON(plain.Status) {
			return // it goes on by itself
		}
		again := in
		again.Job = in.Job.DeepCopy()
		again.Job.Status = got.Status
		if twice := next(again); reflect.DeepEqual(twice.Step, got.Step) && lifecycle.WriteOf(got.Step) != "" && asJSON(twice.Status) != asJSON(got.Status) {
			t.Fatalf("status is written again:\n%s\n%s", asJSON(got.Status), asJSON(twice.Status))
		}
		released := lifecycle.Is[lifecycle.Rest](got.Step) && got.Status.Phase == PhaseCancelled && in.Job.DeletionTimestamp != nil // kept only by another's finalizer
		if plain.Status.Phase != "" && plain.Status.Phase != got.Status.Phase && !released {
			t.Fatalf("phase %s, then %s", plain.Status.Phase, got.Status.Phase)
		}
	})
}

// Which of the API server's answers are the same news.
func TestSameText(t *testing.T) {
	const words = `denied request 5f0c4c3e-8b1d-4e43-9d9c-0d7a3a1c2b4f at 12:30:01, try 3`
	if !lifecycle.SameText(words, `denied request 00000000-8b1d-4e43-9d9c-0d7a3a1c2b4f at 12:31:02, try 44`) {
		t.Error("ids and times make news")
	}
	if lifecycle.SameText(words, "needs a label team") {
		t.Error("another cause is none")
	}
}

// What was never tried isn't given up.
func TestADeletionIsHeldBack(t *testing.T) {
	tried := func(tries int, err *dafty.CallError) func(*lifecycle.Known) {
		return func(k *lifecycle.Known) {
			k.Cancel = &lifecycle.CancelCall{Sent: true, Done: true, At: t0, Tries: tries, Err: err, Failures: tries}
		}
	}
	waiting := func(k *lifecycle.Known) { k.Cancel = &lifecycle.CancelCall{} }
	sentRepeat := func(err *dafty.CallError) func(*lifecycle.Known) {
		return func(k *lifecycle.Known) {
			k.Submission = &lifecycle.SubmissionCall{Record: *newJob(repeated(time.Minute)).Status.Submission, Done: true, Err: err, Failures: 2}
		}
	}
	statusRefused := func(k *lifecycle.Known) {
		k.Refusals = []lifecycle.Refusal{refusalOf(lifecycle.WriteStatus, true, -time.Hour)}
	}
	for name, tc := range map[string]struct {
		given *DaftyJob
		known lifecycle.Known
		when  time.Duration
		step  lifecycle.Step
		says  string
	}{
		"never tried":                  {newJob(taken(PhaseProcessing), deleted(0)), with(keyA), time.Hour, lifecycle.Cancel{}, ""},
		"never tried, known by a note": {newJob(note(ownNote), deleted(0)), with(keyA), time.Hour, lifecycle.Cancel{}, ""},
		"waits for the rate limit":     {newJob(taken(PhaseCancelling), deleted(0)), with(keyA, waiting), time.Hour, lifecycle.Follow{}, ""},
		"tried, and failed":            {newJob(taken(PhaseCancelling), deleted(0)), with(keyA, tried(7, noAnswer)), time.Hour, lifecycle.RemoveFinalizer{Abandoned: true}, "tried 7 times and failed, the last time with: " + noAnswer.Error()},
		"accepted, long ago":           {newJob(taken(PhaseCancelling), deleted(0)), with(keyA, tried(1, nil)), time.Hour, lifecycle.RemoveFinalizer{Abandoned: true}, "Dafty accepted its cancel, sent once, but hasn't confirmed it"},
		"accepted late":                {newJob(taken(PhaseCancelling), deleted(-time.Hour)), with(keyA, tried(1, nil)), 5 * time.Second, lifecycle.Follow{}, ""},
		"no key":                       {newJob(taken(PhaseProcessing), deleted(0)), with(""), time.Hour, lifecycle.RemoveFinalizer{Abandoned: true}, "there was no API key to cancel it with"},
		"its end is known":             {newJob(taken(PhaseCancelling), deleted(0)), with(keyA, tried(3, noAnswer), looked(failedAs(dafty.GENERATIONFAILED, "no"))), time.Hour, lifecycle.Rest{}, ""},
		"in doubt, never repeated":     {newJob(sent, deleted(0)), with(keyA), time.Hour, lifecycle.Submit{}, ""},
		"in doubt, repeated in vain":   {newJob(repeated(time.Minute), deleted(0)), with(keyA, sentRepeat(noAnswer)), time.Hour, lifecycle.RemoveFinalizer{Abandoned: true}, "its request was repeated to learn the job's id, and failed"},
		"in doubt, one odd answer":     {newJob(repeated(time.Minute), deleted(0)), with(keyA, sentRepeat(&dafty.CallError{Kind: dafty.KindUnauthorized, Status: 401, Message: "no"})), time.Hour, lifecycle.Submit{}, ""},
		"in doubt, known by a note":    {newJob(sent, note(ownNote), deleted(0)), with(keyA, statusRefused), time.Hour, lifecycle.Cancel{}, ""},
		"in doubt, without its key":    {newJob(sent, deleted(0)), with(keyB), time.Hour, lifecycle.RemoveFinalizer{Abandoned: true}, "couldn't be repeated"},
		"in doubt, for a day":          {newJob(sent, deleted(0)), with(keyA), 24 * time.Hour, lifecycle.RemoveFinalizer{Abandoned: true}, "too late to repeat"},
	} {
		t.Run(name, func(t *testing.T) {
			got := lifecycle.Next(lifecycle.Snapshot{Job: tc.given, Known: tc.known, Now: t0.Add(tc.when), DeletionTimeout: deletionTimeout})
			if !reflect.DeepEqual(got.Step, tc.step) {
				t.Fatalf("got %s", asJSON(got))
			}
			if !lifecycle.Is[lifecycle.RemoveFinalizer](got.Step) && got.After <= 0 {
				t.Errorf("nothing brings it back: %s", asJSON(got))
			}
			if lifecycle.Is[lifecycle.RemoveFinalizer](got.Step) && !strings.Contains(got.Event.Message, tc.says) {
				t.Errorf("it says: %s", got.Event.Message)
			}
		})
	}
}
