package lifecycle

import (
	"slices"
	"time"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/dafty"
)

// Meaning is what a kind of Dafty's errors means, whichever call met it.
type Meaning struct {
	// Reason is what the Ready condition has while the call is tried again.
	Reason string
	// Stalled reports whether it goes on only once a person has acted. Otherwise it is in progress.
	Stalled bool
	// Actor is who acts, so that it goes on.
	Actor Actor
	// Blocks is what waits after a create that met the error.
	Blocks Scope
	// Backoff is how long what is blocked waits where Dafty doesn't say it, and MaxBackoff how long it waits after many errors
	// in a row. Both are 0 where nothing else is blocked, or until the minute ends.
	Backoff, MaxBackoff time.Duration
	// Mendable reports whether a person may mend the cause at any time, of which no watch tells.
	Mendable bool
	// OfAccount reports whether Dafty judges the account, and neither the request nor the API key. It may go on to answer an
	// idempotency key with it after the cause is gone.
	OfAccount bool
	// Impossible reports whether a create that met the error could never have been accepted as it was.
	Impossible bool
	// message returns what the user is told. quote is the error, secret names the key of the Secret.
	message func(quote, secret string) string
}

// Actor is who acts after an error.
type Actor string

const (
	// ActorOperator asks again, or for something else, as the answer says.
	ActorOperator Actor = "operator"
	// ActorUser mends the cause, which nobody else can.
	ActorUser Actor = "user"
	// ActorDafty makes an end of it: a job ends, a period is over, an outage passes.
	ActorDafty Actor = "Dafty"
)

// Scope is what an error holds back.
type Scope string

const (
	// BlocksJob holds back only the job that met it.
	BlocksJob Scope = "job"
	// BlocksClass holds back the submissions of the API key that are of the same class.
	BlocksClass Scope = "class"
	// BlocksAccount holds back all submissions of the API key.
	BlocksAccount Scope = "account"
)

// meanings is the one table of the kinds of errors. What only one call makes of a kind stands with that call.
var meanings = map[dafty.Kind]Meaning{
	dafty.KindInvalid:  {Reason: v1alpha1.ReasonAPIUnavailable, Actor: ActorOperator, Blocks: BlocksJob, Impossible: true, message: tryingAgain},
	dafty.KindNotFound: {Reason: v1alpha1.ReasonAPIUnavailable, Actor: ActorOperator, Blocks: BlocksJob, Impossible: true, message: tryingAgain},
	dafty.KindConflict: {Reason: v1alpha1.ReasonAPIUnavailable, Actor: ActorOperator, Blocks: BlocksJob, message: tryingAgain},
	dafty.KindUnauthorized: {
		// One refusal is no verdict (see once.go).
		Reason: v1alpha1.ReasonCredentialsRejected, Stalled: true, Actor: ActorUser, Mendable: true,
		Blocks: BlocksAccount, Backoff: time.Minute, MaxBackoff: maxBackoff,
		message: func(quote, secret string) string {
			return "Dafty doesn't accept the API key; put a valid one into " + secret + ": " + quote
		},
	},
	dafty.KindInsufficientCredits: {
		Reason: v1alpha1.ReasonInsufficientCredits, Stalled: true, Actor: ActorUser, Mendable: true, OfAccount: true,
		Blocks: BlocksAccount, Backoff: 15 * time.Second, MaxBackoff: maxBackoff,
		message: func(quote, _ string) string {
			return "the account has too few credits; buy some and the job goes on by itself, or cancel it: " + quote
		},
	},
	dafty.KindSubscriptionRequired: {
		// A plan may lack one class, and have the others.
		Reason: v1alpha1.ReasonSubscriptionRequired, Stalled: true, Actor: ActorUser, Mendable: true, OfAccount: true,
		Blocks: BlocksClass, Backoff: 15 * time.Second, MaxBackoff: maxBackoff,
		message: func(quote, _ string) string {
			return "the account's plan doesn't include this; subscribe and the job goes on by itself, or cancel it: " + quote
		},
	},
	dafty.KindUsageLimit: {
		Reason: v1alpha1.ReasonUsageLimitExceeded, Actor: ActorDafty, Mendable: true, OfAccount: true,
		Blocks: BlocksAccount, Backoff: 15 * time.Second, MaxBackoff: maxBackoff,
		message: func(quote, _ string) string {
			return "the period's allowance is used up; the job goes on with the next period, or when the plan is raised: " + quote
		},
	},
	dafty.KindConcurrency: {
		// Fewer videos than images may run.
		Reason: v1alpha1.ReasonWaitingForConcurrency, Actor: ActorDafty, OfAccount: true,
		Blocks: BlocksClass, Backoff: 5 * time.Second, MaxBackoff: time.Minute,
		message: func(string, string) string {
			return "as many jobs are in flight as the plan allows; the job goes on when one of them ends"
		},
	},
	dafty.KindRateLimit: {
		Reason: v1alpha1.ReasonWaitingForRateLimit, Actor: ActorOperator, Blocks: BlocksClass,
		message: func(string, string) string {
			return "the API key's calls for this minute are used up; the job goes on by itself"
		},
	},
	dafty.KindUnavailable: {
		// The account is blocked only where the request never left: all others may have had their effect, and each must be asked about.
		Reason: v1alpha1.ReasonAPIUnavailable, Actor: ActorDafty, Blocks: BlocksAccount, Backoff: time.Second, MaxBackoff: 30 * time.Second,
		message: tryingAgain,
	},
}

func tryingAgain(quote, _ string) string { return quote + "; trying again" }

// MeaningOf returns what a kind of errors means. Of one that isn't known: that the job is tried again, and no other waits.
func MeaningOf(kind dafty.Kind) Meaning {
	if meaning, known := meanings[kind]; known {
		return meaning
	}
	return Meaning{Reason: v1alpha1.ReasonAPIUnavailable, Actor: ActorOperator, Blocks: BlocksJob, message: tryingAgain}
}

// reasonsOf returns the reasons of the kinds with a property.
func reasonsOf(has func(Meaning) bool) (reasons []string) {
	for _, meaning := range meanings {
		if has(meaning) && !slices.Contains(reasons, meaning.Reason) {
			reasons = append(reasons, meaning.Reason)
		}
	}
	slices.Sort(reasons)
	return reasons
}
