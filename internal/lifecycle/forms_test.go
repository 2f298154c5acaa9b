package lifecycle_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	. "dafty.ai/dafty-operator/api/v1alpha1" //nolint:revive // The tables are made of its words.
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

const ref = "imageGenerate.references[0]"

// guided is by an image of the DaftyJob base.
func guided(index int32) change {
	return spec(func(s *DaftyJobSpec) {
		s.ImageGenerate = &ImageGenerate{Prompt: "a", References: []ImageReference{{JobRef: &JobReference{Name: "base", Index: index}}}}
	})
}

// blaming returns a refusal whose details name these fields.
func blaming(kind dafty.Kind, fields ...string) *dafty.CallError {
	err := *refusal(kind)
	err.Details = map[string]any{}
	for _, field := range fields {
		err.Details[field] = "not found"
	}
	return &err
}

// plainly returns a refusal without details, as only the message is certain.
func plainly(kind dafty.Kind, message string) *dafty.CallError {
	err := *refusal(kind)
	err.Details, err.Message = nil, message
	return &err
}

var (
	unprocessable = &dafty.CallError{Kind: dafty.KindInvalid, Status: 422, Code: "VALIDATION_ERROR", Message: "Dafty said so"}
	keyReused     = &dafty.CallError{Kind: dafty.KindInvalid, Status: 400, Code: "IDEMPOTENCY_ERROR", Message: "Dafty said so"}
)

// sendsOtherwise returns a job whose request was refused, and goes out again with its inputs in another form, under a key of which
// no request was refused yet.
func sendsOtherwise(says string, want ...string) then {
	return then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: says, step: lifecycle.Rest{}, after: time.Second, also: func(t *testing.T, got lifecycle.Decision) {
		t.Helper()
		inputs(want...)(t, got)
		cleared(0)(t, got)
	}}
}

var refusedForGood = then{phase: PhaseFailed, way: stalled, reason: ReasonInvalidRequest, step: lifecycle.Rest{}, event: "Warning InvalidRequest"}

// An image that another DaftyJob made has more than one name, and Dafty's pages disagree on which a request takes.
var otherForms = []row{
	{
		name: "a reference goes as its url", given: newJob(guided(1)), known: with(keyA), gathered: there(madeImages(2)),
		then: also(submits(ref+"=ba5e/"+imageURL(1)), records(firstKey, 1, 0, 0, 0, keyA)),
	},
	{
		name: "a url that no reference may be as long as: its id", given: newJob(guided(0)), known: with(keyA),
		gathered: there(made(JobResult{Images: []Image{{ID: imageID, URL: "https://a.example/" + strings.Repeat("a", 2048)}}})),
		then:     submits(ref + "=ba5e/" + imageID),
	},
	{
		name: "Dafty gave the image a url only", given: newJob(guided(0)), known: with(keyA), gathered: there(made(JobResult{Images: []Image{{URL: imageURL(0)}}})),
		then: submits(ref + "=ba5e/" + imageURL(0)),
	},
	{
		name: "an image to work on goes as its id", given: newJob(upscaling(1)), known: with(keyA), gathered: there(madeImages(2)),
		then: submits(target + "=ba5e/2" + imageID[1:]),
	},
	{
		name: "the url is refused as invalid: the variation's id", given: newJob(guided(1), sent, imageFound(ref, 1, ReferenceURL)), known: with(keyA, failing(blaming(dafty.KindInvalid, "references"), 1, 0)), when: time.Second,
		then: sendsOtherwise("with "+ref+" by the image's id", ref+"=ba5e/2"+imageID[1:]),
	},
	{
		name: "the url is refused as not found: the variation's id", given: newJob(guided(1), sent, imageFound(ref, 1, ReferenceURL)), known: with(keyA, failing(refusal(dafty.KindNotFound), 1, 0)), when: time.Second,
		then: sendsOtherwise("by the image's id", ref+"=ba5e/2"+imageID[1:]),
	},
	{
		name: "under a key of its own", given: newJob(guided(1), refusedBefore(0), says(PhaseSubmitting, ReasonSubmitting), imageFound(ref, 1, ReferenceID)), known: with(keyA), when: time.Second,
		then: also(submits(), records(firstKey+".form-1", 1, 0, time.Second, time.Second, keyA)),
	},
	{
		name: "the user's key too", given: newJob(guided(1), ownKey, refusedBefore(0), says(PhaseSubmitting, ReasonSubmitting), imageFound(ref, 1, ReferenceID)), known: with(keyA), when: time.Second,
		then: also(submits(), records("spring-1.form-1", 1, 0, time.Second, time.Second, keyA)),
	},
	{
		name: "the user's key is refused in another form for the first time: it isn't left yet", given: newJob(guided(1), sentAs("spring-1.form-1", 0), ownKey, imageFound(ref, 1, ReferenceID)),
		known: with(keyA, refusing("spring-1.form-1", dafty.KindInsufficientCredits)), when: time.Second,
		then: then{phase: PhasePending, way: stalled, reason: ReasonInsufficientCredits, step: lifecycle.Rest{}, after: time.Second, event: "Warning InsufficientCredits", also: cleared(1)},
	},
	{
		name: "the variation's id is refused: its job's", given: newJob(guided(0), sentAs(firstKey+".form-1", 0), imageFound(ref, 0, ReferenceID)), known: with(keyA, refusing(firstKey+".form-1", dafty.KindNotFound)), when: time.Second,
		then: sendsOtherwise("by the id of the job that made it", ref+"=ba5e/"+otherID),
	},
	{
		name: "a job's id stands for its first image only", given: newJob(guided(1), sentAs(firstKey+".form-1", 0), imageFound(ref, 1, ReferenceID)), known: with(keyA, refusing(firstKey+".form-1", dafty.KindNotFound)), when: time.Second,
		then: refusedForGood,
	},
	{
		name: "all forms are refused: the end", given: newJob(guided(0), sentAs(firstKey+".form-2", 0), imageFound(ref, 0, ReferenceJobID)), known: with(keyA, refusing(firstKey+".form-2", dafty.KindNotFound)), when: time.Second,
		then: refusedForGood,
	},
	{
		name: "a repeat that is refused could never have been accepted either", given: newJob(guided(1), repeated(time.Minute), imageFound(ref, 1, ReferenceURL)), known: with(keyA, failing(refusal(dafty.KindNotFound), 1, time.Minute)), when: 61 * time.Second,
		then: sendsOtherwise("", ref+"=ba5e/2"+imageID[1:]),
	},
	{
		name: "no answer: repeated as it was", given: newJob(guided(1), sent, imageFound(ref, 1, ReferenceURL)), known: with(keyA, failing(noAnswer, 1, 0)), when: time.Minute,
		then: also(then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second}, inputs(ref+"=ba5e/"+imageURL(1))),
	},
	{
		name: "no credits: nothing about the image", given: newJob(guided(1), sent, imageFound(ref, 1, ReferenceURL)), known: with(keyA, failing(refusal(dafty.KindInsufficientCredits), 1, 0)), when: time.Second,
		then: then{phase: PhasePending, way: stalled, reason: ReasonInsufficientCredits, step: lifecycle.Rest{}, after: time.Second, event: "Warning InsufficientCredits", also: inputs(ref + "=ba5e/" + imageURL(1))},
	},
	{
		name: "another field is invalid: the end", given: newJob(guided(1), sent, imageFound(ref, 1, ReferenceURL)), known: with(keyA, failing(blaming(dafty.KindInvalid, "prompt"), 1, 0)), when: time.Second,
		then: refusedForGood,
	},
	{
		name: "something is invalid, and nobody says what", given: newJob(guided(1), sent, imageFound(ref, 1, ReferenceURL)), known: with(keyA, failing(plainly(dafty.KindInvalid, "Invalid input"), 1, 0)), when: time.Second,
		then: sendsOtherwise("", ref+"=ba5e/2"+imageID[1:]),
	},
	{
		name: "called off meanwhile", given: newJob(guided(1), sent, desired(DesiredCancelled), imageFound(ref, 1, ReferenceURL)), known: with(keyA, failing(refusal(dafty.KindNotFound), 1, 0)), when: time.Second,
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelledBeforeSubmission, step: lifecycle.Rest{}, event: "Normal CancelledBeforeSubmission"},
	},
	{
		name: "the id of an image to work on isn't found: its job's", given: newJob(upscaling(0), sent, imageFound(target, 0, ReferenceID)), known: with(keyA, failing(refusal(dafty.KindNotFound), 1, 0)), when: time.Second,
		then: sendsOtherwise("with "+target+" by the id of the job that made it", target+"=ba5e/"+otherID),
	},
	{
		name: "so it is where a 400 names imageId", given: newJob(upscaling(0), sent, imageFound(target, 0, ReferenceID)), known: with(keyA, failing(blaming(dafty.KindInvalid, "imageId"), 1, 0)), when: time.Second,
		then: sendsOtherwise("", target+"=ba5e/"+otherID),
	},
	{
		name: "so it is where its message alone does", given: newJob(upscaling(0), sent, imageFound(target, 0, ReferenceID)), known: with(keyA, failing(plainly(dafty.KindInvalid, "imageId: must be a job's id"), 1, 0)), when: time.Second,
		then: sendsOtherwise("", target+"=ba5e/"+otherID),
	},
	{
		name: "not where a 400 names another field", given: newJob(upscaling(0), sent, imageFound(target, 0, ReferenceID)), known: with(keyA, failing(blaming(dafty.KindInvalid, "resolution"), 1, 0)), when: time.Second,
		then: refusedForGood,
	},
	{
		name: "a job's id stands for its first image only, to work on too", given: newJob(upscaling(1), sent, imageFound(target, 1, ReferenceID)), known: with(keyA, failing(refusal(dafty.KindNotFound), 1, 0)), when: time.Second,
		then: refusedForGood,
	},
	{
		name: "what an earlier version of the operator has found: as it was", given: newJob(guided(0), sent, madeBy(ref, imageID, otherID)), known: with(keyA), when: time.Minute,
		then: also(submits(ref+"=ba5e/"+imageID), records(firstKey, 1, 0, 0, time.Minute, keyA)),
	},
	{
		name: "and its job's id, which that one had sent: the end", given: newJob(upscaling(0), sent, madeBy(target, otherID, otherID)), known: with(keyA, failing(refusal(dafty.KindNotFound), 1, 0)), when: time.Second,
		then: refusedForGood,
	},
}

// A request that is refused for each form is sent in all of them, each once: an image to work on in each of its forms beside
// each of the references'.
func TestEachFormOnce(t *testing.T) {
	url, id, byJob := ReferenceURL, ReferenceID, ReferenceJobID
	for _, row := range []struct {
		name   string
		job    *DaftyJob
		blamed []string
		want   [][]ReferenceForm
	}{
		{"a reference", newJob(guided(0), imageFound(ref, 0, url)), nil, [][]ReferenceForm{{url}, {id}, {byJob}}},
		{"a reference that isn't the first image", newJob(guided(1), imageFound(ref, 1, url)), nil, [][]ReferenceForm{{url}, {id}}},
		{"an image to work on", newJob(upscaling(0), imageFound(target, 0, id)), nil, [][]ReferenceForm{{id}, {byJob}}},
		{"both", newJob(edited, imageFound("imageEdit.image", 0, id), imageFound("imageEdit.references[0]", 0, url), imageFound("imageEdit.references[1]", 1, url)), nil,
			[][]ReferenceForm{{id, url, url}, {byJob, url, url}, {id, id, id}, {byJob, id, id}, {id, byJob, id}, {byJob, byJob, id}}},
		{"both, and Dafty names the references", newJob(edited, imageFound("imageEdit.image", 0, id), imageFound("imageEdit.references[0]", 0, url), imageFound("imageEdit.references[1]", 1, url)), []string{"references.1"},
			[][]ReferenceForm{{id, url, url}, {id, id, id}, {id, byJob, id}}},
		{"both, and Dafty names the image to work on", newJob(edited, imageFound("imageEdit.image", 0, id), imageFound("imageEdit.references[0]", 0, url), imageFound("imageEdit.references[1]", 1, url)), []string{"imageId"},
			[][]ReferenceForm{{id, url, url}, {byJob, url, url}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			job, got, sentKeys := row.job, [][]ReferenceForm(nil), []string(nil)
			for range 10 {
				decision := decide(t, lifecycle.Snapshot{Job: job, Known: with(keyA), Now: t0, DeletionTimeout: deletionTimeout})
				if decision.Status.Phase.Final() {
					break
				}
				if !lifecycle.Is[lifecycle.Submit](decision.Step) {
					t.Fatalf("step %s", decision.Step)
				}
				var forms []ReferenceForm
				for _, in := range decision.Status.Inputs {
					forms = append(forms, in.SentAs)
				}
				got, sentKeys = append(got, forms), append(sentKeys, decision.Status.Submission.IdempotencyKey)
				job = changed(job, func(job *DaftyJob) { job.Status = decision.Status })
				err := refusal(dafty.KindNotFound)
				if row.blamed != nil {
					err = blaming(dafty.KindInvalid, row.blamed...)
				}
				known := with(keyA)
				known.Submission = &lifecycle.SubmissionCall{Record: *decision.Status.Submission, Done: true, Err: err, Failures: 1}
				after := decide(t, lifecycle.Snapshot{Job: job, Known: known, Now: t0, DeletionTimeout: deletionTimeout})
				job = changed(job, func(job *DaftyJob) { job.Status = after.Status })
			}
			if !slices.EqualFunc(got, row.want, slices.Equal[[]ReferenceForm]) {
				t.Errorf("sent as %v, want %v", got, row.want)
			}
			if !job.Status.Phase.Final() {
				t.Errorf("then it is %s", job.Status.Phase)
			}
			if slices.Sort(sentKeys); len(slices.Compact(sentKeys)) != len(got) {
				t.Errorf("two bodies have one key: %v", sentKeys)
			}
		})
	}
}

// Dafty may refuse a key that it knows from another request. That one may have made a job.
var takenKeys = func() (rows []row) {
	unknown := func(key string, after time.Duration) then {
		return then{phase: PhaseSubmitting, way: stalled, reason: ReasonSubmissionUnknown, says: "Dafty refuses idempotency key " + key + ": Dafty said so",
			step: lifecycle.Rest{}, after: after, event: "Warning SubmissionUnknown"}
	}
	refusingWith := func(key string, err *dafty.CallError) func(*lifecycle.Known) {
		return func(known *lifecycle.Known) {
			failing(err, 1, 0)(known)
			known.Submission.Record.IdempotencyKey = key
		}
	}
	for name, err := range map[string]*dafty.CallError{"409": refusal(dafty.KindConflict), "422": unprocessable, "a 400 about the key": keyReused} {
		rows = append(rows,
			row{
				name: "the user's key may be another request's, by " + name, given: newJob(ownKey, sentAs("spring-1", 0)), known: with(keyA, refusingWith("spring-1", err)), when: time.Second,
				then: unknown("spring-1", 44*time.Second),
			},
			row{
				name: "and a person finds the job, after " + name, given: newJob(ownKey, sentAs("spring-1", 0), note(ownNote)), known: with(keyA, refusingWith("spring-1", err)), when: time.Minute,
				then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, says: "asking Dafty", step: lifecycle.Follow{}, also: hasID},
			},
			row{
				name: "and a person finds that there is none, after " + name, given: newJob(ownKey, sentAs("spring-1", 0), resubmit("spring-1")), known: with(keyA, refusingWith("spring-1", err)), when: time.Minute,
				then: also(submits(), records("spring-2", 2, 0, time.Minute, time.Minute, keyA)),
			},
			row{
				name: "it is repeated as it was, after " + name, given: newJob(ownKey, sentAs("spring-1", 0), says(PhaseSubmitting, ReasonSubmissionUnknown)), known: with(keyA, refusingWith("spring-1", err)), when: time.Minute,
				then: then{phase: PhaseSubmitting, way: stalled, reason: ReasonSubmissionUnknown, step: lifecycle.Submit{}, after: 45 * time.Second, also: records("spring-1", 1, 0, 0, time.Minute, keyA)},
			},
			row{
				name: "a repeat proves nothing about the request before it, by " + name, given: newJob(upscaling(0), repeated(time.Minute), imageFound(target, 0, ReferenceID)), known: with(keyA, func(known *lifecycle.Known) {
					failing(err, 2, time.Minute)(known)
				}), when: 61 * time.Second,
				then: also(unknown(firstKey, 44*time.Second), inputs(target+"=ba5e/"+imageID)),
			},
		)
	}
	return append(rows,
		row{
			name: "a 422 for a key that no other request can have is a refusal", given: newJob(sent), known: with(keyA, failing(unprocessable, 1, 0)), when: time.Second,
			then: refusedForGood,
		},
		row{
			name: "a first 409 for such a key may pass: the request before is still worked on", given: newJob(sent), known: with(keyA, failing(refusal(dafty.KindConflict), 1, 0)), when: time.Second,
			then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonAPIUnavailable, step: lifecycle.Rest{}, after: 44 * time.Second, event: "Warning APIUnavailable"},
		},
	)
}()
