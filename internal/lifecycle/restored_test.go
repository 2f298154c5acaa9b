package lifecycle_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	. "dafty.ai/dafty-operator/api/v1alpha1" //nolint:revive // The tables are made of its words.
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// oldKeyA is the hash of keyA's key for the uid that a restored status is of.
const oldKeyA = "0ld0aaaa"

// restoredWith has the status be that of another object, with the hash of that one's key.
func restoredWith(hash string) change {
	return func(job *DaftyJob) {
		job.Status.UID = "0ld"
		if job.Status.Submission != nil {
			job.Status.Submission.CredentialsHash, job.Status.Submission.IdempotencyKey = hash, "0ld-1"
		}
	}
}

// createdAt has the object be as old as that.
func createdAt(at time.Duration) change {
	return func(job *DaftyJob) { job.CreationTimestamp = metav1.NewTime(t0.Add(at)) }
}

// rehashing knows the key of before.
func rehashing(known *lifecycle.Known) { known.Rehash = map[string]string{oldKeyA: keyA} }

// is holds the status's uid, and the hash of its submission.
func is(uid, hash string) func(*testing.T, lifecycle.Decision) {
	return func(t *testing.T, got lifecycle.Decision) {
		t.Helper()
		if string(got.Status.UID) != uid || got.Status.Submission.CredentialsHash != hash {
			t.Errorf("status is of %s, with hash %s; want %s, %s", got.Status.UID, got.Status.Submission.CredentialsHash, uid, hash)
		}
	}
}

// restores are of objects that came back with the status of before.
var restores = []row{
	{
		name: "restored in doubt: it waits from when the object is there", given: newJob(sent, says(PhaseSubmitting, ReasonSubmitting), createdAt(time.Hour), restoredWith(oldKeyA)), known: with(keyA, rehashing), when: time.Hour + time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Rest{}, after: 44 * time.Second, also: is("4f1c", keyA)},
	},
	{
		name: "and is repeated with its own key", given: newJob(sent, says(PhaseSubmitting, ReasonSubmitting), createdAt(time.Hour), restoredWith(oldKeyA)), known: with(keyA, rehashing), when: time.Hour + 45*time.Second,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: func(t *testing.T, got lifecycle.Decision) {
			is("4f1c", keyA)(t, got)
			if key := got.Status.Submission.IdempotencyKey; key != "0ld-1" {
				t.Errorf("repeated as %s", key)
			}
		}},
	},
	{
		name: "restored in doubt after Dafty may have forgotten", given: newJob(sent, createdAt(24*time.Hour), restoredWith(oldKeyA)), known: with(keyA, rehashing), when: 25 * time.Hour,
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonSubmissionUnknown, says: "too late", step: lifecycle.Rest{}, after: 5 * time.Minute, event: "Warning SubmissionUnknown", also: is("4f1c", keyA)},
	},
	{
		name: "restored in doubt, and when it began isn't on record", given: newJob(sent, createdAt(time.Hour), restoredWith(oldKeyA), func(job *DaftyJob) { job.Status.Submission.StartedAt = nil }), known: with(keyA, rehashing), when: 2 * time.Hour,
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonSubmissionUnknown, says: "too late", step: lifecycle.Rest{}, after: 5 * time.Minute, event: "Warning SubmissionUnknown", also: is("4f1c", keyA)},
	},
	{
		name: "restored in doubt, and another key is in the Secret", given: newJob(sent, createdAt(time.Minute), restoredWith("0ld0cccc")), known: with(keyA, rehashing), when: time.Hour,
		then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonSubmissionUnknown, says: "is no longer in key", step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning SubmissionUnknown", also: is("0ld", "0ld0cccc")},
	},
	{
		name: "restored in doubt before its Secret is: the record stays as it was", given: newJob(sent, createdAt(time.Minute), restoredWith(oldKeyA)), known: with(""), when: time.Hour,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonWaitingForCredentials, step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning WaitingForCredentials", also: is("0ld", oldKeyA)},
	},
	{
		name: "restored while the job runs: the key is known for the one that made it", given: newJob(taken(PhaseProcessing), restoredWith(oldKeyA)), known: with(keyA, rehashing, trouble(refusal(dafty.KindNotFound), 2, keyA)), when: time.Minute,
		then: then{phase: PhaseFailed, way: stalled, reason: ReasonJobNotFound, step: lifecycle.Rest{}, event: "Warning JobNotFound", also: is("4f1c", keyA)},
	},
	{
		name: "restored while the job runs, under another account's key", given: newJob(taken(PhaseProcessing), restoredWith("0ld0cccc")), known: with(keyA, rehashing, trouble(refusal(dafty.KindNotFound), 2, keyA)), when: time.Minute,
		then: then{phase: PhaseProcessing, way: stalled, reason: ReasonCredentialsRejected, says: "isn't the one it was submitted with", step: lifecycle.Follow{}, after: 5 * time.Second, event: "Warning CredentialsRejected", also: is("0ld", "0ld0cccc")},
	},
	{
		name: "restored while the job runs: nothing is written for the uid's sake alone twice", given: newJob(taken(PhaseProcessing), func(job *DaftyJob) { job.Status.UID = job.UID }), known: with(keyA),
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, step: lifecycle.Follow{}, also: is("4f1c", keyA)},
	},
	{
		name: "a status from before there was a uid is the object's own", given: newJob(sent), known: with(keyA), when: time.Minute,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second, also: is("4f1c", keyA)},
	},
}

// A restored object that waits for others waits for those that are there now, and an end that was restored stays.
func TestRestoredInputs(t *testing.T) {
	job := newJob(upscaling(0), says(PhasePending, ReasonWaitingForDependency), func(job *DaftyJob) {
		job.Status.UID = "0ld"
		job.Status.Inputs = []Input{{Field: "imageUpscale.image", Source: "DaftyJob base, image 0", UID: "base-of-before"}}
	})
	in := lifecycle.Snapshot{Job: job, Known: with(keyA), Now: t0, DeletionTimeout: deletionTimeout}
	got := lifecycle.Next(in)
	if got.Status.Phase != PhasePending || got.Status.Inputs[0].UID != "" || got.Status.UID != job.UID {
		t.Errorf("while it isn't there: %s, inputs %+v, uid %s", got.Status.Phase, got.Status.Inputs, got.Status.UID)
	}
	if seen := lifecycle.SeenUID(job, "base"); seen != "" {
		t.Errorf("it has seen %s", seen)
	}
	other := newJob()
	other.Name, other.UID = "base", "base-of-now"
	in.References.Jobs = map[string]*DaftyJob{"base": other}
	got = lifecycle.Next(in)
	if got.Status.Phase != PhasePending || got.Status.Inputs[0].UID != other.UID {
		t.Errorf("when it is there: %s, inputs %+v", got.Status.Phase, got.Status.Inputs)
	}
	in.Job = job.DeepCopy()
	in.Job.Status = got.Status
	other.UID = "base-of-later"
	if got = lifecycle.Next(in); got.Status.Phase != PhaseFailed {
		t.Errorf("when that one is gone: %s", got.Status.Phase)
	}

	ended := newJob(taken(PhaseProcessing), restoredWith(oldKeyA))
	ended.Status.Phase = PhaseCompleted
	ended.Status.ObservedGeneration = ended.Generation
	for i := range ended.Status.Conditions {
		ended.Status.Conditions[i].ObservedGeneration = ended.Generation
	}
	before := ended.Status.DeepCopy()
	if got := lifecycle.Next(lifecycle.Snapshot{Job: ended, Known: with(keyA, rehashing), Now: t0, DeletionTimeout: deletionTimeout}); asJSON(got.Status) != asJSON(before) {
		t.Errorf("the end was changed:\n%s\n%s", asJSON(before), asJSON(got.Status))
	}
}
