package controller_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"dafty.ai/dafty-operator/api/v1alpha1"
	"dafty.ai/dafty-operator/internal/account"
	"dafty.ai/dafty-operator/internal/budget"
	"dafty.ai/dafty-operator/internal/controller"
	"dafty.ai/dafty-operator/internal/dafty"
	"dafty.ai/dafty-operator/internal/lifecycle"
	"dafty.ai/dafty-operator/internal/test/daftysim"
	"dafty.ai/dafty-operator/internal/test/kstatustest"
	"dafty.ai/dafty-operator/internal/test/kubetest"
	"dafty.ai/dafty-operator/internal/test/operatortest"
)

// logged is all that any operator of this test binary has logged.
var logged operatortest.Log

func TestMain(m *testing.M) {
	log.SetLogger(zap.New(zap.WriteTo(&logged), zap.UseDevMode(true)))
	// These tests mostly wait for deadlines to pass, so that more of them than processors run.
	flag.Parse()
	if err := flag.Set("test.parallel", "24"); err != nil {
		panic(err)
	}
	kubetest.Main(m, kubetest.Options{})
}

const (
	apiKey      = "dk_test_5f0c4c3e8b1d4e43"
	accountName = "acme"

	knownImage = "0d5c6b1e-3f2a-4b7c-9a10-1c2d3e4f5a6b"
	knownStyle = "7a9e2c40-5b1d-4f3e-8c6a-2b4d6f8091a3"

	// patience is for what takes the operator a minute at most, as where it looks twice; many tests run at once, on a machine that
	// may be slow. It times nothing: what takes longer than it should is for a benchmark to show.
	patience = 4 * time.Minute
	// longPatience is for what takes it a submission's deadline, and more.
	longPatience = 6 * time.Minute
)

// world is a namespace on a real API server, a Dafty, and an operator between them.
type world struct {
	*kubetest.Env
	WithT
	t     *testing.T
	sim   *daftysim.Server
	stop  func()
	extra func(*controller.Reconciler)
	// extraAssets is called with the reconciler of DaftyAssets before it starts.
	extraAssets func(*controller.AssetReconciler)
	// assetsByHand has nobody look after DaftyAssets but the test.
	assetsByHand bool
	// account is the DaftyAccount that the operator looks after, empty for none.
	account string
	// setBack is set by a test that takes an end back.
	setBack bool
	// url is where the operator looks for Dafty.
	url string

	mu   sync.Mutex
	seen map[types.UID][]*v1alpha1.DaftyJob
	// shown is the newest version of each DaftyJob that is there, by name.
	shown map[string]*v1alpha1.DaftyJob
}

// newWorld starts all three, with the Secret in place.
func newWorld(t *testing.T, opts daftysim.Options) *world {
	t.Helper()
	w := newWorldWithoutSecret(t, opts)
	w.putSecret(apiKey)
	return w
}

func newWorldWithoutSecret(t *testing.T, opts daftysim.Options) *world {
	t.Helper()
	t.Parallel()
	return newWorldIn(t, kubetest.Start(t), opts)
}

func newWorldIn(t *testing.T, env *kubetest.Env, opts daftysim.Options) *world {
	t.Helper()
	w := prepareWorld(t, env, opts)
	w.startOperator()
	return w
}

// newWorldOfAssetsByHand starts a world whose DaftyAssets are looked after by the test.
func newWorldOfAssetsByHand(t *testing.T, opts daftysim.Options) *world {
	t.Helper()
	t.Parallel()
	w := prepareWorld(t, kubetest.Start(t), opts)
	w.assetsByHand = true
	w.startOperator()
	w.putSecret(apiKey)
	return w
}

// prepareWorld makes all but the operator.
func prepareWorld(t *testing.T, env *kubetest.Env, opts daftysim.Options) *world {
	t.Helper()
	opts.Accounts = append(opts.Accounts, daftysim.Account{
		Name: accountName, APIKeys: []string{apiKey},
		Images: []daftysim.Image{{ID: knownImage}}, Styles: []daftysim.Style{{ID: knownStyle}},
	})
	if opts.PendingFor == nil {
		opts.PendingFor = daftysim.Fixed(100 * time.Millisecond)
	}
	if opts.ProcessingFor == nil {
		opts.ProcessingFor = daftysim.Fixed(100 * time.Millisecond)
	}
	w := &world{Env: env, WithT: *NewWithT(t), t: t, seen: map[types.UID][]*v1alpha1.DaftyJob{}, shown: map[string]*v1alpha1.DaftyJob{}}
	w.sim = daftysim.Serve(daftysim.New(opts))
	w.url = w.sim.URL
	t.Cleanup(w.sim.Close)
	t.Cleanup(w.judge)
	w.watch()
	return w
}

// startOperator starts an operator for the namespace. The test's end stops it.
func (w *world) startOperator() {
	w.t.Helper()
	mgr, err := ctrl.NewManager(w.Config, ctrl.Options{
		Scheme: kubetest.Scheme,
		// What kinds there are is the same for all operators of the control plane, and asked of it once.
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return w.Client.RESTMapper(), nil },
		Client:         client.Options{Cache: &client.CacheOptions{DisableFor: controller.ReadLive}},
		Cache:          cache.Options{DefaultNamespaces: map[string]cache.Config{w.Namespace: {}}, ByObject: w.cached()},
		Metrics:        metricsserver.Options{BindAddress: "0"},
		Controller:     config.Controller{SkipNameValidation: new(true)},
	})
	w.Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	wakeups, accountWakeups := controller.NewWakeups(), controller.NewWakeups()
	httpClient := dafty.NewHTTPClient()
	reconciler := &controller.Reconciler{
		Client:   mgr.GetClient(),
		Live:     mgr.GetAPIReader(),
		Recorder: mgr.GetEventRecorder(controller.Name),
		Accounts: account.NewRegistry(ctx, account.Config{
			Client: func(key string) account.Dafty { return dafty.New(w.url, key, "dafty-operator/test", httpClient) },
			Wake:   wakeups.Wake,

			WakeFirst:   wakeups.WakeFirst,
			WakeAccount: func(name string) { accountWakeups.Wake(types.NamespacedName{Name: name}) },
		}),
		Clock:           clock.RealClock{},
		DeletionTimeout: 5 * time.Minute,
		WithAssets:      true,
		WithAccounts:    w.account != "",
	}
	if reconciler.WithAccounts {
		reconciler.Budgets = budget.NewBook(reconciler.Client, controller.ListReader{Reader: reconciler.Live}, clock.RealClock{})
		accounts := &controller.AccountReconciler{Client: reconciler.Client, Recorder: reconciler.Recorder, Accounts: reconciler.Accounts,
			Budgets: reconciler.Budgets, Clock: reconciler.Clock}
		w.Expect(accounts.SetupWithManager(mgr, accountWakeups, 2)).To(Succeed())
	}
	if w.extra != nil {
		w.extra(reconciler)
	}
	w.Expect(reconciler.SetupWithManager(ctx, mgr, wakeups, 4)).To(Succeed())
	if reconciler.WithAssets && !w.assetsByHand {
		assets := &controller.AssetReconciler{Client: reconciler.Client, Live: reconciler.Live, Recorder: reconciler.Recorder, Clock: reconciler.Clock}
		if w.extraAssets != nil {
			w.extraAssets(assets)
		}
		w.Expect(assets.SetupWithManager(ctx, mgr, 4)).To(Succeed())
	}
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("the operator ended with: %v", err)
		}
	})
	w.t.Cleanup(w.stop)
}

// cached returns what the operator's cache keeps. DaftyAccounts are cluster-scoped, and those of other tests aren't its business.
func (w *world) cached() map[client.Object]cache.ByObject {
	kinds := controller.ByObject(controller.Kinds{Assets: true, Accounts: w.account != ""})
	for object, options := range kinds {
		if _, is := object.(*v1alpha1.DaftyAccount); is {
			options.Field = fields.OneTermEqualSelector("metadata.name", w.account)
			kinds[object] = options
		}
	}
	return kinds
}

// restartOperator leaves what a crash leaves: an operator that knows nothing.
func (w *world) restartOperator() {
	w.t.Helper()
	w.stop()
	w.startOperator()
}

// watch keeps every state of every DaftyJob that the API server ever showed.
func (w *world) watch() {
	w.t.Helper()
	watcher, err := w.Client.Watch(context.Background(), &v1alpha1.DaftyJobList{}, client.InNamespace(w.Namespace))
	w.Expect(err).NotTo(HaveOccurred())
	w.t.Cleanup(watcher.Stop)
	go func() {
		for event := range watcher.ResultChan() {
			if job, ok := event.Object.(*v1alpha1.DaftyJob); ok {
				w.mu.Lock()
				w.seen[job.UID] = append(w.seen[job.UID], job)
				w.shown[job.Name] = job
				if event.Type == apiwatch.Deleted {
					delete(w.shown, job.Name)
				}
				w.mu.Unlock()
			}
		}
	}()
}

// judge holds everything that happened against the invariants, whatever the test was about.
func (w *world) judge() {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.t
	for _, violation := range w.sim.Violations() {
		t.Errorf("Dafty's contract was broken: %s", violation)
	}
	attempts := map[string]bool{}
	for _, entry := range w.sim.Ledger() {
		if entry.Key == 0 {
			continue // a person made it
		}
		// A key is UID-ATTEMPT, with .N after refusals that made no job.
		attempt, _, _ := strings.Cut(entry.IdempotencyKey, ".")
		if attempts[attempt] {
			t.Errorf("paid twice for %s", attempt)
		}
		attempts[attempt] = true
	}
	for _, history := range w.seen {
		var final *v1alpha1.DaftyJob
		for _, job := range history {
			if problem := kstatustest.Problem(job); problem != "" {
				t.Errorf("%s: %s", problem, toJSON(job.Status))
			}
			if ready := meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionReady); ready != nil && (ready.Reason == "" || ready.Message == "") {
				t.Errorf("%s doesn't say why it is where it is: %s", job.Name, toJSON(job.Status))
			}
			if final != nil && !w.setBack {
				before, after := lasting(final), lasting(job)
				if job.DeletionTimestamp != nil {
					// That it can't be let go is told.
					for _, condition := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
						meta.RemoveStatusCondition(&before.Conditions, condition)
						meta.RemoveStatusCondition(&after.Conditions, condition)
					}
				}
				if toJSON(before) != toJSON(after) {
					t.Errorf("%s changed after its end:\n%s\n%s", job.Name, toJSON(before), toJSON(after))
				}
			}
			if job.Status.Phase.Final() {
				final = job
			}
			if raw := toJSON(job); strings.Contains(raw, apiKey) {
				t.Errorf("the API key is in %s", raw)
			}
			if _, _, made := lifecycle.MadeBy(job); !made && len(job.OwnerReferences)+len(job.Labels) > 0 {
				t.Errorf("%s has metadata that is not the user's", job.Name)
			}
		}
	}
	if logged.Contains(apiKey) {
		t.Error("the API key is in the log")
	}
	for _, event := range w.events() {
		if strings.Contains(toJSON(event), apiKey) {
			t.Error("the API key is in an event")
		}
	}
}

// lasting returns what of a status never changes after the end.
func lasting(job *v1alpha1.DaftyJob) *v1alpha1.DaftyJobStatus {
	status := job.Status.DeepCopy()
	status.ObservedGeneration, status.ResultConfigMap, status.ResultConfigMapVersion = 0, "", ""
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionResultStored)
	if status.Phase == v1alpha1.PhaseCancelled { // whether that is still asked for is told on
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionReady)
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionStalled)
	}
	for i := range status.Conditions {
		status.Conditions[i].ObservedGeneration = 0
	}
	if status.Result != nil && status.Result.Video != nil {
		status.Result.Video.ThumbnailURL = ""
	}
	return status
}

// putSecret creates or rotates the Secret.
func (w *world) putSecret(key string) {
	w.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: v1alpha1.DefaultSecretName}}
	err := w.Client.Get(w.t.Context(), client.ObjectKeyFromObject(secret), secret)
	secret.StringData = map[string]string{v1alpha1.DefaultSecretKey: key}
	if apierrors.IsNotFound(err) {
		w.Expect(w.Client.Create(w.t.Context(), secret)).To(Succeed())
		return
	}
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(w.Client.Update(w.t.Context(), secret)).To(Succeed())
}

func (w *world) deleteSecret() {
	w.t.Helper()
	w.Expect(w.Client.Delete(w.t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: v1alpha1.DefaultSecretName}})).To(Succeed())
}

// apply applies a DaftyJob with this spec, as kubectl apply --server-side does. A process for each would take more of the machine
// than the operators do; what kubectl makes of a manifest is what TestKubectl and api/v1alpha1 are about.
func (w *world) apply(name, spec string) {
	w.t.Helper()
	object := &unstructured.Unstructured{}
	w.Expect(yaml.UnmarshalStrict([]byte(manifest(name, spec)), &object.Object)).To(Succeed())
	object.SetNamespace(w.Namespace)
	w.Expect(w.Client.Apply(w.t.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("kubectl"), client.ForceOwnership)).To(Succeed())
}

func manifest(name, spec string) string {
	return fmt.Sprintf("apiVersion: dafty.ai/v1alpha1\nkind: DaftyJob\nmetadata: {name: %s}\nspec: %s\n", name, spec)
}

// aLogo is a spec for tests that are not about the request.
const aLogo = `{imageGenerate: {prompt: A minimalist logo of a mountain at sunrise}}`

func (w *world) get(name string) (*v1alpha1.DaftyJob, error) {
	job := &v1alpha1.DaftyJob{}
	return job, w.Client.Get(context.Background(), types.NamespacedName{Namespace: w.Namespace, Name: name}, job)
}

// watched returns what the watch has shown of a DaftyJob last. To ask the API server each time that a test looks would take more
// of the machine than the operators do.
func (w *world) watched(name string) (*v1alpha1.DaftyJob, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if job := w.shown[name]; job != nil {
		return job.DeepCopy(), nil
	}
	return &v1alpha1.DaftyJob{}, apierrors.NewNotFound(schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "daftyjobs"}, name)
}

// watchedFromNow is watched, but for versions that are older than this call: a DaftyJob may have been there before under its name.
func (w *world) watchedFromNow(name string) func() (*v1alpha1.DaftyJob, error) {
	w.t.Helper()
	now, err := w.get(name)
	if client.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	}
	oldest := now.ResourceVersion
	if err != nil {
		all := &v1alpha1.DaftyJobList{}
		w.Expect(w.Client.List(context.Background(), all, client.InNamespace(w.Namespace))).To(Succeed())
		oldest = all.ResourceVersion
	}
	return func() (*v1alpha1.DaftyJob, error) {
		job, err := w.watched(name)
		if err != nil {
			return job, err
		}
		if order, err := resourceversion.CompareResourceVersion(job.ResourceVersion, oldest); order < 0 || err != nil {
			return &v1alpha1.DaftyJob{}, errors.Join(err, fmt.Errorf("the watch is at resource version %s, before %s", job.ResourceVersion, oldest))
		}
		return job, nil
	}
}

// state is what most tests are about.
type state struct {
	Phase  v1alpha1.Phase
	Reason string
}

// eventually waits for a DaftyJob to stand so, and returns it.
func (w *world) eventually(name string, phase v1alpha1.Phase, reason string) *v1alpha1.DaftyJob {
	w.t.Helper()
	return w.eventuallyWithin(patience, name, phase, reason)
}

func (w *world) eventuallyWithin(within time.Duration, name string, phase v1alpha1.Phase, reason string) *v1alpha1.DaftyJob {
	w.t.Helper()
	var job *v1alpha1.DaftyJob
	look := w.watchedFromNow(name)
	w.Eventually(func() (state, error) {
		var err error
		job, err = look()
		return state{job.Status.Phase, ready(job).Reason}, err
	}).WithTimeout(within).WithPolling(50*time.Millisecond).Should(Equal(state{phase, reason}), "%s", &story{w, name})
	return job
}

// passes waits until a DaftyJob stands so or has stood so, and returns it as it was then: a state that ends by itself may be over
// before it is looked at.
func (w *world) passes(name string, phase v1alpha1.Phase, reason string) *v1alpha1.DaftyJob {
	w.t.Helper()
	return w.sees(name, func(job *v1alpha1.DaftyJob) bool {
		return state{job.Status.Phase, ready(job).Reason} == state{phase, reason}
	})
}

// sees waits until a DaftyJob is or was so, and returns the first version that was.
func (w *world) sees(name string, so func(*v1alpha1.DaftyJob) bool) *v1alpha1.DaftyJob {
	w.t.Helper()
	var found *v1alpha1.DaftyJob
	w.Eventually(func() *v1alpha1.DaftyJob {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, history := range w.seen {
			if at := slices.IndexFunc(history, func(job *v1alpha1.DaftyJob) bool { return job.Name == name && so(job) }); at >= 0 {
				found = history[at].DeepCopy()
			}
		}
		return found
	}).WithTimeout(patience).WithPolling(50*time.Millisecond).ShouldNot(BeNil(), "%s", &story{w, name})
	return found
}

// story tells how a DaftyJob came to where it is, should a wait for something else fail.
type story struct {
	w    *world
	name string
}

func (s *story) String() string {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	var b strings.Builder
	for _, history := range s.w.seen {
		for _, job := range history {
			if job.Name == s.name {
				fmt.Fprintf(&b, "%s %s: %s\n", job.Status.Phase, ready(job).Reason, ready(job).Message)
			}
		}
	}
	last, times := "", 0
	for _, request := range s.w.sim.Requests() {
		line := fmt.Sprintf("%s %s -> %d %s", request.Method, request.Path, request.Status, request.Fault)
		if line != last {
			times = 0
			b.WriteString("\n" + line)
		} else if times++; times > 1 {
			continue
		} else {
			b.WriteString(" (and again)")
		}
		last = line
	}
	return b.String()
}

func (w *world) eventuallyGone(within time.Duration, name string) {
	w.t.Helper()
	job, err := w.get(name)
	if apierrors.IsNotFound(err) {
		return
	}
	w.Expect(err).NotTo(HaveOccurred())
	w.Eventually(func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.seen[job.UID]) > 0 && (w.shown[name] == nil || w.shown[name].UID != job.UID)
	}).WithTimeout(within).WithPolling(50*time.Millisecond).Should(BeTrue(), "%s", &story{w, name})
}

// submitted waits until Dafty has the job, and returns its id.
func (w *world) submitted(name string) string {
	w.t.Helper()
	var id string
	look := w.watchedFromNow(name)
	w.Eventually(func() (string, error) {
		job, err := look()
		id = job.Status.JobID
		return id, err
	}).WithTimeout(longPatience).WithPolling(50*time.Millisecond).ShouldNot(BeEmpty(), "%s", &story{w, name})
	return id
}

func (w *world) named(name string) *v1alpha1.DaftyJob {
	return &v1alpha1.DaftyJob{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name}}
}

func (w *world) cancel(name string) {
	w.t.Helper()
	w.Expect(w.Client.Patch(w.t.Context(), w.named(name), client.RawPatch(types.MergePatchType, []byte(`{"spec":{"desiredState":"Cancelled"}}`)),
		client.FieldOwner("kubectl-patch"))).To(Succeed())
}

func (w *world) delete(name string) {
	w.t.Helper()
	w.Expect(w.Client.Delete(w.t.Context(), w.named(name), client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
}

// wantCharges checks the ledger: how many jobs Dafty made and charged for.
func (w *world) wantCharges(jobs int) {
	w.t.Helper()
	w.Expect(w.sim.Ledger()).To(HaveLen(jobs))
}

func (w *world) events() []eventsv1.Event {
	list := &eventsv1.EventList{}
	if err := w.Client.List(context.Background(), list, client.InNamespace(w.Namespace)); err != nil {
		w.t.Fatal(err)
	}
	return list.Items
}

func (w *world) eventReasons() []string {
	var reasons []string
	for _, event := range w.events() {
		reasons = append(reasons, event.Reason)
	}
	return reasons
}

func ready(job *v1alpha1.DaftyJob) metav1.Condition {
	if c := meta.FindStatusCondition(job.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		return *c
	}
	return metav1.Condition{}
}

func toJSON(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}
