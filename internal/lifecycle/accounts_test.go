package lifecycle_test

import (
	"testing"
	"time"

	. "dafty.ai/dafty-operator/api/v1alpha1" //nolint:revive // The tables are made of its words.
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// ofAgency names a DaftyAccount in place of a Secret.
func ofAgency(job *DaftyJob) {
	job.Spec.CredentialsSecretRef, job.Spec.AccountRef = SecretKeyReference{}, &AccountReference{Name: "agency"}
}

var (
	shared    = lifecycle.References{Account: &lifecycle.Account{Name: "agency"}}
	onHold    = lifecycle.References{Account: &lifecycle.Account{Name: "agency", Suspended: true}}
	notShared = lifecycle.References{Account: &lifecycle.Account{Name: "agency", Denied: `there is no DaftyAccount "agency" for namespace "shop"`}}
)

// blockedBy has submissions kept back.
func blockedBy(block lifecycle.Block) func(*lifecycle.Known) {
	return func(k *lifecycle.Known) { k.Block = &block }
}

// What a DaftyAccount lets be submitted.
var accounts = []row{
	{
		name: "an account for the namespace", given: newJob(ofAgency), known: with(keyA), gathered: shared,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second},
	},
	{
		name: "no account for the namespace", given: newJob(ofAgency, noFinalizer), known: with(""), gathered: notShared,
		then: then{phase: PhasePending, way: inProgress, reason: ReasonAccountNotFound, says: `there is no DaftyAccount "agency" for namespace "shop"`,
			step: lifecycle.Rest{}, after: 5 * time.Minute, event: "Warning AccountNotFound"},
	},
	{
		name: "no account for the namespace any more, whose key is at hand", given: newJob(ofAgency), known: with(keyA), gathered: notShared,
		then: then{phase: PhasePending, way: inProgress, reason: ReasonAccountNotFound, step: lifecycle.Rest{}, after: 5 * time.Minute, event: "Warning AccountNotFound"},
	},
	{
		name: "nothing is uploaded with an account that isn't for the namespace any more", given: newJob(ofAgency, animated), known: with(keyA), gathered: lifecycle.References{Account: notShared.Account, Files: reading(picture).Files},
		then: then{phase: PhasePending, way: inProgress, reason: ReasonAccountNotFound, step: lifecycle.Rest{}, after: 5 * time.Minute, event: "Warning AccountNotFound"},
	},
	{
		name: "a suspended account", given: newJob(ofAgency), known: with(keyA), gathered: onHold,
		then: then{phase: PhasePending, way: suspended, reason: ReasonAccountSuspended, says: `DaftyAccount "agency" is suspended`,
			step: lifecycle.Rest{}, after: 5 * time.Minute, event: "Normal AccountSuspended"},
	},
	{
		name: "a suspended account, and another attempt", given: newJob(ofAgency, backoffLimit(1), failedBefore(1, 0)), known: with(keyA), gathered: onHold, when: time.Minute,
		then: then{phase: PhasePending, way: suspended, reason: ReasonAccountSuspended, step: lifecycle.Rest{}, after: 5 * time.Minute, event: "Normal AccountSuspended"},
	},
	{
		name: "what is in doubt is found out while the account is suspended", given: newJob(ofAgency, sent), known: with(keyA), gathered: onHold, when: time.Minute,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Submit{}, after: 45 * time.Second,
			also: records(firstKey, 1, 0, 0, time.Minute, keyA)},
	},
	{
		name: "what runs is followed while the account is suspended", given: newJob(ofAgency, taken(PhaseProcessing)), known: with(keyA), gathered: onHold,
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, step: lifecycle.Follow{}},
	},
	{
		name: "what runs is followed on for a namespace that isn't selected any more", given: newJob(ofAgency, taken(PhaseProcessing)), known: with(keyA), gathered: notShared,
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonProcessing, step: lifecycle.Follow{}},
	},
	{
		name: "and cancelled", given: newJob(ofAgency, taken(PhaseProcessing), desired(DesiredCancelled)), known: with(keyA), gathered: notShared,
		then: then{phase: PhaseCancelling, way: inProgress, reason: ReasonCancelling, step: lifecycle.Cancel{}, after: 30 * time.Second, event: "Normal Cancelling"},
	},
	{
		name: "without the key, what runs waits for the account", given: newJob(ofAgency, taken(PhaseProcessing)),
		known: with("", func(k *lifecycle.Known) { k.Credentials.Problem = notShared.Account.Denied }), gathered: notShared,
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonAccountNotFound, says: "goes on at Dafty meanwhile", step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning AccountNotFound"},
	},
	{
		name: "its key from before is refused: another in the account's Secret would not be used", given: newJob(ofAgency, taken(PhaseProcessing)),
		known: with(keyA, trouble(&dafty.CallError{Kind: dafty.KindUnauthorized, Status: 401, Message: "no such key"}, 2, keyA)), gathered: notShared,
		then: then{phase: PhaseProcessing, way: inProgress, reason: ReasonAccountNotFound, says: "the API key that was used before is refused", step: lifecycle.Follow{},
			after: 5 * time.Second, event: "Warning AccountNotFound"},
	},
	{
		name: "nothing is adopted with an account that isn't for the namespace", given: newJob(ofAgency, adopting), known: with(""), gathered: notShared,
		then: then{phase: PhasePending, way: inProgress, reason: ReasonAccountNotFound, step: lifecycle.Rest{}, after: 5 * time.Minute, event: "Warning AccountNotFound", also: hasNoID},
	},
	{
		name: "nor cancelled", given: newJob(ofAgency, adopting, desired(DesiredCancelled)), known: with(""), gathered: notShared,
		then: then{phase: PhaseCancelled, way: current, reason: ReasonCancelledBeforeSubmission, says: "is left as it is", step: lifecycle.Rest{},
			event: "Normal CancelledBeforeSubmission", also: hasNoID},
	},
	{
		name: "nor picked up from the annotation", given: newJob(ofAgency, note(ownNote)), known: with(""), gathered: notShared,
		then: then{phase: PhasePending, way: inProgress, reason: ReasonAccountNotFound, step: lifecycle.Rest{}, after: 5 * time.Minute, event: "Warning AccountNotFound", also: hasNoID},
	},
	{
		name: "what is adopted isn't new to a suspended account", given: newJob(ofAgency, adopting), known: with(keyA), gathered: onHold,
		then: then{phase: PhaseSubmitting, way: inProgress, reason: ReasonSubmitting, step: lifecycle.Annotate{}, event: "Normal Submitting", also: hasID},
	},
	{
		name: "a budget that is used up", given: newJob(ofAgency), gathered: shared,
		known: with(keyA, blockedBy(lifecycle.Block{Budget: "100 of 100 submissions are used", Until: t0.Add(time.Hour)})),
		then: then{phase: PhasePending, way: inProgress, reason: ReasonBudgetExhausted, says: "100 of 100 submissions are used", step: lifecycle.Rest{},
			after: time.Hour + 15*time.Minute, event: "Warning BudgetExhausted"},
	},
	{
		name: "budgets that can't be written", given: newJob(ofAgency), gathered: shared,
		known: with(keyA, blockedBy(lifecycle.Block{Unreserved: "the submission can't be counted", Until: t0.Add(15 * time.Second)})),
		then: then{phase: PhasePending, way: inProgress, reason: ReasonWriteFailed, says: "the submission can't be counted", step: lifecycle.Rest{},
			after: 15 * time.Second, event: "Normal WriteFailed"},
	},
	{
		name: "a key that Dafty refuses is the account's to mend", given: newJob(ofAgency), gathered: shared,
		known: with(keyA, blockedBy(lifecycle.Block{Kind: dafty.KindUnauthorized, Message: "no such key", Until: t0.Add(time.Minute)})),
		then: then{phase: PhasePending, way: stalled, reason: ReasonCredentialsRejected, says: `put a valid one into the Secret of DaftyAccount "agency"`,
			step: lifecycle.Rest{}, after: 5 * time.Second, event: "Warning CredentialsRejected"},
	},
}

func hasNoID(t *testing.T, got lifecycle.Decision) {
	t.Helper()
	if got.Status.JobID != "" {
		t.Errorf("follows %s", got.Status.JobID)
	}
}
