// Package metrics defines the operator's own metrics, which docs/metrics.md lists. No label depends on an API key, except for
// account of dafty_rate_limit_remaining: a short hash with a salt that differs in each process. Those of DaftyAccounts have their names.
package metrics

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/asset"
	"dafty.ai/dafty-operator/internal/dafty"
)

// Operations of dafty_api_requests_total.
const (
	// OperationCreate means that a job is submitted.
	OperationCreate = "create"
	// OperationJob means that a job is looked at once.
	OperationJob = "job"
	// OperationWait means that a job's end is waited for in a request that Dafty holds.
	OperationWait = "wait"
	// OperationList means that jobs are listed, page by page.
	OperationList = "list"
	// OperationCancel means that a job is cancelled.
	OperationCancel = "cancel"
	// OperationSearch means that an image is searched for in a style.
	OperationSearch = "search"
	// OperationReserve means that a place for an upload is asked for.
	OperationReserve = "reserve"
	// OperationPut means that the bytes of an upload are sent to the storage, which isn't Dafty itself.
	OperationPut = "put"
	// OperationComplete means that Dafty judges the bytes of an upload.
	OperationComplete = "complete"
	// OperationAccount means that Dafty is asked whom an API key belongs to.
	OperationAccount = "account"
)

const (
	accepted = "accepted"
	refused  = "refused"
	unknown  = "unknown"
	failed   = "error"
	// made, reverted and restored are how a result became an asset's current one.
	made, reverted, restored = "made", "reverted", "restored"
	// other stands for all values that this version doesn't know, to bound the number of series.
	other = "other"
	// noAnswer and givenUp are the codes of calls without an answer.
	noAnswer = "none"
	givenUp  = "given_up"
	// noReason is the reason of a turn without a wait, and of a DaftyJob that isn't reconciled yet.
	noReason = "None"
)

var (
	phases = []string{
		string(v1alpha1.PhasePending), string(v1alpha1.PhaseSubmitting), string(v1alpha1.PhaseQueued),
		string(v1alpha1.PhaseProcessing), string(v1alpha1.PhaseCancelling),
		string(v1alpha1.PhaseCompleted), string(v1alpha1.PhaseFailed), string(v1alpha1.PhaseCancelled),
	}
	// withDafty are the phases of a job that Dafty has, or may be getting.
	withDafty = []v1alpha1.Phase{v1alpha1.PhaseSubmitting, v1alpha1.PhaseQueued, v1alpha1.PhaseProcessing, v1alpha1.PhaseCancelling}
	// reasons are why a DaftyJob may not have ended.
	reasons = []string{
		noReason,
		v1alpha1.ReasonSubmitting, v1alpha1.ReasonQueued, v1alpha1.ReasonProcessing, v1alpha1.ReasonCancelling,
		v1alpha1.ReasonSuspended, v1alpha1.ReasonWaitingForDependency, v1alpha1.ReasonDependencyCycle,
		v1alpha1.ReasonUploading, v1alpha1.ReasonUnusableFile, v1alpha1.ReasonSearching, v1alpha1.ReasonStyleAssetNotFound,
		v1alpha1.ReasonBackingOff, v1alpha1.ReasonAlreadyAdopted,
		v1alpha1.ReasonWaitingForCredentials, v1alpha1.ReasonCredentialsRejected,
		v1alpha1.ReasonAccountNotFound, v1alpha1.ReasonAccountSuspended, v1alpha1.ReasonBudgetExhausted,
		v1alpha1.ReasonWaitingForRateLimit, v1alpha1.ReasonWaitingForConcurrency,
		v1alpha1.ReasonInsufficientCredits, v1alpha1.ReasonSubscriptionRequired, v1alpha1.ReasonUsageLimitExceeded,
		v1alpha1.ReasonAPIUnavailable, v1alpha1.ReasonSubmissionUnknown, v1alpha1.ReasonInvalidRequest, v1alpha1.ReasonInvalidReference,
		v1alpha1.ReasonWriteRefused, v1alpha1.ReasonWriteFailed,
	}
	types = []string{
		string(dafty.ImageGenerate), string(dafty.ImageEdit), string(dafty.ImageResize), string(dafty.ImageUpscale),
		string(dafty.VideoGenerate), string(dafty.StyleExtract),
	}
	operations = []string{
		OperationCreate, OperationJob, OperationWait, OperationList, OperationCancel, OperationSearch,
		OperationReserve, OperationPut, OperationComplete, OperationAccount,
	}
	// ends are how a DaftyJob can end: phase and reason.
	ends = [][]string{
		{string(v1alpha1.PhaseCompleted), v1alpha1.ReasonCompleted},
		{string(v1alpha1.PhaseCompleted), v1alpha1.ReasonCompletedBeforeCancel},
		{string(v1alpha1.PhaseFailed), v1alpha1.ReasonInvalidRequest},
		{string(v1alpha1.PhaseFailed), v1alpha1.ReasonGenerationFailed},
		{string(v1alpha1.PhaseFailed), v1alpha1.ReasonExtractionFailed},
		{string(v1alpha1.PhaseFailed), v1alpha1.ReasonJobNotFound},
		{string(v1alpha1.PhaseFailed), v1alpha1.ReasonDependencyFailed},
		{string(v1alpha1.PhaseFailed), v1alpha1.ReasonInvalidReference},
		{string(v1alpha1.PhaseFailed), v1alpha1.ReasonDeadlineExceeded},
		{string(v1alpha1.PhaseCancelled), v1alpha1.ReasonCancelled},
		{string(v1alpha1.PhaseCancelled), v1alpha1.ReasonCancelledBeforeSubmission},
		{string(v1alpha1.PhaseCancelled), v1alpha1.ReasonAlreadyCancelled},
		{string(v1alpha1.PhaseCompleted), v1alpha1.ReasonWriteRefused},
		{string(v1alpha1.PhaseCompleted), v1alpha1.ReasonWriteFailed},
		{string(v1alpha1.PhaseFailed), v1alpha1.ReasonWriteRefused},
		{string(v1alpha1.PhaseFailed), v1alpha1.ReasonWriteFailed},
		{string(v1alpha1.PhaseCancelled), v1alpha1.ReasonWriteRefused},
		{string(v1alpha1.PhaseCancelled), v1alpha1.ReasonWriteFailed},
	}
	// assetReasons are those of the Ready condition of a DaftyAsset: its own, and what a DaftyJob of it waits for or has failed of.
	assetReasons = func() []string {
		all := []string{
			noReason, v1alpha1.ReasonCompleted, v1alpha1.ReasonProgressing, v1alpha1.ReasonWaitingForApproval, v1alpha1.ReasonJobDeleted,
			v1alpha1.ReasonJobNameTaken,
		}
		for _, reason := range reasons {
			if reason != noReason && asset.Mirrors(reason) {
				all = append(all, reason)
			}
		}
		for _, end := range ends {
			if end[0] != string(v1alpha1.PhaseCompleted) && !slices.Contains(all, end[1]) {
				all = append(all, end[1])
			}
		}
		return all
	}()
	// submitting are the classes whose calls wait in a queue.
	submitting = []dafty.Class{dafty.ClassImageCreate, dafty.ClassVideoCreate, dafty.ClassStyleExtract}
	classes    = []dafty.Class{dafty.ClassImageCreate, dafty.ClassVideoCreate, dafty.ClassStyleExtract, dafty.ClassOther}
)

// The metrics, in the order of docs/metrics.md.
var (
	jobsDesc = gauge("dafty_jobs",
		"DaftyJobs in the cluster by phase (see docs/lifecycle.md) and type (Dafty's word for the operation, such as image.generate). One without "+
			"status counts as Pending.",
		"phase", "type")
	unfinishedDesc = gauge("dafty_jobs_unfinished",
		"DaftyJobs that have not ended, by the reason of their Ready condition, which says what they wait for (see docs/lifecycle.md); None, where "+
			"the operator hasn't looked at them yet; other, a reason that this version doesn't know.",
		"reason")
	oldestJobDesc = gauge("dafty_jobs_oldest_age_seconds",
		"Time since the first submission of the DaftyJob that was submitted longest ago, of those that Dafty has or may be getting, by phase; 0 where there is none.",
		"phase")
	submissions = counter("dafty_submissions_total",
		"Requests for a job, repeats included. result: accepted, where Dafty has the job; refused, where this request surely made none; unknown, "+
			"where its answer never came or can't be read, and it is repeated with the same key.",
		[]string{"type", "result"}, combinations(types, []string{accepted, refused, unknown})...)
	cancels = counter("dafty_cancels_total",
		"Requests to cancel a job. result: accepted by Dafty, which is not yet the job's end (see dafty_jobs_ended_total), or error, after which it is asked again.",
		[]string{"result"}, combinations([]string{accepted, failed})...)
	jobsEnded = counter("dafty_jobs_ended_total",
		"DaftyJobs whose final phase this process has written, by the reason of their Ready condition.",
		[]string{"phase", "reason"}, ends...)
	abandoned = counter("dafty_jobs_abandoned_total",
		"DaftyJobs let go although the cancel of their job at Dafty was never confirmed: it may still run and cost.",
		nil, nil)
	endToStatus = histogram("dafty_end_to_status_seconds",
		"Time until a DaftyJob's final phase was written. Dafty doesn't tell when a job ended: it is measured from the arrival of the answer that said so.",
		[]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60})
	assetsDesc = gauge("dafty_assets",
		"DaftyAssets in the cluster by the reason of their Ready condition: Completed, where the result is that of the newest spec; None, where the "+
			"operator hasn't looked at them yet; other, a reason that this version doesn't know.",
		"reason")
	oldestAssetDesc = gauge("dafty_assets_oldest_age_seconds",
		"For how long the DaftyAsset has had a condition that has had it for longest: Reconciling, while its newest spec is being made, or Stalled, "+
			"until somebody acts; 0 where none has it. One that waits for another counts where that one does, and one that is suspended, or waits to be "+
			"approved, has neither.",
		"condition")
	assetChanges = counter("dafty_asset_changes_total",
		"Results that have become the current ones of DaftyAssets. how: made, by a DaftyJob; reverted, as they were in the history, which costs "+
			"nothing; restored, fetched again after an asset had lost its status.",
		[]string{"how"}, combinations([]string{made, reverted, restored})...)
	assetChangeSeconds = histogram("dafty_asset_change_seconds",
		"Time from the creation of a DaftyAsset's DaftyJob until its result became the current one, of those that were made: with what it waited "+
			"for, approvals too.",
		[]float64{1, 2.5, 5, 10, 20, 30, 60, 120, 300, 900, 1800, 3600, 10800, 86400})
	assetsOvertaken = counter("dafty_asset_jobs_overtaken_total",
		"DaftyJobs that DaftyAssets have called off, as a newer change has overtaken them.",
		nil, nil)
	accountReadyDesc = gauge("dafty_account_ready",
		"1 where Dafty accepts the API key of the DaftyAccount, as its Ready condition says, else 0. account: its name; other: all beyond the first 100 names "+
			"in order, 1 where all of these are Ready.",
		"account")
	accountSuspendedDesc = gauge("dafty_account_suspended",
		"1 where the DaftyAccount is suspended, else 0; other, where one of these is.",
		"account")
	accountWaitingDesc = gauge("dafty_account_waiting",
		"DaftyJobs that wait for something of the DaftyAccount, as its status says: for their turn, credits, a budget, or to be resumed.",
		"account")
	accountInFlightDesc = gauge("dafty_account_in_flight",
		"Jobs at Dafty that have not ended, of DaftyJobs that name the DaftyAccount, as its status says.",
		"account")
	budgetLimitDesc = gauge("dafty_account_budget_limit",
		"Submissions that a budget of the DaftyAccount has room for in a period. budget: whose, how long and in which time zone, such as "+
			"Account/Month/Europe/Berlin. other has the budget that is nearest to its end.",
		"account", "budget")
	budgetUsedDesc = gauge("dafty_account_budget_used",
		"Submissions of the present period that count in a budget of the DaftyAccount; of a budget for each namespace, those of the namespace that has used most.",
		"account", "budget")
	requests = counter("dafty_api_requests_total",
		"Calls to Dafty. operation: create, job (one look), wait (a look that Dafty holds until the job's end, up to 55 s), list (one page), cancel, "+
			"search (in a style), account (whom an API key belongs to), and reserve, put and complete, the steps of an upload, of which put goes to "+
			"the storage that Dafty names. "+
			"code: the HTTP status (202 for "+
			"each create that succeeded and 200 for any other call); none, where no answer came; given_up, where the operator ended the call itself, as "+
			"it does with a held one when the job is cancelled; other, a status that isn't HTTP's.",
		[]string{"operation", "code"}, combinations(operations, []string{"401", "429", "500", "502", "503", "504", noAnswer, givenUp})...)
	requestDuration = histogram("dafty_api_request_duration_seconds",
		"Time until a call to Dafty was answered or failed; of all but those that were given up.",
		[]float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 45, 54, 60}, "operation")
	waits = histogram("dafty_wait_seconds",
		"Time from a submission's joining of its API key's queue to its turn. reason: what it waited for last, RateLimit only where it was for "+
			"nothing else: Concurrency, UsageLimit, InsufficientCredits, SubscriptionRequired, Unauthorized, Unavailable; None, where its turn was there "+
			"at once.",
		[]float64{.1, 1, 3, 10, 30, 60, 120, 300, 900, 1800, 3600, 10800}, "class", "reason")
	remainingDesc = gauge("dafty_rate_limit_remaining",
		"Calls that an API key has left in its minute, as Dafty said last. account: a short hash of the key that is another after each restart; its "+
			"series go a minute or so after its last job.",
		"account", "class")
	queueDesc = gauge("dafty_queue_length",
		"Submissions that wait for their turn, of all API keys.",
		"class")
	oldestDesc = gauge("dafty_queue_oldest_age_seconds",
		"How long the submission has waited that has waited longest, of all API keys; 0 where none waits.",
		"class")
	inFlightDesc = gauge("dafty_jobs_in_flight",
		"Jobs that Dafty has, or may be getting, and that the operator follows; other are those of an operation that this version doesn't know.",
		"class")
	heldDesc = gauge("dafty_held_requests",
		"Requests that Dafty holds now, each until a job has ended.")
)

func init() {
	for _, operation := range operations {
		requests.WithLabelValues(operation, success(operation))
		requestDuration.WithLabelValues(operation)
	}
	endToStatus.WithLabelValues()
	assetChangeSeconds.WithLabelValues()
}

// success is the status of a successful call, by operation, from Dafty's contract.
func success(operation string) string {
	if operation == OperationCreate {
		return strconv.Itoa(http.StatusAccepted)
	}
	return strconv.Itoa(http.StatusOK)
}

// RecordCall counts a call to Dafty and measures how long it took. err is nil if it succeeded.
func RecordCall(operation string, took time.Duration, err *dafty.CallError) {
	code := success(operation)
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled):
		requests.WithLabelValues(operation, givenUp).Inc()
		return
	case err.Status == 0:
		code = noAnswer
	case http.StatusText(err.Status) == "":
		code = other
	default:
		code = strconv.Itoa(err.Status)
	}
	requests.WithLabelValues(operation, code).Inc()
	requestDuration.WithLabelValues(operation).Observe(took.Seconds())
}

// RecordSubmission counts the answer to a request for a job.
func RecordSubmission(create dafty.Create, err *dafty.CallError) {
	result := unknown
	switch {
	case err == nil:
		result = accepted
	case err.Refused():
		result = refused
	}
	submissions.WithLabelValues(typeOf(create), result).Inc()
}

// RecordCancel counts the answer to a request to cancel.
func RecordCancel(err *dafty.CallError) {
	if err != nil {
		cancels.WithLabelValues(failed).Inc()
		return
	}
	cancels.WithLabelValues(accepted).Inc()
}

// RecordQueueWait measures how long a submission waited for its turn. why is what it waited for, empty if it didn't.
func RecordQueueWait(class dafty.Class, why dafty.Kind, wait time.Duration) {
	reason := string(why)
	if why == "" {
		reason = noReason
	}
	waits.WithLabelValues(string(class), reason).Observe(wait.Seconds())
}

// RecordFinished counts a DaftyJob that has ended with the status that was just written. told is when Dafty's answer arrived
// that the job has ended, zero if it ended for another reason.
func RecordFinished(before v1alpha1.Phase, status *v1alpha1.DaftyJobStatus, told time.Time) {
	if before.Final() || !status.Phase.Final() {
		return
	}
	reason := other
	if ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady); ready != nil {
		reason = ready.Reason
	}
	jobsEnded.WithLabelValues(string(status.Phase), reason).Inc()
	if !told.IsZero() {
		endToStatus.WithLabelValues().Observe(time.Since(told).Seconds())
	}
}

// RecordAbandoned counts a DaftyJob that was removed although its job may still run.
func RecordAbandoned() { abandoned.WithLabelValues().Inc() }

// typeOf returns the type of the job that a request makes.
func typeOf(create dafty.Create) string {
	switch create.(type) {
	case dafty.GenerateImageRequest:
		return string(dafty.ImageGenerate)
	case dafty.EditImageRequest:
		return string(dafty.ImageEdit)
	case dafty.ResizeImageRequest:
		return string(dafty.ImageResize)
	case dafty.UpscaleImageRequest:
		return string(dafty.ImageUpscale)
	case dafty.ImageToVideoRequest, dafty.VideoFramesRequest:
		return string(dafty.VideoGenerate)
	case dafty.ExtractStyleRequest:
		return string(dafty.StyleExtract)
	default:
		return other
	}
}
