package v1alpha1

// Condition types. Ready, Reconciling, Stalled and ResultStored are a DaftyAsset's too, Available and Outdated only a
// DaftyAsset's, and the others only a DaftyJob's.
const (
	// ConditionSubmitted is True once Dafty has accepted the job.
	ConditionSubmitted = "Submitted"
	// ConditionComplete is added, True, when the job has completed.
	ConditionComplete = "Complete"
	// ConditionFailed is added, True, when the job has failed.
	ConditionFailed = "Failed"
	// ConditionCancelled is added, True, when the job is cancelled.
	ConditionCancelled = "Cancelled"
	// ConditionReady is True when the desired state is reached, Unknown while the job progresses
	// towards it, False when it isn't reached without somebody's action, or at all.
	ConditionReady = "Ready"
	// ConditionReconciling is True while the job progresses and absent otherwise (kstatus).
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when the job has failed, or can't progress until somebody acts (kstatus).
	ConditionStalled = "Stalled"
	// ConditionResultStored is True while the result is in spec.resultConfigMap, False if it
	// can't be written there.
	ConditionResultStored = "ResultStored"

	// ConditionAvailable is True while a DaftyAsset has a result, of whichever spec.
	ConditionAvailable = "Available"
	// ConditionOutdated is True when a DaftyAsset that the template names has a newer result than the one that was
	// taken, and absent otherwise.
	ConditionOutdated = "Outdated"

	// ConditionCreditsAvailable is False after Dafty refused a create for want of credits or a plan, True after it took one.
	ConditionCreditsAvailable = "CreditsAvailable"
)

// Reasons of the conditions and of the events. Each says what the user should do.
const (
	// ReasonSubmitting means that the request is being sent to Dafty, or its answer isn't known yet. Nothing to do.
	ReasonSubmitting = "Submitting"
	// ReasonSubmitted means that Dafty has accepted the job; of the Submitted condition only. Nothing to do.
	ReasonSubmitted = "Submitted"
	// ReasonQueued means that Dafty has accepted the job and hasn't started it, which can take long for a
	// clip. Nothing to do.
	ReasonQueued = "Queued"
	// ReasonProcessing means that Dafty is processing the job. Nothing to do.
	ReasonProcessing = "Processing"
	// ReasonCancelling means that the job is being cancelled, and Dafty hasn't confirmed it yet. Nothing to do.
	ReasonCancelling = "Cancelling"
	// ReasonCompleted means that the result is in status.result.
	ReasonCompleted = "Completed"
	// ReasonCancelled means that the job was cancelled, as requested.
	ReasonCancelled = "Cancelled"
	// ReasonCancelledBeforeSubmission means that the job was cancelled before it was submitted to Dafty;
	// nothing was paid for.
	ReasonCancelledBeforeSubmission = "CancelledBeforeSubmission"
	// ReasonAlreadyCancelled means that the job was cancelled, which can't be undone, and spec.desiredState asks for
	// something else by now. Set it to Cancelled in the manifest, or create another DaftyJob under a new name.
	ReasonAlreadyCancelled = "AlreadyCancelled"
	// ReasonCompletedBeforeCancel means that the job completed before the cancel reached it; it was paid
	// for, and its result is in status.result.
	ReasonCompletedBeforeCancel = "CompletedBeforeCancel"
	// ReasonSuspended means that the job isn't submitted, as requested. To resume it, set spec.desiredState to
	// Completed; it isn't enough to remove it.
	ReasonSuspended = "Suspended"

	// ReasonWaitingForDependency means that a DaftyJob, DaftyAsset or ConfigMap that the spec refers to isn't there,
	// hasn't completed, or isn't Ready; the message names it. Create it if it is missing.
	ReasonWaitingForDependency = "WaitingForDependency"
	// ReasonDependencyCycle means that DaftyJobs or DaftyAssets refer to each other in a cycle, which the message
	// shows. Delete one of them; DaftyJobs that refer to a DaftyJob fail then, and can be created again without the cycle.
	ReasonDependencyCycle = "DependencyCycle"
	// ReasonUploading means that an image from a ConfigMap is being uploaded to Dafty. Nothing to do.
	ReasonUploading = "Uploading"
	// ReasonUnusableFile means that the key of a ConfigMap that the spec refers to holds no image that Dafty
	// accepts, or the upload of the image is refused again and again; the message says which. Fix the
	// cause; the job continues by itself.
	ReasonUnusableFile = "UnusableFile"
	// ReasonSearching means that an image is being searched for in a brand style at Dafty. Nothing to do.
	ReasonSearching = "Searching"
	// ReasonStyleAssetNotFound means that a search in a brand style has found no image to use: the style isn't there, it
	// has too few assets, or none that is similar enough; the message says which. Add the image to the style at Dafty,
	// and the job continues by itself, within an hour; or create a DaftyJob with another query under a new name.
	ReasonStyleAssetNotFound = "StyleAssetNotFound"
	// ReasonBackingOff means that the job failed at Dafty, and is retried at status.nextAttemptAt. Nothing
	// to do; cancel the job to prevent the retry.
	ReasonBackingOff = "BackingOff"
	// ReasonAlreadyAdopted means that another DaftyJob of the namespace follows the job of spec.adoptJobID.
	// Delete this one, or the other.
	ReasonAlreadyAdopted = "AlreadyAdopted"

	// ReasonWaitingForCredentials means that the Secret, or the key in it, isn't there. Create it; the
	// message names it.
	ReasonWaitingForCredentials = "WaitingForCredentials"
	// ReasonCredentialsRejected means that Dafty doesn't accept the API key. Put a valid one into the
	// Secret that the message names.
	ReasonCredentialsRejected = "CredentialsRejected"
	// ReasonAccountNotFound means that there is no DaftyAccount of the name under accountRef, or it doesn't select the
	// namespace, or the operator runs without DaftyAccounts. Ask whoever runs the account, or correct the name; a
	// DaftyJob with another accountRef must be created under a new name.
	ReasonAccountNotFound = "AccountNotFound"
	// ReasonAccountSuspended means that the DaftyAccount is suspended, and nothing new is submitted with it. Nothing to
	// do; the job continues when the account is resumed.
	ReasonAccountSuspended = "AccountSuspended"
	// ReasonBudgetExhausted means that a budget of the DaftyAccount is used up; the message says until when. Nothing to
	// do; the job continues with the next period, or when the budget is raised.
	ReasonBudgetExhausted = "BudgetExhausted"
	// ReasonWaitingForRateLimit means that the API key's calls for this minute are used up: those that
	// create such jobs, uploads, or all others. Nothing to do; the job continues by itself.
	ReasonWaitingForRateLimit = "WaitingForRateLimit"
	// ReasonWaitingForConcurrency means that as many jobs are in flight as the plan allows. Nothing to
	// do; the job continues when one of them ends.
	ReasonWaitingForConcurrency = "WaitingForConcurrency"
	// ReasonInsufficientCredits means that the account has too few credits for this job. Buy some, and the
	// job continues by itself; or cancel it. A cheaper one may still be accepted.
	ReasonInsufficientCredits = "InsufficientCredits"
	// ReasonSubscriptionRequired means that the account's plan doesn't include this operation. Subscribe, and
	// the job continues by itself; or cancel it.
	ReasonSubscriptionRequired = "SubscriptionRequired"
	// ReasonUsageLimitExceeded means that the period's allowance is used up. Wait for the next period or
	// upgrade the plan; the job continues by itself.
	ReasonUsageLimitExceeded = "UsageLimitExceeded"
	// ReasonAPIUnavailable means that Dafty can't be reached, or its answer can't be understood. The request
	// is repeated; if this persists, check the network and Dafty's status page.
	ReasonAPIUnavailable = "APIUnavailable"
	// ReasonWriteRefused means that the API server refuses a write of the operator, as a policy, a webhook or a
	// role has it; the message says which. Have it let the operator's writes pass; the write is retried.
	ReasonWriteRefused = "WriteRefused"
	// ReasonWriteFailed means that a write of the operator fails, and is retried; a job at Dafty continues
	// meanwhile. If it lasts, look at the API server and its webhooks, or at the policy in the message.
	ReasonWriteFailed = "WriteFailed"
	// ReasonSubmissionUnknown means that a request was sent, its answer never came, and it can't be repeated
	// safely any more, or Dafty refuses its idempotency key as that of another request; it may have
	// been paid for. Look for the job at Dafty: the message has one
	// command for the case that Dafty has the job, and one for the case that it hasn't.
	ReasonSubmissionUnknown = "SubmissionUnknown"

	// ReasonInvalidRequest means that Dafty refuses the request as invalid; status.error says which field
	// and why. Create a corrected DaftyJob under a new name.
	ReasonInvalidRequest = "InvalidRequest"
	// ReasonGenerationFailed means that Dafty could not make the image or video; status.error says why.
	ReasonGenerationFailed = "GenerationFailed"
	// ReasonExtractionFailed means that Dafty could not extract the style; status.error says why.
	ReasonExtractionFailed = "ExtractionFailed"
	// ReasonDependencyFailed means that a DaftyJob that the spec refers to failed, was cancelled, or was deleted
	// before it completed. Create that one and this one again.
	ReasonDependencyFailed = "DependencyFailed"
	// ReasonInvalidReference means that the result of what the spec refers to has no such image or style; the
	// message says what it has. Create a corrected DaftyJob under a new name; if Pending, correct the DaftyAsset
	// that the message names, and the job continues by itself.
	ReasonInvalidReference = "InvalidReference"
	// ReasonDeadlineExceeded means that the job took longer than spec.activeDeadlineSeconds and was cancelled, or wasn't
	// submitted within spec.startingDeadlineSeconds and wasn't paid for; the message says which. Create it again
	// under a new name, with a longer deadline, if it is still wanted.
	ReasonDeadlineExceeded = "DeadlineExceeded"
	// ReasonJobNotFound means that Dafty doesn't know the job any more. Its result, if there is one, can
	// only be found on Dafty's own web page.
	ReasonJobNotFound = "JobNotFound"
)

// Reasons of a DaftyAsset's conditions and events. Where one of its DaftyJobs waits for something, or has failed, the reason
// is that DaftyJob's.
const (
	// ReasonProgressing means that a DaftyJob is making the result of the newest spec. Nothing to do.
	ReasonProgressing = "Progressing"
	// ReasonWaitingForApproval means that nobody has approved the change yet, which spec.changePolicy asks for. The
	// message has the command that approves it.
	ReasonWaitingForApproval = "WaitingForApproval"
	// ReasonJobDeleted means that somebody has deleted the DaftyJob that was making the result. It isn't made again
	// by itself; the message has the command that has it made, and paid for.
	ReasonJobDeleted = "JobDeleted"
	// ReasonJobNameTaken means that the DaftyJob to make can't be created: there is one of its name that doesn't belong to
	// this DaftyAsset. Delete that one; it goes on by itself.
	ReasonJobNameTaken = "JobNameTaken"
	// ReasonAvailable means that there is a result, in status.current; of the Available condition only.
	ReasonAvailable = "Available"
	// ReasonNoResult means that there is no result yet; of the Available condition only. See the Ready condition.
	ReasonNoResult = "NoResult"
	// ReasonInputsChanged means that a DaftyAsset that the template names has a newer result than the one that was
	// taken; of the Outdated condition only. To take it, set spec.followInputs, or another spec.revision.
	ReasonInputsChanged = "InputsChanged"
	// EventOvertaken means that a DaftyJob was called off, as a newer change has overtaken it. Nothing to do.
	EventOvertaken = "Overtaken"
)

// Reasons of a DaftyAccount's conditions and events, beside those of a DaftyJob's for the same cause.
const (
	// ReasonAccepted means that Dafty accepts the API key. Nothing to do.
	ReasonAccepted = "Accepted"
	// ReasonChecking means that Dafty hasn't answered yet whether it accepts the API key. Nothing to do.
	ReasonChecking = "Checking"
	// ReasonInvalidAccount means that the spec names a time zone that doesn't exist, or selects namespaces in a way that
	// can't be; the message says which. Nothing new is submitted until it is corrected.
	ReasonInvalidAccount = "InvalidAccount"
	// ReasonCreditsAvailable means that Dafty took the newest request for a job; of the CreditsAvailable condition only.
	ReasonCreditsAvailable = "CreditsAvailable"
)

// Reasons of the ResultStored condition.
const (
	// ReasonStored means that the result is in the ConfigMap.
	ReasonStored = "Stored"
	// ReasonNotStored means that the ConfigMap can't be written; the message says why and what to do. The
	// write is retried, at least every 30 seconds.
	ReasonNotStored = "NotStored"
)

// Reasons of events only.
const (
	// EventJobOrphaned means that the DaftyJob was deleted with the policy Orphan; its job continues at
	// Dafty and is paid for.
	EventJobOrphaned = "JobOrphaned"
	// EventCancelAbandoned means that the DaftyJob was removed although its cancel isn't confirmed. The
	// job may still run and cost; cancel it at Dafty.
	EventCancelAbandoned = "CancelAbandoned"
	// EventResultRestored means that the ConfigMap of the result was deleted or changed, or had lost its
	// owner, and is as it should be again. Nothing to do.
	EventResultRestored = "ResultRestored"
)
