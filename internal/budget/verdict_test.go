package budget

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
)

func TestJudge(t *testing.T) {
	const same, later, earlier = "5", "6", "4"
	inDoubt := func(attempt int32) *v1alpha1.Submission {
		return &v1alpha1.Submission{Attempt: attempt, IdempotencyKey: "a-1"}
	}
	refused := func(attempt int32) *v1alpha1.Submission {
		return &v1alpha1.Submission{Attempt: attempt, Refusals: 1}
	}
	for _, tt := range []struct {
		name    string
		attempt int32
		version string
		status  v1alpha1.DaftyJobStatus
		change  func(*v1alpha1.DaftyJob)
		want    Verdict
	}{
		// What can still be put on record.
		{"nothing has changed", 1, same, v1alpha1.DaftyJobStatus{}, nil, Keep},
		{"nothing has changed, before another attempt", 2, same, v1alpha1.DaftyJobStatus{Attempts: 1, FailedJobIDs: []string{"one"}}, nil, Keep},
		{"nothing has changed since a refusal", 1, same, v1alpha1.DaftyJobStatus{Submission: refused(1)}, nil, Keep},
		{"nothing has changed of what was restored", 1, same, v1alpha1.DaftyJobStatus{UID: "before"}, nil, Keep},
		{"a look at an older version", 1, earlier, v1alpha1.DaftyJobStatus{}, nil, Keep},
		{"a status that is set back, at the same version", 3, same, v1alpha1.DaftyJobStatus{Attempts: 1}, nil, Keep},
		{"a version that isn't one", 1, "x", v1alpha1.DaftyJobStatus{}, nil, Keep},
		{"a longer version is a later one", 1, "10", v1alpha1.DaftyJobStatus{}, nil, GivenBack},

		// What is in doubt.
		{"in doubt", 1, later, v1alpha1.DaftyJobStatus{Attempts: 1, Submission: inDoubt(1)}, nil, Keep},
		{"in doubt since before it was reserved", 1, same, v1alpha1.DaftyJobStatus{Attempts: 1, Submission: inDoubt(1)}, nil, Keep},
		{"in doubt with a fresh key after refusals", 1, later, v1alpha1.DaftyJobStatus{Attempts: 1, Submission: &v1alpha1.Submission{Attempt: 1, IdempotencyKey: "a-1.2", Refusals: 2}}, nil, Keep},
		{"in doubt, of what was restored", 1, later, v1alpha1.DaftyJobStatus{UID: "before", Attempts: 1, Submission: inDoubt(1)}, nil, Keep},
		{"in doubt, and attempts taken out of status", 2, later, v1alpha1.DaftyJobStatus{Submission: inDoubt(2)}, nil, Keep},
		{"in doubt for ever, as it has ended", 1, later, v1alpha1.DaftyJobStatus{Phase: v1alpha1.PhaseCancelled, Attempts: 1, Submission: inDoubt(1)}, nil, Taken},

		// What Dafty took.
		{"at Dafty", 1, later, v1alpha1.DaftyJobStatus{JobID: "one", Attempts: 1, Submission: inDoubt(1)}, nil, Taken},
		{"at Dafty, in the version that it was reserved for", 1, same, v1alpha1.DaftyJobStatus{JobID: "one", Attempts: 1, Submission: inDoubt(1)}, nil, Taken},
		{"at Dafty as another attempt", 2, later, v1alpha1.DaftyJobStatus{JobID: "two", Attempts: 2, FailedJobIDs: []string{"one"}, Submission: inDoubt(2)}, nil, Taken},
		{"failed, and waits to be tried again", 1, later, v1alpha1.DaftyJobStatus{Attempts: 1, FailedJobIDs: []string{"one"}}, nil, Taken},
		{"failed, and attempts taken out of status", 1, later, v1alpha1.DaftyJobStatus{FailedJobIDs: []string{"one"}}, nil, Taken},
		{"another attempt is in doubt by now", 1, later, v1alpha1.DaftyJobStatus{Attempts: 2, FailedJobIDs: []string{"one"}, Submission: inDoubt(2)}, nil, Taken},
		{"a person had it sent again, as its answer never came", 1, later, v1alpha1.DaftyJobStatus{Attempts: 1}, nil, Taken},
		{"completed", 1, later, v1alpha1.DaftyJobStatus{Phase: v1alpha1.PhaseCompleted, JobID: "one", Attempts: 1, Submission: inDoubt(1)}, nil, Taken},
		{"picked up from the annotation", 1, later, v1alpha1.DaftyJobStatus{JobID: "one-one-one", Attempts: 1}, annotate("one-one-one"), Taken},
		{"picked up as another attempt, of a status that was lost", 2, later, v1alpha1.DaftyJobStatus{JobID: "two-two-two", Attempts: 1}, annotate("two-two-two"), Taken},
		{"a status that was lost, and the annotation", 1, later, v1alpha1.DaftyJobStatus{}, annotate("one-one-one"), Taken},

		// What nobody will know.
		{"gone", 1, "", v1alpha1.DaftyJobStatus{}, nil, Taken},
		{"another object of the same name", 1, later, v1alpha1.DaftyJobStatus{}, func(job *v1alpha1.DaftyJob) { job.UID = "other" }, Taken},
		{"restored over by another object's status", 1, later, v1alpha1.DaftyJobStatus{UID: "before"}, nil, Taken},
		{"set back to before the attempt before", 2, later, v1alpha1.DaftyJobStatus{}, nil, Taken},

		// What can't be put on record any more.
		{"changed by somebody", 1, later, v1alpha1.DaftyJobStatus{UID: "a"}, nil, GivenBack},
		{"cancelled before it was sent", 1, later, v1alpha1.DaftyJobStatus{UID: "a", Phase: v1alpha1.PhaseCancelled}, nil, GivenBack},
		{"deleted before it was sent", 1, later, v1alpha1.DaftyJobStatus{UID: "a"}, func(job *v1alpha1.DaftyJob) { job.DeletionTimestamp = new(metav1.Now()) }, GivenBack},
		{"refused", 1, later, v1alpha1.DaftyJobStatus{UID: "a", Submission: refused(1)}, nil, GivenBack},
		{"refused for good", 1, later, v1alpha1.DaftyJobStatus{UID: "a", Phase: v1alpha1.PhaseFailed, Submission: refused(1)}, nil, GivenBack},
		{"refused, of what was restored", 1, later, v1alpha1.DaftyJobStatus{UID: "before", Submission: refused(1)}, nil, GivenBack},
		{"refused as another attempt", 2, later, v1alpha1.DaftyJobStatus{UID: "a", Attempts: 1, FailedJobIDs: []string{"one"}, Submission: refused(2)}, nil, GivenBack},
		{"not sent, and the annotation has the attempt before", 2, later, v1alpha1.DaftyJobStatus{UID: "a", Attempts: 1, FailedJobIDs: []string{"ONE-ONE-ONE"}}, annotate("one-one-one"), GivenBack},
		{"not sent, as the attempt before is still in doubt", 2, later, v1alpha1.DaftyJobStatus{UID: "a", Attempts: 1, Submission: inDoubt(1)}, nil, GivenBack},
		{"not sent, as the attempt before was found", 2, later, v1alpha1.DaftyJobStatus{UID: "a", JobID: "one", Attempts: 1, Submission: inDoubt(1)}, nil, GivenBack},
		{"adopted", 1, later, v1alpha1.DaftyJobStatus{UID: "a", JobID: "one-one-one"}, func(job *v1alpha1.DaftyJob) { job.Spec.AdoptJobID = "one-one-one" }, GivenBack},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var job *v1alpha1.DaftyJob
			if tt.version != "" {
				job = &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{UID: "a", Namespace: "shop", Name: "a", ResourceVersion: tt.version}, Status: tt.status}
			}
			if tt.change != nil {
				tt.change(job)
			}
			r := reservationOf("a", tt.attempt, same)
			if got := Judge(&r, job); got != tt.want {
				t.Errorf("it is %s, not %s", got, tt.want)
			}
		})
	}
}

func annotate(id string) func(*v1alpha1.DaftyJob) {
	return func(job *v1alpha1.DaftyJob) {
		job.Annotations = map[string]string{v1alpha1.JobAnnotation: "shop/a:" + id}
	}
}
