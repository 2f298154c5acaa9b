package v1alpha1

// Condition types of a DaftyJob.
const (
	// ConditionSubmitted is True once Dafty has the job.
	ConditionSubmitted = "Submitted"
	// ConditionComplete is added, True, when the job has completed.
	ConditionComplete = "Complete"
	// ConditionFailed is added, True, when the job has failed.
	ConditionFailed = "Failed"
	// ConditionCancelled is added, True, when the job is cancelled.
	ConditionCancelled = "Cancelled"
	// ConditionReady is True when the desired state is reached, Unknown on the way there,
	// False when it won't be.
	ConditionReady = "Ready"
	// ConditionReconciling is True on the way and absent at the end (kstatus).
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True where the job can't go on without a person (kstatus).
	ConditionStalled = "Stalled"
	// ConditionResultStored is True once the result is in spec.resultConfigMap, False where it
	// can't be written there.
	ConditionResultStored = "ResultStored"
)

// Reasons of the conditions and of the events. Each says what the user should do.
const (
	// ReasonSubmitting : the request is on its way to Dafty. Nothing to do.
	ReasonSubmitting = "Submitting"
	// ReasonSubmitted : Dafty has the job; of the Submitted condition alone. Nothing to do.
	ReasonSubmitted = "Submitted"
	// ReasonQueued : Dafty has the job and hasn't begun. Nothing to do.
	ReasonQueued = "Queued"
	// ReasonProcessing : Dafty works on the job. Nothing to do.
	ReasonProcessing = "Processing"
	// ReasonCancelling : the cancel is on its way. Nothing to do.
	ReasonCancelling = "Cancelling"
	// ReasonCompleted : the result is in status.result.
	ReasonCompleted = "Completed"
	// ReasonCancelled : the job was cancelled, as asked.
	ReasonCancelled = "Cancelled"
	// ReasonCancelledBeforeSubmission : the job was called off before anything was sent to
	// Dafty; nothing was paid.
	ReasonCancelledBeforeSubmission = "CancelledBeforeSubmission"
	// ReasonCompletedBeforeCancel : the job completed before the cancel reached it; it was paid
	// for, and its result is in status.result.
	ReasonCompletedBeforeCancel = "CompletedBeforeCancel"
	// ReasonSuspended : held back, as asked. To release it, set spec.desiredState to Completed.
	ReasonSuspended = "Suspended"

	// ReasonWaitingForDependency : a DaftyJob or ConfigMap that the spec refers to isn't there, or
	// hasn't completed; the message names it. Create it if it is missing.
	ReasonWaitingForDependency = "WaitingForDependency"
	// ReasonDependencyCycle : DaftyJobs refer to each other in a circle, which the message shows.
	// Delete one of them; those that refer to it fail, and can be created anew without the circle.
	ReasonDependencyCycle = "DependencyCycle"
	// ReasonUploading : a picture from a ConfigMap is being uploaded to Dafty. Nothing to do.
	ReasonUploading = "Uploading"
	// ReasonUnusableFile : the key of a ConfigMap that the spec refers to holds no picture that Dafty
	// takes. Correct the ConfigMap; it goes on by itself.
	ReasonUnusableFile = "UnusableFile"
	// ReasonBackingOff : Dafty failed the job, and it is tried again at status.nextAttemptAt. Nothing
	// to do; to do without the next try, cancel it.
	ReasonBackingOff = "BackingOff"
	// ReasonAlreadyAdopted : another DaftyJob of the namespace follows the job of spec.adoptJobID.
	// Delete this one, or the other.
	ReasonAlreadyAdopted = "AlreadyAdopted"

	// ReasonWaitingForCredentials : the Secret, or the key in it, isn't there. Create it; the
	// message names it.
	ReasonWaitingForCredentials = "WaitingForCredentials"
	// ReasonCredentialsRejected : Dafty doesn't accept the API key. Put a valid one into the
	// Secret that the message names.
	ReasonCredentialsRejected = "CredentialsRejected"
	// ReasonWaitingForRateLimit : the API key's calls for this minute are used up. Nothing to
	// do; it goes on by itself.
	ReasonWaitingForRateLimit = "WaitingForRateLimit"
	// ReasonWaitingForConcurrency : as many jobs are in flight as the plan allows. Nothing to
	// do; it goes on when one of them ends.
	ReasonWaitingForConcurrency = "WaitingForConcurrency"
	// ReasonInsufficientCredits : the account has too few credits. Buy some, or cancel the job;
	// it goes on by itself.
	ReasonInsufficientCredits = "InsufficientCredits"
	// ReasonSubscriptionRequired : the account's plan doesn't include this. Subscribe, or cancel
	// the job; it goes on by itself.
	ReasonSubscriptionRequired = "SubscriptionRequired"
	// ReasonUsageLimitExceeded : the period's allowance is used up. Wait for the next period or
	// raise the plan; it goes on by itself.
	ReasonUsageLimitExceeded = "UsageLimitExceeded"
	// ReasonAPIUnavailable : Dafty can't be reached, or its answer can't be understood. It is
	// asked again; if it lasts, look at the network and at Dafty's status page.
	ReasonAPIUnavailable = "APIUnavailable"
	// ReasonSubmissionUnknown : a request was sent, its answer never came, and it is too late to
	// ask again safely. Look for the job at Dafty: the message has one command for the case that it
	// is there, and one for the case that it isn't.
	ReasonSubmissionUnknown = "SubmissionUnknown"

	// ReasonInvalidRequest : Dafty refuses the request as it is; status.error says which field
	// and why. Create a corrected DaftyJob under a new name.
	ReasonInvalidRequest = "InvalidRequest"
	// ReasonGenerationFailed : Dafty could not make the image or video; status.error says why.
	ReasonGenerationFailed = "GenerationFailed"
	// ReasonExtractionFailed : Dafty could not extract the style; status.error says why.
	ReasonExtractionFailed = "ExtractionFailed"
	// ReasonDependencyFailed : a DaftyJob that the spec refers to failed, was cancelled, or was deleted
	// before it completed. Mend that one, and create this one anew under a new name.
	ReasonDependencyFailed = "DependencyFailed"
	// ReasonInvalidReference : a DaftyJob that the spec refers to has completed, but made no such
	// thing; the message says what it made. Create a corrected DaftyJob under a new name.
	ReasonInvalidReference = "InvalidReference"
	// ReasonDeadlineExceeded : the job took longer than spec.activeDeadlineSeconds and was cancelled.
	// Create it anew under a new name, with more time.
	ReasonDeadlineExceeded = "DeadlineExceeded"
	// ReasonJobNotFound : Dafty doesn't know the job any more. What it made, if anything, can
	// only be found in Dafty's own web page.
	ReasonJobNotFound = "JobNotFound"
)

// Reasons of the ResultStored condition.
const (
	// ReasonStored : the result is in the ConfigMap.
	ReasonStored = "Stored"
	// ReasonNotStored : the ConfigMap can't be written; the message says why. It is tried again.
	ReasonNotStored = "NotStored"
)

// Reasons of events alone.
const (
	// EventJobOrphaned : the DaftyJob was deleted with the policy Orphan; its job runs on at
	// Dafty and is paid for.
	EventJobOrphaned = "JobOrphaned"
	// EventCancelAbandoned : the DaftyJob was let go although its cancel isn't confirmed. The
	// job may still run and cost; cancel it at Dafty.
	EventCancelAbandoned = "CancelAbandoned"
)
