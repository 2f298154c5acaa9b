package lifecycle_test

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	. "dafty.ai/dafty-operator/api/v1alpha1" //nolint:revive // The tables are made of its words.
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// atEnd is a completed job that nothing is said of anew.
func atEnd(step lifecycle.Step, after time.Duration) then {
	return then{phase: PhaseCompleted, way: reached, reason: ReasonCompleted, step: step, after: after}
}

// completes is a job that just completed.
func completes(step lifecycle.Step, after time.Duration) then {
	return news(atEnd(step, after))
}

// The object is kept for a while. finishedAt is a minute before t0.
var kept = []row{
	{
		name: "kept for as long as was asked", given: newJob(taken(PhaseCompleted), ttl(100)), known: with(""),
		then: atEnd(lifecycle.Rest, 40*time.Second),
	},
	{
		name: "and then deleted", given: newJob(taken(PhaseCompleted), ttl(100)), known: with(""), when: 40 * time.Second,
		then: atEnd(lifecycle.Delete, 10*time.Second),
	},
	{
		name: "without a finalizer too", given: newJob(taken(PhaseCompleted), ttl(100), noFinalizer), known: with(""), when: 40 * time.Second,
		then: atEnd(lifecycle.Delete, 10*time.Second),
	},
	{
		name: "a failed one too", given: newJob(taken(PhaseFailed), ttl(0)), known: with(""),
		then: then{phase: PhaseFailed, way: stuck, reason: "Failed", step: lifecycle.Delete, after: 10 * time.Second},
	},
	{
		name: "a cancelled one too", given: newJob(taken(PhaseCancelled), desired(DesiredCancelled), ttl(60)), known: with(""),
		then: then{phase: PhaseCancelled, way: reached, reason: ReasonCancelled, step: lifecycle.Delete, after: 10 * time.Second},
	},
	{
		name: "a ttl of 0: the end is on record first", given: newJob(taken(PhaseProcessing), ttl(0)), known: with(keyA, looked(daftys(dafty.Completed))),
		then: completes(lifecycle.Rest, time.Second),
	},
	{
		name: "it just ended: looked at again when the ttl is over", given: newJob(taken(PhaseProcessing), ttl(100)), known: with(keyA, looked(daftys(dafty.Completed))),
		then: completes(lifecycle.Rest, 100*time.Second),
	},
	{
		name: "not before the end", given: newJob(taken(PhaseProcessing), ttl(0)), known: with(keyA, looked(daftys(dafty.Processing))), when: time.Hour,
		then: then{phase: PhaseProcessing, way: onTheWay, reason: ReasonProcessing, step: lifecycle.Follow},
	},
	{
		name: "deleted already: let go", given: newJob(taken(PhaseCompleted), ttl(0), deleted(0)), known: with(""),
		then: atEnd(lifecycle.RemoveFinalizer, 0),
	},
	{
		name: "deleted already, and kept by somebody else's finalizer", given: newJob(taken(PhaseCompleted), ttl(0), deleted(0), noFinalizer), known: with(""),
		then: atEnd(lifecycle.Rest, 0),
	},
	{
		name: "the time of its end was taken out of status: kept", given: newJob(taken(PhaseCompleted), ttl(0), func(job *DaftyJob) { job.Status.FinishedAt = nil }), known: with(""),
		then: atEnd(lifecycle.Rest, 0),
	},
	{
		name: "a result that isn't stored yet doesn't keep it", given: newJob(filmed(0, "t"), ttl(0), resultIn("hero-result"), notStored(0, "no")), known: with(""),
		then: also(atEnd(lifecycle.Delete, 10*time.Second), notToStore),
	},
}

func toStore(t *testing.T, got lifecycle.Decision) {
	t.Helper()
	if !got.Store {
		t.Error("the result isn't to be stored")
	}
}

func notToStore(t *testing.T, got lifecycle.Decision) {
	t.Helper()
	if got.Store {
		t.Error("the result is to be stored")
	}
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
		then: also(completes(lifecycle.Rest, 0), hasThumbnail("t")),
	},
	{
		name: "completed without: it is looked for", given: newJob(taken(PhaseProcessing), animated), known: with(keyA, looked(film(""))),
		then: also(completes(lifecycle.LookForThumbnail, 2*time.Minute), hasThumbnail("")),
	},
	{
		name: "completed without, and deleted: it isn't looked for", given: newJob(taken(PhaseProcessing), animated, deleted(0), resultIn("hero-result")), known: with(keyA, looked(film(""))),
		then: then{phase: PhaseCompleted, way: reached, reason: ReasonCompletedBeforeCancel, step: lifecycle.Rest, after: deletionTimeout, event: "Normal CompletedBeforeCancel", also: notToStore},
	},
	{
		name: "looked for after a restart", given: newJob(filmed(0, ""), animated), known: with(keyA), when: 30 * time.Second,
		then: also(atEnd(lifecycle.LookForThumbnail, 90*time.Second), hasThumbnail("")),
	},
	{
		name: "not there yet", given: newJob(filmed(0, ""), animated), known: with(keyA, looked(film(""))), when: 30 * time.Second,
		then: also(atEnd(lifecycle.LookForThumbnail, 90*time.Second), hasThumbnail("")),
	},
	{
		name: "there", given: newJob(filmed(0, ""), animated), known: with(keyA, looked(film("t"))), when: 30 * time.Second,
		then: also(atEnd(lifecycle.Rest, 0), hasThumbnail("t")),
	},
	{
		name: "another job's says nothing", given: newJob(filmed(0, ""), animated), known: with(keyA, looked(changedID(film("t")))), when: 30 * time.Second,
		then: also(atEnd(lifecycle.LookForThumbnail, 90*time.Second), hasThumbnail("")),
	},
	{
		name: "never there: given up after two minutes", given: newJob(filmed(0, ""), animated), known: with(keyA, looked(film(""))), when: 2 * time.Minute,
		then: also(atEnd(lifecycle.Rest, 0), hasThumbnail("")),
	},
	{
		name: "there after that: the end stands", given: newJob(filmed(0, ""), animated), known: with(keyA, looked(film("t"))), when: 2 * time.Minute,
		then: also(atEnd(lifecycle.Rest, 0), hasThumbnail("")),
	},
	{
		name: "never changed", given: newJob(filmed(0, "t"), animated), known: with(keyA, looked(film("other"))), when: 30 * time.Second,
		then: also(atEnd(lifecycle.Rest, 0), hasThumbnail("t")),
	},
	{
		name: "there, and the stored result lacks it", given: newJob(filmed(0, ""), animated, resultIn("hero-result"), stored("hero-result")), known: with(keyA, looked(film("t"))), when: 30 * time.Second,
		then: also(atEnd(lifecycle.Rest, 10*time.Second), toStore),
	},
	{
		name: "looked for, and the ttl is over before", given: newJob(filmed(0, ""), animated, ttl(60)), known: with(keyA), when: 30 * time.Second,
		then: atEnd(lifecycle.LookForThumbnail, 30*time.Second),
	},
	{
		name: "looked for, with a ttl of 0, once the end is on record: deleted", given: newJob(filmed(0, ""), animated, ttl(0)), known: with(keyA), when: 30 * time.Second,
		then: atEnd(lifecycle.Delete, 10*time.Second),
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
		then: also(completes(lifecycle.Rest, 0), toStore),
	},
	{
		name: "nothing to store", given: newJob(taken(PhaseProcessing), resultIn("hero-result")), known: with(keyA, looked(&dafty.Job{Id: jobID, Status: dafty.Completed})),
		then: also(completes(lifecycle.Rest, 0), notToStore),
	},
	{
		name: "not asked for", given: newJob(filmed(0, "t")), known: with(keyA),
		then: also(atEnd(lifecycle.Rest, 0), notToStore),
	},
	{
		name: "stored already", given: newJob(filmed(0, "t"), resultIn("hero-result"), stored("hero-result")), known: with(keyA),
		then: also(atEnd(lifecycle.Rest, 0), notToStore),
	},
	{
		name: "named after the end", given: newJob(filmed(0, "t"), resultIn("hero-result")), known: with(keyA),
		then: also(atEnd(lifecycle.Rest, 10*time.Second), toStore),
	},
	{
		name: "another name after the end", given: newJob(filmed(0, "t"), resultIn("hero-result"), stored("other")), known: with(keyA), when: time.Hour,
		then: also(atEnd(lifecycle.Rest, 10*time.Second), toStore),
	},
	{
		name: "it couldn't be: tried again", given: newJob(filmed(0, "t"), resultIn("hero-result"), notStored(0, "no")), known: with(keyA), when: 10 * time.Second,
		then: also(atEnd(lifecycle.Rest, 10*time.Second), toStore),
	},
	{
		name: "rarer after a while", given: newJob(filmed(0, "t"), resultIn("hero-result"), notStored(0, "no")), known: with(keyA), when: 8 * time.Minute,
		then: also(atEnd(lifecycle.Rest, 2*time.Minute), toStore),
	},
	{
		name: "each 5 minutes at last", given: newJob(filmed(0, "t"), resultIn("hero-result"), notStored(0, "no")), known: with(keyA), when: 24 * time.Hour,
		then: also(atEnd(lifecycle.Rest, 5*time.Minute), toStore),
	},
	{
		name: "a failed job has none", given: newJob(taken(PhaseFailed), resultIn("hero-result")), known: with(keyA),
		then: then{phase: PhaseFailed, way: stuck, reason: "Failed", step: lifecycle.Rest, also: notToStore},
	},
}

// storings are what came of writing the result.
var storings = []struct {
	name    string
	given   *DaftyJob
	known   lifecycle.Known
	when    time.Duration
	problem string

	reason string
	after  time.Duration
	event  string
}{
	{name: "stored", given: newJob(filmed(0, "t"), resultIn("hero-result")), reason: ReasonStored, after: 10 * time.Second},
	{name: "stored on completion", given: newJob(taken(PhaseProcessing), resultIn("hero-result")), known: with(keyA, looked(daftys(dafty.Completed))), reason: ReasonStored, event: "Dafty extracted the style a-style"},
	{name: "a problem on completion: told in the event of it", given: newJob(taken(PhaseProcessing), resultIn("hero-result")), known: with(keyA, looked(daftys(dafty.Completed))), problem: "it is another's",
		reason: ReasonNotStored, after: 10 * time.Second, event: "Dafty extracted the style a-style; it is another's"},
	{name: "a problem later: told", given: newJob(filmed(0, "t"), resultIn("hero-result"), stored("other")), problem: "it is another's", reason: ReasonNotStored, after: 10 * time.Second, event: "it is another's"},
	{name: "the same problem: told once", given: newJob(filmed(0, "t"), resultIn("hero-result"), notStored(0, "it is another's")), when: 8 * time.Minute, problem: "it is another's", reason: ReasonNotStored, after: 2 * time.Minute},
	{name: "another problem: told", given: newJob(filmed(0, "t"), resultIn("hero-result"), notStored(0, "it is another's")), problem: "forbidden", reason: ReasonNotStored, after: 10 * time.Second, event: "forbidden"},
	{name: "and then it is stored", given: newJob(filmed(0, "t"), resultIn("hero-result"), notStored(0, "it is another's")), reason: ReasonStored, after: 10 * time.Second},
}

func TestStored(t *testing.T) {
	for _, row := range storings {
		t.Run(row.name, func(t *testing.T) {
			in := lifecycle.Input{Job: row.given, Known: row.known, Now: t0.Add(row.when), DeletionTimeout: deletionTimeout}
			got := lifecycle.Stored(in, decide(t, in), row.problem)
			condition := meta.FindStatusCondition(got.Status.Conditions, ConditionResultStored)
			if condition == nil || condition.Reason != row.reason || row.problem != "" && condition.Message != row.problem {
				t.Errorf("condition is %s", asJSON(condition))
			}
			if is := got.Status.ResultConfigMap; (is == "hero-result") != (row.problem == "") {
				t.Errorf("resultConfigMap is %q", is)
			}
			event := ""
			if got.Event != nil {
				event = got.Event.Message
			}
			if event != row.event || got.After != row.after {
				t.Errorf("event %q, after %s; want %q, after %s", event, got.After, row.event, row.after)
			}
		})
	}
}
