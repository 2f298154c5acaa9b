package lifecycle_test

import (
	"cmp"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	. "dafty.ai/dafty-operator/api/v1alpha1" //nolint:revive // The tables are made of its words.
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// atEnd returns a completed job that nothing new is said of.
func atEnd(step lifecycle.Step, after time.Duration) then {
	return then{phase: PhaseCompleted, way: current, reason: ReasonCompleted, step: step, after: after}
}

// completes returns a job that just completed.
func completes(step lifecycle.Step, after time.Duration) then {
	return news(atEnd(step, after))
}

// The object is kept for a while. finishedAt is a minute before t0.
var kept = []row{
	{
		name: "kept for as long as was asked", given: newJob(taken(PhaseCompleted), ttl(100)), known: with(""),
		then: atEnd(lifecycle.Rest{}, 40*time.Second),
	},
	{
		name: "and then deleted", given: newJob(taken(PhaseCompleted), ttl(100)), known: with(""), when: 40 * time.Second,
		then: atEnd(lifecycle.Delete{}, 10*time.Second),
	},
	{
		name: "without a finalizer too", given: newJob(taken(PhaseCompleted), ttl(100), noFinalizer), known: with(""), when: 40 * time.Second,
		then: atEnd(lifecycle.Delete{}, 10*time.Second),
	},
	{
		name: "a failed one too", given: newJob(taken(PhaseFailed), ttl(0)), known: with(""),
		then: then{phase: PhaseFailed, way: stalled, reason: "Failed", step: lifecycle.Delete{}, after: 10 * time.Second},
	},
	{
		name: "a cancelled one too", given: newJob(taken(PhaseCancelled), desired(DesiredCancelled), ttl(60)), known: with(""),
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelled, step: lifecycle.Delete{}, after: 10 * time.Second},
	},
	{
		name: "a ttl of 0: the end is on record first", given: newJob(taken(PhaseProcessing), ttl(0)), known: with(keyA, looked(daftys(dafty.Completed))),
		then: completes(lifecycle.Rest{}, time.Second),
	},
	{
		name: "it just ended: looked at again when the ttl is over", given: newJob(taken(PhaseProcessing), ttl(100)), known: with(keyA, looked(daftys(dafty.Completed))),
		then: completes(lifecycle.Rest{}, 100*time.Second),
	},
	{
		name: "not before the end", given: newJob(taken(PhaseProcessing), ttl(0)), known: with(keyA, looked(daftys(dafty.Processing))), when: time.Hour,
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, step: lifecycle.Follow{}},
	},
	{
		name: "deleted already: let go", given: newJob(taken(PhaseCompleted), ttl(0), deleted(0)), known: with(""),
		then: atEnd(lifecycle.RemoveFinalizer{}, 0),
	},
	{
		name: "deleted already, and kept by somebody else's finalizer", given: newJob(taken(PhaseCompleted), ttl(0), deleted(0), noFinalizer), known: with(""),
		then: atEnd(lifecycle.Rest{}, 0),
	},
	{
		name: "the time of its end was taken out of status: kept", given: newJob(taken(PhaseCompleted), ttl(0), func(job *DaftyJob) { job.Status.FinishedAt = nil }), known: with(""),
		then: atEnd(lifecycle.Rest{}, 0),
	},
	{
		name: "a result that isn't stored yet doesn't keep it", given: newJob(filmed(0, "t"), ttl(0), resultIn("hero-result"), notStored(0, "no")), known: with(""),
		then: atEnd(lifecycle.Delete{}, 10*time.Second),
	},
}

// What has ended needs no finalizer, once its end is on record.
var released = []row{
	{
		name: "released", given: finalized(newJob(taken(PhaseCompleted))), known: with(""),
		then: atEnd(lifecycle.Release{}, 0),
	},
	{
		name: "a failed one too", given: finalized(newJob(taken(PhaseFailed))), known: with(""),
		then: then{phase: PhaseFailed, way: stalled, reason: "Failed", step: lifecycle.Release{}},
	},
	{
		name: "a cancelled one too", given: finalized(newJob(taken(PhaseCancelled), desired(DesiredCancelled))), known: with(""),
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelled, step: lifecycle.Release{}},
	},
	{
		name: "it just ended: the end is on record first", given: newJob(taken(PhaseProcessing)), known: with(keyA, looked(daftys(dafty.Completed))),
		then: completes(lifecycle.Rest{}, 0),
	},
	{
		name: "released, and kept for as long as was asked", given: finalized(newJob(taken(PhaseCompleted), ttl(100))), known: with(""),
		then: atEnd(lifecycle.Release{}, 40*time.Second),
	},
	{
		name: "its time is over: deleted as it is", given: finalized(newJob(taken(PhaseCompleted), ttl(0))), known: with(""),
		then: atEnd(lifecycle.Delete{}, 10*time.Second),
	},
	{
		name: "after the last look for its thumbnail", given: finalized(newJob(filmed(0, ""), animated)), known: with(keyA), when: time.Minute,
		then: atEnd(lifecycle.LookForThumbnail{}, time.Minute),
	},
	{
		name: "although its result can't be stored", given: finalized(newJob(filmed(0, "t"), resultIn("hero-result"), notStored(0, "no"))), known: with(keyA),
		then: stores(atEnd(lifecycle.Release{}, 10*time.Second)),
	},
	{
		name: "a refusal isn't told of it: it is Ready for good", given: finalized(newJob(taken(PhaseCompleted))),
		known: with("", func(known *lifecycle.Known) {
			known.Refusals = []lifecycle.Refusal{refusalOf(lifecycle.WriteRelease, true, -time.Hour)}
		}),
		then: atEnd(lifecycle.Release{}, 0),
	},
}

// stores returns a decision before which the result is stored.
func stores(then then) then {
	then.stores = true
	return then
}

func hasThumbnail(want string) func(*testing.T, lifecycle.Decision) {
	return func(t *testing.T, got lifecycle.Decision) {
		t.Helper()
		if is := got.Status.Result.Video.ThumbnailURL; is != want {
			t.Errorf("the thumbnail is %q", is)
		}
	}
}

// A video's thumbnail may come after its end.
var thumbnails = []row{
	{
		name: "completed with a thumbnail", given: newJob(taken(PhaseProcessing), animated), known: with(keyA, looked(film("t"))),
		then: also(completes(lifecycle.Rest{}, 0), hasThumbnail("t")),
	},
	{
		name: "completed without: it is looked for", given: newJob(taken(PhaseProcessing), animated), known: with(keyA, looked(film(""))),
		then: also(completes(lifecycle.LookForThumbnail{}, 2*time.Minute), hasThumbnail("")),
	},
	{
		name: "completed without, and deleted: it isn't looked for", given: newJob(taken(PhaseProcessing), animated, deleted(0), resultIn("hero-result")), known: with(keyA, looked(film(""))),
		then: then{phase: PhaseCompleted, way: current, reason: ReasonCompletedBeforeCancel, step: lifecycle.Rest{}, after: deletionTimeout, event: "Normal CompletedBeforeCancel"},
	},
	{
		name: "looked for after a restart", given: newJob(filmed(0, ""), animated), known: with(keyA), when: 30 * time.Second,
		then: also(atEnd(lifecycle.LookForThumbnail{}, 90*time.Second), hasThumbnail("")),
	},
	{
		name: "not there yet", given: newJob(filmed(0, ""), animated), known: with(keyA, looked(film(""))), when: 30 * time.Second,
		then: also(atEnd(lifecycle.LookForThumbnail{}, 90*time.Second), hasThumbnail("")),
	},
	{
		name: "there", given: newJob(filmed(0, ""), animated), known: with(keyA, looked(film("t"))), when: 30 * time.Second,
		then: also(atEnd(lifecycle.Rest{}, 0), hasThumbnail("t")),
	},
	{
		name: "another job's says nothing", given: newJob(filmed(0, ""), animated), known: with(keyA, looked(changedID(film("t")))), when: 30 * time.Second,
		then: also(atEnd(lifecycle.LookForThumbnail{}, 90*time.Second), hasThumbnail("")),
	},
	{
		name: "never there: given up after two minutes", given: newJob(filmed(0, ""), animated), known: with(keyA, looked(film(""))), when: 2 * time.Minute,
		then: also(atEnd(lifecycle.Rest{}, 0), hasThumbnail("")),
	},
	{
		name: "there after that: the end stands", given: newJob(filmed(0, ""), animated), known: with(keyA, looked(film("t"))), when: 2 * time.Minute,
		then: also(atEnd(lifecycle.Rest{}, 0), hasThumbnail("")),
	},
	{
		name: "never changed", given: newJob(filmed(0, "t"), animated), known: with(keyA, looked(film("other"))), when: 30 * time.Second,
		then: also(atEnd(lifecycle.Rest{}, 0), hasThumbnail("t")),
	},
	{
		name: "there, and the stored result lacks it", given: newJob(filmed(0, ""), animated, resultIn("hero-result"), stored("hero-result")), known: with(keyA, looked(film("t"))), when: 30 * time.Second,
		then: stores(atEnd(lifecycle.Rest{}, 10*time.Second)),
	},
	{
		name: "looked for, and the ttl is over before", given: newJob(filmed(0, ""), animated, ttl(60)), known: with(keyA), when: 30 * time.Second,
		then: atEnd(lifecycle.LookForThumbnail{}, 30*time.Second),
	},
	{
		name: "looked for, with a ttl of 0, once the end is on record: deleted", given: newJob(filmed(0, ""), animated, ttl(0)), known: with(keyA), when: 30 * time.Second,
		then: atEnd(lifecycle.Delete{}, 10*time.Second),
	},
}

func changedID(job *dafty.Job) *dafty.Job {
	job.Id = otherID
	return job
}

// The result goes into a ConfigMap.
var results = []row{
	{
		name: "stored on completion", given: newJob(taken(PhaseProcessing), resultIn("hero-result")), known: with(keyA, looked(daftys(dafty.Completed))),
		then: stores(completes(lifecycle.Rest{}, 0)),
	},
	{
		name: "nothing to store", given: newJob(taken(PhaseProcessing), resultIn("hero-result")), known: with(keyA, looked(&dafty.Job{Id: jobID, Status: dafty.Completed})),
		then: completes(lifecycle.Rest{}, 0),
	},
	{
		name: "not asked for", given: newJob(filmed(0, "t")), known: with(keyA),
		then: atEnd(lifecycle.Rest{}, 0),
	},
	{
		name: "stored already", given: newJob(filmed(0, "t"), resultIn("hero-result"), stored("hero-result")), known: with(keyA),
		then: atEnd(lifecycle.Rest{}, 0),
	},
	{
		name: "named after the end", given: newJob(filmed(0, "t"), resultIn("hero-result")), known: with(keyA),
		then: stores(atEnd(lifecycle.Rest{}, 10*time.Second)),
	},
	{
		name: "another name after the end", given: newJob(filmed(0, "t"), resultIn("hero-result"), stored("other")), known: with(keyA), when: time.Hour,
		then: stores(atEnd(lifecycle.Rest{}, 10*time.Second)),
	},
	{
		name: "it couldn't be: tried again", given: newJob(filmed(0, "t"), resultIn("hero-result"), notStored(0, "no")), known: with(keyA), when: 10 * time.Second,
		then: stores(atEnd(lifecycle.Rest{}, 10*time.Second)),
	},
	{
		name: "rarer after a while", given: newJob(filmed(0, "t"), resultIn("hero-result"), notStored(0, "no")), known: with(keyA), when: time.Minute,
		then: stores(atEnd(lifecycle.Rest{}, 15*time.Second)),
	},
	{
		name: "each 30 seconds at last", given: newJob(filmed(0, "t"), resultIn("hero-result"), notStored(0, "no")), known: with(keyA), when: 24 * time.Hour,
		then: stores(atEnd(lifecycle.Rest{}, 30*time.Second)),
	},
	{
		name: "somebody changed it", given: newJob(filmed(0, "t"), resultIn("hero-result"), stored("hero-result")), known: with(keyA), gathered: lifecycle.References{ResultChanged: true},
		then: stores(atEnd(lifecycle.Rest{}, 10*time.Second)),
	},
	{
		name: "not wanted any more: forgotten", given: newJob(filmed(0, "t"), stored("hero-result")), known: with(keyA),
		then: also(atEnd(lifecycle.Rest{}, 0), func(t *testing.T, got lifecycle.Decision) {
			t.Helper()
			if got.Status.ResultConfigMap != "" || meta.FindStatusCondition(got.Status.Conditions, ConditionResultStored) != nil {
				t.Errorf("status still tells of it: %s", asJSON(got))
			}
		}),
	},
	{
		name: "not wanted any more, and it goes", given: newJob(filmed(0, "t"), stored("hero-result"), deleted(0)), known: with(keyA),
		then: atEnd(lifecycle.RemoveFinalizer{}, 0),
	},
	{
		name: "a failed job has none", given: newJob(taken(PhaseFailed), resultIn("hero-result")), known: with(keyA),
		then: then{phase: PhaseFailed, way: stalled, reason: "Failed", step: lifecycle.Rest{}},
	},
}

// storings are what came of writing the result.
var storings = []struct {
	name    string
	given   *DaftyJob
	known   lifecycle.Known
	refers  lifecycle.References
	when    time.Duration
	storing lifecycle.StoreOutcome

	reason  string
	message string // "" where it is the problem
	after   time.Duration
	event   string
	news    string
}{
	{name: "stored", given: newJob(filmed(0, "t"), resultIn("hero-result")), storing: written, reason: ReasonStored, message: isStored, after: 10 * time.Second},
	{
		name: "stored on completion", given: newJob(taken(PhaseProcessing), resultIn("hero-result")), known: with(keyA, looked(daftys(dafty.Completed))), storing: written,
		reason: ReasonStored, message: isStored, event: "Normal Completed: Dafty extracted the style a-style",
	},
	{
		name: "a problem on completion: told beside it", given: newJob(taken(PhaseProcessing), resultIn("hero-result")), known: with(keyA, looked(daftys(dafty.Completed))),
		storing: problem(`ConfigMap "hero-result" is another's`), reason: ReasonNotStored, after: 10 * time.Second,
		event: "Normal Completed: Dafty extracted the style a-style", news: `Warning NotStored: ConfigMap "hero-result" is another's`,
	},
	{
		name: "a problem later: told", given: newJob(filmed(0, "t"), resultIn("hero-result"), stored("other")), storing: problem("it is another's"),
		reason: ReasonNotStored, after: 10 * time.Second, news: "Warning NotStored: it is another's",
	},
	{
		name: "the same problem: told once", given: newJob(filmed(0, "t"), resultIn("hero-result"), notStored(0, `ConfigMap "hero-result" is another's`)), when: 8 * time.Minute,
		storing: problem(`ConfigMap "hero-result" is another's`), reason: ReasonNotStored, after: 30 * time.Second,
	},
	{
		name: "the same problem, of another amount and request: neither told nor written", given: newJob(filmed(0, "t"), resultIn("hero-result"), notStored(0, `ConfigMap "hero-result": exceeded quota: used: count/configmaps=7, request 5f0c4c3e`)),
		storing: problem(`ConfigMap "hero-result": exceeded quota: used: count/configmaps=12, request 77aa66bb`),
		reason:  ReasonNotStored, message: `ConfigMap "hero-result": exceeded quota: used: count/configmaps=7, request 5f0c4c3e`, after: 10 * time.Second,
	},
	{
		name: "the same problem of another ConfigMap: told", given: newJob(filmed(0, "t"), resultIn("hero-2"), notStored(0, `ConfigMap "hero-1" is another's`)), storing: problem(`ConfigMap "hero-2" is another's`),
		reason: ReasonNotStored, after: 10 * time.Second, news: `Warning NotStored: ConfigMap "hero-2" is another's`,
	},
	{
		name: "another problem: told", given: newJob(filmed(0, "t"), resultIn("hero-result"), notStored(0, "it is another's")), storing: problem("forbidden"),
		reason: ReasonNotStored, after: 10 * time.Second, news: "Warning NotStored: forbidden",
	},
	{name: "and then it is stored", given: newJob(filmed(0, "t"), resultIn("hero-result"), notStored(0, "it is another's")), storing: written, reason: ReasonStored, message: isStored, after: 10 * time.Second},
	{
		name: "it was changed, and is right again: told", given: newJob(filmed(0, "t"), resultIn("hero-result"), stored("hero-result")), refers: lifecycle.References{ResultChanged: true},
		storing: lifecycle.StoreOutcome{Version: "9-abc", Restored: "it was deleted, and is written again"},
		reason:  ReasonStored, message: isStored, after: 10 * time.Second, news: "Normal ResultRestored: it was deleted, and is written again",
	},
	{
		name: "it was changed, and can't be mended: told", given: newJob(filmed(0, "t"), resultIn("hero-result"), stored("hero-result")), refers: lifecycle.References{ResultChanged: true},
		storing: problem("forbidden"), reason: ReasonNotStored, after: 10 * time.Second, news: "Warning NotStored: forbidden",
	},
	{
		name: "it is changed again and again: mended soon, but not at once", given: newJob(filmed(0, "t"), resultIn("hero-result"), stored("hero-result")), refers: lifecycle.References{ResultChanged: true},
		storing: lifecycle.StoreOutcome{Problem: "again", After: 2 * time.Second}, reason: ReasonNotStored, after: 2 * time.Second, news: "Warning NotStored: again",
	},
	{
		name: "nobody knows whether it was changed: nothing is taken back", given: newJob(filmed(0, "t"), resultIn("hero-result"), stored("hero-result")), refers: lifecycle.References{ResultChanged: true},
		storing: lifecycle.StoreOutcome{Unknown: true, Problem: "no answer"}, reason: ReasonStored, message: "so it was", after: 10 * time.Second,
	},
	{
		name: "nobody knows whether it is there, which it never was: told", given: newJob(filmed(0, "t"), resultIn("hero-result")),
		storing: lifecycle.StoreOutcome{Unknown: true, Problem: "no answer"}, reason: ReasonNotStored, after: 10 * time.Second, news: "Warning NotStored: no answer",
	},
}

const isStored = "the result is in ConfigMap hero-result"

var written = lifecycle.StoreOutcome{Version: "8-abc"}

func problem(text string) lifecycle.StoreOutcome { return lifecycle.StoreOutcome{Problem: text} }

func TestStored(t *testing.T) {
	for _, row := range storings {
		t.Run(row.name, func(t *testing.T) {
			in := lifecycle.Snapshot{Job: row.given, Known: row.known, References: row.refers, Now: t0.Add(row.when), DeletionTimeout: deletionTimeout}
			if first := decide(t, in); !lifecycle.Is[lifecycle.StoreResult](first.Step) {
				t.Fatalf("step %s", first.Step)
			}
			in.Known.Stored = &row.storing
			got := decide(t, in)
			condition := meta.FindStatusCondition(got.Status.Conditions, ConditionResultStored)
			if condition == nil || condition.Reason != row.reason || condition.Message != cmp.Or(row.message, row.storing.Problem) {
				t.Errorf("condition is %s", asJSON(condition))
			}
			if is := got.Status.ResultConfigMap; (is == row.given.Spec.ResultConfigMap) != (row.reason == ReasonStored) {
				t.Errorf("resultConfigMap is %q", is)
			}
			if is := got.Status.ResultConfigMapVersion; is != row.storing.Version {
				t.Errorf("resultConfigMapVersion is %q", is)
			}
			if event, news := told(got.Event), told(got.StoreEvent); event != row.event || news != row.news || got.After != row.after {
				t.Errorf("event %q and %q, after %s; want %q and %q, after %s", event, news, got.After, row.event, row.news, row.after)
			}
		})
	}
}

// told returns an event in a line, empty where there is none.
func told(event *lifecycle.Event) string {
	switch {
	case event == nil:
		return ""
	case event.Warning:
		return "Warning " + event.Reason + ": " + event.Message
	}
	return "Normal " + event.Reason + ": " + event.Message
}
