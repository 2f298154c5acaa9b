package lifecycle_test

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/test/kstatustest"
)

// phases are all that the API knows, in the order of a job's life.
var phases = []v1alpha1.Phase{
	v1alpha1.PhasePending, v1alpha1.PhaseSubmitting, v1alpha1.PhaseQueued, v1alpha1.PhaseProcessing, v1alpha1.PhaseCancelling,
	v1alpha1.PhaseCompleted, v1alpha1.PhaseFailed, v1alpha1.PhaseCancelled,
}

// The ways that the conditions can stand together.
const (
	unseen     = "unseen"     // nothing is said yet
	inProgress = "on the way" // Ready Unknown, Reconciling
	stalled    = "stuck"      // Ready False, Stalled
	suspended  = "suspended"  // only Ready False
	current    = "reached"    // Ready True
)

// standing tells which way a status' conditions stand together, and fails on any other.
func standing(status *v1alpha1.DaftyJobStatus) (string, error) {
	var is []string
	for _, condition := range status.Conditions {
		switch condition.Type {
		case v1alpha1.ConditionReady:
			is = append(is, condition.Type+"="+string(condition.Status))
		case v1alpha1.ConditionResultStored:
			if status.Phase != v1alpha1.PhaseCompleted {
				return "", fmt.Errorf("%s in phase %s", condition.Type, status.Phase)
			}
		default:
			if condition.Status != metav1.ConditionTrue {
				return "", fmt.Errorf("%s is %s, where it must be True or absent", condition.Type, condition.Status)
			}
			is = append(is, condition.Type)
		}
	}
	slices.Sort(is)
	has := func(condition string) bool { return meta.FindStatusCondition(status.Conditions, condition) != nil }
	if has(v1alpha1.ConditionSubmitted) != (status.JobID != "") && len(is) > 0 {
		return "", fmt.Errorf("%v with job id %q", is, status.JobID)
	}
	is = slices.DeleteFunc(is, func(condition string) bool { return condition == v1alpha1.ConditionSubmitted })

	key := strings.Join(is, " ")
	way, ok := map[string]string{
		"":                          unseen,
		"Ready=Unknown Reconciling": inProgress,
		"Ready=False Stalled":       stalled,
		"Ready=False":               suspended,
		"Complete Ready=True":       current,
		"Cancelled Ready=True":      current,
		// It is asked for something else by now.
		"Cancelled Ready=False Stalled": stalled,
		"Failed Ready=False Stalled":    stalled,
	}[key]
	if !ok {
		return "", fmt.Errorf("conditions %q", key)
	}
	for condition, phase := range map[string]v1alpha1.Phase{
		v1alpha1.ConditionComplete: v1alpha1.PhaseCompleted, v1alpha1.ConditionFailed: v1alpha1.PhaseFailed, v1alpha1.ConditionCancelled: v1alpha1.PhaseCancelled,
	} {
		if has(condition) != (status.Phase == phase) {
			return "", fmt.Errorf("conditions %q in phase %s", key, status.Phase)
		}
	}
	if way == unseen && status.Phase != "" {
		return "", fmt.Errorf("phase %s without a Ready condition", status.Phase)
	}
	return way, nil
}

// wrong holds a decision against what is true of every one, and returns what isn't.
func wrong(in lifecycle.Snapshot, got lifecycle.Decision) (problems []string) {
	must := func(is bool, format string, args ...any) {
		if !is {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	before, after := &in.Job.Status, &got.Status
	deleting := !in.Job.DeletionTimestamp.IsZero()
	finalizer := slices.Contains(in.Job.Finalizers, v1alpha1.CancelFinalizer)
	unwanted := deleting || calledOff(in.Job)

	// The same question has the same answer, and asking changes nothing.
	asked := asJSON(in)
	must(reflect.DeepEqual(got, lifecycle.Next(in)), "another answer to the same question")
	must(asked == asJSON(in), "the input was changed")
	if step, ok := got.Step.(lifecycle.StoreResult); ok {
		return append(problems, storesFirst(in, got, step)...)
	}

	for _, hold := range []func(lifecycle.Snapshot, lifecycle.Decision, func(bool, string, ...any)){finality, inputsStand, searchesStand, recordHolds, attemptsCount, deadlineHolds, startingDeadlineHolds, desiredStateStands} {
		hold(in, got, must)
	}

	// Status is whole, and about this generation.
	way, err := standing(after)
	must(err == nil, "%v", err)
	must(lifecycle.Is[lifecycle.AddFinalizer](got.Step) || lifecycle.Is[lifecycle.RemoveFinalizer](got.Step) || after.ObservedGeneration == in.Job.Generation ||
		after.ObservedGeneration == before.ObservedGeneration && meta.FindStatusCondition(after.Conditions, v1alpha1.ConditionReady) == nil, "observedGeneration is %d", after.ObservedGeneration)
	if way == unseen {
		young := heldForRecord(in) && got.After > 0 && in.Now.Before(in.Job.CreationTimestamp.Add(10*time.Second)) && lifecycle.Is[lifecycle.Rest](got.Step)
		must(young || lifecycle.Is[lifecycle.AddFinalizer](got.Step) || deleting && (lifecycle.Is[lifecycle.RemoveFinalizer](got.Step) || lifecycle.Is[lifecycle.Rest](got.Step)), "nothing is said before %s", got.Step)
	} else {
		must(slices.Contains(phases, after.Phase), "phase %q", after.Phase)
	}
	for _, condition := range after.Conditions {
		must(condition.Reason != "" && condition.Message != "", "%s without a reason or a message", condition.Type)
		must(condition.ObservedGeneration == after.ObservedGeneration || after.ObservedGeneration <= 0 || lifecycle.Is[lifecycle.RemoveFinalizer](got.Step),
			"%s is of generation %d, and status of %d", condition.Type, condition.ObservedGeneration, after.ObservedGeneration)
		old := meta.FindStatusCondition(before.Conditions, condition.Type)
		if old != nil && old.Status == condition.Status {
			must(old.LastTransitionTime.Equal(&condition.LastTransitionTime), "the transition time of %s moved without a transition", condition.Type)
		} else {
			must(condition.LastTransitionTime.Time.Equal(in.Now), "the transition of %s isn't dated now", condition.Type)
		}
	}
	if way != unseen && !lifecycle.Is[lifecycle.RemoveFinalizer](got.Step) {
		status, err := kstatusOf(in.Job, after)
		must(err == nil, "kstatus: %v", err)
		want := map[string]kstatus.Status{
			inProgress: kstatus.InProgressStatus, stalled: kstatus.FailedStatus, current: kstatus.CurrentStatus,
			// kstatus knows no suspension: to it, what isn't Ready and not Stalled is on the way.
			suspended: kstatus.InProgressStatus,
		}[way]
		if deleting {
			want = kstatus.TerminatingStatus
		}
		must(status == want || after.ObservedGeneration != in.Job.Generation, "kstatus is %s, want %s", status, want)
	}

	// An end is what Dafty says, or where nothing can have reached it.
	if !before.Phase.Final() && after.Phase.Final() {
		says := func(status dafty.JobStatus) bool {
			call := in.Known.Submission
			return in.Known.Job != nil && in.Known.Job.Status == status || call != nil && call.Job != nil && call.Job.Status == status
		}
		denied := in.Known.Trouble != nil && in.Known.Trouble.Err.Kind == dafty.KindNotFound
		reason := readyReason(after)
		cancel := in.Known.Cancel
		emptied := unwanted && before.Phase == "" && before.Submission == nil
		cancelled := says(dafty.Failed) && (before.Phase == v1alpha1.PhaseCancelling || cancel != nil && cancel.Done && cancel.Err == nil || emptied || in.Known.CancelledElsewhere || in.Known.Cancelled != "")
		switch {
		case after.Phase == v1alpha1.PhaseCompleted:
			must(says(dafty.Completed), "completed, which Dafty doesn't say")
		case after.Phase == v1alpha1.PhaseCancelled && after.JobID == "":
			must(unwanted && !after.InDoubt(), "cancelled, which nobody asked for, or what it was isn't known")
		case after.Phase == v1alpha1.PhaseCancelled:
			must(cancelled, "cancelled, which Dafty doesn't say")
			must(unwanted || in.Known.Cancelled == lifecycle.CancelForUser, "cancelled, which nobody asked for")
		case reason == v1alpha1.ReasonDependencyFailed || reason == v1alpha1.ReasonInvalidReference:
			must(after.JobID == "" && !after.InDoubt() && lostReference(in) == reason, "%s with %s", reason, asJSON(in.References))
		case reason == v1alpha1.ReasonDeadlineExceeded:
			between := after.JobID == "" && !after.InDoubt() && pastDeadline(in, after)
			must(!unwanted && (cancelled || between || tooLateToStart(in) && after.JobID == "" && !after.InDoubt()), "the deadline ended what may still run")
		case reason == v1alpha1.ReasonJobNotFound:
			must(denied, "not found, which Dafty doesn't say")
			must(before.SubmittedAt == nil || in.Now.Sub(before.SubmittedAt.Time) >= 30*time.Second, "not found, moments after it was made")
		case reason == v1alpha1.ReasonInvalidRequest:
			must(disproved(in), "invalid, which Dafty doesn't say")
		default:
			lowered := after.JobID == "" && !after.InDoubt() && len(before.FailedJobIDs) > backoffLimitOf(in.Job)
			must(says(dafty.Failed) || lowered, "failed, which Dafty doesn't say")
		}
	}
	retried := len(after.FailedJobIDs) > len(before.FailedJobIDs)
	if before.InDoubt() && !after.InDoubt() && after.JobID == "" && !retried {
		must(disproved(in) || forgone(in), "a request in doubt is forgotten")
	}

	// What was learnt stays.
	corrected := correctable(in) && after.JobID == ownAnnotation(in.Job)
	stoodBack := after.JobID == "" && in.References.Adopter != "" && !unwanted
	must(before.JobID == "" || after.JobID == before.JobID || retried || corrected || stoodBack, "the job's id changed")
	must(!slices.Contains([]v1alpha1.Phase{v1alpha1.PhaseProcessing, v1alpha1.PhaseCancelling}, before.Phase) || before.JobID == "" || retried || stoodBack ||
		slices.Index(phases, after.Phase) >= slices.Index(phases, before.Phase), "from %s back to %s", before.Phase, after.Phase)
	must(before.Phase.Final() || after.Phase.Final() == (after.FinishedAt != nil && before.FinishedAt == nil), "finishedAt %v in phase %s", after.FinishedAt, after.Phase)

	// Steps.
	switch step := got.Step.(type) {
	case lifecycle.Submit:
		submission := after.Submission
		must(submission != nil && submission.IdempotencyKey != "" && submission.SentAt != nil && submission.StartedAt != nil, "submitted without a record")
		must(submission.SentAt.Time.Equal(in.Now.Truncate(time.Second)), "the submission isn't dated now")
		must(after.JobID == "" && after.Phase == v1alpha1.PhaseSubmitting, "submitted in phase %s with job id %q", after.Phase, after.JobID)
		must(submission.CredentialsHash == in.Known.Credentials.Secret || submission.CredentialsHash == in.Known.Credentials.LastUsed, "submitted with a key that isn't there")
		must(after.Attempts == submission.Attempt, "attempt %d, of %d", submission.Attempt, after.Attempts)
		must(finalizer, "submitted without the finalizer")
		must(in.Known.Submission == nil || in.Known.Submission.Done, "submitted beside another request")
		_, err := lifecycle.Request(&in.Job.Spec, after.Inputs)
		must(err == nil || in.Job.Status.InDoubt(), "submitted without a request: %v", err)
		if old := before.Submission; before.InDoubt() && submission.Attempt == old.Attempt && !step.AtOnce {
			must(submission.IdempotencyKey == old.IdempotencyKey && submission.StartedAt.Equal(old.StartedAt) &&
				(submission.CredentialsHash == old.CredentialsHash || submission.CredentialsHash == in.Known.Rehash[old.CredentialsHash]) && submission.Attempt == old.Attempt, "the repeat isn't of the same request")
			waited := in.Now.Sub(old.SentAt.Time)
			call := ownCall(in)
			answered := call != nil && call.Done && call.Err.Status >= 500 && call.Err.Code != ""
			if was, err := lifecycle.Request(&in.Job.Spec, before.Inputs); err == nil {
				is, _ := lifecycle.Request(&in.Job.Spec, after.Inputs)
				must(asJSON(is) == asJSON(was), "the repeat has another body: %s, and then %s", asJSON(was), asJSON(is))
			}
			refused := call != nil && call.Done && call.Err.Kind == dafty.KindUnauthorized && call.KeyRefusals < 2
			must(waited >= 45*time.Second || (answered || refused) && waited >= 5*time.Second, "repeated after %s", waited)
			must(in.Now.Sub(old.StartedAt.Time) < 23*time.Hour, "repeated after %s", in.Now.Sub(old.StartedAt.Time))
		} else {
			must(!before.InDoubt() || forgone(in) || step.AtOnce && disproved(in), "submitted anew, and the request before is in doubt")
			must(in.Job.Spec.IdempotencyKey == "" || step.AtOnce || unformed(submission.IdempotencyKey) == fmt.Sprintf("%s-%d", in.Job.Spec.IdempotencyKey, submission.Attempt), "key %s, not first the user's own", submission.IdempotencyKey)
			must(!step.AtOnce || in.Job.Spec.IdempotencyKey != "" && in.Known.Block == nil, "at once, without a cause")
			must(!unwanted && !heldBack(in.Job), "submitted although it isn't wanted")
			must(!tooLateToStart(in), "submitted too late")
			of := in.References.Account
			must(of == nil || of.Denied == "" && !of.Suspended, "submitted with an account that lets nothing be submitted")
			must(ownAnnotation(in.Job) == "", "submitted although the annotation names a job")
			must(in.Job.Spec.AdoptJobID == "", "submitted beside a job that is to be adopted")
			must(!pastDeadline(in, before) || before.InDoubt(), "submitted past the deadline")
			must(submission.StartedAt.Equal(submission.SentAt), "a first request is dated like a repeat")
			must(strings.HasPrefix(submission.IdempotencyKey, fmt.Sprintf("%s-%d", cmp.Or(in.Job.Spec.IdempotencyKey, uid), submission.Attempt)), "key %s of attempt %d", submission.IdempotencyKey, submission.Attempt)
		}
	case lifecycle.Follow, lifecycle.Cancel, lifecycle.Annotate:
		must(after.JobID != "" && !after.Phase.Final(), "%s in phase %s with job id %q", got.Step, after.Phase, after.JobID)
		stop := unwanted || pastDeadline(in, after) || before.Phase == v1alpha1.PhaseCancelling
		must(!lifecycle.Is[lifecycle.Cancel](got.Step) || stop && after.Phase == v1alpha1.PhaseCancelling, "cancelled in phase %s", after.Phase)
		must(!lifecycle.Is[lifecycle.Annotate](got.Step) || !stop, "a cancel waits for the annotation")
		must(deleting || finalizer || lifecycle.Is[lifecycle.Cancel](got.Step), "%s without the finalizer", got.Step)
	case lifecycle.AddFinalizer:
		must(!finalizer && !deleting, "a finalizer that is there, or can't be added")
	case lifecycle.RemoveFinalizer:
		untouched := before.JobID == "" && !before.InDoubt() && ownAnnotation(in.Job) == "" && in.Job.Spec.AdoptJobID == ""
		timeout := !in.Now.Before(in.Job.DeletionTimestamp.Add(in.DeletionTimeout))
		must(deleting && finalizer, "a finalizer that isn't there, or is wanted")
		orphaned := in.Job.Spec.DeletionPolicy == v1alpha1.DeletionOrphan && !calledOff(in.Job) && !pastDeadline(in, after) && !cancelOnItsWay(in)
		must(before.Phase.Final() || untouched || disproved(in) || forgone(in) || timeout || orphaned, "let go too early")
		must(!step.Abandoned || timeout && got.Event != nil && got.Event.Warning, "abandoned too early or in silence")
	case lifecycle.Release:
		must(finalizer && !deleting && before.Phase.Final(), "a finalizer that isn't there, or is wanted")
	case lifecycle.SearchStyle, lifecycle.UploadFiles, lifecycle.LookForThumbnail, lifecycle.Delete:
		// See searchesStand, inputsStand and finality.
	case lifecycle.Rest:
		must(!(way == inProgress && !deleting) || got.After > 0, "on the way, and nothing goes on")
		must(!before.Phase.Final() || deleting || !finalizer, "it has ended, and its deletion needs an operator")
	}
	must(got.After >= 0, "after %s", got.After)
	if deleting && finalizer && !lifecycle.Is[lifecycle.RemoveFinalizer](got.Step) {
		must(got.After > 0, "a deletion without an end")
	}

	// Events are news.
	if event := got.Event; event != nil {
		must(event.Reason != "" && event.Message != "", "an empty event")
		old := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionReady)
		must(lifecycle.Is[lifecycle.RemoveFinalizer](got.Step) || old == nil || old.Reason != event.Reason || retried, "the event %s is no news", event.Reason)
		must(event.Reason != v1alpha1.EventJobOrphaned || !cancelOnItsWay(in), "said to run on, and its cancel is on its way")
	}
	return problems
}

// correctable reports whether the id on record may be a wrong one that a person has written, as nobody has seen its job.
func correctable(in lifecycle.Snapshot) bool {
	before := &in.Job.Status
	return in.Job.Spec.AdoptJobID == "" && (before.SubmittedAt == nil || len(before.FailedJobIDs) > 0)
}

// ownCall returns this process's call that the submission in status is the record of, nil where it is another's.
func ownCall(in lifecycle.Snapshot) *lifecycle.SubmissionCall {
	request, call := in.Job.Status.Submission, in.Known.Submission
	if request == nil || request.SentAt == nil || call == nil || request.Sender != call.Record.Sender ||
		call.Record.IdempotencyKey != request.IdempotencyKey || !call.Record.SentAt.Equal(request.SentAt) {
		return nil
	}
	return call
}

// keyTaken reports whether Dafty may know the key of the request on record from another body.
func keyTaken(in lifecycle.Snapshot) bool {
	request, call := in.Job.Status.Submission, ownCall(in)
	if call == nil || call.Err == nil {
		return false
	}
	err, first := call.Err, request.StartedAt.Equal(request.SentAt)
	return err.Status == 409 || err.Code == "IDEMPOTENCY_ERROR" || err.Status == 422 && (!first || in.Job.Spec.IdempotencyKey != "")
}

// unformed returns a key without what tells the forms of a request's images apart.
func unformed(key string) string {
	return regexp.MustCompile(`\.form-[0-9]+$`).ReplaceAllString(key, "")
}

// disproved reports whether the request on record certainly made no job: its first sending was refused
// or never left, or Dafty says that it could never have been accepted.
func disproved(in lifecycle.Snapshot) bool {
	request, call := in.Job.Status.Submission, ownCall(in)
	if call == nil || call.Err == nil {
		return false
	}
	if keyTaken(in) {
		return false
	}
	return call.Err.Kind == dafty.KindInvalid || call.Err.Kind == dafty.KindNotFound || call.Err.Refused() && request.StartedAt.Equal(request.SentAt)
}

// forgone reports whether Dafty can't tell any more what became of the request on record, or doesn't, as it refuses
// the repeats, and that a person has found that it made no job.
func forgone(in lifecycle.Snapshot) bool {
	request, credentials := in.Job.Status.Submission, in.Known.Credentials
	if request == nil || in.Job.Annotations[v1alpha1.ResubmitAnnotation] != request.IdempotencyKey {
		return false
	}
	begun := in.Job.CreationTimestamp.Time
	if request.StartedAt != nil && !request.StartedAt.After(in.Now.Add(15*time.Second)) {
		begun = request.StartedAt.Time
	}
	call := ownCall(in)
	failed := call != nil && call.Err != nil
	revoked := failed && call.Err.Kind == dafty.KindUnauthorized && call.KeyRefusals > 1
	mendable := []dafty.Kind{dafty.KindInsufficientCredits, dafty.KindSubscriptionRequired, dafty.KindUsageLimit, dafty.KindConcurrency}
	refused := failed && (slices.Contains(mendable, call.Err.Kind) || keyTaken(in)) && in.Now.Sub(call.Record.SentAt.Time) >= 45*time.Second
	_, lost := lifecycle.Request(&in.Job.Spec, in.Job.Status.Inputs)
	return in.Now.Sub(begun) >= 23*time.Hour || refused || lost != nil ||
		credentials.Secret != "" && credentials.Secret != request.CredentialsHash && (credentials.LastUsed != request.CredentialsHash || revoked)
}

// kstatusOf returns what tools such as Flux and Argo CD make of an object with this status.
func kstatusOf(job *v1alpha1.DaftyJob, status *v1alpha1.DaftyJobStatus) (kstatus.Status, error) {
	job = job.DeepCopy()
	job.Status = *status
	return kstatustest.Of(job)
}

func asJSON(from any) string {
	if decision, ok := from.(lifecycle.Decision); ok { // whose step says nothing of its name there
		from = struct {
			lifecycle.Decision
			Name string
		}{decision, decision.Step.String()}
	}
	raw, err := json.Marshal(from)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func fromJSON(t *testing.T, raw string, to any) {
	t.Helper()
	if err := json.Unmarshal([]byte(raw), to); err != nil {
		t.Fatal(err)
	}
}

// A decision takes microseconds, so more of them are tried than rapid's 100.
func init() {
	if err := flag.Set("rapid.checks", "20000"); err != nil {
		panic(err)
	}
}

// Whatever stands in the object and is known, at whatever time: the decision holds what is
// true of every one.
func TestEveryDecision(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		got := lifecycle.Next(in)
		for _, problem := range wrong(in, got) {
			t.Errorf("%s\ndecision: %s", problem, asJSON(got))
		}
	})
}

// A decision that is carried out isn't followed by another, nor by a rewritten message, until
// there is news: a reconcile that goes on by itself would never rest.
func TestDecisionsComeToRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		problem := oneOf(t, "store", "", "it can't be written")
		var got lifecycle.Decision
		const rounds = 5
		for round := 0; ; round++ {
			var stored bool
			got, stored = settled(in, lifecycle.StoreOutcome{Problem: problem})
			if lifecycle.Is[lifecycle.RemoveFinalizer](got.Step) {
				return
			}
			if stored {
				in.References.ResultChanged = in.References.ResultChanged && problem != ""
			}
			after := in.Job.DeepCopy()
			after.Status = got.Status
			switch step := got.Step.(type) {
			case lifecycle.Delete:
				if len(after.Finalizers) == 0 {
					return
				}
				after.DeletionTimestamp = at(in.Now.Sub(t0))
			case lifecycle.UploadFiles:
				in.Known.Uploads = maps.Clone(in.Known.Uploads)
				for _, file := range step.Files {
					if upload := in.Known.Uploads[file.Digest]; upload.Done && !in.Now.Before(upload.RetryAt) {
						upload.Done = false
						in.Known.Uploads[file.Digest] = upload
					}
				}
			case lifecycle.SearchStyle:
				in.Known.Searches = maps.Clone(in.Known.Searches)
				for _, query := range step.Queries {
					search := in.Known.Searches[query]
					search.Underway = true
					if in.Known.Searches == nil {
						in.Known.Searches = map[lifecycle.StyleQuery]lifecycle.Search{}
					}
					in.Known.Searches[query] = search
				}
			case lifecycle.LookForThumbnail, lifecycle.Follow, lifecycle.Rest:
				// What comes of them is news.
			case lifecycle.AddFinalizer:
				after.Finalizers = append(after.Finalizers, v1alpha1.CancelFinalizer)
			case lifecycle.Annotate:
				after.Annotations = map[string]string{v1alpha1.JobAnnotation: lifecycle.Annotation(after, got.Status.JobID)}
			case lifecycle.Submit:
				in.Known.Submission = &lifecycle.SubmissionCall{Record: *got.Status.Submission}
			case lifecycle.Cancel:
				in.Known.Cancel = &lifecycle.CancelCall{}
			}
			if equality.Semantic.DeepEqual(in.Job, after) {
				break
			}
			if round == rounds {
				t.Fatalf("no rest after %d rounds\njob: %s\nknown: %s\ndecision: %s", rounds, asJSON(in.Job), asJSON(in.Known), asJSON(got))
			}
			in.Job = after
		}
		if got.Event != nil || got.StoreEvent != nil {
			t.Fatalf("the same event again: %s", asJSON(got))
		}
		// Time may bring one change, but not one each second.
		var changes int
		for range 3 {
			in.Now = in.Now.Add(time.Second)
			later, _ := settled(in, lifecycle.StoreOutcome{Problem: problem})
			if !reflect.DeepEqual(later.Step, got.Step) || later.Event != nil || later.StoreEvent != nil {
				return
			}
			if !equality.Semantic.DeepEqual(in.Job.Status, later.Status) {
				changes++
			}
			in.Job.Status = later.Status
		}
		if changes > 1 {
			t.Fatalf("status is rewritten as time goes by:\n%s\n%s", asJSON(got), asJSON(in.Job.Status))
		}
	})
}

// drawInput makes up anything that an API server, a user's edits and Dafty's answers can
// bring together, likely or not.
func drawInput(t *rapid.T) lifecycle.Snapshot {
	in := lifecycle.Snapshot{Job: drawJob(t), DeletionTimeout: deletionTimeout}
	in.Now = t0.Add(drawTime(t, "now"))
	in.Known = drawKnown(t, in.Job)
	in.References = drawGathered(t, in.Job)
	if in.Known.Credentials.Secret != "" { // whose they are
		in.Known.Uploads = drawUploads(t)
		in.Known.Searches = drawSearches(t, in)
	}
	return in
}

// drawGathered returns what there may be of the things that a spec refers to.
func drawGathered(t *rapid.T, job *v1alpha1.DaftyJob) (gathered lifecycle.References) {
	if rapid.IntRange(0, 3).Draw(t, "adopted by another") == 0 {
		gathered.Adopter = "older"
	}
	names, _ := lifecycle.Needs(job)
	gathered.Jobs = map[string]*v1alpha1.DaftyJob{}
	for _, other := range names {
		phase := oneOf(t, other, "absent", "", v1alpha1.PhasePending, v1alpha1.PhaseProcessing, v1alpha1.PhaseFailed, v1alpha1.PhaseCancelled,
			v1alpha1.PhaseCompleted, v1alpha1.PhaseCompleted, v1alpha1.PhaseCompleted, v1alpha1.PhaseCompleted)
		if phase == "absent" {
			continue
		}
		is := base(phase, oneOf(t, other+" reason", allReasons...))
		is.Name, is.UID = other, oneOf(t, other+" uid", baseUID, baseUID, baseUID, "another")
		if phase == v1alpha1.PhaseCompleted {
			is.Status.Result = drawResult(t, other)
		}
		gathered.Jobs[other] = is
		if rapid.IntRange(0, 3).Draw(t, "circle") == 0 {
			gathered.Cycle = wayOf(job.Name, other, job.Name)
		}
	}
	drawAssets(t, job, &gathered)
	if rapid.IntRange(0, 3).Draw(t, "of an account") == 0 {
		ofAgency(job)
		gathered.Account = oneOf(t, "account", shared, shared, onHold, notShared).Account
	}
	gathered.Files = map[string]lifecycle.FileRead{"brand/a.png": oneOf(t, "file", picture, picture, picture, missing, unusable)}
	return gathered
}

// drawAssets draws the DaftyAssets that a spec refers to, and the one that made the job.
func drawAssets(t *rapid.T, job *v1alpha1.DaftyJob, gathered *lifecycle.References) {
	gathered.Assets = map[string]*v1alpha1.DaftyAsset{}
	for _, name := range lifecycle.NeedsAssets(job) {
		if rapid.IntRange(0, 5).Draw(t, name+" is absent") == 0 {
			continue
		}
		asset := newAsset(name)
		if result := drawResult(t, name); rapid.Bool().Draw(t, name+" has a result") {
			asset = readyAsset(&v1alpha1.DaftyJob{Status: v1alpha1.DaftyJobStatus{Result: result}}, name)
		}
		if ready := oneOf(t, name+" is Ready", "", metav1.ConditionTrue, metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown); ready != "" {
			assetIs(asset, ready, oneOf(t, name+" reason", allReasons...))
		}
		asset.Generation = oneOf[int64](t, name+" generation", 2, 2, 2, 3)
		gathered.Assets[name] = asset
		if rapid.IntRange(0, 3).Draw(t, "circle by "+name) == 0 {
			gathered.Cycle = []lifecycle.Node{lifecycle.JobNode(job.Name), lifecycle.AssetNode(name), lifecycle.JobNode(job.Name)}
		}
	}
	if _, _, made := lifecycle.MadeBy(job); !made || rapid.IntRange(0, 5).Draw(t, "maker wasn't read") == 0 {
		return
	}
	gathered.Maker = onRecord().Maker
	switch oneOf(t, "maker", "has it", "has it", "has it", "has another", "has none", "is absent") {
	case "has it":
	case "has another":
		pending := gathered.Maker.Asset.Status.Pending
		pending.UID, pending.JobName = oneOf[types.UID](t, "pending uid", uid, "", "another"), oneOf(t, "pending name", name, "another")
	case "has none":
		gathered.Maker.Asset.Status.Pending = nil
	case "is absent":
		gathered.Maker.Asset = nil
	}
	if maker := gathered.Maker.Asset; maker != nil && maker.Status.Pending != nil {
		for _, ref := range references(job) {
			if in := recorded(ref.field); ref.asset != "" && rapid.IntRange(0, 3).Draw(t, "not recorded") > 0 {
				if ref.style || !ref.target {
					in.SentAs = ""
				}
				maker.Status.Pending.Inputs = append(maker.Status.Pending.Inputs, in)
			}
		}
	}
}

func drawResult(t *rapid.T, label string) *v1alpha1.JobResult {
	return oneOf(t, label+" result", nil, &v1alpha1.JobResult{}, madeImages(1).Status.Result, madeImages(2).Status.Result, &v1alpha1.JobResult{Images: []v1alpha1.Image{{URL: "u"}}},
		&v1alpha1.JobResult{Style: &v1alpha1.Style{ID: styleID}}, &v1alpha1.JobResult{Video: &v1alpha1.Video{ID: jobID, URL: "u"}}, &v1alpha1.JobResult{Video: &v1alpha1.Video{ID: jobID, URL: "u", ThumbnailURL: "t"}})
}

func drawUploads(t *rapid.T) map[string]lifecycle.Upload {
	switch oneOf(t, "upload", "none", "under way", "done", "failed", "again") {
	case "under way":
		return map[string]lifecycle.Upload{digest: {}}
	case "done":
		return map[string]lifecycle.Upload{digest: {Done: true, ID: uploadID, At: t0.Add(drawTime(t, "uploaded"))}}
	case "failed":
		return map[string]lifecycle.Upload{digest: {Done: true, Err: drawError(t, "upload error"), Failures: 1, RetryAt: t0.Add(drawTime(t, "upload again"))}}
	case "again":
		return map[string]lifecycle.Upload{digest: {Err: drawError(t, "upload error"), Failures: 1, RetryAt: t0.Add(drawTime(t, "upload again"))}}
	}
	return nil
}

// drawSearches draws what is known of a spec's searches.
func drawSearches(t *rapid.T, in lifecycle.Snapshot) map[lifecycle.StyleQuery]lifecycle.Search {
	known := map[lifecycle.StyleQuery]lifecycle.Search{}
	for _, ref := range references(in.Job) {
		if ref.search == nil {
			continue
		}
		query := lifecycle.StyleQuery{StyleID: styleOf(in, ref), Query: ref.search.Query, Limit: int(ref.search.Index) + 1}
		search := lifecycle.Search{Underway: rapid.Bool().Draw(t, "searching")}
		switch oneOf(t, "search", "none", "begun", "found", "found", "failed") {
		case "none":
			continue
		case "found":
			search.Answered, search.Age = true, time.Duration(rapid.IntRange(0, 5000).Draw(t, "search age"))*time.Second
			for i := range rapid.IntRange(0, query.Limit).Draw(t, "assets") {
				asset := dafty.StyleAsset{ID: otherID, Name: oneOf(t, "asset name", "logo", ""), URL: oneOf(t, "asset url", imageURL(i), imageURL(i), "")}
				if rapid.IntRange(0, 4).Draw(t, "no similarity") > 0 {
					asset.Similarity = new(oneOf(t, "similarity", 1, 0.9, 0.6, 0.58, 0.1, 0, -0.2, 1.00001))
				}
				search.Assets = append(search.Assets, asset)
			}
		case "failed":
			search.Answered, search.Err, search.Failures = true, drawError(t, "search error"), rapid.IntRange(1, 4).Draw(t, "searches")
			search.Age, search.RetryIn = time.Duration(rapid.IntRange(0, 5000).Draw(t, "search age"))*time.Second, oneOf(t, "search again", 0, 0, time.Second, time.Minute)
		}
		known[query] = search
	}
	return known
}

// drawTime returns a time that is mostly near t0, and now and then far off, as clocks are.
func drawTime(t *rapid.T, label string) time.Duration {
	near := rapid.Int64Range(-100, 400)
	far := rapid.Int64Range(-2*24*3600, 2*24*3600)
	milliseconds := rapid.SampledFrom([]time.Duration{0, 0, 1, 999}).Draw(t, label+" ms")
	return time.Duration(rapid.OneOf(near, near, near, far).Draw(t, label))*time.Second + milliseconds*time.Millisecond
}

func oneOf[T any](t *rapid.T, label string, values ...T) T {
	return values[rapid.IntRange(0, len(values)-1).Draw(t, label)]
}

func drawJob(t *rapid.T) *v1alpha1.DaftyJob {
	job := newJob(
		desired(oneOf(t, "desired", v1alpha1.DesiredCompleted, v1alpha1.DesiredCompleted, v1alpha1.DesiredSuspended, v1alpha1.DesiredCancelled, "")),
		oneOf(t, "operation", func(*v1alpha1.DaftyJob) {}, func(*v1alpha1.DaftyJob) {}, style, noOperation, upscaling(0), upscaling(1), styled, framed, animated, edited, searching(0, nil), searching(2, new(int32(60))), searchingOf("base"), searchingOf("@logo"), upscalingAsset(0), upscalingAsset(1), styledByAsset, bothKinds),
		oneOf(t, "policy", func(*v1alpha1.DaftyJob) {}, func(*v1alpha1.DaftyJob) {}, orphan),
	)
	if value := oneOf(t, "annotation", "", ownNote, ownNote, namespace+"/"+name+":"+otherID, namespace+"/"+name+":", "shop/other:"+otherID, "rubbish"); value != "" {
		note(value)(job)
	} else if rapid.Bool().Draw(t, "resubmit") {
		resubmit(oneOf(t, "resubmit what", firstKey, secondKey, ""))(job)
	}
	if rapid.IntRange(0, 3).Draw(t, "finalizer") == 0 {
		noFinalizer(job)
	}
	if rapid.IntRange(0, 2).Draw(t, "of an asset") == 0 {
		ofAsset(job)
		if rapid.Bool().Draw(t, "just made") {
			job.CreationTimestamp = *at(0)
		}
	}
	if rapid.Bool().Draw(t, "deleted") {
		deleted(drawTime(t, "deletion").Truncate(time.Second))(job)
	}
	reason := oneOf(t, "reason", allReasons...)
	seconds := func(label string) *metav1.Time { return at(drawTime(t, label).Truncate(time.Second)) }
	attempt := func() {
		sent(job)
		job.Status.Submission.StartedAt = seconds("started")
		job.Status.Submission.SentAt = job.Status.Submission.StartedAt
		if rapid.Bool().Draw(t, "repeated") {
			job.Status.Submission.SentAt = seconds("sent")
		}
		job.Status.Submission.Sender = oneOf(t, "sender", "", "", "", "another")
	}
	switch oneOf(t, "stage", "fresh", "waiting", "refused", "sent", "sent", "known", "known", "known", "ended") {
	case "waiting":
		says(v1alpha1.PhasePending, reason)(job)
	case "refused":
		refusedBefore(rapid.Int32Range(0, 3).Draw(t, "refusals"))(job)
	case "sent":
		attempt()
		says(oneOf(t, "phase", v1alpha1.PhasePending, v1alpha1.PhaseSubmitting), reason)(job)
	case "known":
		if rapid.Bool().Draw(t, "submitted here") {
			attempt()
		}
		job.Status.JobID = jobID
		says(oneOf(t, "phase", v1alpha1.PhasePending, v1alpha1.PhaseSubmitting, v1alpha1.PhaseQueued, v1alpha1.PhaseProcessing, v1alpha1.PhaseCancelling), reason)(job)
		if rapid.IntRange(0, 9).Draw(t, "conditions lost") == 0 {
			job.Status.Phase, job.Status.Conditions = "", nil
		}
	case "ended":
		if rapid.Bool().Draw(t, "had a job") {
			job.Status.JobID = jobID
		}
		if reason == v1alpha1.ReasonAlreadyCancelled {
			reason = v1alpha1.ReasonCancelled // which the condition Cancelled keeps
		}
		says(oneOf(t, "phase", v1alpha1.PhaseCompleted, v1alpha1.PhaseFailed, v1alpha1.PhaseCancelled), reason)(job)
		if job.Status.Phase == v1alpha1.PhaseCancelled && rapid.Bool().Draw(t, "disagrees") {
			disagrees(job)
		}
		if job.Status.Phase == v1alpha1.PhaseCompleted {
			job.Status.Result = drawResult(t, "its")
			job.Status.ResultConfigMap = oneOf(t, "stored in", "", "", "hero-result", "other")
			if rapid.IntRange(0, 2).Draw(t, "not stored") == 0 {
				notStored(drawTime(t, "not stored since").Truncate(time.Second), "so it was")(job)
			}
		}
		job.Status.FinishedAt = seconds("finished")
	}
	drawWhole(t, job)
	if rapid.IntRange(0, 4).Draw(t, "cancel requested") == 0 {
		cancelSeen(job)
	}
	if rapid.IntRange(0, 2).Draw(t, "suspension seen") == 0 {
		suspensionSeen(job)
	}
	return job
}

// drawWhole draws what a spec may say beside its operation, and what status keeps of it.
func drawWhole(t *rapid.T, job *v1alpha1.DaftyJob) {
	seconds := func(label string) *metav1.Time { return at(drawTime(t, label).Truncate(time.Second)) }
	sometimes := func(label string) bool { return rapid.IntRange(0, 2).Draw(t, label) == 0 }
	if rapid.Bool().Draw(t, "backoff") {
		backoffLimit(rapid.Int32Range(0, 3).Draw(t, "backoffLimit"))(job)
	}
	if sometimes("deadline") {
		deadline(oneOf[int64](t, "activeDeadlineSeconds", 1, 60, 100_000))(job)
	}
	if sometimes("starting deadline") {
		startingDeadline(oneOf[int64](t, "startingDeadlineSeconds", 1, 3600, 3700, 100_000))(job) // it was created an hour before t0
	}
	if sometimes("ttl") {
		ttl(oneOf[int32](t, "ttlSecondsAfterFinished", 0, 60, 100_000))(job)
	}
	if sometimes("result in") {
		resultIn("hero-result")(job)
	}
	if sometimes("own key") {
		ownKey(job)
	}
	status := &job.Status
	if sometimes("adopting") && status.Submission == nil {
		adopting(job)
	}
	if status.Phase == "" && status.JobID == "" {
		return
	}
	if sometimes("submitted before") {
		status.SubmittedAt = seconds("submitted")
	}
	if sometimes("failed before") {
		failed := rapid.Int32Range(1, 3).Draw(t, "failed")
		status.Attempts += failed
		if status.Submission != nil {
			status.Submission.Attempt = status.Attempts
			if status.Submission.IdempotencyKey != "" {
				status.Submission.IdempotencyKey = fmt.Sprintf("%s-%d", uid, status.Attempts)
			}
		}
		for range failed {
			status.FailedJobIDs = append(status.FailedJobIDs, oneOf(t, "failed id", failedID, otherID, jobID))
		}
		status.SubmittedAt = seconds("submitted")
		if rapid.Bool().Draw(t, "error") {
			status.Error = &v1alpha1.JobError{Code: oneOf(t, "code", "GENERATION_FAILED", "EXTRACTION_FAILED"), Message: "too odd"}
		}
		if status.JobID == "" && rapid.Bool().Draw(t, "next attempt") {
			status.NextAttemptAt = seconds("nextAttemptAt")
		}
	}
	for _, ref := range references(job) {
		if rapid.IntRange(0, 3).Draw(t, "no input") == 0 {
			continue
		}
		in := v1alpha1.Input{Field: ref.field, Source: "so it was"}
		if ref.job != "" && rapid.Bool().Draw(t, "seen") {
			in.UID = baseUID
		}
		in.ID = oneOf(t, "input", "", "known", "known")
		if ref.made() && !ref.style && in.ID != "" {
			in.JobID = oneOf(t, "made by", "", otherID, "known")
			in.URL = oneOf(t, "url", "", imageURL(0))
			in.SentAs = oneOf(t, "sent as", "", v1alpha1.ReferenceID, v1alpha1.ReferenceJobID, v1alpha1.ReferenceURL)
			if in.SentAs == v1alpha1.ReferenceURL && (in.URL == "" || strings.HasSuffix(ref.field, ".image") && ref.field != "imageToVideo.image") || in.SentAs == v1alpha1.ReferenceJobID && in.JobID == "" {
				in.SentAs = ""
			}
		}
		if ref.search != nil && in.ID != "" {
			in.Name, in.URL, in.Similarity, in.SentAs = "logo", imageURL(0), new(int32(97)), v1alpha1.ReferenceURL
		}
		if ref.file != "" && in.ID != "" {
			in.CredentialsHash = oneOf(t, "uploaded with", keyA, keyA, keyB, "")
			in.UploadedAt = oneOf(t, "uploaded at", nil, at(0), at(-2*time.Hour))
		}
		status.Inputs = append(status.Inputs, in)
	}
}

func drawError(t *rapid.T, label string) *dafty.CallError {
	err := refusal(oneOf(t, label+" kind", kinds...))
	if err.Kind == dafty.KindUnavailable {
		err = oneOf(t, label, noAnswer, internalError, proxyError, unsent)
	}
	if err.Kind == dafty.KindInvalid {
		err = oneOf(t, label+" invalid", err, unprocessable, keyReused)
	}
	return retryAfter(err, oneOf(t, label+" Retry-After", 0, 0, time.Second, time.Hour))
}

func drawDaftys(t *rapid.T, label string) *dafty.Job {
	job := oneOf(t, label, daftys(dafty.Pending), daftys(dafty.Processing), daftys(dafty.Completed), failedAs(dafty.GENERATIONFAILED, "no"),
		failedAs(dafty.EXTRACTIONFAILED, ""), daftys(dafty.Failed), daftys("paused"))
	job.Id = oneOf(t, label+" id", jobID, jobID, jobID, strings.ToUpper(jobID), otherID)
	job.Type = oneOf(t, label+" type", dafty.ImageGenerate, dafty.ImageEdit, "image.dream", "")
	if rapid.Bool().Draw(t, label+" undated") {
		job.CreatedAt = time.Time{}
	}
	return job
}

func drawKnown(t *rapid.T, job *v1alpha1.DaftyJob) lifecycle.Known {
	known := with(oneOf(t, "secret", keyA, keyA, keyB, ""), held(oneOf(t, "held", keyA, keyB, "")))
	if rapid.Bool().Draw(t, "restarted") {
		return known
	}
	known.Since = t0.Add(drawTime(t, "since"))
	if rapid.Bool().Draw(t, "called") {
		call := &lifecycle.SubmissionCall{Record: v1alpha1.Submission{Attempt: 1, IdempotencyKey: oneOf(t, "key", firstKey, firstKey, firstKey+".1"),
			StartedAt: at(0), SentAt: at(0), CredentialsHash: keyA}}
		if submission := job.Status.Submission; submission != nil && submission.SentAt != nil && rapid.IntRange(0, 4).Draw(t, "of this status") > 0 {
			call.Record.SentAt, call.Record.Attempt = submission.SentAt, submission.Attempt
			if submission.Attempt > 1 {
				call.Record.IdempotencyKey = submission.IdempotencyKey
			}
		}
		switch oneOf(t, "call", "on its way", "done", "failed", "failed") {
		case "done":
			call.Done, call.Job = true, drawDaftys(t, "answer")
		case "failed":
			call.Done, call.Err, call.Failures = true, drawError(t, "refusal"), rapid.IntRange(1, 40).Draw(t, "failures")
			if call.Err.Kind == dafty.KindUnauthorized {
				call.KeyRefusals = rapid.IntRange(1, 3).Draw(t, "key refusals")
			}
		}
		known.Submission = call
	}
	if rapid.Bool().Draw(t, "looked") {
		known.Job = drawDaftys(t, "look")
	}
	if rapid.Bool().Draw(t, "in trouble") {
		trouble(drawError(t, "trouble"), rapid.IntRange(1, 40).Draw(t, "troubles"), oneOf(t, "asked with", keyA, keyB))(&known)
	}
	switch oneOf(t, "cancel", "none", "on its way", "done", "failed") {
	case "on its way":
		cancelling(&known)
	case "done":
		cancelDone(drawTime(t, "cancelled"), nil, 0)(&known)
	case "failed":
		cancelDone(drawTime(t, "cancelled"), drawError(t, "cancel error"), rapid.IntRange(1, 40).Draw(t, "cancels"))(&known)
	}
	known.Cancelled = oneOf(t, "cancelled", "", "", "", lifecycle.CancelForUser, lifecycle.CancelForDeadline)
	known.CancelledElsewhere = known.Cancelled == "" && rapid.IntRange(0, 3).Draw(t, "cancelled elsewhere") == 0
	if rapid.IntRange(0, 3).Draw(t, "held back") == 0 {
		hold(oneOf(t, "hold", kinds...), drawTime(t, "hold until"))(&known)
		if rapid.Bool().Draw(t, "for ever") {
			known.Block.Until = time.Time{}
		}
	}
	return known
}
