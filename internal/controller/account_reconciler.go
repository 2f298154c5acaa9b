package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/budget"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
)

// AccountName is the name of the controller of DaftyAccounts, in logs and metrics.
const AccountName = "daftyaccount"

// What is cluster-scoped is in a role of its own, which an operator that watches some namespaces only doesn't have.
// +kubebuilder:rbac:roleName=manager-cluster-role,groups=dafty.ai,resources=daftyaccounts,verbs=list;watch
// +kubebuilder:rbac:roleName=manager-cluster-role,groups=dafty.ai,resources=daftyaccounts/status,verbs=patch
// +kubebuilder:rbac:roleName=manager-cluster-role,groups="",resources=namespaces,verbs=list;watch

const (
	// accountWriteEvery is the least time between two writes of a DaftyAccount's status, reservations and another reason of Ready
	// apart.
	accountWriteEvery = 30 * time.Second
	// countAfter is how soon after a change of a DaftyJob those of its account are counted: many change at once.
	countAfter = 5 * time.Second
	// accountKeyPoll is how often the Secret of an account is read, and missingKeyPoll where it has no key that Dafty accepts: Secrets
	// can't be watched without the right to read all of them.
	accountKeyPoll = 2 * time.Minute
	missingKeyPoll = 15 * time.Second
)

// AccountReconciler reconciles DaftyAccounts: it has Dafty asked whom their API keys belong to, and tells what is known of them. What
// may be submitted with them is decided where a DaftyJob is.
type AccountReconciler struct {
	// Client reads DaftyAccounts and DaftyJobs from a cache and what ReadLive names live.
	client.Client
	// Recorder takes the events.
	Recorder events.EventRecorder
	// Accounts make the calls to Dafty.
	Accounts *account.Registry
	// Budgets write the status of DaftyAccounts.
	Budgets *budget.Book
	// Clock tells the time of decisions.
	Clock clock.PassiveClock

	secrets secretReads
	mu      sync.Mutex
	seen    map[string]accountSeen
}

// accountSeen is what is remembered of a DaftyAccount: when it was first seen, and when its status was last written.
type accountSeen struct {
	uid            types.UID
	first, written time.Time
	// keyRead is when the Secret was read that the spec of a generation names.
	keyRead    time.Time
	generation int64
}

// hasKey reports whether the Secret was read a short while ago: many changes of DaftyJobs bring the account back.
func (s accountSeen) hasKey(from *v1alpha1.DaftyAccount, now time.Time) bool {
	age := now.Sub(s.keyRead)
	return s.generation == from.Generation && age >= 0 && age < accountKeyPoll
}

// left returns how long the status isn't to be written again, and 0 where the clock was set back.
func (s accountSeen) left(now time.Time) time.Duration {
	if s.written.After(now) {
		return 0
	}
	return max(0, s.written.Add(accountWriteEvery).Sub(now))
}

// SetupWithManager has mgr run the reconciler for DaftyAccounts, for those whose DaftyJobs change, and for those that wakeups tells of.
func (r *AccountReconciler) SetupWithManager(mgr ctrl.Manager, wakeups *Wakeups, workers int) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named(AccountName).
		For(&v1alpha1.DaftyAccount{}).
		Watches(&v1alpha1.DaftyJob{}, handler.Funcs{
			CreateFunc: func(_ context.Context, e event.CreateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
				countSoon(q, e.Object)
			},
			UpdateFunc: func(_ context.Context, e event.UpdateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
				countSoon(q, e.ObjectNew)
			},
			DeleteFunc: func(_ context.Context, e event.DeleteEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
				countSoon(q, e.Object)
			},
		}).
		WatchesRawSource(source.Func(wakeups.start)).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers, RateLimiter: NewRateLimiter()}).
		Complete(r)
}

// countSoon has the account of a DaftyJob looked at in a while.
func countSoon(q workqueue.TypedRateLimitingInterface[reconcile.Request], object client.Object) {
	if job, ok := object.(*v1alpha1.DaftyJob); ok && job.Spec.AccountRef != nil {
		q.AddAfter(reconcile.Request{NamespacedName: types.NamespacedName{Name: job.Spec.AccountRef.Name}}, countAfter)
	}
}

// Reconcile tells how one DaftyAccount stands.
func (r *AccountReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	from := &v1alpha1.DaftyAccount{}
	if err := r.Get(ctx, req.NamespacedName, from); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(req.Name)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	r.Budgets.Changed(from)
	seen := r.seenOf(from)
	in, err := r.readAll(ctx, from, seen)
	if err != nil {
		return ctrl.Result{}, err
	}
	if len(from.Status.Reservations) > 0 {
		if err := r.Budgets.Sweep(ctx, from.Name); err != nil {
			return ctrl.Result{}, err
		}
	}
	after := missingKeyPoll
	if in.accepted() {
		after = accountKeyPoll
	}
	if in.holding.HasKey && !in.holding.Asking {
		if wait := in.checkIn(); wait > 0 {
			after = min(after, wait)
		} else {
			r.Accounts.Holder(from.Name).Ask()
		}
	}
	status := from.Status.DeepCopy()
	in.write(status)
	if equality.Semantic.DeepEqual(from.Status, *status) {
		return ctrl.Result{RequeueAfter: after}, nil
	}
	if left := seen.left(in.now); left > 0 && !turned(&from.Status, status) {
		return ctrl.Result{RequeueAfter: min(after, left)}, nil
	}
	if err := r.Budgets.Update(ctx, from.Name, in.write); err != nil {
		return ctrl.Result{}, fmt.Errorf("writing status: %w", err)
	}
	r.wrote(from.Name, in.now)
	r.tell(from, status)
	return ctrl.Result{RequeueAfter: after}, nil
}

// turned reports whether Ready has another reason than on record, which is written at once.
func turned(from, to *v1alpha1.DaftyAccountStatus) bool {
	was, is := meta.FindStatusCondition(from.Conditions, v1alpha1.ConditionReady), meta.FindStatusCondition(to.Conditions, v1alpha1.ConditionReady)
	return was == nil || is == nil || was.Reason != is.Reason
}

// readAll reads what the status is made of.
func (r *AccountReconciler) readAll(ctx context.Context, from *v1alpha1.DaftyAccount, seen accountSeen) (*accountRead, error) {
	in := &accountRead{account: from, invalid: invalidAccount(from, r.Clock.Now()), first: seen.first}
	holder := r.Accounts.Holder(from.Name)
	if in.holding = holder.Known(); !seen.hasKey(from, r.Clock.Now()) || !in.accepted() {
		read, err := accountKey(ctx, r.Client, &r.secrets, from)
		if err != nil {
			return nil, err
		}
		if read.read {
			holder.SetAPIKey(read.apiKey)
			r.readKey(from, r.Clock.Now())
		}
		in.problem, in.holding = read.problem, holder.Known()
	}
	if err := r.dropFollowed(ctx, in); err != nil {
		return nil, err
	}
	jobs := &v1alpha1.DaftyJobList{}
	if err := r.List(ctx, jobs, client.MatchingFields{ofAccount: from.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing DaftyJobs: %w", err)
	}
	for i := range jobs.Items {
		switch job := &jobs.Items[i]; {
		case job.Status.JobID != "":
			in.inFlight++
		case waitsForAccount(job):
			in.waiting++
		}
	}
	in.now = r.Clock.Now()
	return in, nil
}

// waitingReasons are the reasons of a DaftyJob that waits for something of its account.
var waitingReasons = []string{
	v1alpha1.ReasonWaitingForRateLimit, v1alpha1.ReasonWaitingForConcurrency, v1alpha1.ReasonInsufficientCredits,
	v1alpha1.ReasonSubscriptionRequired, v1alpha1.ReasonUsageLimitExceeded, v1alpha1.ReasonBudgetExhausted, v1alpha1.ReasonAccountSuspended,
}

func waitsForAccount(job *v1alpha1.DaftyJob) bool {
	ready := meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionReady)
	return ready != nil && slices.Contains(waitingReasons, ready.Reason)
}

// invalidAccount says what is wrong with a spec that the API server has taken, empty where nothing is.
func invalidAccount(from *v1alpha1.DaftyAccount, now time.Time) string {
	if _, err := metav1.LabelSelectorAsSelector(from.Spec.Namespaces); err != nil {
		return fmt.Sprintf("spec.namespaces can't be read, and selects no namespace until it is corrected: %s", err)
	}
	for i := range from.Spec.Budgets {
		if _, _, err := budget.Period(&from.Spec.Budgets[i], now); err != nil {
			return fmt.Sprintf("%s; nothing new is submitted until it is corrected", err)
		}
	}
	return ""
}

// tell makes what is new in the conditions events. These are in the namespace default, as of all that is cluster-scoped, where more
// people may look than at the account: the words are for its status.
func (r *AccountReconciler) tell(from *v1alpha1.DaftyAccount, status *v1alpha1.DaftyAccountStatus) {
	for _, condition := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionCreditsAvailable} {
		is, was := meta.FindStatusCondition(status.Conditions, condition), meta.FindStatusCondition(from.Status.Conditions, condition)
		if is == nil || was != nil && was.Reason == is.Reason || is.Reason == v1alpha1.ReasonChecking {
			continue
		}
		emitEvent(r.Recorder, from, &lifecycle.Event{Warning: is.Status != metav1.ConditionTrue, Reason: is.Reason,
			Message: fmt.Sprintf("%s is %s; see why: kubectl describe daftyaccount %s", condition, is.Status, from.Name)}, "Reconcile")
	}
}

// seenOf returns what is remembered of an account.
func (r *AccountReconciler) seenOf(from *v1alpha1.DaftyAccount) accountSeen {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = map[string]accountSeen{}
	}
	seen := r.seen[from.Name]
	if seen.uid != from.UID {
		seen = accountSeen{uid: from.UID, first: r.Clock.Now()}
		r.seen[from.Name] = seen
	}
	return seen
}

// dropFollowed takes those out of the jobs that nobody follows which a DaftyJob does follow, with another API key of the same
// account.
func (r *AccountReconciler) dropFollowed(ctx context.Context, in *accountRead) (failed error) {
	in.holding.Unfollowed = slices.DeleteFunc(in.holding.Unfollowed, func(listed dafty.ListedJob) bool {
		jobs := &v1alpha1.DaftyJobList{}
		err := r.List(ctx, jobs, client.MatchingFields{followedJob: strings.ToLower(listed.ID)}, client.UnsafeDisableDeepCopy)
		failed = errors.Join(failed, err)
		return len(jobs.Items) > 0
	})
	return failed
}

// readKey notes that the Secret was read.
func (r *AccountReconciler) readKey(from *v1alpha1.DaftyAccount, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.seen[from.Name]
	seen.keyRead, seen.generation = now, from.Generation
	r.seen[from.Name] = seen
}

func (r *AccountReconciler) wrote(name string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.seen[name]
	seen.written = now
	r.seen[name] = seen
}

func (r *AccountReconciler) forget(name string) {
	r.Accounts.ForgetHolder(name)
	r.Budgets.Forget(name)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.seen, name)
}
