package lifecycle_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// What the tests' objects are made of.
const (
	namespace = "shop"
	name      = "hero"
	uid       = "4f1c"
	jobID     = "5f0c4c3e-8b1d-4e43-9d9c-0d7a3a1c2b4f"
	otherID   = "aaaaaaaa-8b1d-4e43-9d9c-0d7a3a1c2b4f"
	firstKey  = uid + "-1"
	secondKey = uid + "-2"
	ownNote   = namespace + "/" + name + ":" + jobID

	// API keys, as hashes.
	keyA = "aaaa0000"
	keyB = "bbbb0000"

	deletionTimeout = 5 * time.Minute
)

// t0 is when every story begins. Times in tables count from here.
var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(after time.Duration) *metav1.Time {
	to := metav1.NewTime(t0.Add(after))
	return &to
}

// change makes a DaftyJob differ from a fresh one that has its finalizer.
type change func(*v1alpha1.DaftyJob)

func newJob(changes ...change) *v1alpha1.DaftyJob {
	job := &v1alpha1.DaftyJob{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "DaftyJob"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name, UID: uid, Generation: 3,
			CreationTimestamp: metav1.NewTime(t0.Add(-time.Hour)),
			Finalizers:        []string{v1alpha1.CancelFinalizer},
		},
		Spec: v1alpha1.DaftyJobSpec{
			DesiredState:         v1alpha1.DesiredCompleted,
			DeletionPolicy:       v1alpha1.DeletionCancel,
			ImageGenerate:        &v1alpha1.ImageGenerate{Prompt: "a mountain"},
			CredentialsSecretRef: v1alpha1.SecretKeyReference{Name: v1alpha1.DefaultSecretName, Key: v1alpha1.DefaultSecretKey},
		},
		Status: v1alpha1.DaftyJobStatus{ObservedGeneration: -1},
	}
	for _, change := range changes {
		change(job)
	}
	return job
}

// Changes of metadata and spec.

func noFinalizer(job *v1alpha1.DaftyJob) { job.Finalizers = nil }

func note(value string) change {
	return func(job *v1alpha1.DaftyJob) { job.Annotations = map[string]string{v1alpha1.JobAnnotation: value} }
}

func resubmit(key string) change {
	return func(job *v1alpha1.DaftyJob) {
		job.Annotations = map[string]string{v1alpha1.ResubmitAnnotation: key}
	}
}

func desired(state v1alpha1.DesiredState) change {
	return func(job *v1alpha1.DaftyJob) { job.Spec.DesiredState = state }
}

func deleted(after time.Duration) change {
	return func(job *v1alpha1.DaftyJob) { job.DeletionTimestamp = at(after) }
}

func orphan(job *v1alpha1.DaftyJob) { job.Spec.DeletionPolicy = v1alpha1.DeletionOrphan }

func noOperation(job *v1alpha1.DaftyJob) { job.Spec.ImageGenerate = nil }

func style(job *v1alpha1.DaftyJob) {
	job.Spec.ImageGenerate, job.Spec.StyleExtract = nil, &v1alpha1.StyleExtract{URL: "https://example.com"}
}

// upscaleOf has it work on an image of another.
func upscaleOf(other string, index int32) change {
	return func(job *v1alpha1.DaftyJob) {
		job.Spec.ImageGenerate = nil
		job.Spec.ImageUpscale = &v1alpha1.ImageUpscale{Image: v1alpha1.ImageTarget{JobRef: &v1alpha1.JobReference{Name: other, Index: index}}}
	}
}

// withLogo has it go by a picture in a ConfigMap.
func withLogo(job *v1alpha1.DaftyJob) {
	job.Spec.ImageGenerate = &v1alpha1.ImageGenerate{Prompt: "a mountain", References: []v1alpha1.ImageReference{
		{ConfigMapKeyRef: &v1alpha1.ConfigMapKeyReference{Name: "brand", Key: "logo.png"}},
	}}
}

// dependency is another DaftyJob in a phase, which has made an image if it has completed.
func dependency(phase v1alpha1.Phase) *v1alpha1.DaftyJob {
	job := newJob()
	job.Name, job.UID = "other", "other-1"
	if phase != "" {
		says(phase, string(phase))(job)
	}
	if phase == v1alpha1.PhaseCompleted {
		job.Status.Result = &v1alpha1.JobResult{Images: []v1alpha1.Image{{ID: otherID, URL: "https://example.com/a.png"}}}
	}
	return job
}

// Changes of status: where a job stands.

// says has status tell a phase and a reason, as a decision would have written it.
func says(phase v1alpha1.Phase, reason string) change {
	return func(job *v1alpha1.DaftyJob) {
		status := &job.Status
		status.ObservedGeneration, status.Phase, status.JobType = job.Generation-1, phase, "image.generate"
		status.Conditions, status.FinishedAt = nil, nil
		set := func(condition string, is metav1.ConditionStatus) {
			meta.SetStatusCondition(&status.Conditions, metav1.Condition{
				Type: condition, Status: is, Reason: reason, Message: "so it was", LastTransitionTime: *at(-time.Minute), ObservedGeneration: job.Generation - 1,
			})
		}
		switch {
		case phase == v1alpha1.PhaseFailed:
			set(v1alpha1.ConditionFailed, metav1.ConditionTrue)
			set(v1alpha1.ConditionReady, metav1.ConditionFalse)
			set(v1alpha1.ConditionStalled, metav1.ConditionTrue)
		case phase == v1alpha1.PhaseCompleted:
			set(v1alpha1.ConditionComplete, metav1.ConditionTrue)
			set(v1alpha1.ConditionReady, metav1.ConditionTrue)
		case phase == v1alpha1.PhaseCancelled:
			set(v1alpha1.ConditionCancelled, metav1.ConditionTrue)
			set(v1alpha1.ConditionReady, metav1.ConditionTrue)
		case reason == v1alpha1.ReasonSuspended:
			set(v1alpha1.ConditionReady, metav1.ConditionFalse)
		case slices.Contains(stalling, reason):
			set(v1alpha1.ConditionReady, metav1.ConditionFalse)
			set(v1alpha1.ConditionStalled, metav1.ConditionTrue)
		default:
			set(v1alpha1.ConditionReady, metav1.ConditionUnknown)
			set(v1alpha1.ConditionReconciling, metav1.ConditionTrue)
		}
		if status.JobID != "" {
			set(v1alpha1.ConditionSubmitted, metav1.ConditionTrue)
		}
		if phase.Final() {
			status.FinishedAt = at(-time.Minute)
		}
	}
}

// stalling are the reasons that wait for a person.
var stalling = []string{
	v1alpha1.ReasonCredentialsRejected, v1alpha1.ReasonInsufficientCredits, v1alpha1.ReasonSubscriptionRequired, v1alpha1.ReasonSubmissionUnknown,
	v1alpha1.ReasonInvalidRequest, v1alpha1.ReasonDependencyCycle, v1alpha1.ReasonUnusableFile, v1alpha1.ReasonAlreadyAdopted,
}

// withoutTimes has the times of its submission taken out.
func withoutTimes(job *v1alpha1.DaftyJob) {
	job.Status.Submission.StartedAt, job.Status.Submission.SentAt = nil, nil
}

// sent has a request on record at t0, under keyA.
func sent(job *v1alpha1.DaftyJob) {
	job.Status.Attempts = 1
	job.Status.Submission = &v1alpha1.Submission{
		Attempt: 1, IdempotencyKey: firstKey, StartedAt: at(0), SentAt: at(0), CredentialsHash: keyA,
	}
	says(v1alpha1.PhaseSubmitting, v1alpha1.ReasonSubmitting)(job)
}

// repeated has the request of sent repeated so long after it.
func repeated(after time.Duration) change {
	return func(job *v1alpha1.DaftyJob) {
		sent(job)
		job.Status.Submission.SentAt = at(after)
	}
}

// refusedBefore has requests refused, and none on its way.
func refusedBefore(times int32) change {
	return func(job *v1alpha1.DaftyJob) {
		job.Status.Submission = &v1alpha1.Submission{Attempt: 1, Refusals: times}
		says(v1alpha1.PhasePending, v1alpha1.ReasonInsufficientCredits)(job)
	}
}

// taken has Dafty know the job, and all that goes with it on record.
func taken(phase v1alpha1.Phase) change {
	return func(job *v1alpha1.DaftyJob) {
		sent(job)
		job.Status.JobID, job.Status.SubmittedAt = jobID, at(time.Second)
		note(ownNote)(job)
		says(phase, string(phase))(job)
	}
}

// What this process knows.

// with is an API key in the Secret.
func with(secret string, news ...func(*lifecycle.Known)) lifecycle.Known {
	known := lifecycle.Known{Credentials: lifecycle.Credentials{Secret: secret}}
	if secret == "" {
		known.Credentials.Problem = "Secret \"dafty-credentials\" isn't there"
	}
	for _, tell := range news {
		tell(&known)
	}
	return known
}

func held(secret string) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) { known.Credentials.Held = secret }
}

func since(after time.Duration) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) { known.Since = t0.Add(after) }
}

// posting is the request of sent, on its way.
func posting(known *lifecycle.Known) {
	known.Submission = &lifecycle.SubmissionCall{Record: v1alpha1.Submission{Attempt: 1, IdempotencyKey: firstKey, StartedAt: at(0), SentAt: at(0), CredentialsHash: keyA}}
}

// elsewhere has another process have sent the request.
func elsewhere(job *v1alpha1.DaftyJob) { job.Status.Submission.Sender = "another" }

// answered is Dafty's answer to the request of sent.
func answered(job *dafty.Job) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) {
		posting(known)
		known.Submission.Done, known.Submission.Job = true, job
	}
}

// failing is a failure of the request of sent, or of its repeat so long after it.
func failing(err *dafty.CallError, failures int, sentAt time.Duration) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) {
		posting(known)
		known.Submission.Record.SentAt = at(sentAt)
		known.Submission.Done, known.Submission.Err, known.Submission.Failures = true, err, failures
	}
}

func looked(job *dafty.Job) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) { known.Job = job }
}

func trouble(err *dafty.CallError, failures int, secret string) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) {
		known.Trouble = &lifecycle.Trouble{Err: err, Failures: failures, Credentials: secret}
	}
}

func cancelling(known *lifecycle.Known) { known.Cancel = &lifecycle.CancelCall{} }

// cancelDone is a cancel that ended so long after t0.
func cancelDone(after time.Duration, err *dafty.CallError, failures int) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) {
		known.Cancel = &lifecycle.CancelCall{Done: true, At: t0.Add(after), Err: err, Failures: failures}
	}
}

func hold(kind dafty.Kind, until time.Duration) func(*lifecycle.Known) {
	return func(known *lifecycle.Known) {
		known.Hold = &lifecycle.Hold{Kind: kind, Message: "Dafty said so", Until: t0.Add(until)}
	}
}

// What Dafty answers.

func daftys(status dafty.JobStatus) *dafty.Job {
	job := &dafty.Job{Id: jobID, Type: dafty.ImageGenerate, Status: status, CreatedAt: t0.Add(time.Second)}
	if status == dafty.Completed {
		job.Result = &dafty.JobResult{Style: &struct {
			Id string `json:"id"`
		}{Id: "a-style"}}
	}
	return job
}

// hugeResult is within what the client reads, and beyond what etcd takes.
var hugeResult = func() *dafty.Job {
	job := daftys(dafty.Completed)
	job.Result.Style.Id = strings.Repeat("<", 300<<10)
	return job
}()

func failedAs(code dafty.JobErrorCode, message string) *dafty.Job {
	job := daftys(dafty.Failed)
	job.Error = &struct {
		Code    dafty.JobErrorCode `json:"code"`
		Message string             `json:"message"`
	}{Code: code, Message: message}
	return job
}

// refusal is an error of a kind as Dafty documents it.
func refusal(kind dafty.Kind) *dafty.CallError {
	err := &dafty.CallError{Kind: kind, Message: "Dafty said so"}
	switch kind {
	case dafty.KindInvalid:
		err.Status, err.Code, err.Details = 400, "VALIDATION_ERROR", map[string]any{"prompt": "too odd"}
	case dafty.KindUnauthorized:
		err.Status, err.Code = 401, "UNAUTHORIZED"
	case dafty.KindInsufficientCredits:
		err.Status, err.Code = 402, "INSUFFICIENT_CREDITS"
	case dafty.KindSubscriptionRequired:
		err.Status, err.Code = 402, "SUBSCRIPTION_REQUIRED"
	case dafty.KindNotFound:
		err.Status, err.Code = 404, "NOT_FOUND"
	case dafty.KindConflict:
		err.Status = 409
	case dafty.KindRateLimit:
		err.Status, err.Code = 429, "RATE_LIMIT_ERROR"
	case dafty.KindConcurrency:
		err.Status, err.Code = 429, "CONCURRENT_LIMIT_REACHED"
	case dafty.KindUsageLimit:
		err.Status, err.Code = 429, "USAGE_LIMIT_EXCEEDED"
	case dafty.KindUnavailable:
	}
	return err
}

// Failures that leave open what became of a request, and one that doesn't.
var (
	noAnswer      = &dafty.CallError{Kind: dafty.KindUnavailable, Message: "Dafty didn't answer in time"}
	internalError = &dafty.CallError{Kind: dafty.KindUnavailable, Status: 500, Code: "INTERNAL_ERROR", Message: "Something went wrong"}
	proxyError    = &dafty.CallError{Kind: dafty.KindUnavailable, Status: 502, Message: "Dafty answered 502 Bad Gateway without saying why"}
	unsent        = &dafty.CallError{Kind: dafty.KindUnavailable, Message: "Dafty can't be reached", Unsent: true}
)

func retryAfter(err *dafty.CallError, wait time.Duration) *dafty.CallError {
	later := *err
	later.RetryAfter = wait
	return &later
}

var kinds = []dafty.Kind{
	dafty.KindInvalid, dafty.KindUnauthorized, dafty.KindInsufficientCredits, dafty.KindSubscriptionRequired, dafty.KindNotFound,
	dafty.KindConflict, dafty.KindRateLimit, dafty.KindConcurrency, dafty.KindUsageLimit, dafty.KindUnavailable,
}

// decide asks Next and holds its answer against what is true of every decision.
func decide(t testing.TB, in lifecycle.Input) lifecycle.Decision {
	t.Helper()
	decision := lifecycle.Next(in)
	for _, problem := range wrong(in, decision) {
		t.Errorf("%s\njob: %s\nknown: %s\ndecision: %s", problem, asJSON(in.Job), asJSON(in.Known), asJSON(decision))
	}
	return decision
}
