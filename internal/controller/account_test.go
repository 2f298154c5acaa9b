package controller_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/controller"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/kubetest"
)

// newWorldOfAccount starts a world whose namespace may use a DaftyAccount with this spec, beside its Secret. The namespace has no
// Secret of its own.
func newWorldOfAccount(t *testing.T, opts daftysim.Options, spec string) *world {
	t.Helper()
	t.Parallel()
	w := prepareWorld(t, kubetest.Start(t), opts)
	w.account = "agency-" + w.Namespace
	w.selected(true)
	w.MustApply(t, fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: agency}\nstringData: {apiKey: %s}\n", apiKey))
	w.setAccount(spec)
	t.Cleanup(func() {
		of := &v1alpha1.DaftyAccount{ObjectMeta: metav1.ObjectMeta{Name: w.account}}
		if err := client.IgnoreNotFound(w.Client.Delete(context.Background(), of)); err != nil {
			t.Error(err)
		}
	})
	w.startOperator()
	return w
}

// setAccount applies the DaftyAccount with more in its spec.
func (w *world) setAccount(more string) {
	w.t.Helper()
	w.MustApply(w.t, fmt.Sprintf("apiVersion: dafty.ai/v1alpha1\nkind: DaftyAccount\nmetadata: {name: %s}\nspec: {apiKeySecretRef: {namespace: %s, name: agency}, "+
		"namespaces: {matchLabels: {dafty.ai/account: %s}}%s}\n", w.account, w.Namespace, w.account, more))
}

// selected labels the namespace, so that the account is for it, or takes the label off.
func (w *world) selected(is bool) {
	w.t.Helper()
	label := "null"
	if is {
		label = `"` + w.account + `"`
	}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"dafty.ai/account":`+label+`}}}`))
	w.Expect(w.Client.Patch(w.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}}, patch)).To(Succeed())
}

func (w *world) theAccount() (*v1alpha1.DaftyAccount, error) {
	of := &v1alpha1.DaftyAccount{}
	err := w.Client.Get(context.Background(), types.NamespacedName{Name: w.account}, of)
	if err == nil && strings.Contains(toJSON(of), apiKey) {
		w.t.Errorf("the API key is in %s", toJSON(of))
	}
	return of, err
}

// eventuallyAccount waits for what Ready says of the account.
func (w *world) eventuallyAccount(status metav1.ConditionStatus, reason string) *v1alpha1.DaftyAccount {
	w.t.Helper()
	var of *v1alpha1.DaftyAccount
	w.Eventually(func() (string, error) {
		var err error
		of, err = w.theAccount()
		ready := meta.FindStatusCondition(of.Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil {
			return "", err
		}
		return string(ready.Status) + " " + ready.Reason, err
	}).WithTimeout(patience).WithPolling(time.Second / 4).Should(Equal(string(status) + " " + reason))
	return of
}

// withAccount is a spec of a DaftyJob that names the account.
func (w *world) withAccount() string {
	return fmt.Sprintf("{accountRef: {name: %s}, imageGenerate: {prompt: A minimalist logo of a mountain at sunrise}}", w.account)
}

// A namespace that is selected uses the key and sees nothing of it; one that isn't learns nothing of the account, and what it
// submitted before is followed on, also by another process.
func TestAccountIsForSelectedNamespaces(t *testing.T) {
	w := newWorldOfAccount(t, daftysim.Options{Manual: true}, "")
	of := w.eventuallyAccount(metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	w.Expect(string(of.Status.Account.Raw)).To(HavePrefix("{"))
	w.Expect(of.Status.CheckedAt).NotTo(BeNil())
	w.Expect(of.Status.ObservedGeneration).To(Equal(of.Generation))
	w.apply("first", w.withAccount())
	w.eventually("first", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)

	w.selected(false)
	w.apply("second", w.withAccount())
	w.apply("third", strings.ReplaceAll(w.withAccount(), w.account, "no-such-account"))
	second := w.eventually("second", v1alpha1.PhasePending, v1alpha1.ReasonAccountNotFound)
	third := w.eventually("third", v1alpha1.PhasePending, v1alpha1.ReasonAccountNotFound)
	w.Expect(strings.ReplaceAll(ready(third).Message, "no-such-account", w.account)).To(Equal(ready(second).Message), "the same words")
	id := w.submitted("first")
	w.restartOperator()
	w.Expect(w.sim.Finish(id, daftysim.Succeed)).To(Succeed())
	w.eventually("first", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	// Whoever knows the id of a job learns nothing of it by naming the account.
	w.apply("adopter", fmt.Sprintf("{accountRef: {name: %s}, adoptJobID: %s, imageGenerate: {prompt: a}}", w.account, id))
	w.eventually("adopter", v1alpha1.PhasePending, v1alpha1.ReasonAccountNotFound)
	w.wantCharges(1)

	w.selected(true)
	w.eventually("second", v1alpha1.PhaseQueued, v1alpha1.ReasonQueued)
	w.eventually("adopter", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.wantCharges(2)
	w.selected(false)
	w.delete("second")
	w.eventuallyGone(patience, "second")
	w.Expect(w.sim.Running()).To(BeEmpty(), "what it called off is cancelled with the account's key")
}

// Nothing new is submitted while an account is suspended, and all goes on once it isn't.
func TestAccountSuspended(t *testing.T) {
	w := newWorldOfAccount(t, daftysim.Options{}, "")
	w.apply("before", w.withAccount())
	w.eventually("before", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.stop()
	w.setAccount(", suspend: true")
	w.apply("during", w.withAccount())
	w.startOperator()
	w.eventually("during", v1alpha1.PhasePending, v1alpha1.ReasonAccountSuspended)
	w.wantCharges(1)
	w.setAccount(", suspend: false")
	w.eventually("during", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.wantCharges(2)
}

// A wrong key shows on the account before the first job does, and what is wrong with the Secret, too.
func TestAccountKey(t *testing.T) {
	w := newWorldOfAccount(t, daftysim.Options{}, "")
	w.eventuallyAccount(metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	w.stop()
	w.MustApply(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: agency}\nstringData: {apiKey: dk_test_wrong}\n")
	w.startOperator()
	of := w.eventuallyAccount(metav1.ConditionFalse, v1alpha1.ReasonCredentialsRejected)
	w.Expect(meta.IsStatusConditionTrue(of.Status.Conditions, v1alpha1.ConditionStalled)).To(BeTrue())
	w.stop()
	w.Expect(w.Client.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "agency"}})).To(Succeed())
	w.startOperator()
	of = w.eventuallyAccount(metav1.ConditionUnknown, v1alpha1.ReasonWaitingForCredentials)
	w.Expect(meta.FindStatusCondition(of.Status.Conditions, v1alpha1.ConditionReady).Message).To(ContainSubstring("kubectl create secret generic -n " + w.Namespace + " agency"))
	w.apply("job", w.withAccount())
	job := w.eventually("job", v1alpha1.PhasePending, v1alpha1.ReasonWaitingForCredentials)
	w.Expect(ready(job).Message).To(And(ContainSubstring("kubectl describe daftyaccount "+w.account), Not(ContainSubstring("kubectl create secret"))))
	w.MustApply(t, fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: agency}\nstringData: {apiKey: %s}\n", apiKey))
	w.eventually("job", v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	w.eventuallyAccount(metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	w.wantCharges(1)
}

// Under each reading of what Dafty leaves open about accounts, an account says whether its key is accepted, what Dafty says of it, and what
// is left of the minute where Dafty tells.
func TestAccountVariants(t *testing.T) {
	t.Parallel()
	for _, variant := range daftysim.AllVariants() {
		switch reading, _, _ := strings.Cut(variant.Name, "="); reading {
		case "account-object", "rate-headers", "extra-fields", "error-body":
		default:
			continue // of no concern
		}
		t.Run(variant.Name, func(t *testing.T) {
			w := newWorldOfAccount(t, daftysim.Options{Variants: variant.Variants}, "")
			of := w.eventuallyAccount(metav1.ConditionTrue, v1alpha1.ReasonAccepted)
			said := map[string]any{}
			w.Expect(json.Unmarshal(of.Status.Account.Raw, &said)).To(Succeed())
			switch variant.Variants.AccountObject {
			case daftysim.AccountObjectEmpty:
				w.Expect(said).To(BeEmpty())
			case daftysim.AccountObjectNested:
				w.Expect(said).To(HaveKeyWithValue("plan", And(HaveKeyWithValue("id", "simulated"), HaveKey("features"), Not(HaveKey("renewsAt")))))
			default:
				w.Expect(said).To(HaveKeyWithValue("plan", "simulated"))
			}
			asShown, err := json.Marshal(said)
			w.Expect(err).NotTo(HaveOccurred())
			w.Expect(string(of.Status.Account.Raw)).To(Equal(string(asShown)), "or the same would be written again and again")
			for _, limit := range of.Status.Limits {
				told := variant.Variants.RateHeaders == daftysim.RateHeadersAlways && limit.Class == string(dafty.ClassOther)
				w.Expect(limit.Remaining != nil).To(Equal(told), "%s: %s", limit.Class, toJSON(limit))
			}
			w.stop()
			w.MustApply(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: agency}\nstringData: {apiKey: dk_test_wrong}\n")
			w.startOperator()
			w.eventuallyAccount(metav1.ConditionFalse, v1alpha1.ReasonCredentialsRejected)
		})
	}
}

// A budget of N lets N through, the oldest first, whoever restarts; what Dafty refuses isn't counted, and a budget that is raised
// has what waits go on.
func TestAccountBudget(t *testing.T) {
	zone := kubetest.TimeZoneAtNoon()
	budget := func(submissions int) string {
		return fmt.Sprintf(", budgets: [{per: Account, period: Month, timeZone: %[1]s, submissions: %[2]d}, {per: Namespace, period: Day, timeZone: %[1]s, submissions: 100}]",
			zone, submissions)
	}
	w := newWorldOfAccount(t, daftysim.Options{}, budget(3))
	w.apply("refused", fmt.Sprintf("{accountRef: {name: %s}, imageUpscale: {image: {id: 00000000-0000-4000-8000-000000000000}}}", w.account))
	w.eventually("refused", v1alpha1.PhaseFailed, v1alpha1.ReasonInvalidRequest)
	for i := range 5 {
		w.apply(fmt.Sprintf("job-%d", i), w.withAccount())
		if i == 1 {
			w.restartOperator()
		}
		reason, phase := v1alpha1.ReasonCompleted, v1alpha1.PhaseCompleted
		if i >= 3 {
			reason, phase = v1alpha1.ReasonBudgetExhausted, v1alpha1.PhasePending
		}
		w.eventually(fmt.Sprintf("job-%d", i), phase, reason)
	}
	w.wantCharges(3)
	job, err := w.watched("job-3")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(ready(job).Message).To(MatchRegexp(
		`^DaftyAccount "agency-.*": 3 of 3 submissions of the budget of the account for a month \(%s\) are used; its period ends at 20..-..-..T..:00:00Z`, regexp.QuoteMeta(zone)))
	w.setAccount(budget(4))
	// Both may have been created within the same second: either goes.
	w.Eventually(func() (reasons []string) {
		for _, name := range []string{"job-3", "job-4"} {
			job, _ := w.watched(name)
			reasons = append(reasons, ready(job).Reason)
		}
		return reasons
	}).WithTimeout(patience).Should(ConsistOf(v1alpha1.ReasonCompleted, v1alpha1.ReasonBudgetExhausted))
	w.wantCharges(4)
	w.Eventually(func() (string, error) {
		of, err := w.theAccount()
		var lines []string
		for _, usage := range of.Status.Usage {
			lines = append(lines, fmt.Sprintf("%s %s %d", usage.Budget, strings.ReplaceAll(usage.Namespace, w.Namespace, "here"), *usage.Submissions))
		}
		return fmt.Sprintf("%s, %d reserved", strings.Join(lines, ", "), len(of.Status.Reservations)), err
	}).WithTimeout(patience).Should(Equal(fmt.Sprintf("Account/Month/%[1]s  4, Namespace/Day/%[1]s here 4, 0 reserved", zone)))
	w.delete("job-3")
	w.delete("job-4")
	w.eventuallyGone(patience, "job-3")
	w.eventuallyGone(patience, "job-4")
}

// readCounter counts reads past the cache.
type readCounter struct {
	client.Reader
	lists atomic.Int64
}

func (c *readCounter) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	c.lists.Add(1)
	return c.Reader.List(ctx, list, opts...)
}

// A submission has its DaftyJob read past the cache where it is counted, and only there.
func TestReadsPastTheCache(t *testing.T) {
	w := newWorldOfAccount(t, daftysim.Options{}, "")
	w.stop()
	reads, cached := &readCounter{}, client.Reader(nil)
	w.extra = func(r *controller.Reconciler) { cached, reads.Reader, r.Live = r.Client, r.Live, reads }
	w.startOperator()
	finalized := func(name string) { // so that it is submitted as it was read
		job := &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name, Finalizers: []string{v1alpha1.CancelFinalizer}}}
		job.Spec.AccountRef, job.Spec.ImageGenerate = &v1alpha1.AccountReference{Name: w.account}, &v1alpha1.ImageGenerate{Prompt: "a"}
		w.Expect(w.Client.Create(t.Context(), job)).To(Succeed())
		w.eventually(name, v1alpha1.PhaseCompleted, v1alpha1.ReasonCompleted)
	}
	finalized("without-budgets")
	w.Expect(reads.lists.Load()).To(BeZero())
	w.setAccount(fmt.Sprintf(", budgets: [{per: Account, period: Month, timeZone: %s, submissions: 1}]", kubetest.TimeZoneAtNoon()))
	w.Eventually(func() (int, error) {
		of := &v1alpha1.DaftyAccount{}
		err := cached.Get(t.Context(), types.NamespacedName{Name: w.account}, of)
		return len(of.Spec.Budgets), err
	}).WithTimeout(patience).Should(Equal(1), "its first budget is seen")
	finalized("with-a-budget")
	w.Expect(reads.lists.Load()).To(BeEquivalentTo(1))
	w.apply("one-too-many", w.withAccount())
	w.eventually("one-too-many", v1alpha1.PhasePending, v1alpha1.ReasonBudgetExhausted)
	w.wantCharges(2)
	w.delete("one-too-many")
	w.eventuallyGone(patience, "one-too-many")
}

// Where DaftyAccounts are off, an accountRef says so.
func TestWithoutAccounts(t *testing.T) {
	w := newWorldWithoutSecret(t, daftysim.Options{})
	w.apply("job", "{accountRef: {name: agency}, imageGenerate: {prompt: a}}")
	job := w.eventually("job", v1alpha1.PhasePending, v1alpha1.ReasonAccountNotFound)
	w.Expect(ready(job).Message).To(ContainSubstring("runs without DaftyAccounts, as it does with --watch-namespaces"))
}

// A selector that the API server takes and that can't be read selects nothing, and says so.
func TestInvalidAccount(t *testing.T) {
	w := newWorldOfAccount(t, daftysim.Options{}, "")
	w.eventuallyAccount(metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"namespaces":{"matchLabels":null,"matchExpressions":[{"key":"team","operator":"Is","values":["a"]}]}}}`))
	w.Expect(w.Client.Patch(t.Context(), &v1alpha1.DaftyAccount{ObjectMeta: metav1.ObjectMeta{Name: w.account}}, patch)).To(Succeed())
	of := w.eventuallyAccount(metav1.ConditionFalse, v1alpha1.ReasonInvalidAccount)
	w.Expect(meta.FindStatusCondition(of.Status.Conditions, v1alpha1.ConditionReady).Message).To(ContainSubstring(`"Is" is not a valid label selector operator`))
	w.apply("job", w.withAccount())
	w.eventually("job", v1alpha1.PhasePending, v1alpha1.ReasonAccountNotFound)
}
