package controller

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

const (
	// checkEvery is how long at most Dafty isn't asked whom an accepted API key belongs to, and checkSpread how much earlier it may be
	// asked: accounts that began together drift apart.
	checkEvery  = time.Hour
	checkSpread = 15 * time.Minute
	// startSpread is within what time after the operator's start those are asked about that were accepted before.
	startSpread = 30 * time.Second
	// checkAgain is how soon it is asked once more after a call that failed, and maxCheckAgain after many.
	checkAgain    = 5 * time.Second
	maxCheckAgain = 5 * time.Minute
	// confirmedBy is how many refusals in a row prove that an API key isn't accepted: one is no verdict.
	confirmedBy = 2
	// maxAccountObject bounds what status.account holds, in bytes.
	maxAccountObject = 16 << 10
)

// accountRead is all that the status of a DaftyAccount is made of.
type accountRead struct {
	account *v1alpha1.DaftyAccount
	// problem says why there is no API key, empty where there is one.
	problem string
	// invalid says what is wrong with the spec, empty where nothing is.
	invalid string
	holding account.Holding
	// inFlight and waiting count the DaftyJobs that name the account.
	inFlight, waiting int32
	// first is when this process first saw the account, and now the time of the decision.
	first, now time.Time
}

// accepted reports whether Dafty accepts the API key.
func (in *accountRead) accepted() bool {
	return in.holding.HasKey && in.holding.Answer != nil && in.holding.Answer.Err == nil
}

// checkIn returns when Dafty is to be asked whom the API key belongs to; 0 is now.
func (in *accountRead) checkIn() time.Duration {
	answer := in.holding.Answer
	switch {
	case answer == nil && in.carriedOver() && !in.first.After(in.now):
		return max(0, in.first.Add(share(in.account.UID, startSpread)).Sub(in.now))
	case answer == nil || answer.At.After(in.now): // the clock was set back
		return 0
	}
	wait := checkEvery - share(in.account.UID, checkSpread)
	if answer.Err != nil {
		wait = max(dafty.Backoff(checkAgain, answer.Failures, maxCheckAgain), answer.Err.RetryAfter)
	}
	return max(0, answer.At.Add(wait).Sub(in.now))
}

// carriedOver reports whether the API key was accepted before this process began, and neither it nor the spec is known to have changed
// since.
func (in *accountRead) carriedOver() bool {
	before := meta.FindStatusCondition(in.account.Status.Conditions, v1alpha1.ConditionReady)
	return !in.holding.Changed && before != nil && before.Reason == v1alpha1.ReasonAccepted && before.ObservedGeneration == in.account.Generation
}

// share returns a part of a time, less than all of it, that differs from object to object and stays the same for each.
func share(uid types.UID, of time.Duration) time.Duration {
	const parts = 1 << 16
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(uid)) // never fails
	return of / parts * time.Duration(sum.Sum32()%parts)
}

// verdict returns the Ready condition, and whether nothing goes on until a person acts.
func (in *accountRead) verdict() (ready metav1.Condition, stalled bool) {
	say := func(status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return metav1.Condition{Type: v1alpha1.ConditionReady, Status: status, Reason: reason, Message: message}
	}
	answer := in.holding.Answer
	before := meta.FindStatusCondition(in.account.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case in.invalid != "":
		return say(metav1.ConditionFalse, v1alpha1.ReasonInvalidAccount, in.invalid), true
	case !in.holding.HasKey:
		return say(metav1.ConditionUnknown, v1alpha1.ReasonWaitingForCredentials, in.problem), false
	case answer == nil && before != nil && before.Reason == v1alpha1.ReasonAccepted && !in.holding.Changed:
		return say(before.Status, before.Reason, before.Message), false // a process that has begun anew takes nothing back
	case answer == nil:
		return say(metav1.ConditionUnknown, v1alpha1.ReasonChecking, "asking Dafty whom the API key belongs to"), false
	case answer.Err == nil:
		return say(metav1.ConditionTrue, v1alpha1.ReasonAccepted, "Dafty accepts the API key"), false
	case answer.Refusals >= confirmedBy:
		ref := in.account.Spec.APIKeySecretRef
		return say(metav1.ConditionFalse, v1alpha1.ReasonCredentialsRejected, fmt.Sprintf(
			"Dafty doesn't accept the API key; put a valid one into key %q of Secret %q of namespace %q: %s",
			ref.Key, ref.Name, ref.Namespace, answer.Err.Error())), true
	}
	if before != nil && (answer.Failures < confirmedBy || before.Reason == v1alpha1.ReasonAccepted) {
		// One call that fails is no news; and that a key was accepted isn't taken back because Dafty is away.
		return say(before.Status, before.Reason, before.Message), before.Status == metav1.ConditionFalse
	}
	return say(metav1.ConditionUnknown, v1alpha1.ReasonAPIUnavailable, answer.Err.Error()+"; it is asked again"), false
}

// write puts into a status what is known.
func (in *accountRead) write(status *v1alpha1.DaftyAccountStatus) {
	status.ObservedGeneration = in.account.Generation
	ready, stalled := in.verdict()
	set := func(c metav1.Condition) {
		c.ObservedGeneration, c.LastTransitionTime = in.account.Generation, metav1.NewTime(in.now)
		meta.SetStatusCondition(&status.Conditions, c)
	}
	mark := func(condition string, is bool) {
		if !is {
			meta.RemoveStatusCondition(&status.Conditions, condition)
			return
		}
		set(metav1.Condition{Type: condition, Status: metav1.ConditionTrue, Reason: ready.Reason, Message: ready.Message})
	}
	set(ready)
	mark(v1alpha1.ConditionReconciling, ready.Status == metav1.ConditionUnknown)
	mark(v1alpha1.ConditionStalled, stalled)
	if credits := in.credits(); credits != nil {
		set(*credits)
	}
	if answer := in.holding.Answer; answer != nil && answer.Err == nil {
		status.Account, status.CheckedAt = accountObject(answer.Account), &metav1.Time{Time: answer.At}
	}
	if in.holding.Changed && in.holding.Answer == nil {
		status.Account, status.CheckedAt = nil, nil // which were another key's
		if in.holding.Credits == nil {
			meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionCreditsAvailable)
		}
	}
	status.Limits = limitsOf(in.holding)
	status.InFlight, status.Waiting = &in.inFlight, &in.waiting
	status.Unfollowed = nil
	for _, job := range in.holding.Unfollowed {
		one := v1alpha1.UnfollowedJob{JobID: job.ID, Type: job.Type}
		if year := job.CreatedAt.UTC().Year(); year >= 2000 && year <= 9999 {
			one.CreatedAt = &metav1.Time{Time: job.CreatedAt}
		}
		status.Unfollowed = append(status.Unfollowed, one)
	}
}

// credits returns the condition of what creates have shown, nil while none of this process has told.
func (in *accountRead) credits() *metav1.Condition {
	shown := in.holding.Credits
	switch {
	case shown == nil:
		return nil
	case shown.Refusal == nil:
		return &metav1.Condition{Type: v1alpha1.ConditionCreditsAvailable, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonCreditsAvailable,
			Message: "Dafty took the newest request for a job"}
	}
	return &metav1.Condition{Type: v1alpha1.ConditionCreditsAvailable, Status: metav1.ConditionFalse, Reason: lifecycle.MeaningOf(shown.Refusal.Kind).Reason,
		Message: "Dafty refused a request for a job: " + shown.Refusal.Error()}
}

// accountObject returns what Dafty says of an account as the API server keeps it: the fields in order, and without those that are null,
// which a merge patch takes for fields to delete. It is nil where it is too large.
func accountObject(raw json.RawMessage) *runtime.RawExtension {
	var object map[string]any
	if len(raw) > maxAccountObject || utiljson.Unmarshal(raw, &object) != nil {
		return nil
	}
	dropNulls(object)
	kept, err := json.Marshal(object)
	if err != nil {
		return nil
	}
	return &runtime.RawExtension{Raw: kept}
}

// dropNulls takes the fields that are null out of all objects in a value.
func dropNulls(value any) {
	switch value := value.(type) {
	case map[string]any:
		maps.DeleteFunc(value, func(_ string, of any) bool { return of == nil })
		for _, of := range value {
			dropNulls(of)
		}
	case []any:
		for _, of := range value {
			dropNulls(of)
		}
	}
}

func limitsOf(holding account.Holding) (limits []v1alpha1.ClassLimit) {
	for class, minute := range holding.Minutes {
		limit := v1alpha1.ClassLimit{Class: string(class), PerMinute: new(int32(minute.Limit))} //nolint:gosec // a number of calls a minute
		if minute.Remaining != nil {
			limit.Remaining, limit.ResetsAt = new(int32(*minute.Remaining)), &metav1.Time{Time: minute.ResetsAt.Round(time.Second)} //nolint:gosec // the same
		}
		limits = append(limits, limit)
	}
	slices.SortFunc(limits, func(a, b v1alpha1.ClassLimit) int { return strings.Compare(a.Class, b.Class) })
	return limits
}
