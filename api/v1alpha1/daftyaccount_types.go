package v1alpha1

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// DaftyAccountSpec is the desired state of a DaftyAccount.
type DaftyAccountSpec struct {
	// apiKeySecretRef names the Secret that holds the Dafty API key, in any
	// namespace. Those who use the account need no right to it.
	//
	// +required
	APIKeySecretRef NamespacedSecretKeyReference `json:"apiKeySecretRef,omitzero"`

	// namespaces selects the namespaces whose DaftyJobs and DaftyAssets may use
	// the account, by their labels. Unset: none. Empty, {}: all. In a namespace
	// that is no longer selected, what was submitted is followed and cancelled as
	// before, and nothing new is submitted.
	//
	// +optional
	Namespaces *metav1.LabelSelector `json:"namespaces,omitempty"`

	// suspend has nothing new submitted with this account while it is true, other
	// attempts of failed jobs included. What is submitted is followed and
	// cancelled as before.
	//
	// +default=false
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// budgets bound how much is submitted: at most 16 of them, and all hold. What
	// is beyond one waits until its period ends. Dafty publishes no prices, so
	// they are in submissions: an attempt counts where Dafty took it, or may have
	// taken it; what it refused, and a job that is adopted, doesn't.
	//
	// +listType=map
	// +listMapKey=per
	// +listMapKey=period
	// +listMapKey=timeZone
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Budgets []Budget `json:"budgets,omitempty"`
}

// NamespacedSecretKeyReference names one key of a Secret in any namespace.
type NamespacedSecretKeyReference struct {
	// namespace of the Secret.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="must be the name of a namespace: lower-case letters, digits and '-', beginning and ending with a letter or digit"
	// +required
	Namespace string `json:"namespace,omitempty"`

	// name of the Secret.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="must be the name of a Secret: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
	// +required
	Name string `json:"name,omitempty"`

	// key within the Secret whose value is the API key. The default is apiKey.
	//
	// +default="apiKey"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[-._a-zA-Z0-9]+$')",message="must be a key of a Secret: letters, digits, '-', '_' and '.'"
	// +optional
	Key string `json:"key,omitempty"`
}

// BudgetScope says whose submissions a budget counts together.
// +kubebuilder:validation:Enum=Namespace;Account
type BudgetScope string

const (
	// PerNamespace gives each namespace a budget of its own.
	PerNamespace BudgetScope = "Namespace"
	// PerAccount counts all that is submitted with the account.
	PerAccount BudgetScope = "Account"
)

// BudgetPeriod is how long a budget lasts.
// +kubebuilder:validation:Enum=Day;Week;Month
type BudgetPeriod string

const (
	// PeriodDay begins at midnight.
	PeriodDay BudgetPeriod = "Day"
	// PeriodWeek begins at midnight before Monday, as in ISO 8601.
	PeriodWeek BudgetPeriod = "Week"
	// PeriodMonth begins at midnight before the first of the month.
	PeriodMonth BudgetPeriod = "Month"
)

// Budget bounds how much is submitted in a period.
type Budget struct {
	// per says whose submissions are counted together. Namespace: each namespace
	// has a budget of this size. Account: all namespaces together.
	//
	// +required
	Per BudgetScope `json:"per,omitempty"`

	// period is how long the budget lasts: Day, from midnight; Week, from Monday;
	// or Month, from the first.
	//
	// +required
	Period BudgetPeriod `json:"period,omitempty"`

	// timeZone is where the period begins, by its name in the IANA database, such
	// as Europe/Berlin. The default is Etc/UTC.
	//
	// +default="Etc/UTC"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*$') && self != 'Local' && timestamp('2026-01-01T00:00:00Z').getFullYear(self) > 0",message="must be the name of a time zone in the IANA database, such as Europe/Berlin or Etc/UTC"
	// +optional
	TimeZone string `json:"timeZone,omitempty"`

	// submissions is how many there may be in a period. 0: none. A number below
	// what is used has nothing new submitted until the period ends.
	//
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000000
	// +required
	Submissions *int64 `json:"submissions,omitempty"`
}

// Key names a budget among those of its account, whatever its size.
func (b *Budget) Key() string { return fmt.Sprintf("%s/%s/%s", b.Per, b.Period, b.TimeZone) }

// DaftyAccountStatus is the observed state of a DaftyAccount.
type DaftyAccountStatus struct {
	// observedGeneration is the metadata.generation that this status reflects;
	// -1 until the operator has seen the object.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are the latest observations of the account's state.
	//
	// Ready is True when Dafty accepts the API key, Unknown until it was asked,
	// and False when somebody must act; its reason and message say who.
	// CreditsAvailable says what the answers to creates have shown: False after
	// Dafty refused one for want of credits or a plan, True after it took one,
	// and absent before. Reconciling is True while Ready is Unknown and absent
	// otherwise. Stalled is True when nothing goes on until somebody acts.
	//
	// +listType=map
	// +listMapKey=type
	// +patchStrategy=merge
	// +patchMergeKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// account is what Dafty says of the account and its plan, as it came: Dafty
	// documents none of its fields. The API key is taken out wherever it
	// stands. It is absent if it is larger than 16 KiB.
	//
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	Account *runtime.RawExtension `json:"account,omitempty"`

	// checkedAt is when Dafty last answered for whom the API key is.
	//
	// +optional
	CheckedAt *metav1.Time `json:"checkedAt,omitempty"`

	// limits are the calls of the present minute, as far as the operator knows
	// them, by class.
	//
	// +listType=map
	// +listMapKey=class
	// +optional
	Limits []ClassLimit `json:"limits,omitempty"`

	// inFlight is how many jobs of DaftyJobs that name this account are at Dafty
	// and haven't ended.
	//
	// +optional
	InFlight *int32 `json:"inFlight,omitempty"`

	// waiting is how many DaftyJobs that name this account wait for their turn,
	// for credits, for a budget, or for the account to be resumed.
	//
	// +optional
	Waiting *int32 `json:"waiting,omitempty"`

	// usage is what is used of the budgets, in the present period of each and in
	// the one before. To delete an entry gives its submissions back.
	//
	// +listType=map
	// +listMapKey=budget
	// +listMapKey=namespace
	// +listMapKey=period
	// +optional
	Usage []BudgetUsage `json:"usage,omitempty"`

	// reservations are the submissions that are about to be sent, or whose answer
	// isn't on record yet. They are counted in usage.
	//
	// +listType=map
	// +listMapKey=uid
	// +optional
	Reservations []Reservation `json:"reservations,omitempty"`

	// unfollowed are jobs of this API key that run at Dafty and that no DaftyJob
	// follows, 20 at most, the oldest first. Where Dafty lists the jobs of the
	// whole account, those that people have made are among them.
	//
	// +listType=atomic
	// +optional
	Unfollowed []UnfollowedJob `json:"unfollowed,omitempty"`
}

// ClassLimit is what is left of one class of calls in the present minute.
type ClassLimit struct {
	// class of the calls: image_create, video_create, style_extract, upload or
	// other.
	//
	// +required
	Class string `json:"class,omitempty"`

	// perMinute is how many such calls a minute the API key may make.
	//
	// +required
	PerMinute *int32 `json:"perMinute,omitempty"`

	// remaining is how many are left of the present minute. It is absent until
	// Dafty has said so.
	//
	// +optional
	Remaining *int32 `json:"remaining,omitempty"`

	// resetsAt is when the present minute ends. It is absent until Dafty has said
	// so.
	//
	// +optional
	ResetsAt *metav1.Time `json:"resetsAt,omitempty"`
}

// BudgetUsage is what is used of one budget in one period.
type BudgetUsage struct {
	// budget is which of spec.budgets: its per, period and timeZone, such as
	// Namespace/Day/Etc/UTC.
	//
	// +required
	Budget string `json:"budget,omitempty"`

	// namespace is whose submissions they are; empty for a budget per Account.
	//
	// +default=""
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// period is its first day in the budget's time zone, such as 2026-12-03.
	//
	// +required
	Period string `json:"period,omitempty"`

	// submissions is how many there were, those that are reserved included.
	//
	// +required
	Submissions *int64 `json:"submissions,omitempty"`
}

// Reservation is a submission that is counted before it is sent.
type Reservation struct {
	// uid is the metadata.uid of the DaftyJob.
	//
	// +required
	UID types.UID `json:"uid,omitempty"`

	// namespace of the DaftyJob.
	//
	// +required
	Namespace string `json:"namespace,omitempty"`

	// name of the DaftyJob.
	//
	// +required
	Name string `json:"name,omitempty"`

	// attempt is the one that is sent, as in the DaftyJob's status.submission.
	//
	// +required
	Attempt int32 `json:"attempt,omitempty"`

	// resourceVersion is the DaftyJob's of when it was reserved. The submission
	// can go on record in that version of the DaftyJob only.
	//
	// +required
	ResourceVersion string `json:"resourceVersion,omitempty"`

	// charges are the entries of usage that it is counted in.
	//
	// +listType=atomic
	// +optional
	Charges []Charge `json:"charges,omitempty"`
}

// Charge names an entry of usage.
type Charge struct {
	// budget as in usage.
	//
	// +required
	Budget string `json:"budget,omitempty"`

	// period as in usage.
	//
	// +required
	Period string `json:"period,omitempty"`
}

// UnfollowedJob is a job at Dafty that no DaftyJob follows.
type UnfollowedJob struct {
	// jobID is Dafty's id of the job. A DaftyJob with it as spec.adoptJobID
	// follows the job, and can cancel it.
	//
	// +required
	JobID string `json:"jobID,omitempty"`

	// type of the job, in Dafty's words.
	//
	// +optional
	Type string `json:"type,omitempty"`

	// createdAt is when Dafty says that it was created.
	//
	// +optional
	CreatedAt *metav1.Time `json:"createdAt,omitempty"`
}

// DaftyAccount is one account at Dafty, by an API key, that many namespaces
// may use, and how much they may spend.
//
// Creating one costs nothing. Deleting it cancels nothing: its jobs are
// followed on with the API key that the operator has in memory, until it
// restarts, and nothing new is submitted.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=daftyaccounts,scope=Cluster,shortName=dacc,categories=dafty
// +kubebuilder:metadata:annotations="kustomize.toolkit.fluxcd.io/prune=disabled"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether Dafty accepts the API key"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,description="Reason of the Ready condition"
// +kubebuilder:printcolumn:name="Suspended",type=boolean,JSONPath=`.spec.suspend`,description="Whether nothing new is submitted"
// +kubebuilder:printcolumn:name="In-Flight",type=integer,JSONPath=`.status.inFlight`,description="Jobs at Dafty that haven't ended"
// +kubebuilder:printcolumn:name="Waiting",type=integer,JSONPath=`.status.waiting`,description="DaftyJobs that wait to be submitted"
// +kubebuilder:printcolumn:name="Credits",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="CreditsAvailable")].status`,description="Whether the newest create wasn't refused for want of credits or a plan"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type DaftyAccount struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the desired state of the account.
	//
	// +required
	Spec DaftyAccountSpec `json:"spec,omitzero"`

	// status is the observed state of the account.
	//
	// +default={"observedGeneration":-1}
	// +optional
	Status DaftyAccountStatus `json:"status,omitzero"`
}

// DaftyAccountList is a list of DaftyAccounts.
//
// +kubebuilder:object:root=true
type DaftyAccountList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// items of the list.
	Items []DaftyAccount `json:"items"`
}
